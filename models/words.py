"""Reviews as Keras's tokens: texts into words, words into tokens, tokens into multi-hot rows.

A token is the word's rank in the vocabulary + 3; 0 pads, 1 starts a review, 2 stands for every word that is
not in the vocabulary or whose token would not be below 10,000. The words of a text are found as Keras's
Tokenizer finds them: punctuation counts as space, except the apostrophe, and capitals as small letters. That
rule is on ASCII only, by bytes, so that the same rule runs in TensorFlow's graph to the letter; a `<br />`
becomes the word "br", as it does in Keras's data.
"""

import re
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.checks import describe
from models.model import Array, InputError, Inputs, RaggedArray, Vocabulary

DICTIONARY = 10_000
PAD, START, UNKNOWN = 0, 1, 2
OFFSET = 3
SPACES = b'!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r\v\f'
"""Keras's filters, and the rest of ASCII's white space."""
BITS = (DICTIONARY - 1).bit_length()
"""Bits of a token."""
EXPECTED = "expected a text, a sequence of token ids 0..9999, or a list of either"

_WORD = re.compile(f"[^ {re.escape(SPACES.decode())}]+")
_TRANSLATION = bytes.maketrans(SPACES, b" " * len(SPACES))


def reviews(inputs: Inputs) -> list[str] | RaggedArray:
    """Sort out raw reviews: texts as a list, token ids as a checked RaggedArray; raise InputError."""
    if isinstance(inputs, RaggedArray):
        return check_tokens(inputs)
    if isinstance(inputs, str):
        return _check_texts([inputs])
    if isinstance(inputs, np.ndarray) and inputs.ndim == 2 and inputs.dtype.kind in "iu" and inputs.size:  # noqa: PLR2004
        return _from_matrix(inputs)
    rows = _rows(inputs)
    if len(rows) == 0:
        raise InputError(f"there is no review; {EXPECTED}")
    if isinstance(rows[0], str):
        return _check_texts(rows)
    return check_tokens(RaggedArray.of([_token_row(number, row) for number, row in enumerate(rows)]))


def is_one(inputs: Any) -> bool:
    """Tell whether this is one review (a text, or a flat sequence of token ids) and not several."""
    if isinstance(inputs, str):
        return True
    if isinstance(inputs, np.ndarray):
        return inputs.ndim == 1 and inputs.dtype.kind in "biuf"
    if isinstance(inputs, Sequence) and not isinstance(inputs, bytes) and len(inputs):
        return isinstance(inputs[0], (int, float, np.number))
    return False


def check_tokens(tokens: RaggedArray) -> RaggedArray:
    """Return the tokens as they are if every row has one that is no pad, and all are in 0..9999."""
    if len(tokens) == 0:
        raise InputError(f"there is no review; {EXPECTED}")
    outside = np.flatnonzero((tokens.values < 0) | (tokens.values >= DICTIONARY))
    if outside.size:
        row = np.searchsorted(tokens.row_splits, outside[0], side="right") - 1
        raise InputError(f"review {row} has the token {tokens.values[outside[0]]}; expected 0..9999")
    filled = np.concatenate([[0], np.cumsum(tokens.values != PAD)])
    empty = np.flatnonzero(np.diff(filled[tokens.row_splits]) == 0)
    if empty.size:
        raise InputError(f"review {empty[0]} is empty: it has no token but pads (0)")
    return tokens


def split(text: str) -> list[bytes]:
    """Return the words of a text, in UTF-8."""
    return text.encode().translate(_TRANSLATION).lower().split()


def places(text: str) -> list[tuple[int, int]]:
    """Return where each word that `split` finds is in the text: its first character and the one after it."""
    return [word.span() for word in _WORD.finditer(text)]


def encode(texts: Sequence[str], vocabulary: Vocabulary) -> RaggedArray:
    """Turn checked texts into tokens int32, each review with the start token in front."""
    return RaggedArray.of([_encode(split(text), vocabulary) for text in texts])


def decode(tokens: Array, vocabulary: Vocabulary) -> list[str]:
    """Return the words of some tokens; "?" for those that are unknown, nothing for pads and starts."""
    words = {rank + OFFSET: word for word, rank in vocabulary.items()}
    return [words.get(token, "?") for token in tokens.tolist() if token not in (PAD, START)]


def from_ranks(ranks: RaggedArray) -> RaggedArray:
    """Turn ranks, as Keras's data set holds them, into tokens int32 as Keras's `load_data(10000)` gives them.

    Every row grows by one: the start token in front.
    """
    starts = ranks.row_splits + np.arange(len(ranks) + 1)
    tokens = np.full(starts[-1], START, np.int32)
    places = np.ones(len(tokens), np.bool_)
    places[starts[:-1]] = False
    tokens[places] = known(ranks.values)
    return RaggedArray(tokens, starts)


def known(ranks: Array) -> NDArray[np.int32]:
    """Turn ranks into tokens; every one that is not in the dictionary into the unknown token."""
    inside = (ranks >= 1) & (ranks < DICTIONARY - OFFSET)
    return np.where(inside, ranks + OFFSET, UNKNOWN).astype(np.int32)


