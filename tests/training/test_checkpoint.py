"""A fit that is ended goes on from its checkpoint, and ends as if nothing had been."""

import json
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import catalogue
from models.model import Model
from training import fit as fitting
from training import job
from training.checkpoint import CheckpointFile, identity
from training.errors import PreemptedError, RefusedError
from training.fit import Pause, Paused
from training.job import JobOptions
from training.phases import Fitted, fit_network, unfitted
from training.preemption import Preemption
from training.progress import Lines, Silent


def file_of(model: Model, store: Path, seed: int = 0) -> CheckpointFile:
    splits = model.dataset.sample(0)
    return CheckpointFile.of(store / model.name, identity(model, unfitted(model, seed), splits.train, seed))


def fit_paused_at_every(model: Model, file: CheckpointFile) -> tuple[Fitted, int]:
    """Fit, ended at the second look of every run, each going on from the file that the last one left."""
    splits, pauses = model.dataset.sample(0), 0
    while True:
        paused = partial(next, iter([False, True]), False)
        try:
            fitted = fit_network(model, splits, 0, Silent(), start=file.read(), paused=paused)
        except Paused as stop:
            pauses += 1
            file.write(stop.pause)
        else:
            return fitted, pauses


class Log(Lines):
    """Keeps what a job reports."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def dropout(hidden: tuple[int, ...]) -> Any:
    """A network whose fit draws random numbers, with an optimizer that counts."""
    import keras

    layers = [keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((3,)), *layers])


@pytest.mark.parametrize("kind", ["rmsprop", "two phases", "dropout and adam", "imdb"])
def test_fit_that_is_paused_over_and_over_ends_in_the_same_weights_and_history(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(fitting, "BATCHES_IN_A_CALL", 8)
    kinds = {
        "rmsprop": model,
        "two phases": replace(model, recipe=model.recipe.changed(validation=60, epochs=4)),
        "dropout and adam": replace(model, build=dropout, recipe=model.recipe.changed(optimizer="adam")),
        "imdb": (imdb := catalogue.find("imdb")) and replace(imdb, recipe=imdb.recipe.changed(epochs=2)),
    }
    chosen = kinds[kind]
    whole = fit_network(chosen, chosen.dataset.sample(0), 0, Silent())
    pieces, pauses = fit_paused_at_every(chosen, file_of(chosen, tmp_path))
    assert pauses >= (3 if kind == "imdb" else 5)
    ended = fit_network(chosen, chosen.dataset.sample(0), 0, Silent(), start=pieces.end, paused=lambda: True)
    for fitted in (pieces, ended):
        assert fitted.history == whole.history
        assert fitted.epochs == whole.epochs
        assert all(map(np.array_equal, fitted.network.get_weights(), whole.network.get_weights()))


def test_job_told_to_end_leaves_a_checkpoint_and_no_version(
    model: Model, tmp_path: Path, listing: Callable[[Path], list[str]]
) -> None:
    preemption = Preemption()
    preemption.requested = True
    options = JobOptions(model=model, model_store=tmp_path, sample=True)
    with pytest.raises(PreemptedError, match="the same command goes on from there") as caught:
        job.train(options, None, preemption)
    assert caught.value.exit_code == 143
    assert listing(tmp_path) == [".checkpoints", ".checkpoints/points.npz"]
    assert job.train(options).version == 1
    assert listing(tmp_path / ".checkpoints") == [], "a job that has ended leaves none"


def told_to_end(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have SIGTERM come when the function is done."""

    def told(*arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        signal.raise_signal(signal.SIGTERM)
        return result

    return told


@pytest.mark.parametrize(
    ("place", "function"),
    [
        (job, "fit_network"),
        (job, "score_of"),
        (job.export, "export"),
        (job, "gather"),
        (job.verify, "in_process_of_its_own"),
    ],
)
def test_sigterm_after_the_fit_leaves_all_of_the_fit_and_no_version(  # noqa: PLR0917 (a table)
    changed: Callable[..., Model],
    tmp_path: Path,
    listing: Callable[[Path], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    function: str,
) -> None:
    """And it comes again while the checkpoint is written."""
    options = JobOptions(model=changed(validation=60), model_store=tmp_path, sample=True)
    preemption = Preemption()
    with monkeypatch.context() as patched, preemption.installed():
        patched.setattr(place, function, told_to_end(getattr(place, function)))
        patched.setattr(CheckpointFile, "write", told_to_end(CheckpointFile.write))
        with pytest.raises(PreemptedError, match="the same command goes on from there"):
            job.train(options, None, preemption)
    assert listing(tmp_path) == [".checkpoints", ".checkpoints/points.npz"]
    log = Log()
    assert job.train(options, log).version == 1
    assert "going on from the checkpoint" in log.lines[1]
    assert [line for line in log.lines if "epoch" in line] == []


def test_sigterm_while_a_version_is_published_lets_the_job_end(
    model: Model, tmp_path: Path, listing: Callable[[Path], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    preemption = Preemption()
    monkeypatch.setattr(job.page, "write", told_to_end(job.page.write))
    with preemption.installed():
        result = job.train(JobOptions(model=model, model_store=tmp_path, sample=True), None, preemption)
    assert preemption.requested
    assert result.version == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["points"]


@pytest.fixture
def paused(model: Model, tmp_path: Path) -> CheckpointFile:
    """The file of a job that was told to end."""
    file = file_of(model, tmp_path)
    with pytest.raises(Paused) as caught:
        fit_network(model, model.dataset.sample(0), 0, Silent(), paused=lambda: True)
    file.write(caught.value.pause)
    return file


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: {"seed": 3}, "seed is 0 there and 3 here"),
        (lambda model: {"model": replace(model, recipe=model.recipe.changed(epochs=9))}, "epochs is 3 there"),
        (lambda model: {"model": replace(model, build=dropout)}, "network is"),
        (
            lambda model: {
                "model": replace(model, dataset=replace(model.dataset, sample=lambda _: other(model)))
            },
            "data is",
        ),
    ],
)
def test_checkpoint_of_another_job_is_told_and_the_job_starts_anew(
    model: Model, paused: CheckpointFile, tmp_path: Path, change: Callable[[Model], Any], message: str
) -> None:
    options = replace(JobOptions(model=model, model_store=tmp_path, sample=True), **change(model))
    log = Log()
    assert job.train(options, log).version == 1
    (warning,) = log.warnings
    assert re.search(rf"is of another job: .*{message}.*; starting anew", warning)
    assert "\n" not in warning
    assert log.lines[1].startswith("points: epoch 1/")
    assert not paused.path.exists(), "or each job after it would tell it again"


def test_checkpoint_of_another_job_is_left_by_one_interrupted_and_replaced_by_one_paused(
    changed: Callable[..., Model], paused: CheckpointFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    longer, preemption = changed(epochs=4), Preemption()
    options = JobOptions(model=longer, model_store=tmp_path, sample=True)
    with monkeypatch.context() as patched:
        patched.setattr(job, "score_of", interrupt)
        with pytest.raises(KeyboardInterrupt):
            job.train(options)
    assert paused.read() is not None
    preemption.requested = True
    with pytest.raises(PreemptedError):
        job.train(options, None, preemption)
    assert file_of(longer, tmp_path).read() is not None


def test_no_resume_starts_anew_and_tells_of_no_checkpoint(
    model: Model, paused: CheckpointFile, tmp_path: Path
) -> None:
    log = Log()
    options = JobOptions(model=model, model_store=tmp_path, sample=True, seed=3, resume=False)
    assert job.train(options, log).version == 1
    assert log.warnings == []
    assert not paused.path.exists()


def test_refused_job_leaves_no_checkpoint(model: Model, paused: CheckpointFile, tmp_path: Path) -> None:
    options = JobOptions(model=model, model_store=tmp_path, sample=True, min_accuracy=1)
    with pytest.raises(RefusedError):
        job.train(options)
    assert not paused.path.exists()


def other(model: Model) -> Any:
    return model.dataset.sample(1)


def test_gate_s_numbers_do_not_make_another_job(model: Model, paused: CheckpointFile, tmp_path: Path) -> None:
    options = JobOptions(model=model, model_store=tmp_path, sample=True, min_accuracy=0.1)
    assert job.train(replace(options, model=replace(model, recipe=model.recipe.changed(min_accuracy=0.2))))


def of_unknown_compression(content: bytes) -> bytes:
    place = content.index(b"PK\x01\x02") + 10
    return content[:place] + b"c" + content[place + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [lambda content: content[:100], lambda _: b"", lambda _: b"PK\x03\x04", of_unknown_compression],
)
def test_damaged_checkpoint_is_told_and_the_job_starts_anew(
    model: Model, paused: CheckpointFile, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    paused.path.write_bytes(spoil(paused.path.read_bytes()))
    log = Log()
    assert job.train(JobOptions(model=model, model_store=tmp_path, sample=True), log).version == 1
    (warning,) = log.warnings
    assert re.search("points.npz is damaged: .*; starting anew", warning)


def test_checkpoint_replaces_the_one_before_whole(
    paused: CheckpointFile, monkeypatch: pytest.MonkeyPatch, listing: Callable[[Path], list[str]]
) -> None:
    before = paused.path.read_bytes()

    def fail(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        paused.write(Pause(weights=(np.zeros(3),)))
    assert paused.path.read_bytes() == before
    assert listing(paused.path.parent) == ["points.npz"]


def test_checkpoint_says_what_it_is_of_and_runs_no_code(paused: CheckpointFile) -> None:
    with np.load(paused.path, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
    assert about["identity"]["model"] == "points"
    assert set(about["identity"]["libraries"]) == {"tensorflow", "keras"}
