"""Arrays as TensorProto messages and back, for wire's own messages and for TensorFlow's alike."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wire import dtypes, messages, wire_format
from wire.errors import Code, StatusError

Array = NDArray[Any]

# A few bytes of request can ask for a tensor of any size (a shape, and one value to fill it with); this is
# the most memory that is given to one. Tensors whose values are all there are not limited here.
MAX_FILLED_BYTES = 256 * 2**20
# NumPy's limit; TensorFlow's is 254.
MAX_RANK = 64

_FIELD_TYPES = {
    "float_val": np.float32,
    "double_val": np.float64,
    "int_val": np.int32,
    "scomplex_val": np.float32,
    "int64_val": np.int64,
    "bool_val": np.bool_,
    "dcomplex_val": np.float64,
    "half_val": np.int32,
    "uint32_val": np.uint32,
    "uint64_val": np.uint64,
}
# The fields whose packed encoding is the array's own memory, with their numbers: protobuf's parser copies
# it whole, which is many times faster than a Python number each.
_CONTENT_FIELD = 4
_RAW_FIELDS = {"float_val": 5, "double_val": 6, "scomplex_val": 9, "bool_val": 11, "dcomplex_val": 12}


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of a signature: its name in the graph ("x:0"), DataType number, and shape.

    A free dimension is None in the shape; the shape is None where not even the rank is known.
    """

    name: str
    dtype: int
    shape: tuple[int | None, ...] | None


def tensor_info(message: Any) -> TensorInfo:
    """A TensorInfo message, of either pool, as the codecs need it."""
    shape = message.tensor_shape
    sizes = None if shape.unknown_rank else tuple(dim.size if dim.size >= 0 else None for dim in shape.dim)
    return TensorInfo(message.name, message.dtype, sizes)


def fill(proto: Any, array: Array, *, as_content: bool) -> None:
    """Encode `array` into `proto`, an empty TensorProto of either pool.

    With `as_content` the elements are sent as the array's memory (`tensor_content`), the fastest way for
    every type; without, in the repeated field of their type, as TensorFlow Serving answers. Strings (bytes,
    or text, which is sent as UTF-8) are always in `string_val`.
    StatusError (INVALID_ARGUMENT): the dtype is none of TensorFlow's, or an object is neither bytes nor text.
    """
    dtype = dtypes.of_numpy(array.dtype)
    proto.dtype = dtype.number
    # Set even for a scalar, which has a shape, of no dimensions.
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if dtype.number == dtypes.STRING:
        proto.string_val.extend(_as_bytes(element) for element in array.ravel().tolist())
    elif as_content:
        proto.tensor_content = _little_endian(array).tobytes()
    elif dtype.field in _RAW_FIELDS:
        _merge_raw(proto, _RAW_FIELDS[dtype.field], array)
    else:
        elements = array.ravel()
        bits = elements.view(np.uint16) if dtype.field == "half_val" else elements
        getattr(proto, dtype.field).extend(bits.tolist())


def encode(array: Array, *, as_content: bool) -> tuple[bytes, bytes]:
    """A TensorProto of `array` in wire format: what `fill` makes, serialized, but without a message.

    In two parts: all but the elements, which is the same for all arrays of a type and shape, and the
    elements. StatusError as `fill`.
    """
    head = _head(array.dtype, array.shape, as_content)
    if head is None:
        proto = messages.TensorProto()
        fill(proto, array, as_content=as_content)
        return b"", proto.SerializeToString()
    return head, array.tobytes()


@functools.lru_cache(maxsize=1024)
def _head(dtype: np.dtype[Any], shape: tuple[int, ...], as_content: bool) -> bytes | None:
    """A TensorProto in wire format up to its elements, None where they are not sent as they are in memory."""
    found = dtypes.of_numpy(dtype)
    number = _CONTENT_FIELD if as_content else _RAW_FIELDS.get(found.field)
    size = math.prod(shape) * dtype.itemsize
    if found.number == dtypes.STRING or not size or number is None or dtype != dtype.newbyteorder("<"):
        return None
    proto = messages.TensorProto(dtype=found.number)
    proto.tensor_shape.SetInParent()
    for each in shape:
        proto.tensor_shape.dim.add(size=each)
    return proto.SerializeToString() + wire_format.head(number, size)


