"""A training job: data, fit, evaluate, export, gate, verify, publish. One version comes of it, or none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import tensorflow as tf

from models.model import Model, Splits
from training import data, export, figures, gate, refused, retention, store, verify, warm_up
from training.checkpoint import CheckpointFile, Unusable, identity
from training.clock import Clock
from training.data import LoadedData
from training.errors import GateError, PreemptedError, RefusedError, StoreError
from training.evaluate import Score, evaluate
from training.fit import Pause, Paused
from training.labels import labels
from training.phases import Fitted, fit_network, unfitted
from training.preemption import Preemption
from training.progress import Progress, Silent
from training.report import page
from training.report.evidence import Evidence, gather
from training.result import JobResult

EXTRA = "assets.extra"
OPERATION = re.compile(r"\{\{.*?\}\} ?| \[Op:\w+\]")
"""Where in TensorFlow an error arose, around its message."""


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What to train and how. The same seed gives the same weights.

    `min_accuracy` is the least accuracy on the test set, 0..1, None the recipe's; `max_regression` how much
    lower it may be than that of the version that is served now, None not to compare. `keep` is how many
    versions to keep, None all. With `resume` a fit that SIGTERM ended, or what comes after it, goes on.
    """

    model: Model
    model_store: Path = Path("model_store")
    data_dir: Path | None = None
    sample: bool = False
    seed: int = 0
    min_accuracy: float | None = None
    max_regression: float | None = None
    keep: int | None = None
    resume: bool = True

    @property
    def base(self) -> Path:
        """The directory of the model's versions."""
        return self.model_store / self.model.name


def train(
    options: JobOptions, progress: Progress | None = None, preemption: Preemption | None = None
) -> JobResult:
    """Train a model and publish it as the next version of the model store.

    Raises TrainingError (DataError, StoreError, GateError, PreemptedError). However it ends, the store holds
    the new version whole, or its versions are as they were.
    """
    progress, preemption, clock = progress or Silent(), preemption or Preemption(), Clock()
    with store.staging(options.base) as staged:
        with clock.phase("load"):
            loaded = load(options, progress)
        checkpoint = checkpoint_of(options, loaded)
        with preemption.deferred():
            with clock.phase("fit"):
                fitted = fit(options, loaded, checkpoint, progress, preemption)
            with kept(fitted, checkpoint, preemption):
                made, evidence = make_version(staged, options, loaded, fitted, clock=clock, progress=progress)
            published = publish(staged, made, evidence)
            checkpoint.remove()
    remove_old(options, progress)
    return published


def load(options: JobOptions, progress: Progress) -> LoadedData:
    """Load the data; what would stop the job at its end is told before."""
    if options.keep is not None:
        labels(options.base)
    loaded = data.load(
        options.model.dataset,
        data_dir=options.data_dir,
        sample=options.sample,
        seed=options.seed,
        progress=progress,
    )
    progress.line(f"{options.model.name}: {len(loaded.splits.train)} examples from {loaded.source}")
    return loaded


def checkpoint_of(options: JobOptions, loaded: LoadedData) -> CheckpointFile:
    """Return where the fit of this job goes on from, if it was paused, and is left, if it is paused now."""
    network = unfitted(options.model, options.seed)
    return CheckpointFile.of(
        options.base, identity(options.model, network, loaded.splits.train, options.seed)
    )


def start_of(options: JobOptions, checkpoint: CheckpointFile, progress: Progress) -> Pause | None:
    """Return where the fit goes on, None where it starts anew; tell which, if there is a checkpoint."""
    if not options.resume:
        return None
    try:
        start = checkpoint.read()
    except Unusable as reason:
        kept = "it is kept until this job is paused or done"
        progress.warning(f"{options.model.name}: {reason}; starting anew, {kept}")
        return None
    if start:
        progress.line(f"{options.model.name}: going on from the checkpoint {checkpoint.path}")
    return start


def fit(
    options: JobOptions,
    loaded: LoadedData,
    checkpoint: CheckpointFile,
    progress: Progress,
    preemption: Preemption,
) -> Fitted:
    """Fit the network; where SIGTERM comes meanwhile, leave a checkpoint and raise PreemptedError."""
    start = start_of(options, checkpoint, progress)
    try:
        return fit_network(
            options.model,
            loaded.splits,
            options.seed,
            progress,
            start=start,
            paused=lambda: preemption.requested,
        )
    except Paused as stop:
        raise keep(stop.pause, checkpoint) from stop


@contextmanager
def kept(fitted: Fitted, checkpoint: CheckpointFile, preemption: Preemption) -> Iterator[None]:
    """Where SIGTERM ends what runs inside, leave a checkpoint of the fit and raise PreemptedError.

    Where the gate refuses the network no checkpoint is left: the same fit would be refused again.
    """
    try:
        with preemption.allowed():
            yield
    except SystemExit as stop:
        raise keep(fitted.end, checkpoint) from stop
    except RefusedError:
        checkpoint.remove()
        raise


def keep(pause: Pause, checkpoint: CheckpointFile) -> PreemptedError:
    """Write the checkpoint, and return the error that tells where it is."""
    checkpoint.write(pause)
    return PreemptedError(
        f"terminated; the fit is kept in {checkpoint.path}, and the same command goes on from there"
    )


