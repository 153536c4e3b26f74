"""JSON values as tensors, by the rules of TensorFlow Serving's REST API for each element type.

The fast path checks types and lengths of whole lists at once; only when something is wrong is the value
walked through element by element, for the message about the first fault.
"""

import base64
import binascii
from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wire import dtypes
from wire.errors import Code, StatusError
from wire.json_parse import dump, invalid, type_name
from wire.tensors import MAX_RANK

Array = NDArray[Any]


class _Range(NamedTuple):
    least: int
    most: int


_INT32 = _Range(-(2**31), 2**31 - 1)
# The narrower integers take all of int32 and wrap round, as in TensorFlow Serving.
_INTEGERS = {
    dtypes.INT8: _INT32,
    dtypes.INT16: _INT32,
    dtypes.INT32: _INT32,
    dtypes.UINT8: _INT32,
    dtypes.INT64: _Range(-(2**63), 2**63 - 1),
    dtypes.UINT32: _Range(0, 2**32 - 1),
    dtypes.UINT64: _Range(0, 2**64 - 1),
}
# Half and bfloat16 are ours: TensorFlow Serving has no JSON for them.
FLOATS = {dtypes.FLOAT, dtypes.DOUBLE, dtypes.HALF, dtypes.BFLOAT16}


def is_base64_object(value: Any) -> bool:
    """Whether a JSON value stands for bytes: an object whose only key is "b64", with a string."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def decode_base64(value: Any) -> bytes:
    """The bytes that a {"b64": ...} object stands for; StatusError (INVALID_ARGUMENT) if it does not."""
    if not is_base64_object(value):
        raise invalid(f"JSON Value: {dump(value)} not formatted correctly for base64 data")
    text = value["b64"]
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    # Padding may be missing, and the text may be broken into lines.
    joined = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(joined + "=" * (-len(joined) % 4), validate=True)
    except ValueError:
        raise invalid("Unable to base64 decode") from None


def encode_text(text: str) -> bytes:
    """The bytes of a JSON string: UTF-8, or what the request had there instead."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from None


def dense_shape(value: Any) -> tuple[int, ...]:
    """The shape of a nested list, taken from the first element at each level; () for anything else.

    StatusError (INVALID_ARGUMENT) for more levels than an array can have dimensions.
    """
    shape: list[int] = []
    while isinstance(value, list):
        if len(shape) == MAX_RANK:
            raise invalid(f"Encountered list at unexpected level: {MAX_RANK} expected < {MAX_RANK}")
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def to_tensor(value: Any, dtype: int) -> Array:
    """The array of a JSON value, which is a list as deep as the array has dimensions, or a single element.

    `dtype` is a DataType number. StatusError: INVALID_ARGUMENT for a ragged list or an element of another
    type, UNIMPLEMENTED where JSON has no values of the type.
    """
    array = try_tensor(value, dtype)
    if array is None:
        raise first_fault(value, dtype)
    return array


def try_tensor(value: Any, dtype: int) -> Array | None:
    """As to_tensor, but None where something is wrong."""
    shape = dense_shape(value)
    elements = _flatten(value, shape)
    if elements is None:
        return None
    array = _convert(elements, set(map(type, elements)), dtype)
    return None if array is None else array.reshape(shape)


def first_fault(value: Any, dtype: int) -> StatusError:
    """What is wrong with a value that try_tensor gives None for: the first fault in reading order."""
    fault = _fault(value, 0, dense_shape(value), dtype)
    if fault is None:
        raise AssertionError(f"no fault in {dump(value)} as data type {dtype}")
    return fault


def _flatten(value: Any, shape: tuple[int, ...]) -> list[Any] | None:
    """The elements of a nested list of `shape`, or None if it is ragged."""
    elements: list[Any] = [value]
    for size in shape:
        if elements and (set(map(type, elements)) != {list} or set(map(len, elements)) != {size}):
            return None
        elements = elements[0] if len(elements) == 1 else list(chain.from_iterable(elements))
    return elements


def _convert(elements: list[Any], kinds: set[type], dtype: int) -> Array | None:
    """Elements as an array in one dimension, or None if one of their `kinds` is not the data type's."""
    if dtype in FLOATS:
        if not kinds <= {int, float}:
            return None
        return narrowed(np.fromiter(elements, np.float64, len(elements)), dtype)
    if dtype in _INTEGERS:
        return _integers(elements, dtype) if kinds <= {int} else None
    if dtype == dtypes.BOOL:
        return np.array(elements, bool) if kinds <= {bool} else None
    if dtype == dtypes.STRING:
        return _strings(elements, kinds) if kinds <= {str, dict} else None
    return np.empty(0, dtypes.find(dtype).numpy) if not elements else None


def narrowed(numbers: NDArray[np.float64], dtype: int) -> Array:
    """Numbers as one of the `FLOATS`; beyond the type's range are infinities and zeros, silently."""
    with np.errstate(over="ignore", under="ignore"):
        return numbers.astype(dtypes.find(dtype).numpy, copy=False)


def _integers(elements: list[Any], dtype: int) -> Array | None:
    allowed = _INTEGERS[dtype]
    if elements and (min(elements) < allowed.least or max(elements) > allowed.most):
        return None
    wide = np.array(elements, np.uint64 if dtype == dtypes.UINT64 else np.int64)
    return wide.astype(dtypes.find(dtype).numpy, copy=False)


def _strings(elements: list[Any], kinds: set[type]) -> Array | None:
    array = np.empty(len(elements), object)
    try:
        if kinds == {str}:
            array[:] = [encode_text(element) for element in elements]
        else:
            array[:] = [_string(element) for element in elements]
    except StatusError:
        return None
    return array


def _string(element: Any) -> bytes:
    return encode_text(element) if isinstance(element, str) else decode_base64(element)


def _fault(value: Any, level: int, shape: tuple[int, ...], dtype: int) -> StatusError | None:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            return invalid(
                f"JSON Value: {dump(value)} found at incorrect level: {level + 1} in the JSON DOM."
                f" Expected at level: {rank}"
            )
        return _element_fault(value, dtype)
    if level >= rank:
        return invalid(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        return invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level}"
            f" expected size: {shape[level]}"
        )
    faults = (_fault(inner, level + 1, shape, dtype) for inner in value)
    return next(filter(None, faults), None)


def _element_fault(value: Any, dtype: int) -> StatusError | None:
    name = dtypes.BY_NUMBER[dtype].short_name if dtype in dtypes.BY_NUMBER else f"data type {dtype}"
    if dtype not in FLOATS | _INTEGERS.keys() | {dtypes.BOOL, dtypes.STRING}:
        return StatusError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {dump(value)} to type: {name}")
    if dtype == dtypes.STRING and isinstance(value, str | dict):
        return _raised(_string, value)
    if _convert([value], {type(value)}, dtype) is not None:
        return None
    return invalid(f"JSON Value: {dump(value)} Type: {type_name(value)} is not of expected type: {name}")


def _raised(call: Callable[[Any], object], value: Any) -> StatusError | None:
    try:
        call(value)
    except StatusError as error:
        return error
    return None
