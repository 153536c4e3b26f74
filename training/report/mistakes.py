"""The mistakes that a network is surest of, with what can be shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.model import Splits
from training.report.exhibits import Exhibit, exhibit, is_pictures, is_texts
from training.report.measures import Predictions
from training.report.word_weights import Answer

PICTURES, TEXTS, VALUES = 24, 6, 12
"""How many are shown; a text takes a screen on a phone, and a few hundred questions to the network."""


@dataclass(frozen=True)
class Mistake:
    """A test example, by its place from 0, with the probabilities of the label found and of the true one."""

    row: int
    truth: str
    found: str
    confidence: float
    truth_probability: float
    exhibit: Exhibit


def most_confident(predicted: Predictions, most: int) -> list[int]:
    """Return the rows that are wrong, the highest confidence first, equal ones in their order."""
    wrong = np.flatnonzero(~predicted.right)
    order = np.argsort(-predicted.confidence[wrong], kind="stable")
    return [int(row) for row in wrong[order[:most]]]


def show(labels: Sequence[str], predicted: Predictions, splits: Splits, answer: Answer) -> list[Mistake]:
    """Return the surest mistakes on the test split; `answer` asks the network, for the weights of words."""
    confidence, truth_probability = predicted.confidence, predicted.of(predicted.truth)
    return [
        Mistake(
            row=row,
            truth=labels[predicted.truth[row]],
            found=labels[predicted.found[row]],
            confidence=float(confidence[row]),
            truth_probability=float(truth_probability[row]),
            exhibit=exhibit(splits, row, int(predicted.found[row]), answer),
        )
        for row in most_confident(predicted, _number(splits))
    ]


def _number(splits: Splits) -> int:
    if is_texts(splits):
        return TEXTS
    return PICTURES if is_pictures(splits.test.inputs) else VALUES
