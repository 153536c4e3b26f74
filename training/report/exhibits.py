"""What can be shown of one raw input: a picture, a text with its heavy words, or its values."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from models import words
from models.model import Array, RaggedArray, Splits
from models.words import PAD, START
from training.report.word_weights import Answer, word_weights

EXCERPT = 90
"""Words of a text that are shown: the stretch that weighs most."""
HEAVIEST = 24
"""Different words of a text that are told as its heaviest."""
LARGEST_SIDE = 96
"""Pixels; larger pictures are scaled down to it, as the page is to stay small."""
DARK = 96
"""A picture whose mean grey value is lower is bright on dark ground."""
LONGEST_VALUE = 240
CHANNELS = (3, 4)


@dataclass(frozen=True)
class Picture:
    """A PNG file, its size in pixels, and whether it is bright on dark ground."""

    png: bytes
    width: int
    height: int
    dark: bool


@dataclass(frozen=True)
class Word:
    """A word, and what it adds to the log-odds of the label found."""

    text: str
    weight: float


@dataclass(frozen=True)
class Text:
    """The stretch of a text that weighs most: its words, and the place of the first one from 0.

    `length` is that of the whole text in words; `heaviest` are its heaviest different words, wherever in it.
    """

    words: tuple[Word, ...]
    first: int
    length: int
    heaviest: tuple[Word, ...]


@dataclass(frozen=True)
class Value:
    """An input that is neither, in one line."""

    text: str


Exhibit = Picture | Text | Value


def is_pictures(inputs: Any) -> bool:
    """Tell whether raw inputs are images: uint8 [N, height, width], or with 3 or 4 colour channels."""
    if not isinstance(inputs, np.ndarray) or inputs.dtype != np.uint8:
        return False
    grey, colours = inputs.ndim == 3, inputs.ndim == 4 and inputs.shape[3] in CHANNELS  # noqa: PLR2004
    return grey or colours


def is_texts(splits: Splits) -> bool:
    """Tell whether raw inputs are the tokens of words that there is a vocabulary of."""
    return isinstance(splits.test.inputs, RaggedArray) and splits.vocabulary is not None


def exhibit(splits: Splits, row: int, found: int, answer: Answer) -> Exhibit:
    """Return what can be shown of a test example; `found` is the label that the weights of words are for."""
    raw = splits.test.inputs[row]
    if is_texts(splits) and splits.vocabulary is not None:
        weights = word_weights(raw, found, answer)
        shown = raw[(raw != PAD) & (raw != START)]
        texts = words.decode(shown, splits.vocabulary)
        pairs = zip(texts, shown.tolist(), strict=True)
        return excerpt(tuple(Word(text, weights.get(token, 0.0)) for text, token in pairs))
    return picture(raw) if is_pictures(splits.test.inputs) else value(raw)


def excerpt(all_words: tuple[Word, ...], size: int = EXCERPT) -> Text:
    """Return the stretch of so many words whose squared weights add up to most.

    Squared, because in a long text many light words together would outweigh the few that decided.
    """
    sums = np.concatenate([[0.0], np.cumsum([word.weight**2 for word in all_words])])
    stretches = sums[size:] - sums[:-size] if len(all_words) > size else np.zeros(1)
    first = int(stretches.argmax())
    heaviest = sorted(set(all_words), key=lambda word: (-abs(word.weight), word.text))[:HEAVIEST]
    return Text(all_words[first : first + size], first, len(all_words), tuple(heaviest))


def picture(pixels: Array) -> Picture:
    """Encode an image uint8 [height, width] or [height, width, channels] as PNG."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    stream = io.BytesIO()
    image.save(stream, "png", optimize=True)
    return Picture(stream.getvalue(), image.width, image.height, dark=float(pixels.mean()) < DARK)


def value(raw: Any) -> Value:
    """Write an input as one line of bounded length."""
    if isinstance(raw, np.ndarray):
        text = np.array2string(raw, precision=4, threshold=40, edgeitems=8, separator=", ")
    else:
        text = str(raw)
    line = " ".join(text.split())
    return Value(line if len(line) <= LONGEST_VALUE else line[: LONGEST_VALUE - 1] + "…")