def multi_hot(tokens: RaggedArray) -> NDArray[np.float32]:
    """Return float32 [N, 10000]: 1 at every token that occurs in the row, the pad excepted, 0 elsewhere.

    The start and the unknown token count, as they do in Keras's examples.
    """
    hot = np.zeros((len(tokens), DICTIONARY), np.float32)
    hot.reshape(-1)[tokens.row_of_value * DICTIONARY + tokens.values] = 1
    hot[:, PAD] = 0
    return hot


def distinct(tokens: RaggedArray) -> RaggedArray:
    """Return the tokens that occur in each row, int16, once each, without pads: `multi_hot`'s ones."""
    rows, values = occurrences(tokens)
    return RaggedArray(values.astype(np.int16), np.searchsorted(rows, np.arange(len(tokens) + 1)))


def occurrences(tokens: RaggedArray) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the rows and the columns of `multi_hot`'s ones, int32 [T] each, in order."""
    kind = np.dtype(np.int32 if len(tokens) < 1 << (31 - BITS) else np.int64)  # the shorter is sorted faster
    keys = np.repeat(np.arange(len(tokens), dtype=kind) << BITS, tokens.lengths)
    keys |= tokens.values.astype(kind, copy=False)
    if not tokens.values.all():
        keys = keys.compress(tokens.values != PAD)
    keys.sort()
    first = np.concatenate([[True], keys[1:] != keys[:-1]])  # np.unique hashes, at five times the cost
    keys = keys.compress(first)
    columns = keys & ((1 << BITS) - 1)
    return (keys >> BITS).astype(np.int32, copy=False), columns.astype(np.int32, copy=False)


def padded(tokens: RaggedArray) -> Array:
    """Return the tokens as [N, L], L the longest row's length, shorter rows filled up with pads."""
    lengths = tokens.lengths
    filled = np.zeros((len(tokens), int(lengths.max())), tokens.values.dtype)
    filled[np.arange(filled.shape[1]) < lengths[:, np.newaxis]] = tokens.values
    return filled


def _encode(words: list[bytes], vocabulary: Vocabulary) -> NDArray[np.int32]:
    ranks = map(vocabulary.get, map(bytes.decode, words), repeat(0))
    tokens = known(np.fromiter(ranks, dtype=np.int64, count=len(words)))
    return np.concatenate([np.array([START], np.int32), tokens])


def _check_texts(texts: Sequence[Any]) -> list[str]:
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(
                f"review {row} is a {type(text).__name__}, and review 0 a text; expected all alike"
            )
        try:
            words = split(text)
        except UnicodeEncodeError as error:
            raise InputError(f"review {row} is no valid Unicode text: {error.reason}") from None
        if not words:
            raise InputError(f"review {row} is empty: {text[:40]!r} has no word in it")
    return list(texts)


def _from_matrix(tokens: Array) -> RaggedArray:
    """Check tokens [N, L], and leave their pads out; most of a file whose rows are padded alike is pads."""
    while (half := tokens.shape[1] // 2) and not tokens[:, half:].any():
        tokens = tokens[:, :half]
    filled = tokens != PAD
    lengths = np.fromiter(map(np.count_nonzero, filled), np.int64, len(filled))  # faster than along an axis
    values = tokens[filled]
    if values.size and (values.min() < 0 or values.max() >= DICTIONARY):
        row, place = np.argwhere((tokens < 0) | (tokens >= DICTIONARY))[0]
        raise InputError(f"review {row} has the token {tokens[row, place]}; expected 0..9999")
    if not lengths.all():
        raise InputError(f"review {np.argmin(lengths)} is empty: it has no token but pads (0)")
    return RaggedArray(values.astype(np.int32), np.concatenate([[0], np.cumsum(lengths)]))


def _rows(inputs: Any) -> Sequence[Any]:
    if is_one(inputs):
        return [inputs]
    if isinstance(inputs, np.ndarray) and inputs.ndim in (1, 2):
        return inputs.tolist() if inputs.dtype.kind in "UO" and inputs.ndim == 1 else list(inputs)
    if isinstance(inputs, Sequence) and not isinstance(inputs, bytes):
        return inputs
    raise InputError(f"the reviews are {describe(inputs)}; {EXPECTED}")


def _token_row(number: int, row: Any) -> Array:
    if isinstance(row, (str, bytes)) or not isinstance(row, (Sequence, np.ndarray)):
        raise InputError(f"review {number} is a {type(row).__name__}; {EXPECTED}")
    if len(row) == 0:
        raise InputError(f"review {number} is empty; {EXPECTED}")
    try:
        tokens = np.asarray(row)
    except (ValueError, OverflowError):
        raise InputError(f"review {number} is ragged or out of range; {EXPECTED}") from None
    if tokens.dtype.kind not in "iu" or tokens.ndim != 1:
        raise InputError(f"review {number} is {describe(tokens)}; {EXPECTED}")
    return tokens.astype(np.int64)
