"""Several requests as one run of the model: joined row by row, padded, run, and split again.

Everything here is on plain arrays and knows neither queues nor threads of the server.
"""

import itertools
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.servable import Request, Servable
from wire.errors import Code, StatusError

Array = NDArray[Any]
Outputs = dict[str, Array]

# One piece's outcome: its outputs, or why it has none.
Outcome = Outputs | StatusError


class Piece(NamedTuple):
    """Rows of a checked request that run in one batch, all of them unless it was split.

    `rows` is how many, 1 where the request's inputs do not share a first dimension. `deadline` is a time of
    `time.monotonic`, None for none.
    """

    request: Request
    rows: int
    deadline: float | None = None


class Ran(NamedTuple):
    """What a batch came to: an outcome a piece in order, the rows added, and the seconds it took.

    `joinable` is False when the outputs showed that the signature's rows are not independent tensors.
    """

    outcomes: list[Outcome]
    padding: int
    seconds: float
    joinable: bool = True


def shape(request: Request) -> tuple[int | None, tuple[Hashable, ...]]:
    """The first dimension that all inputs of a request share, None where there is none; the other ones."""
    if len(request.inputs) == 1:
        (array,) = request.inputs.values()
        return (array.shape[0], array.shape[1:]) if array.ndim else (None, ())
    arrays = request.inputs.values()
    sizes = {array.shape[0] if array.ndim else None for array in arrays}
    return sizes.pop() if len(sizes) == 1 else None, tuple(array.shape[1:] for array in arrays)


def part(request: Request, start: int, stop: int) -> Request:
    """Some rows of a request, as views."""
    inputs = {alias: array[start:stop] for alias, array in request.inputs.items()}
    return Request(request.signature_name, inputs, request.outputs)


def run(servable: Servable, pieces: Sequence[Piece], *, padding: int = 0, pad_inner: bool = False) -> Ran:
    """Run pieces of the same signature and outputs as one batch, each with its own outcome.

    `padding` rows are added by repeating the first row of the last piece. With `pad_inner`, inner dimensions
    are filled to the largest with each tensor's own first element. When the batch fails, each piece is run on
    its own, so that a bad one fails alone. The run may last to the latest of the deadlines.
    """
    started = time.monotonic()
    if len(pieces) == 1 and not padding:
        return Ran([_alone(servable, pieces[0])], 0, time.monotonic() - started)
    sizes = [piece.rows for piece in pieces]
    joinable = True
    try:
        request = _joined([piece.request for piece in pieces], padding, pad_inner)
        outputs = servable.execute(request, _timeout(pieces))
        joinable = all(array.ndim and array.shape[0] == sum(sizes) + padding for array in outputs.values())
        if joinable:
            return Ran(_split(outputs, sizes), padding, time.monotonic() - started)
    except StatusError as error:
        if error.code == Code.DEADLINE_EXCEEDED:
            return Ran([error.bare() for _ in pieces], padding, time.monotonic() - started)
    outcomes = [_alone(servable, piece) for piece in pieces]
    return Ran(outcomes, 0, time.monotonic() - started, joinable)


def combine(parts: Sequence[Outputs]) -> Outputs:
    """The outputs of a split request from those of its parts in order."""
    if len(parts) == 1:
        return parts[0]
    return {alias: np.concatenate([each[alias] for each in parts]) for alias in parts[0]}


def _alone(servable: Servable, piece: Piece) -> Outcome:
    try:
        return servable.execute(piece.request, _timeout([piece]))
    except StatusError as error:
        # Its frames have the batch, whose requests have the error: a circle, free only when Python next looks
        # for garbage.
        return error.bare()


def _timeout(pieces: Sequence[Piece]) -> float | None:
    """Seconds to the latest of the deadlines; None where a piece has none."""
    deadlines = [piece.deadline for piece in pieces if piece.deadline is not None]
    if len(deadlines) < len(pieces):
        return None
    return max(0.0, max(deadlines) - time.monotonic())


def _joined(requests: Sequence[Request], padding: int, pad_inner: bool) -> Request:
    first = requests[0]
    inputs = {}
    for alias in first.inputs:
        arrays = [request.inputs[alias] for request in requests]
        if pad_inner:
            arrays = _inner_padded(arrays)
        if padding:
            arrays.append(np.repeat(arrays[-1][:1], padding, axis=0))
        inputs[alias] = np.concatenate(arrays)
    return Request(first.signature_name, inputs, first.outputs)


def _inner_padded(arrays: list[Array]) -> list[Array]:
    """Fill all but the first dimension to the largest among the arrays, with each one's first element."""
    inner = tuple(max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True))
    return [_filled(array, inner) for array in arrays]


def _filled(array: Array, inner: tuple[int, ...]) -> Array:
    if array.shape[1:] == inner:
        return array
    if not array.size:
        raise StatusError(Code.INVALID_ARGUMENT, "Got empty tensor in batch of non-empty tensors.")
    filled = np.full((array.shape[0], *inner), array.flat[0], dtype=array.dtype)
    filled[tuple(slice(size) for size in array.shape)] = array
    return filled


def _split(outputs: Mapping[str, Array], sizes: Sequence[int]) -> list[Outcome]:
    """Each piece's rows of the outputs, as views; padding rows at the end are nobody's."""
    return [
        {alias: array[end - size : end] for alias, array in outputs.items()}
        for size, end in zip(sizes, itertools.accumulate(sizes), strict=True)
    ]
