"""A PredictRequest as bytes, written around the tensors' memory: it is copied once.

protobuf would copy it three times, into the message, and out of it twice, and a large request is little but
its tensors. https://protobuf.dev/programming-guides/encoding says how fields are written.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from models.model import Array
from wire import dtypes, messages, tensors

LENGTH_DELIMITED = 2
INPUTS = messages.PredictRequest.DESCRIPTOR.fields_by_name["inputs"].number
KEY, VALUE = 1, 2  # of every map
CONTENT = messages.TensorProto.DESCRIPTOR.fields_by_name["tensor_content"].number
MORE = 0x80


def serialize(model_spec: messages.ModelSpec, inputs: Mapping[str, Array]) -> bytes:
    """The bytes of a PredictRequest with these inputs, in `tensor_content`."""
    pieces: list[bytes | memoryview] = [messages.PredictRequest(model_spec=model_spec).SerializeToString()]
    for name, array in inputs.items():
        key = name.encode()
        value = list(_tensor(array))
        size = sum(map(len, value))
        head = _head(KEY, len(key)) + key + _head(VALUE, size)
        pieces += [_head(INPUTS, len(head) + size), head, *value]
    return b"".join(pieces)


def _tensor(array: Array) -> Iterator[bytes | memoryview]:
    """The pieces of a TensorProto; StatusError for a dtype that is none of TensorFlow's."""
    proto = messages.TensorProto()
    dtype = dtypes.of_numpy(array.dtype)
    if dtype.number == dtypes.STRING or not array.size:
        tensors.fill(proto, array, as_content=True)
        yield proto.SerializeToString()
        return
    proto.dtype = dtype.number
    proto.tensor_shape.SetInParent()
    for length in array.shape:
        proto.tensor_shape.dim.add(size=length)
    yield proto.SerializeToString()
    little_endian = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    memory = little_endian.reshape(-1).view(np.uint8).data
    yield _head(CONTENT, len(memory))
    yield memory


def _head(number: int, length: int) -> bytes:
    """The tag of a field whose length comes first, and the length."""
    return _varint(number << 3 | LENGTH_DELIMITED) + _varint(length)


def _varint(value: int) -> bytes:
    written = bytearray()
    while value >= MORE:
        written.append(value & 0x7F | MORE)
        value >>= 7
    written.append(value)
    return bytes(written)
