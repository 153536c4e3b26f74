"""Many rows as several requests: where to cut, and how the answers are put together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clients.errors import OptionError
from clients.results import Outputs, SignatureInfo
from models.model import Array, Arrays
from wire.tensors import TensorInfo

ENVELOPE = 64 << 10
"""Room in a message for all that is not its tensors, in bytes."""


@dataclass(frozen=True)
class Batching:
    """How many inputs are split into requests, which are sent `concurrency` at a time.

    A request has at most `rows` rows and about `message_bytes` bytes, of which it has more only if a single
    row has. The defaults fit servers and gateways with gRPC's own limits, and TensorFlow Serving with
    `serving/config/batching.config`, where it refuses a larger request.
    """

    rows: int = 128
    message_bytes: int = 4 << 20
    concurrency: int = 4

    def __post_init__(self) -> None:
        if self.rows < 1 or self.message_bytes <= ENVELOPE or self.concurrency < 1:
            raise OptionError(
                f"{self!r} cannot be followed; expected 1 or more rows and requests at a time, and messages"
                f" of more than {ENVELOPE} bytes"
            )


def cuts(arrays: Arrays, batching: Batching, growth: float) -> list[slice]:
    """The rows of each request; `growth` is by how much the encoding may be longer than the tensors."""
    count = row_count(arrays)
    if not count:
        return [slice(None)]
    ends = np.cumsum(sum(_row_bytes(array) for array in arrays.values()))
    limit = (batching.message_bytes - ENVELOPE) / growth
    parts, start = [], 0
    while start < count:
        before = float(ends[start - 1]) if start else 0.0
        fitting = int(np.searchsorted(ends, before + limit, side="right")) - start
        end = min(count, start + max(1, min(fitting, batching.rows)))
        parts.append(slice(start, end))
        start = end
    return parts


def row_count(arrays: Arrays) -> int | None:
    """The first dimension that all arrays have in common, or None."""
    counts = {array.shape[0] if array.ndim else None for array in arrays.values()}
    return counts.pop() if len(counts) == 1 else None


def takes_rows(signature: SignatureInfo) -> bool:
    """Whether the first dimension of every tensor is free, so that rows can be asked apart."""
    return all(map(_is_batch, (*signature.inputs.values(), *signature.outputs.values())))


def parts(arrays: Arrays, slices: Sequence[slice]) -> Iterator[Arrays]:
    """The arrays of each request: views."""
    for rows in slices:
        yield arrays if rows == slice(None) else {name: array[rows] for name, array in arrays.items()}


def join(answers: Sequence[Outputs]) -> Arrays:
    """The outputs of all requests, row after row."""
    if len(answers) == 1:
        return answers[0].arrays
    names = answers[0].arrays
    return {name: np.concatenate([answer.arrays[name] for answer in answers]) for name in names}


def _row_bytes(array: Array) -> Array:
    """The bytes of each row, int64 [N]."""
    count = len(array)
    if array.dtype.kind == "O":
        lengths = np.fromiter(map(_length, array.ravel().tolist()), np.int64, count=array.size)
        total: Array = lengths.reshape(count, -1).sum(axis=1)
        return total
    return np.full(count, array.nbytes // count, np.int64)


def _length(element: object) -> int:
    """The bytes of a string, its length field included; of text at most."""
    if isinstance(element, bytes):
        return len(element) + 5
    return 4 * len(element) + 5 if isinstance(element, str) else 0


def _is_batch(info: TensorInfo) -> bool:
    return bool(info.shape) and info.shape is not None and info.shape[0] is None
