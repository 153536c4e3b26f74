"""`models.words.encode` for many texts at once: all words of a batch are found and looked up as arrays.

The first 16 bytes of a word are held as two integers, with the space that ends it where it is shorter. Its
place in a table is a hash of them, and what stands there is compared: the tokens are exact. What is not
found there (longer words, words that share a place, words that are not known) is looked up in a dictionary,
one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.model import InputError, RaggedArray, Vocabulary
from models.words import DICTIONARY, OFFSET, SPACES, START, UNKNOWN

Words = NDArray[np.uint64]

PLACES = 17
"""Bits of the number of places: few of 10,000 words share one."""
FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)
HALF = 8
"""The bytes in an integer."""
MASKS = np.array([(1 << 8 * length) - 1 for length in range(HALF + 1)], np.uint64)
"""Keeps the first bytes of eight, by their number."""
CAPITALS = bytes(range(ord("A"), ord("Z") + 1))
FOLD = bytes.maketrans(SPACES + CAPITALS, b" " * len(SPACES) + CAPITALS.lower())
"""What `models.words.split` does to bytes."""


@dataclass(frozen=True)
class Tokenizer:
    """The words of the dictionary with their tokens; the halves of each, by token; and tokens by place."""

    tokens: Mapping[bytes, int]
    first: Words
    second: Words
    table: NDArray[np.int16]

    def encode(self, texts: Sequence[str]) -> RaggedArray:
        """Turn texts into tokens int32, each with the start token in front; raise InputError for no word."""
        encoded = [_bytes(row, text) for row, text in enumerate(texts)]
        folded = b" ".join([b"", *encoded, b" " * 2 * HALF]).translate(FOLD)
        starts, ends = _words(np.frombuffer(folded, np.uint8))
        texts_end = 1 + np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1)
        words_end = np.searchsorted(starts, texts_end)
        counts = np.diff(words_end, prepend=0)
        if not counts.all():
            row = int(np.argmin(counts))
            raise InputError(f"review {row} is empty: {texts[row][:40]!r} has no word in it")
        splits = np.concatenate([[0], np.cumsum(counts + 1)])
        values = np.empty(splits[-1], np.int32)
        places = np.ones(len(values), np.bool_)
        places[splits[:-1]] = False
        values[splits[:-1]] = START
        values[places] = self._look_up(folded, starts, ends)
        return RaggedArray(values, splits)

    def _look_up(
        self, folded: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        lengths = ends - starts
        first, second = _halves(folded, starts, lengths)
        tokens = self.table[_place(first, second)].astype(np.int32)
        found = (self.first[tokens] == first) & (self.second[tokens] == second) & (lengths <= 2 * HALF)
        left = np.flatnonzero(~found)
        tokens[left] = [
            self.tokens.get(folded[start:end], UNKNOWN)
            for start, end in zip(starts[left].tolist(), ends[left].tolist(), strict=True)
        ]
        return tokens


def tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """Make the tokenizer of a vocabulary; this takes some hundredths of a second."""
    tokens = {word.encode(): rank + OFFSET for word, rank in vocabulary.items() if rank + OFFSET < DICTIONARY}
    short = [word for word in tokens if len(word) <= 2 * HALF]
    short.sort(key=lambda word: -tokens[word])  # of the words with the same place the most frequent stays
    joined = b" ".join([*short, b" " * 2 * HALF])
    lengths = np.fromiter(map(len, short), np.int64, len(short))
    starts = np.cumsum(lengths + 1) - lengths - 1
    halves = _halves(joined, starts, lengths)
    kept = np.fromiter(map(tokens.__getitem__, short), np.int16, len(short))
    first, second = np.zeros((2, DICTIONARY), np.uint64)
    first[kept], second[kept] = halves
    table = np.full(1 << PLACES, UNKNOWN, np.int16)
    table[_place(*halves)] = kept
    return Tokenizer(tokens, first, second, table)


def _bytes(row: int, text: object) -> bytes:
    if not isinstance(text, str):
        raise InputError(f"review {row} is a {type(text).__name__}; expected texts")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"review {row} is no valid Unicode text: {error.reason}") from None


def _words(text: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the words begin and end in bytes that begin and end with a space."""
    inside = text != ord(" ")
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    return edges[::2], edges[1::2]


def _halves(text: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[Words, Words]:
    """Return the first eight bytes of words, and the next eight, as integers; each ends with its space."""
    eights = np.ndarray(len(text) - HALF + 1, np.uint64, text, strides=(1,))
    first = eights[starts] & MASKS[np.minimum(lengths + 1, HALF)]
    second = np.zeros(len(starts), np.uint64)
    long = np.flatnonzero(lengths >= HALF)
    second[long] = eights[starts[long] + HALF] & MASKS[np.minimum(lengths[long] + 1 - HALF, HALF)]
    return first, second


def _place(first: Words, second: Words) -> NDArray[np.int64]:
    mixed = (first ^ second * FACTORS[1]) * FACTORS[0]
    places: NDArray[np.int64] = (mixed >> np.uint64(64 - PLACES)).view(np.int64)
    return places
