"""Arrays and TensorProto messages: the same as TensorFlow's own make_tensor_proto and make_ndarray."""

import sys
from typing import Any

import hypothesis.extra.numpy as arrays_of
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2

from wire import dtypes, messages, tensors
from wire.errors import Code, StatusError

# The types that TensorFlow's Python sends as content when there are several elements.
SENT_AS_CONTENT = [
    np.dtype(name)
    for name in ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")
]
NUMBERS = [
    *SENT_AS_CONTENT,
    *(np.dtype(name) for name in ("float16", "uint16", "bool", "complex64", "complex128")),
]
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
POOLS = {"wire": messages.TensorProto, "tensorflow": tensor_pb2.TensorProto}
SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def _bfloat16(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(BFLOAT16)


number_arrays = st.one_of(
    st.sampled_from(NUMBERS).flatmap(lambda dtype: arrays_of.arrays(dtype, SHAPES)),
    arrays_of.arrays(np.float32, SHAPES).map(_bfloat16),
)
string_arrays = arrays_of.arrays(object, SHAPES, elements=st.binary(max_size=200), fill=st.nothing())


def equal(left: np.ndarray, right: np.ndarray) -> bool:
    """Same dtype, shape and bits, so that NaNs and signed zeros count."""
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return left.tolist() == right.tolist() if left.dtype == object else left.tobytes() == right.tobytes()


def encoded(array: np.ndarray, *, as_content: bool, pool: str = "wire") -> Any:
    proto = POOLS[pool]()
    tensors.fill(proto, array, as_content=as_content)
    return proto


@given(array=number_arrays | string_arrays, as_content=st.booleans(), pool=st.sampled_from(sorted(POOLS)))
@example(array=np.zeros((), np.float32), as_content=False, pool="wire")
@example(array=np.zeros((0, 3), bool), as_content=False, pool="wire")
def test_to_array_of_filled_message_gives_the_array_back(
    array: np.ndarray, as_content: bool, pool: str
) -> None:
    proto = encoded(array, as_content=as_content, pool=pool)
    read = POOLS[pool].FromString(proto.SerializeToString())
    assert equal(tensors.to_array(read), array)


@given(array=number_arrays | string_arrays, as_content=st.booleans())
def test_fill_makes_what_tensorflow_reads_as_the_same_array(array: np.ndarray, as_content: bool) -> None:
    proto = tensor_pb2.TensorProto.FromString(encoded(array, as_content=as_content).SerializeToString())
    assert equal(tf.make_ndarray(proto), array)


@given(array=number_arrays | string_arrays)
def test_to_array_reads_what_tensorflow_makes_of_the_array(array: np.ndarray) -> None:
    proto = tf.make_tensor_proto(array)
    assert equal(tensors.to_array(messages.TensorProto.FromString(proto.SerializeToString())), array)


@given(array=arrays_of.arrays(st.sampled_from(SENT_AS_CONTENT), arrays_of.array_shapes(min_side=2)))
def test_fill_as_content_is_byte_for_byte_tensorflows_message(array: np.ndarray) -> None:
    ours = encoded(array, as_content=True).SerializeToString(deterministic=True)
    assert ours == tf.make_tensor_proto(array).SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    "array", [np.array(["a", "é"]), np.array([b"a", b"\xc3\xa9"]), np.array(["a", "é".encode()], object)]
)
def test_fill_texts_and_bytes_are_strings(array: np.ndarray) -> None:
    assert tensors.to_array(encoded(array, as_content=True)).tolist() == [b"a", "é".encode()]


def test_fill_foreign_byte_order_and_strides_are_sent_in_order() -> None:
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    for as_content in (True, False):
        assert tensors.to_array(encoded(array, as_content=as_content)).tolist() == [[0, 3], [1, 4], [2, 5]]


def test_fill_scalar_has_a_shape_without_dimensions() -> None:
    assert encoded(np.array(1), as_content=True).HasField("tensor_shape")


