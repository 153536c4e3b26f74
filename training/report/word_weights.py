"""Which words of a text decide a prediction: each is left out in turn, and the network asked again.

Leaving out is the simplest of the erasure methods of Li, Monroe and Jurafsky, "Understanding Neural Networks
through Representation Erasure" (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from models.model import Array, RaggedArray
from models.words import PAD, START

Answer = Callable[[RaggedArray], NDArray[np.float64]]
"""Asks the network about rows of tokens: probabilities [N, labels]."""

BATCH_SIZE = 256
"""Rows asked about at once: as multi-hot rows of 10,000 they take 10 MB."""
MOST = 1_000
"""Of a very long text only so many different words are left out, the first ones."""
SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and 1: float32 rounds to them, and their log-odds are infinite."""


def word_weights(tokens: Array, label: int, answer: Answer) -> dict[int, float]:
    """Return for each different token what it adds to the log-odds of a label.

    That is the log-odds log(p / (1 - p)) with the whole text, less those where the token is left out
    everywhere. A token that is all that the text has weighs nothing.
    """
    different = [token for token in dict.fromkeys(tokens.tolist()) if token not in (PAD, START)][:MOST]
    left_out = [token for token in different if np.any((tokens != token) & (tokens != PAD))]
    (whole,) = _log_odds(answer(RaggedArray.of([tokens]))[:, label])
    weights = dict.fromkeys(different, 0.0)
    for part in _parts(left_out):
        without = answer(RaggedArray.of([tokens[tokens != token] for token in part]))
        weights |= zip(part, (whole - _log_odds(without[:, label])).tolist(), strict=True)
    return weights


def _parts(tokens: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(tokens), BATCH_SIZE):
        yield tokens[start : start + BATCH_SIZE]


def _log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(probabilities, SMALLEST, 1 - SMALLEST)
    return np.log(inside) - np.log1p(-inside)
