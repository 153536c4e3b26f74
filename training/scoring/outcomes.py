"""What comes of a block: a line for each row that was answered, and a line for each that could not be."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from models.model import Inputs, Model, Reading
from training.scoring import cells
from training.scoring.rows import Block, Position, Unreadable

ALONE = re.compile(r"^([a-z]+) 0\b")
"""How the models' messages begin where a row was asked about alone: "review 0 is empty"."""


class Predictor(Protocol):
    """Who answers. Threads share it."""

    @property
    def version(self) -> int:
        """The one version that gives all answers."""

    def predict(self, inputs: Inputs) -> list[Reading]:
        """Answer raw inputs; raise ValueError (InputError) where one of them is to blame."""

    def close(self) -> None:
        """Let go of what it holds; calls that are under way may fail."""


@dataclass(frozen=True)
class Outcome:
    """A block's lines, how many there are, and the position behind the block.

    `reason` is that of the first bad row; `text_keys` tells whether a key of an answer is a text.
    """

    answers: bytes
    errors: bytes
    scored: int
    bad: int
    reason: str
    text_keys: bool
    end: Position


def score(predictor: Predictor, model: Model, column: str | None, block: Block) -> Outcome:
    """Answer a block of rows, as JSON Lines."""
    inputs, reasons = cells.convert(model, column, block.cells)
    places = [place for place in range(len(block.keys)) if place not in reasons]
    answers, version = list[bytes](), predictor.version
    for place, answer in zip(places, _answers(predictor.predict, inputs), strict=True):
        if isinstance(answer, Unreadable):
            reasons[place] = answer.reason
            continue
        label, probability, _ = answer
        if not math.isfinite(probability):
            reasons[place] = f"the model's probability is {probability}"
            continue
        answers.append(
            _line({"key": block.keys[place], "label": label, "probability": probability, "version": version})
        )
    bad = sorted(reasons)
    errors = b"".join(
        _line({"key": block.keys[place], "row": block.first + place, "reason": reasons[place]})
        for place in bad
    )
    return Outcome(
        answers=b"".join(answers),
        errors=errors,
        scored=len(block.keys) - len(bad),
        bad=len(bad),
        reason=reasons[bad[0]] if bad else "",
        text_keys=any(isinstance(block.keys[place], str) for place in places),
        end=block.end,
    )


def _answers(predict: Callable[[Any], list[Reading]], inputs: Any) -> Sequence[Reading | Unreadable]:
    """Answer all inputs at once; where that fails, halves of them, until those to blame stand alone."""
    if len(inputs) == 0:
        return []
    try:
        return predict(inputs)
    except ValueError as error:  # InputError, or what NumPy raises in a model's preprocessing
        if len(inputs) == 1:
            return [Unreadable(ALONE.sub(r"the \1", cells.one_line(error)))]
    half = len(inputs) // 2
    return [*_answers(predict, inputs[:half]), *_answers(predict, inputs[half:])]


def _line(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)
