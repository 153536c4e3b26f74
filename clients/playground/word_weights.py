"""Which words of a review decide its sentiment: each is left out in turn, and the model asked again.

Leaving out is the simplest of the erasure methods of Li, Monroe and Jurafsky, "Understanding Neural Networks
through Representation Erasure" (2016). The model sees which words occur and not how often: a word is left
out everywhere at once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from models import words

SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and 1: float32 rounds to them, and their log-odds are infinite."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a review: a word, with what tells it from others, or what is between two (`key` None)."""

    text: str
    key: bytes | None


def pieces(review: str) -> list[Piece]:
    """Cut a review into its words and what is between them; together they are the review."""
    return list(_pieces(review))


def different(review: Sequence[Piece]) -> list[bytes]:
    """The words of a review, each once, in the order in which they first occur."""
    return list(dict.fromkeys(piece.key for piece in review if piece.key is not None))


def without(review: Sequence[Piece], key: bytes) -> str:
    """The review without a word."""
    return "".join(piece.text for piece in review if piece.key != key)


def weights(keys: Sequence[bytes], whole: float, left_out: Sequence[float]) -> Mapping[bytes, float]:
    """What each word adds to the log-odds log(p / (1 - p)).

    `whole` is the probability with all words, `left_out` the probabilities without each of `keys`.
    """
    all_words = _log_odds(whole)
    return {key: all_words - _log_odds(part) for key, part in zip(keys, left_out, strict=True)}


def _pieces(review: str) -> Iterator[Piece]:
    end = 0
    for start, stop in words.places(review):
        if start > end:
            yield Piece(review[end:start], None)
        (key,) = words.split(review[start:stop])
        yield Piece(review[start:stop], key)
        end = stop
    if end < len(review):
        yield Piece(review[end:], None)


def _log_odds(probability: float) -> float:
    inside = min(max(probability, SMALLEST), 1 - SMALLEST)
    return math.log(inside) - math.log1p(-inside)
