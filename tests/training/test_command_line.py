"""The command `kedge train`: options, exit codes, and how it ends when it is told to."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from models import catalogue
from models.model import Model
from training import job
from training.command_line import train
from training.errors import GateError
from training.job import JobOptions

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, model: Model) -> Callable[..., Any]:
    """Runs the command in this process, with the tiny model in the catalogue."""
    monkeypatch.setattr(catalogue, "find", lambda _: model)
    runner = CliRunner()
    return lambda *arguments, **env: runner.invoke(
        train, ["points", *map(str, arguments)], env=env, auto_envvar_prefix="KEDGE_TRAIN"
    )


@pytest.fixture
def options(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., JobOptions]:
    """Returns the job's options that a command line stands for."""
    seen: list[JobOptions] = []

    def capture(given: JobOptions, *_: object) -> None:
        seen.append(given)
        raise GateError("seen")

    monkeypatch.setattr(job, "train", capture)

    def parse(*arguments: object, **env: str) -> JobOptions:
        result = run(*arguments, **env)
        assert isinstance(result.exception, GateError), result.output
        return seen.pop()

    return parse


def kedge(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start the real command."""
    return subprocess.Popen(
        [sys.executable, "-m", "kedge", "train", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_defaults_are_the_model_s_recipe_and_seed_0(options: Callable[..., JobOptions], model: Model) -> None:
    assert asdict(options()) == asdict(JobOptions(model=model))


def test_every_option_reaches_the_job(
    options: Callable[..., JobOptions], changed: Callable[..., Model], tmp_path: Path
) -> None:
    given = options(
        "--data-dir", tmp_path, "--sample", "--model-store", tmp_path / "s", "--epochs", 2, "--batch-size", 3,
        "--seed", 4, "--hidden", "16,8", "--min-accuracy", 0.5,
        "--max-regression", 0.1, "--keep", 7, "--no-resume",
    )  # fmt: skip
    assert asdict(given) == asdict(JobOptions(
        model=changed(epochs=2, batch_size=3, hidden=(16, 8)), data_dir=tmp_path, sample=True,
        model_store=tmp_path / "s", seed=4, min_accuracy=0.5, max_regression=0.1, keep=7, resume=False,
    ))  # fmt: skip


def test_options_are_read_from_the_environment(options: Callable[..., JobOptions], tmp_path: Path) -> None:
    given = options(KEDGE_TRAIN_EPOCHS="7", KEDGE_TRAIN_HIDDEN="4,4", KEDGE_DATA_DIR=str(tmp_path))
    assert (given.model.recipe.epochs, given.model.recipe.hidden, given.data_dir) == (7, (4, 4), tmp_path)


def test_data_directory_of_the_command_goes_before_the_general_one(
    options: Callable[..., JobOptions], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    given = options(KEDGE_TRAIN_DATA_DIR=str(tmp_path / "a"), KEDGE_DATA_DIR=str(tmp_path / "b"))
    assert given.data_dir == tmp_path / "a"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--epochs", "0"), ("--batch-size", "-1"), ("--seed", "-1"), ("--min-accuracy", "1.5"),
        ("--max-regression", "-0.1"), ("--keep", "0"),
        ("--hidden", "16,"), ("--hidden", "0"), ("--hidden", "x"), ("--hidden", "1000000"),
        ("--hidden", "9" * 5000), ("--data-dir", "/nonexistent"),
    ],
)  # fmt: skip
def test_wrong_option_is_wrong_usage(run: Callable[..., Any], arguments: Sequence[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.stderr


def test_json_is_one_document_and_nothing_else_on_standard_output(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    result = run("--sample", "--json", "--model-store", tmp_path)
    document = json.loads(result.stdout)
    assert document["path"] == str(tmp_path / "points" / "1")
    assert document["sample"] is True
    assert "points: epoch 3/3: loss" in result.stderr


def test_result_tells_version_accuracy_sample_and_place(run: Callable[..., Any], tmp_path: Path) -> None:
    result = run("--sample", "--model-store", tmp_path)
    first, place = result.stdout.splitlines()
    assert first.startswith("points version 1: accuracy 0.")
    assert first.endswith("(trained on synthetic sample data)")
    assert place == str(tmp_path / "points" / "1")


def end_during_the_fit(number: signal.Signals, *arguments: str) -> tuple[int, list[str]]:
    """Run the command, send it a signal once the first epoch is done, and return how it ended."""
    with kedge(*arguments) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "epoch 1/" in line:
                break
        process.send_signal(number)
        rest = process.stderr.read()
        return process.wait(60), rest.splitlines()


def weights_digest(version: Path) -> str:
    """The published digest of the file that holds the weights."""
    lines = (version / "SHA256SUMS").read_text().splitlines()
    return next(line for line in lines if line.endswith("variables/variables.data-00000-of-00001"))


def test_sigterm_during_the_fit_leaves_a_checkpoint_from_which_the_same_command_goes_on(
    tmp_path: Path, listing: Callable[[Path], list[str]]
) -> None:
    store, whole = tmp_path / "store", tmp_path / "whole"
    command = ("mnist", "--sample", "--epochs", "40", "--hidden", "16", "--batch-size", "16", "--model-store")
    code, errors = end_during_the_fit(signal.SIGTERM, *command, str(store))
    assert code == 143
    assert errors[-1].startswith("kedge: terminated; the fit is kept in ")
    assert listing(store) == [".checkpoints", ".checkpoints/mnist.npz"]
    with kedge(*command, str(store)) as again:
        _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert "mnist: going on from the checkpoint" in said
    assert "epoch 1/40" not in said
    assert "epoch 40/40" in said
    with kedge(*command, str(whole)) as undisturbed:
        undisturbed.communicate(timeout=120)
    assert weights_digest(store / "mnist" / "1") == weights_digest(whole / "mnist" / "1")


def test_sigint_during_the_fit_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    store = tmp_path / "store"
    code, errors = end_during_the_fit(
        signal.SIGINT, "mnist", "--sample", "--epochs", "1000000", "--model-store", str(store)
    )
    assert code == 130
    assert errors[-1] == "kedge: interrupted"
    assert not store.exists()


def test_file_that_cannot_grow_is_exit_code_3_in_one_line(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: TensorFlow's own writer meets it."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    store = tmp_path / "store"
    with kedge(
        "mnist", "--sample", "--epochs", "1", "--model-store", str(store), preexec_fn=limit
    ) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 3, errors
    last = errors.splitlines()[-1]
    assert last == f"kedge: the version cannot be written in {store / 'mnist'}: File too large"
    assert "Traceback" not in errors
    assert not store.exists()


def test_log_of_a_job_has_plain_lines_only(tmp_path: Path) -> None:
    """No noise of TensorFlow's, no bars, no colours where standard error is not a terminal."""
    quiet = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    with kedge(
        "imdb", "--sample", "--epochs", "2", "--model-store", str(tmp_path), "--json", env=quiet
    ) as process:
        out, errors = process.communicate(timeout=120)
    assert json.loads(out)["held_out"] == 800
    assert [line.split(":")[0] for line in errors.splitlines()] == ["imdb"] * len(errors.splitlines())
    assert "\r" not in errors
    assert "\x1b" not in errors


def test_json_log_of_a_refused_job_is_objects_only_and_its_metrics_say_refused(tmp_path: Path) -> None:
    metrics = tmp_path / "mnist.prom"
    with kedge(
        "mnist", "--sample", "--epochs", "1", "--hidden", "4", "--min-accuracy", "1", "--log-format", "json",
        "--model-store", str(tmp_path / "store"), "--metrics-file", str(metrics),
    ) as process:  # fmt: skip
        out, errors = process.communicate(timeout=120)
    assert (process.returncode, out) == (4, "")
    records = [json.loads(line) for line in errors.splitlines()]
    assert records[-1]["level"] == "ERROR"
    assert "mnist is not published: the accuracy" in records[-1]["message"]
    assert [record["step"] for record in records if "step" in record] == [1]
    assert 'kedge_training_result{model="mnist",result="refused"} 1.0' in metrics.read_text()


def test_metrics_file_that_node_exporter_would_not_read_is_wrong_usage(run: Callable[..., Any]) -> None:
    result = run("--metrics-file", "points.txt")
    assert result.exit_code == 2
    assert "does not end in .prom" in result.stderr
