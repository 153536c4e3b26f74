"""What is read as numbers alone means what the whole parser reads, or is left to it."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import rest_numbers
from wire import dtypes, json_tensors
from wire.tensors import TensorInfo

FLOAT = TensorInfo("x:0", dtypes.FLOAT, None)
numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**64 - 1))
values = st.one_of(numbers, st.booleans(), st.none(), st.text(max_size=2))
nested = st.recursive(values, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


@given(
    rows=st.one_of(st.lists(numbers, min_size=1), st.lists(st.lists(numbers, max_size=3), min_size=1), nested)
)
def test_numbers_are_those_of_the_whole_parser(rows: object) -> None:
    body = json.dumps({"instances": rows}).encode()
    found = rest_numbers.read(body)
    if found is not None:
        inputs, form = json_tensors.predict_inputs(json_tensors.parse_object(body), {"x": FLOAT})
        tensor = found.tensor(FLOAT)
        assert tensor is not None
        assert (tensor.dtype, form) == (inputs["x"].dtype, found.form)
        np.testing.assert_array_equal(tensor, inputs["x"])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"instances": [1, 2.5]}', [1.0, 2.5]),
        (b'{"instances": [[1, 2], [3, -4e3]]}', [[1.0, 2.0], [3.0, -4000.0]]),
        (b'{"signature_name": "s", "inputs": [[1]]}', [[1.0]]),
        (b' {"instances": [3.5e38]} ', [float("inf")]),
    ],
)
def test_lists_of_numbers_are_read(body: bytes, expected: object) -> None:
    found = rest_numbers.read(body)
    assert found is not None
    tensor = found.tensor(FLOAT)
    assert tensor is not None
    assert tensor.tolist() == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b'{"instances": 1}',
        b'{"instances": []}',
        b'{"instances": [[]]}',
        b'{"instances": [[1], [2, 3]]}',
        b'{"instances": [[1, 2], [3], [4, 5, 6]]}',
        b'{"instances": [[[1], [2]]]}',
        b'{"instances": [[1, [2]]]}',
        b'{"instances": [[[1, 2]]]}',
        b'{"instances": [1, [2]]}',
        b'{"instances": [[1], [[2]], 3]}',
        b'{"instances": [[1], 2]}',
        b'{"instances": [1, true]}',
        b'{"instances": [1, null]}',
        b'{"instances": ["1"]}',
        b'{"instances": [{"x": 1}]}',
        b'{"instances": [NaN]}',
        b'{"instances": [1e999]}',
        b'{"instances": [1]} more',
        b'{"instances": [1], "inputs": [1]}',
        b'{"instances": [1], "instances": [2]}',
        b'{"instances": [1], "other": 1}',
        b'{"instances": [1], "signature_name": 1}',
        b'{"instances": [1], "signature_name": "\xff"}',
    ],
)
def test_everything_else_is_left_to_the_whole_parser(body: bytes) -> None:
    assert rest_numbers.read(body) is None


def test_other_types_are_left_to_the_whole_parser() -> None:
    found = rest_numbers.read(b'{"instances": [1]}')
    assert found is not None
    assert found.tensor(TensorInfo("x:0", dtypes.INT32, None)) is None


def test_bodies_one_after_the_other_have_each_their_own_numbers() -> None:
    """Also after one that breaks off, and one that is large."""
    bodies = [
        b'{"instances": [1, 2]}',
        b'{"instances": [3',
        b'{"inputs": [[%s4, 5]]}' % (b"0, " * 10**5),
        b"[1]",
    ]
    found = [rest_numbers.read(body) for body in bodies * 2 + bodies[:1]]
    read = [None if numbers is None else numbers.values.ravel()[-2:].tolist() for numbers in found]
    assert read == [[1.0, 2.0], None, [4.0, 5.0], None] * 2 + [[1.0, 2.0]]


def test_threads_read_at_once() -> None:
    def read(number: int) -> list[float]:
        found = rest_numbers.read(b'{"instances": [%b]}' % b", ".join([b"%d" % number] * 10_000))
        return [] if found is None else sorted(set(found.values.tolist()))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(read, range(200))) == [[float(number)] for number in range(200)]
