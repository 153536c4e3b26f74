"""Predict bodies of nothing but numbers, parsed straight into an array without a Python object for each.

They are most of what is sent, and several times faster read so. Every other body, and every fault, is left to
`wire.json_tensors`, which has TensorFlow Serving's rules; what is read here means the same there.
"""

import threading
from typing import NamedTuple

import numpy as np
import simdjson
from numpy.typing import NDArray

from wire.json_requests import RequestForm
from wire.json_values import FLOATS, narrowed
from wire.tensors import TensorInfo

FORMS = {form.value: form for form in RequestForm}


class Numbers(NamedTuple):
    """A body's one tensor, float64, [N] or [N, M]; the signature that it names, "" for none; its form."""

    signature_name: str
    values: NDArray[np.float64]
    form: RequestForm

    def tensor(self, info: TensorInfo) -> NDArray[np.generic] | None:
        """The tensor for an input of a floating-point type; None for one of another."""
        return narrowed(self.values, info.dtype) if info.dtype in FLOATS else None


# Bodies of fewer bytes are read by a parser that is kept: to allocate one takes as long as to read them. Of
# larger ones what it has allocated, some ten times their size, is given back.
KEPT_BELOW = 256 * 1024


class _Kept(threading.local):
    """A parser of each thread."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


_kept = _Kept()


def read(body: bytes) -> Numbers | None:
    """The numbers of a body that has one list of them, or one of lists of them of equal length, else None."""
    try:
        document = (_kept.parser if len(body) < KEPT_BELOW else simdjson.Parser()).parse(body)
        if not isinstance(document, simdjson.Object):
            return None
        return _numbers(document, body)
    except (ValueError, TypeError, RuntimeError):
        return None


def _numbers(document: simdjson.Object, body: bytes) -> Numbers | None:
    keys = list(document.keys())
    signature_name = document["signature_name"] if "signature_name" in keys else ""
    found = [key for key in keys if key in FORMS]
    if len(found) != 1 or len(keys) != 1 + ("signature_name" in keys) or not isinstance(signature_name, str):
        return None
    values = document[found[0]]
    if not isinstance(values, simdjson.Array):
        return None
    shape = _shape(values, body)
    if shape is None:
        return None
    array = np.frombuffer(values.as_buffer(of_type="d"), np.float64).reshape(shape)
    return Numbers(signature_name, array, FORMS[found[0]])


def _shape(values: simdjson.Array, body: bytes) -> tuple[int, ...] | None:
    """The shape of a list that has no deeper lists than its own elements, where it is regular and not empty.

    That none is deeper is told by how many begin in the body, as the buffer of a nested list is flat.
    """
    size = len(values)
    if not size:
        return None
    first: object = values[0]
    if not isinstance(first, simdjson.Array):
        return (size,) if body.find(b"[") == body.rfind(b"[") else None
    inner = len(first)
    if size == 1:
        # Two lists begin: the second is the last. To find them is faster than to count them.
        second = body.find(b"[", body.find(b"[") + 1)
        return (1, inner) if inner and second == body.rfind(b"[") else None
    if not inner or body.count(b"[") != size + 1:
        return None
    regular = all(isinstance(row, simdjson.Array) and len(row) == inner for row in values)
    return (size, inner) if regular else None