def test_to_array_of_content_is_a_view_of_the_message() -> None:
    proto = encoded(np.arange(1000.0), as_content=True)
    assert not tensors.to_array(proto).flags.owndata
    assert not tensors.to_array(proto).flags.writeable


def sized(dtype: int, *sizes: int, **values: Any) -> Any:
    proto = messages.TensorProto(dtype=dtype, **values)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    ("proto", "expected"),
    [
        pytest.param(
            sized(dtypes.FLOAT, 2, 2, float_val=[1.5, 2]), [[1.5, 2], [2, 2]], id="last value repeats"
        ),
        pytest.param(sized(dtypes.INT64, 3), [0, 0, 0], id="no values are zeros"),
        pytest.param(sized(dtypes.STRING, 2), [b"", b""], id="no values are empty strings"),
        pytest.param(
            sized(dtypes.STRING, 3, string_val=[b"a", b"b"]), [b"a", b"b", b"b"], id="strings repeat"
        ),
        pytest.param(sized(dtypes.BOOL, 2, bool_val=[True]), [True, True], id="bool repeats"),
        pytest.param(sized(dtypes.HALF, 2, half_val=[0x3C00]), [1, 1], id="half holds bits"),
        pytest.param(sized(dtypes.BFLOAT16, 1, half_val=[0x3F80]), [1], id="bfloat16 holds bits"),
        pytest.param(sized(dtypes.COMPLEX64, 2, scomplex_val=[1, 2]), [1 + 2j, 1 + 2j], id="complex repeats"),
        pytest.param(sized(dtypes.UINT8, 2, int_val=[255, 0]), [255, 0], id="uint8"),
        pytest.param(
            sized(dtypes.STRING, 2, tensor_content=b"\x01\x02abb"), [b"a", b"bb"], id="string content"
        ),
    ],
)
def test_to_array_fills_up_as_tensorflow_does(proto: Any, expected: list[Any]) -> None:
    array = tensors.to_array(proto)
    assert array.tolist() == expected
    if proto.dtype != dtypes.STRING:
        theirs = tf.make_ndarray(tensor_pb2.TensorProto.FromString(proto.SerializeToString()))
        assert equal(array, theirs)


def of_unknown_rank() -> Any:
    proto = messages.TensorProto(dtype=dtypes.FLOAT)
    proto.tensor_shape.unknown_rank = True
    return proto


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        pytest.param(sized(0, 1), "data type 0; expected one of DT_FLOAT", id="no dtype"),
        pytest.param(sized(20, 1), "data type 20", id="resource"),
        pytest.param(sized(999, 1), "data type 999", id="unknown dtype"),
        pytest.param(of_unknown_rank(), "unknown rank", id="unknown rank"),
        pytest.param(sized(dtypes.FLOAT, -1, float_val=[1]), "negative size", id="negative size"),
        pytest.param(sized(dtypes.FLOAT, 2**40, 2**40), "more elements than can be addressed", id="overflow"),
        pytest.param(sized(dtypes.FLOAT, 0, 2**62, 2**62), "more elements than", id="overflow beside zero"),
        pytest.param(sized(dtypes.FLOAT, *[1] * 65, float_val=[1]), "65 dimensions", id="rank"),
        pytest.param(sized(dtypes.FLOAT, 2**40), "send every value", id="huge and empty"),
        pytest.param(sized(dtypes.STRING, 2**40, string_val=[b"a"]), "send every value", id="huge strings"),
        pytest.param(
            sized(dtypes.FLOAT, 2, tensor_content=b"123"), "3 bytes; expected 8", id="content length"
        ),
        pytest.param(sized(dtypes.FLOAT, 1, float_val=[1, 2]), "2 values; expected at most 1", id="too many"),
        pytest.param(
            sized(dtypes.FLOAT, 0, float_val=[1]), "1 values; expected at most 0", id="none expected"
        ),
        pytest.param(sized(dtypes.COMPLEX64, 1, scomplex_val=[1]), "real and imaginary", id="half a complex"),
        pytest.param(sized(dtypes.STRING, 2, tensor_content=b"\x01\x02ab"), "ask for", id="string lengths"),
        pytest.param(
            sized(dtypes.STRING, 1, tensor_content=b"\xff" * 9), "lengths of its strings", id="varint"
        ),
        pytest.param(
            sized(dtypes.STRING, 2**40, tensor_content=b"a"), "1 bytes; expected", id="string count"
        ),
    ],
)
def test_to_array_of_inconsistent_message_is_refused(proto: Any, message: str) -> None:
    with pytest.raises(StatusError, match=message) as caught:
        tensors.to_array(proto)
    assert caught.value.code is Code.INVALID_ARGUMENT