def make_version(
    staged: Path,
    options: JobOptions,
    loaded: LoadedData,
    fitted: Fitted,
    *,
    clock: Clock,
    progress: Progress,
) -> tuple[JobResult, Evidence]:
    """Evaluate the network, write a version of it, and try that; raises RefusedError where it is not good."""
    model = options.model
    with clock.phase("evaluate"):
        score = score_of(model, fitted, loaded.splits)
    with clock.phase("export"):
        answers = write_version(staged, model, fitted, loaded.splits, score)
    with clock.phase("report"):
        evidence = gather(model, fitted.network, loaded.splits, score.outputs, options.base)
    made = describe(options, loaded, fitted, score, clock.seconds)
    try:
        with clock.phase("check"):
            check_quality(options, loaded, score, progress)
            verify.verify(staged, answers)
    except GateError as error:
        raise refuse(staged, made, evidence, str(error)) from error
    tell_untried(model, answers, progress)
    return made, evidence


def score_of(model: Model, fitted: Fitted, splits: Splits) -> Score:
    """Evaluate the network that is exported on the test set."""
    return evaluate(
        model, lambda tensor: fitted.network(tensor, training=False), splits.test, splits.vocabulary
    )


def write_version(
    staged: Path, model: Model, fitted: Fitted, splits: Splits, score: Score
) -> list[warm_up.Answer]:
    """Write all of a version except kedge.json, and return its answers to the warm-up requests.

    Raises StoreError where it cannot be written.
    """
    extra = staged / EXTRA
    try:
        entries = export.export(model, fitted.network, splits.vocabulary, staged)
        extra.mkdir()
        answers = warm_up.write(extra / warm_up.FILE, model, entries, splits)
        figures.draw(extra, model.title, fitted.history, score)
    except tf.errors.InvalidArgumentError:
        raise  # a signature refused a warm-up request: a fault in the model, not of the disk
    except (OSError, tf.errors.OpError) as error:
        told = OPERATION.sub("", str(getattr(error, "message", error)))
        reason = getattr(error, "strerror", None) or told.rsplit("; ", 1)[-1]  # before it is a temporary name
        raise StoreError(f"the version cannot be written in {staged.parent}: {reason}") from error
    return answers


def describe(
    options: JobOptions, loaded: LoadedData, fitted: Fitted, score: Score, seconds: Mapping[str, float]
) -> JobResult:
    """Return what was made, before it has a version and a place."""
    recipe = options.model.recipe
    return JobResult(
        name=options.model.name,
        version=None,
        path=options.base,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=loaded.source,
        sample=loaded.sample,
        sha256=loaded.sha256,
        seed=options.seed,
        hidden=recipe.hidden,
        batch_size=recipe.batch_size,
        rows=len(loaded.splits.train),
        epochs=fitted.epochs,
        best_epoch=fitted.best_epoch,
        held_out=fitted.held_out,
        loss=score.loss,
        accuracy=score.accuracy,
        history=fitted.history,
        seconds=seconds,
    )


def check_quality(options: JobOptions, loaded: LoadedData, score: Score, progress: Progress) -> None:
    """Raise GateError where the network is not worth publishing."""
    model, baseline = options.model, None
    if options.max_regression is not None:
        baseline = gate.measure_served(model, options.base, loaded.splits)
        compared = (
            f"version {baseline.version}, served now, has the accuracy {baseline.score.accuracy:.4f}"
            if baseline
            else "no version is served now to compare with"
        )
        progress.line(f"{model.name}: {compared}")
    gate.check(
        score,
        min_accuracy=gate.least_accuracy(model, options.min_accuracy, sample=loaded.sample),
        max_regression=options.max_regression,
        baseline=baseline,
    )


def remove_old(options: JobOptions, progress: Progress) -> None:
    """Remove the versions that are not to be kept."""
    if options.keep is not None:
        for version in retention.keep_newest(options.base, options.keep):
            progress.line(
                f"{options.model.name}: version {version} removed; the newest {options.keep} are kept"
            )


def tell_untried(model: Model, answers: list[warm_up.Answer], progress: Progress) -> None:
    """Report the signatures that no raw input reaches, so that nothing tried them."""
    untried = model.signature_specs.keys() - {signature for signature, _ in answers}
    if untried:
        progress.line(f"{model.name}: no warm-up requests for {', '.join(sorted(untried))}")


def refuse(staged: Path, made: JobResult, evidence: Evidence, reason: str) -> RefusedError:
    """Keep what is not published out of servers' sight, and return the error that tells why and where."""
    result = replace(made, refused=reason)
    with store.explained(staged.parent):
        result.write(staged / EXTRA)
        page.write(staged / EXTRA, result, evidence, refused=reason)
    path = refused.keep(staged, datetime.fromisoformat(made.created))
    return RefusedError(
        f"{made.name} is not published: {reason}; it is kept in {path}", replace(result, path=path)
    )


def publish(staged: Path, made: JobResult, evidence: Evidence) -> JobResult:
    """Publish the staged version with its report, and return the result with its number and path."""

    def numbered(version: int) -> JobResult:
        return replace(made, version=version, path=staged.parent / str(version))

    def label(version: int) -> None:
        numbered(version).write(staged / EXTRA)
        page.write(staged / EXTRA, numbered(version), evidence)

    path = store.publish(staged, label)
    return numbered(int(path.name))
