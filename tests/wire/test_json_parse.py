"""JSON is read as leniently as TensorFlow Serving reads it."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import Code, StatusError
from wire.json_parse import dump, parse_json, parse_object, type_name

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
)


@given(value=values, indent=st.none() | st.just(2), tail=st.sampled_from(["", " \n", "]", "{}", ":"]))
def test_parse_json_reads_what_the_standard_library_wrote(value: Any, indent: int | None, tail: str) -> None:
    text = json.dumps(value, indent=indent)
    if tail == ":" and isinstance(value, int | float):
        tail = " :"
    assert parse_json((text + tail).encode()) == value


@given(members=st.lists(st.tuples(st.sampled_from(["a", "b", ":"]), values), max_size=5))
def test_parse_json_equal_keys_the_first_counts_at_any_depth(members: list[tuple[str, Any]]) -> None:
    text = "{" + ",".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in members) + "}"
    expected: dict[str, Any] = {}
    for key, value in members:
        expected.setdefault(key, value)
    assert parse_json(text.encode()) == expected
    assert parse_json(f"[[{text}], 1]".encode()) == [[expected], 1]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": 1} and more', {"a": 1}),
        (b'{"a": 1}{"a": 2}', {"a": 1}),
        (b"[Inf, -Inf, Infinity, -Infinity, 1]", [math.inf, -math.inf, math.inf, -math.inf, 1]),
        (b'["Inf", "\\"Inf", Inf]', ["Inf", '"Inf', math.inf]),
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"[18446744073709551616, NaN]", [2.0**64, math.nan]),
        (b"100000000000000000000000 tail", 1e23),
        (b'"\xff\xc3\xa9"', "\udcff\u00e9"),
        (b" \t\r\n1", 1),
    ],
)
def test_parse_json_is_lenient(body: bytes, expected: Any) -> None:
    assert repr(parse_json(body)) == repr(expected)


@pytest.mark.parametrize("name", [b"NaN", b"-NaN"])
def test_parse_json_nan_is_a_number(name: bytes) -> None:
    assert math.isnan(parse_json(name))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"  ", "JSON Parse error: The document is empty. at offset: 2"),
        (b"[1, Nan]", "JSON Parse error: Expecting value at offset: 4"),
        ('["é" 1]'.encode(), "JSON Parse error: Expecting ',' delimiter at offset: 6"),
        (b'{"a": 1', "JSON Parse error: Expecting ',' delimiter at offset: 7"),
        (b"\xef\xbb\xbf1", "JSON Parse error: Expecting value at offset: 0"),
        (b"[" * 100_000, "JSON Parse error: lists or objects are nested too deeply at offset: 0"),
        (b"[" + b'\\"' * 200_000 + b" Inf", "JSON Parse error: Expecting value at offset: 1"),
    ],
)
def test_parse_json_of_no_value_tells_reason_and_offset(body: bytes, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        parse_json(body)
    assert caught.value.message.startswith(message)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_parse_object_of_another_value_is_refused_and_shown() -> None:
    with pytest.raises(StatusError, match=r'^JSON Value: \[1,"a",null\] Is not object$'):
        parse_object(b'[1, "a", null]')


def test_dump_of_a_large_value_is_its_beginning() -> None:
    assert dump([1.5] * 1_000_000).startswith("[1.5,1.5,")
    assert len(dump([1.5] * 1_000_000)) == 256
    assert len(dump("x" * 1_000_000)) == 256


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "Null"),
        (True, "True"),
        (False, "False"),
        ({}, "Object"),
        ([], "Array"),
        ("", "String"),
        (1, "Number"),
    ],
)
def test_type_name_is_the_contracts(value: Any, name: str) -> None:
    assert type_name(value) == name
