"""Arrays as JSON text.

Numbers denote exactly the value of the element: the shortest digits that read back as it, floats always with
a point or an exponent, and NaN, Infinity and -Infinity bare, as TensorFlow Serving writes them. How a string
is written is the caller's to say: as text, as a base64 object, or as either, whichever fits.
"""

import base64
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, repeat
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from wire import dtypes
from wire.json_parse import invalid

Array = NDArray[Any]
StringWriter = Callable[[bytes], bytes]

# No uint16 and no complex numbers, as in TensorFlow Serving; half and bfloat16 are ours.
_WRITTEN = {
    dtypes.FLOAT,
    dtypes.DOUBLE,
    dtypes.HALF,
    dtypes.BFLOAT16,
    dtypes.INT8,
    dtypes.INT16,
    dtypes.INT32,
    dtypes.INT64,
    dtypes.UINT8,
    dtypes.UINT32,
    dtypes.UINT64,
    dtypes.BOOL,
    dtypes.STRING,
}


def require_writable(array: Array) -> None:
    """StatusError (INVALID_ARGUMENT) if JSON has no values for the type of the array."""
    dtype = dtypes.of_numpy(array.dtype)
    if dtype.number not in _WRITTEN:
        raise invalid(f"Failed to write JSON value for tensor type: {dtype.short_name}")


def write_array(array: Array, string: StringWriter) -> bytes:
    """An array of a writable type as nested lists; without dimensions, as its element."""
    if array.ndim == 0:
        return write_array(array.reshape(1), string)[1:-1]
    if array.dtype.kind in "SUO":
        return _write_strings(array, string)
    if array.dtype.kind == "V":
        # bfloat16, which NumPy has from elsewhere.
        array = array.astype(np.float32)
    native = np.ascontiguousarray(array, None if array.dtype.isnative else array.dtype.newbyteorder("="))
    text = orjson.dumps(native, option=orjson.OPT_SERIALIZE_NUMPY)
    return _with_non_finite(text, native) if b"null" in text else text


def write_elements(array: Array, string: StringWriter) -> list[bytes]:
    """One JSON value for each element of the first dimension."""
    if array.ndim == 1 and array.dtype.kind not in "SUO":
        return write_array(array, string)[1:-1].split(b",") if array.size else []
    return [write_array(array[index : index + 1], string)[1:-1] for index in range(len(array))]


def write_list(values: Iterable[bytes]) -> bytes:
    """A JSON list of JSON values."""
    return b"[" + b", ".join(values) + b"]"


def write_objects(columns: Mapping[str, Iterable[bytes]]) -> Iterator[bytes]:
    """A JSON object for each row of columns of JSON values, by name."""
    keys = [orjson.dumps(name) + b": " for name in columns]
    for row in zip(*columns.values(), strict=True):
        yield b"{" + b", ".join(map(bytes.__add__, keys, row)) + b"}"


def write_document(key: str, value: bytes) -> bytes:
    """A JSON object with one member, in the layout of TensorFlow Serving."""
    return b'{\n    "' + key.encode() + b'": ' + value + b"\n}"


def text(element: bytes) -> bytes:
    """A JSON string of bytes as they are: whether they are UTF-8 is not checked."""
    try:
        return orjson.dumps(element.decode())
    except UnicodeDecodeError:
        string = json.dumps(element.decode(errors="surrogateescape"), ensure_ascii=False)
        return string.encode(errors="surrogateescape")


def base64_object(element: bytes) -> bytes:
    """The JSON object that stands for bytes."""
    return b'{"b64": "' + base64.b64encode(element) + b'"}'


def text_or_base64(element: bytes) -> bytes:
    """A JSON string if the bytes are UTF-8, else a base64 object."""
    try:
        return orjson.dumps(element.decode())
    except UnicodeDecodeError:
        return base64_object(element)


def _with_non_finite(written: bytes, array: Array) -> bytes:
    """Put in its place each number that orjson wrote as null, in the order of the array."""
    numbers = array[~np.isfinite(array)]
    tokens = [
        "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity" for number in numbers
    ]
    between = written.decode().split("null")
    return "".join(chain.from_iterable(zip(between, chain(tokens, repeat("")), strict=False))).encode()


def _write_strings(array: Array, string: StringWriter) -> bytes:
    values = [
        string(element.encode() if isinstance(element, str) else element)
        for element in array.ravel().tolist()
    ]
    for axis in range(array.ndim - 1, -1, -1):
        size = array.shape[axis]
        lists = math.prod(array.shape[:axis])
        values = [write_list(values[index * size : (index + 1) * size]) for index in range(lists)]
    return values[0]
