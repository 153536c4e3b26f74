"""The quality gate: whether a network is good enough to be published."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from models.model import Model, Splits
from training.errors import GateError, StoreError
from training.evaluate import Score, evaluate
from training.labels import now_served

ROUNDING = 1e-9
"""A difference of two accuracies that is due to their being floating-point numbers."""


@dataclass(frozen=True)
class Baseline:
    """The version that is served now, scored on the test set that the new one is scored on."""

    version: int
    score: Score


def check(
    score: Score,
    *,
    min_accuracy: float | None,
    max_regression: float | None = None,
    baseline: Baseline | None = None,
) -> None:
    """Raise GateError, its message the reason, where the network is not worth publishing.

    `max_regression` is how much lower than the baseline's the accuracy may be, 0..1.
    """
    if not math.isfinite(score.loss):
        raise GateError(f"the loss on the test set is {score.loss}: the fit diverged")
    if min_accuracy is not None and score.accuracy < min_accuracy:
        raise GateError(
            f"the accuracy on the test set is {score.accuracy:.4f}; --min-accuracy asks for {min_accuracy:g}"
        )
    if max_regression is None or baseline is None:
        return
    if baseline.score.accuracy - score.accuracy > max_regression + ROUNDING:
        raise GateError(
            f"the accuracy on the test set is {score.accuracy:.4f}, and that of version {baseline.version},"
            f" which is served now, {baseline.score.accuracy:.4f}; --max-regression allows {max_regression:g}"
            " less"
        )


def least_accuracy(model: Model, asked: float | None, *, sample: bool) -> float | None:
    """Return the accuracy to ask for: what a person asks for, else what the model's recipe does."""
    if asked is not None:
        return asked
    return model.recipe.sample_min_accuracy if sample else model.recipe.min_accuracy


def measure_served(model: Model, base: Path, splits: Splits) -> Baseline | None:
    """Score the version under NAME that is served now on the test set; None where there is no version.

    What the version says of itself is not asked: it may have been measured on other data. Raises StoreError
    where it cannot be scored.
    """
    version = now_served(base)
    if version is None:
        return None
    (given,), (answer,) = (
        getattr(model.signature_specs["serving_default"], side) for side in ("inputs", "outputs")
    )
    try:
        served = tf.saved_model.load(str(base / str(version)))
        signature = served.signatures["serving_default"]
        score = evaluate(
            model,
            lambda tensor: signature(**{given.name: tensor})[answer.name],
            splits.test,
            splits.vocabulary,
        )
    except Exception as error:
        # Whatever a damaged SavedModel makes TensorFlow raise.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(
            f"version {version} of {model.name}, which is served now, cannot be evaluated ({reason}): mend or"
            " remove it, or leave --max-regression out"
        ) from error
    return Baseline(version, score)
