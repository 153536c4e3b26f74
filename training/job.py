"""A training job: data, fit, evaluate, gate, export, publish. One version comes out of it, or none."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import tensorflow as tf

from models.model import Model, Recipe, Splits
from training import data, export, figures, store, warm_up
from training.errors import GateError, StoreError
from training.evaluate import Score, evaluate
from training.phases import Fitted, fit_network
from training.progress import Progress, Silent
from training.report import page
from training.report.evidence import Evidence, gather
from training.result import JobResult

EXTRA = "assets.extra"


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What to train and how; None takes the model's recipe. The same seed gives the same weights.

    `epochs` is for the first phase where the recipe has two. Below `min_accuracy` on the test set nothing is
    published.
    """

    model: Model
    model_store: Path = Path("model_store")
    data_dir: Path | None = None
    sample: bool = False
    epochs: int | None = None
    batch_size: int | None = None
    seed: int = 0
    hidden: tuple[int, ...] | None = None
    min_accuracy: float | None = None


def train(options: JobOptions, progress: Progress | None = None) -> JobResult:
    """Train a model and publish it as the next version of the model store.

    Raises TrainingError (DataError, StoreError, GateError). However it ends, the store holds the new version
    whole, or is as it was.
    """
    progress = progress or Silent()
    model, recipe, clock = options.model, recipe_of(options), Clock()
    with store.staging(options.model_store / model.name) as staged:
        with clock.phase("load"):
            loaded = data.load(
                model.dataset,
                data_dir=options.data_dir,
                sample=options.sample,
                seed=options.seed,
                progress=progress,
            )
        progress.line(f"{model.name}: {len(loaded.splits.train)} examples from {loaded.source}")
        with clock.phase("fit"):
            fitted = fit_network(model, recipe, loaded.splits, options.seed, progress)
        with clock.phase("evaluate"):
            score = evaluate(model, fitted.network, loaded.splits.test, loaded.splits.vocabulary)
        check_quality(score, options.min_accuracy)
        with clock.phase("export"):
            missing = write_version(staged, model, fitted, loaded.splits, score)
        with clock.phase("report"):
            evidence = gather(model, fitted.network, loaded.splits, score.outputs, staged.parent)
        if missing:
            progress.line(f"{model.name}: no warm-up requests for {', '.join(sorted(missing))}")
        about = JobResult(
            name=model.name,
            version=0,
            path=staged,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            source=loaded.source,
            sample=loaded.sample,
            sha256=loaded.sha256,
            seed=options.seed,
            hidden=recipe.hidden,
            batch_size=recipe.batch_size,
            epochs=fitted.epochs,
            best_epoch=fitted.best_epoch,
            held_out=fitted.held_out,
            loss=score.loss,
            accuracy=score.accuracy,
            history=fitted.history,
            seconds=clock.seconds,
        )
        return publish(staged, about, evidence)


def recipe_of(options: JobOptions) -> Recipe:
    """Return the model's recipe with the numbers that the options change."""
    recipe = options.model.recipe
    return replace(
        recipe,
        hidden=recipe.hidden if options.hidden is None else options.hidden,
        epochs=options.epochs or recipe.epochs,
        batch_size=options.batch_size or recipe.batch_size,
    )


def check_quality(score: Score, min_accuracy: float | None) -> None:
    """Raise GateError where the network is not worth publishing."""
    if not math.isfinite(score.loss):
        raise GateError(
            f"the loss on the test set is {score.loss}: the fit diverged, and nothing was published"
        )
    if min_accuracy is not None and score.accuracy < min_accuracy:
        raise GateError(
            f"the accuracy on the test set is {score.accuracy:.4f}; --min-accuracy asks for {min_accuracy:g}:"
            " nothing was published"
        )


def write_version(staged: Path, model: Model, fitted: Fitted, splits: Splits, score: Score) -> set[str]:
    """Write all of a version except kedge.json, and return the signatures without a warm-up request.

    Raises StoreError where it cannot be written.
    """
    extra = staged / EXTRA
    try:
        entries = export.export(model, fitted.network, splits.vocabulary, staged)
        extra.mkdir()
        missing = warm_up.write(extra / warm_up.FILE, model, entries, splits)
        figures.draw(extra, model.title, fitted.history, score)
    except tf.errors.InvalidArgumentError:
        raise  # a signature refused a warm-up request: a fault in the model, not of the disk
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
        raise StoreError(f"the version cannot be written in {staged.parent}: {reason}") from error
    return missing


def publish(staged: Path, result: JobResult, evidence: Evidence) -> JobResult:
    """Publish the staged version with its report, and return the result with its number and path."""

    def numbered(version: int) -> JobResult:
        return replace(result, version=version, path=staged.parent / str(version))

    def describe(version: int) -> None:
        numbered(version).write(staged / EXTRA)
        page.write(staged / EXTRA, numbered(version), evidence)

    path = store.publish(staged, describe)
    return numbered(int(path.name))


class Clock:
    """Keeps the wall-clock seconds of each phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what runs inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 3)