def to_array(proto: Any) -> Array:
    """Decode a TensorProto of either pool, from either encoding.

    Strings come as an object array of bytes. Other arrays may be read-only views of the message's memory.
    A list shorter than the shape repeats its last value; an empty one gives zeros, or empty strings.
    StatusError (INVALID_ARGUMENT): data type, shape and number of elements do not fit each other.
    """
    dtype = dtypes.find(proto.dtype)
    shape = _shape(proto.tensor_shape)
    count = math.prod(shape)
    content = proto.tensor_content
    if content:
        return _from_content(content, dtype, shape)
    values = _from_field(proto, dtype)
    if len(values) > count:
        raise _invalid(f"tensor of shape {list(shape)} has {len(values)} values; expected at most {count}")
    if len(values) < count:
        values = _filled(values, count)
    return values.reshape(shape)


def _shape(message: Any) -> tuple[int, ...]:
    shape = tuple(dim.size for dim in message.dim)
    if message.unknown_rank:
        raise _invalid("tensor's shape has unknown rank; expected the size of every dimension")
    if len(shape) > MAX_RANK:
        raise _invalid(f"tensor's shape has {len(shape)} dimensions; expected at most {MAX_RANK}")
    if any(size < 0 for size in shape):
        raise _invalid(f"tensor's shape {list(shape)} has a negative size")
    # The sizes other than 0 must multiply to a number that fits: an array of shape [0, 2^40, 2^40] is refused
    # by NumPy, although it has no elements.
    if math.prod(size for size in shape if size) >= 2**59:
        raise _invalid(f"tensor's shape {list(shape)} has more elements than can be addressed")
    return shape


def _from_content(content: bytes, dtype: dtypes.DType, shape: tuple[int, ...]) -> Array:
    count = math.prod(shape)
    if dtype.number == dtypes.STRING:
        return _objects(_split_strings(content, count)).reshape(shape)
    kind = dtype.numpy
    if len(content) != count * kind.itemsize:
        raise _invalid(
            f"tensor_content has {len(content)} bytes; expected {count * kind.itemsize} for"
            f" {dtype.name} of shape {list(shape)}"
        )
    return np.frombuffer(content, kind).reshape(shape)


def _from_field(proto: Any, dtype: dtypes.DType) -> Array:
    """The elements in the repeated field of the type, as they are, in one dimension."""
    field = getattr(proto, dtype.field)
    if dtype.number == dtypes.STRING:
        return _objects(list(field))
    # Newer versions of protobuf hand over the field's memory in one piece here.
    values: Array = np.array(field, _FIELD_TYPES[dtype.field])
    if dtype.field == "half_val":
        return values.astype(np.uint16).view(dtype.numpy)
    if values.size % 2 and dtype.numpy.kind == "c":
        raise _invalid(f"{dtype.field} has {values.size} values; expected real and imaginary parts in turn")
    return values.view(dtype.numpy) if dtype.numpy.kind == "c" else values.astype(dtype.numpy, copy=False)


def _merge_raw(proto: Any, number: int, array: Array) -> None:
    if not array.size:
        return
    memory = _little_endian(array)
    proto.MergeFromString(wire_format.field(number, memory.tobytes()))


def _filled(values: Array, count: int) -> Array:
    size = count * values.itemsize
    if size > MAX_FILLED_BYTES:
        raise _invalid(
            f"tensor has {len(values)} values for {count} elements; filling it up would take {size} bytes,"
            f" and at most {MAX_FILLED_BYTES} are given: send every value"
        )
    blank: Any = b"" if values.dtype == object else 0
    whole = np.full(count, values[-1] if len(values) else blank, values.dtype)
    whole[: len(values)] = values
    return whole


def _split_strings(content: bytes, count: int) -> list[bytes]:
    """TensorFlow's encoding of strings in one piece: the length of each as a varint, then all their bytes."""
    if count > len(content):
        raise _invalid(f"tensor_content has {len(content)} bytes; expected {count} strings")
    lengths = []
    position = 0
    for _ in range(count):
        try:
            length, position = wire_format.read_varint(content, position)
        except ValueError:
            raise _invalid("tensor_content does not begin with the lengths of its strings") from None
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise _invalid(
            f"tensor_content has {len(content)} bytes; its lengths ask for {position + sum(lengths)}"
        )
    strings = []
    for length in lengths:
        strings.append(content[position : position + length])
        position += length
    return strings


def _objects(elements: list[bytes]) -> Array:
    array = np.empty(len(elements), object)
    array[:] = elements
    return array


def _as_bytes(element: object) -> bytes:
    if isinstance(element, bytes):
        return element
    if isinstance(element, str):
        return element.encode()
    raise _invalid(f"array of objects has a {type(element).__name__}; expected bytes or text only")


def _little_endian(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _invalid(message: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, message)
