"""`models.words` for many texts at once: the words of a batch are found and looked up by compiled code.

A word's key is its last 16 bytes, as two integers. A hash of them gives its slot in a table; there, or in a
slot behind it, is the word of the dictionary with that key, whose bytes before the key are compared: the
tokens are exact. Compiled code does not hold the interpreter's lock: threads run it side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from models.model import InputError, Vocabulary
from models.words import DICTIONARY, OFFSET, SPACES, START, UNKNOWN

Bytes = NDArray[np.uint8]
Keys = NDArray[np.uint64]
Numbers = NDArray[np.int32]
Occurrences = tuple[Numbers, Numbers]


SPACE = ord(" ")
HALF, KEY = 8, 16
"""The bytes in one of the two integers of a key, and in both."""
MARK = np.uint64(0xFF)
"""Stands before a word in its key, which so tells the lengths below 16 apart; no UTF-8 has this byte."""
SPARSE = 3
"""Slots for each word at least, so that most words are in their own."""
FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
CAPITALS = bytes(range(ord("A"), ord("Z") + 1))
FOLD = np.frombuffer(
    bytes.maketrans(SPACES + CAPITALS, bytes([SPACE]) * len(SPACES) + CAPITALS.lower()), np.uint8
)
"""What `models.words.split` does to bytes."""


class Dictionary(NamedTuple):
    """Words, the most frequent first: their keys [N, 2], bytes, token each, and the table of their numbers.

    The bytes of word i are `letters[splits[i]:splits[i + 1]]`. A slot without a word has -1.
    """

    keys: Keys
    letters: Bytes
    splits: NDArray[np.int64]
    tokens: Numbers
    slots: Numbers


def tokenizer(vocabulary: Vocabulary) -> Callable[[Sequence[str]], Occurrences]:
    """Make the function that finds which tokens occur in texts; the first of a process takes about a second.

    It returns the rows and the columns int32 [T] of the ones in `models.words.multi_hot`, each once, rows in
    order; it raises InputError for what is no text, or has no word in it.
    """
    dictionary = _dictionary(vocabulary)

    def occurrences(texts: Sequence[str]) -> Occurrences:
        encoded = [_bytes(row, text) for row, text in enumerate(texts)]
        joined = np.frombuffer(b" ".join([*encoded, b""]), np.uint8)
        ends = np.cumsum([len(text) + 1 for text in encoded])
        found = np.empty((2, len(joined) // 2 + 2 * len(texts)), np.int32)
        count, row = _find(joined, ends, FOLD, dictionary, found)
        if row < len(texts):
            raise InputError(f"review {row} is empty: {texts[row][:40]!r} has no word in it")
        return found[0, :count], found[1, :count]

    occurrences(["compiled at the first call"])
    return occurrences


def _bytes(row: int, text: object) -> bytes:
    if not isinstance(text, str):
        raise InputError(f"review {row} is a {type(text).__name__}; expected texts")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"review {row} is no valid Unicode text: {error.reason}") from None


def _dictionary(vocabulary: Vocabulary) -> Dictionary:
    known = sorted(
        (rank + OFFSET, word.encode()) for word, rank in vocabulary.items() if rank + OFFSET < DICTIONARY
    )
    words = [word for _, word in known]
    ends = b"".join((bytes([MARK]) + word)[-KEY:].rjust(KEY, b"\0") for word in words)
    keys = np.frombuffer(ends, ">u8").astype(np.uint64).reshape(-1, 2)
    slots = np.full(1 << (SPARSE * len(words)).bit_length(), -1, np.int32)
    _fill(slots, keys)
    return Dictionary(
        keys,
        np.frombuffer(b"".join(words), np.uint8),
        np.cumsum([0, *map(len, words)]),
        np.array([token for token, _ in known], np.int32),
        slots,
    )


@numba.njit(inline="always")
def _slot(high: np.uint64, low: np.uint64, slots: Numbers) -> np.uint64:
    mixed = (low ^ high * FACTORS[1]) * FACTORS[0]
    return (mixed >> np.uint64(32)) & np.uint64(len(slots) - 1)


@numba.njit()
def _fill(slots: Numbers, keys: Keys) -> None:
    for word in range(len(keys)):
        slot = _slot(keys[word, 0], keys[word, 1], slots)
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & np.uint64(len(slots) - 1)
        slots[slot] = word


@numba.njit(inline="always")
def _same(  # noqa: PLR0917 - compiled code is a third slower where it takes slices and objects
    text: Bytes, first: np.uint64, length: np.uint64, fold: Bytes, letters: Bytes, begin: np.uint64
) -> bool:
    """Compare the bytes that stand before a word's key."""
    place, same = np.uint64(0), True
    while same and place + np.uint64(KEY) < length:
        same = letters[begin + place] == fold[text[first + place]]
        place += np.uint64(1)
    return same


@numba.njit(nogil=True)
def _find(
    text: Bytes, ends: NDArray[np.int64], fold: Bytes, dictionary: Dictionary, found: Numbers
) -> tuple[int, int]:
    """Write the row and the token of each occurrence; return their number, and the first row without a word.

    `ends` has where the rows end, each with a space. What is never negative is unsigned: it needs no check.
    """
    keys, letters, splits, tokens, slots = dictionary
    one, mask = np.uint64(1), np.uint64(len(slots) - 1)
    seen = np.full(DICTIONARY, -1, np.int32)
    at = count = np.uint64(0)
    for row in range(len(ends)):
        text_end, before = np.uint64(ends[row]), count
        while at < text_end:
            letter = fold[text[at]]
            at += one
            if letter == SPACE:
                continue
            first = at - one
            high, low = np.uint64(0), MARK
            while letter != SPACE:
                high = high << np.uint64(HALF) | low >> np.uint64(64 - HALF)
                low = low << np.uint64(HALF) | np.uint64(letter)
                letter = fold[text[at]]
                at += one
            token, slot, length = np.uint64(UNKNOWN), _slot(high, low, slots), at - one - first
            while slots[slot] >= 0:
                word = np.uint64(slots[slot])
                if keys[word, 0] == high and keys[word, 1] == low:
                    begin, end = np.uint64(splits[word]), np.uint64(splits[word + one])
                    if length < KEY or (
                        end - begin == length and _same(text, first, length, fold, letters, begin)
                    ):
                        token = np.uint64(tokens[word])
                        break
                slot = (slot + one) & mask
            # Written in any case, and kept where it is new: a branch would often be foretold wrong.
            found[0, count], found[1, count] = row, token
            count += np.uint64(seen[token] != row)
            seen[token] = row
        if count == before:
            return int(count), row
        found[0, count], found[1, count] = row, START
        count += np.uint64(seen[START] != row)
    return int(count), len(ends)
