"""Fields by hand, held against protobuf's own parser and serializer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import messages, wire_format

CONTENT = (2, 2, 4)


def request(content: bytes, **changes: object) -> messages.PredictRequest:
    made = messages.PredictRequest(model_spec=messages.ModelSpec(name="m"), **changes)
    tensor = made.inputs["x"]
    tensor.dtype = 1
    tensor.tensor_shape.dim.add(size=len(content) // 4)
    tensor.tensor_content = content
    return made


@given(st.integers(0, 2**64 - 1))
def test_varint_reads_back(value: int) -> None:
    written = wire_format.varint(value)
    assert wire_format.read_varint(b"\xff" + written + b"\x01", 1) == (value, 1 + len(written))


@given(st.binary(min_size=1, max_size=300))
def test_field_is_what_protobuf_writes(content: bytes) -> None:
    assert wire_format.field(4, content) == messages.TensorProto(tensor_content=content).SerializeToString()


def test_varint_that_is_cut_off_is_none() -> None:
    with pytest.raises(ValueError, match="byte 0"):
        wire_format.read_varint(b"\x80", 0)


@given(st.binary(min_size=1, max_size=300))
def test_last_value_is_found_by_the_numbers_of_its_fields(content: bytes) -> None:
    body = request(content).SerializeToString()
    start = wire_format.last_at(body, CONTENT)
    assert start is not None
    assert body[start:] == content


@pytest.mark.parametrize(
    "body",
    [
        request(b"1234", output_filter=["y"]).SerializeToString(),
        messages.PredictRequest(model_spec=messages.ModelSpec(name="m")).SerializeToString(),
        request(b"1234").SerializeToString()[:-1],
        request(b"1234").SerializeToString() + b"\x08\x01",
        request(b"1234").SerializeToString() + b"\x0d",
        request(b"1234").SerializeToString() + b"\x0b",
        b"\xff" * 20,
        b"",
    ],
)  # fmt: skip
def test_bodies_that_end_otherwise_have_no_such_value(body: bytes) -> None:
    assert wire_format.last_at(body, CONTENT) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_taken(body: bytes) -> None:
    start = wire_format.last_at(body, CONTENT)
    assert start is None or 0 < start <= len(body)