@given(
    dtype=st.integers(0, 24),
    sizes=st.lists(st.integers(-1, 4) | st.integers(-(2**63), 2**63 - 1), max_size=4),
    content=st.binary(max_size=40),
    numbers=st.lists(st.integers(0, 1), max_size=5),
)
@settings(max_examples=500)
def test_to_array_of_any_message_gives_its_shape_or_a_status(
    dtype: int, sizes: list[int], content: bytes, numbers: list[int]
) -> None:
    proto = sized(dtype, *sizes, tensor_content=content, float_val=numbers, int_val=numbers, half_val=numbers)
    try:
        array = tensors.to_array(proto)
    except StatusError as error:
        code = error.code
    else:
        assert list(array.shape) == sizes
        code = Code.INVALID_ARGUMENT
    assert code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array(["2026-01-01"], "datetime64[D]"), "array has dtype datetime64"),
        (np.array([1, None], object), "array of objects has a int"),
        (np.array([b"a", None], object), "array of objects has a NoneType"),
    ],
)
def test_fill_array_without_a_type_of_tensorflows_is_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(StatusError, match=message):
        encoded(array, as_content=True)


def test_bfloat16_without_ml_dtypes_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(StatusError, match="pip install ml_dtypes") as caught:
        tensors.to_array(sized(dtypes.BFLOAT16, 1, half_val=[0x3F80]))
    assert caught.value.code is Code.UNIMPLEMENTED


@pytest.mark.parametrize("dtype", dtypes.BY_NUMBER.values(), ids=lambda dtype: dtype.name)
def test_dtypes_table_is_tensorflows(dtype: dtypes.DType) -> None:
    theirs = tf.dtypes.as_dtype(dtype.number)
    assert dtype.numpy == theirs.as_numpy_dtype
    assert dtype.name == f"DT_{theirs.name.upper()}" or dtype.number in {1, 2, 19}
    assert messages.DataType.Name(dtype.number) == dtype.name
    assert messages.TensorProto.DESCRIPTOR.fields_by_name[dtype.field].is_repeated


def test_tensor_info_reads_free_sizes_and_unknown_rank() -> None:
    message = messages.TensorInfo(name="x:0", dtype=dtypes.FLOAT)
    message.tensor_shape.dim.add(size=-1)
    message.tensor_shape.dim.add(size=784)
    assert tensors.tensor_info(message) == tensors.TensorInfo("x:0", dtypes.FLOAT, (None, 784))
    message.tensor_shape.unknown_rank = True
    assert tensors.tensor_info(message).shape is None


@pytest.mark.parametrize("as_content", [True, False])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 150)])
@pytest.mark.parametrize("dtype", [*NUMBERS, np.dtype(object)], ids=str)
def test_encoded_array_is_the_message_in_wire_format(
    dtype: np.dtype[Any], shape: tuple[int, ...], as_content: bool
) -> None:
    array = np.full(shape, b"ab" if dtype.kind == "O" else 1, dtype)
    proto = messages.TensorProto()
    tensors.fill(proto, array, as_content=as_content)
    assert b"".join(tensors.encode(array, as_content=as_content)) == proto.SerializeToString()
