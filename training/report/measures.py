"""How good predictions are, label by label and in their probabilities. Pure NumPy.

Formulas: precision, recall and F1 as in Manning, Raghavan and Schütze, "Introduction to Information
Retrieval" (2008), section 8.3; reliability diagram and expected calibration error as in Guo, Pleiss, Sun and
Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017), section 2; the interval of a share as in
Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (JASA 22, 1927).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.model import Array

THRESHOLD = 0.5
BINS = 20
Z_95 = 1.959963984540054
"""The standard normal distribution's quantile that leaves 2.5 % above it."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities float64 [N, labels], the label found int64 [N], and the true one int64 [N]."""

    probabilities: NDArray[np.float64]
    found: NDArray[np.int64]
    truth: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the label found is the true one, [N]."""
        return np.equal(self.found, self.truth)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """The probability of the label found, [N]."""
        return self.of(self.found)

    def of(self, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the probability that each example's prediction gives to a label of its own, [N]."""
        return self.probabilities[np.arange(len(self)), labels]


def predictions(outputs: Array, truth: NDArray[np.int64]) -> Predictions:
    """Read a network's outputs: [N, labels], or [N, 1] of the second of two labels, found from 0.5 on."""
    given = by_label(outputs)
    found = given[:, 1] >= THRESHOLD if outputs.shape[1] == 1 else given.argmax(axis=1)
    return Predictions(given, found.astype(np.int64), truth)


def by_label(outputs: Array) -> NDArray[np.float64]:
    """Return every label's probability, float64 [N, labels]; see `predictions`.

    What is not a number, as after a fit that diverged, counts as 0.
    """
    given = np.clip(np.nan_to_num(outputs.astype(np.float64)), 0, 1)
    return np.hstack([1 - given, given]) if given.shape[1] == 1 else given


def confusion(predicted: Predictions) -> NDArray[np.int64]:
    """Count the examples by true label (rows) and label found (columns), [labels, labels]."""
    labels = predicted.probabilities.shape[1]
    cells = predicted.truth * labels + predicted.found
    return np.bincount(cells, minlength=labels**2).reshape(labels, labels)


@dataclass(frozen=True)
class LabelScore:
    """One label's scores; NaN where there is nothing to divide by, such as no example found to be it.

    `support` is the number of examples of the label.
    """

    precision: float
    recall: float
    f1: float
    support: int


def label_scores(counts: NDArray[np.int64]) -> list[LabelScore]:
    """Return each label's scores from the confusion matrix.

    With TP examples found rightly, FP wrongly and FN missed: precision TP / (TP + FP), recall TP / (TP + FN),
    F1 their harmonic mean, 2 TP / (2 TP + FP + FN).
    """
    return [
        LabelScore(
            precision=_share(right, found),
            recall=_share(right, support),
            f1=_share(2 * right, found + support),
            support=support,
        )
        for right, found, support in zip(
            counts.diagonal().tolist(), counts.sum(axis=0).tolist(), counts.sum(axis=1).tolist(), strict=True
        )
    ]


def mean_f1(scores: Sequence[LabelScore]) -> float:
    """Return the mean F1 of the labels (macro F1), without those that have none."""
    known = [score.f1 for score in scores if not math.isnan(score.f1)]
    return _share(sum(known), len(known))


@dataclass(frozen=True)
class Bin:
    """The examples whose confidence is in (low, high]: their number, mean confidence, how many are right."""

    low: float
    high: float
    count: int
    confidence: float
    right: int

    @property
    def accuracy(self) -> float:
        """The share that is right."""
        return self.right / self.count


def reliability(predicted: Predictions, bins: int = BINS) -> list[Bin]:
    """Sort the examples by confidence into bins of equal width on 0..1; those without one are left out."""
    confidence, right = predicted.confidence, predicted.right
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    sums = np.bincount(places, weights=confidence, minlength=bins)
    rights = np.bincount(places[right], minlength=bins)
    return [
        Bin(
            low=place / bins,
            high=(place + 1) / bins,
            count=int(counts[place]),
            confidence=float(sums[place] / counts[place]),
            right=int(rights[place]),
        )
        for place in np.flatnonzero(counts).tolist()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error: the bins' |accuracy - confidence|, weighted by their counts."""
    total = sum(part.count for part in bins)
    return sum(part.count * abs(part.accuracy - part.confidence) for part in bins) / total


def interval(right: int, count: int, z: float = Z_95) -> tuple[float, float]:
    """Return Wilson's interval of a share; at z = 1.96 it holds the true share in 95 of 100 samples."""
    share, square = right / count, z * z / count
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    # At both ends rounding would leave the share itself just outside.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
