"""What the client writes, the server's side reads; what the server's side writes, the client reads."""

# ruff: noqa: E501

import json
from typing import Any

import hypothesis.extra.numpy as arrays_of
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import dtypes, json_tensors
from wire.errors import Code, StatusError
from wire.json_tensors import RequestForm, error_message, parse_object, predict_body, predict_outputs
from wire.tensors import TensorInfo

ROW, COLUMN = RequestForm.ROW, RequestForm.COLUMN
TYPES = [np.dtype(name) for name in ("float16", "float32", "float64", "int8", "int32", "int64", "uint8", "uint64", "bool")]  # fmt: skip
ELEMENTS = {"float16": st.floats(width=16), "float32": st.floats(width=32)}


def arrays(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    numbers = st.sampled_from(TYPES).flatmap(lambda dtype: arrays_of.arrays(dtype, shape))
    return numbers | arrays_of.arrays(object, shape, elements=st.binary(max_size=8), fill=st.nothing())


def infos(tensors: dict[str, np.ndarray]) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(name, dtypes.of_numpy(array.dtype).number, None) for name, array in tensors.items()
    }


def same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype
        and np.array_equal(left[name], right[name], equal_nan=right[name].dtype.kind == "f")
        for name in right
    )


tensor_maps = st.integers(1, 3).flatmap(
    lambda rows: st.dictionaries(st.sampled_from(["a", "b_bytes", "c"]), arrays((rows, 2)) | arrays((rows,)), min_size=1)
)  # fmt: skip


@given(tensors=tensor_maps, form=st.sampled_from(RequestForm))
def test_predict_body_is_read_as_the_same_tensors(tensors: dict[str, np.ndarray], form: RequestForm) -> None:
    document = parse_object(predict_body(tensors, form=form, signature_name="s"))
    read, found = json_tensors.predict_inputs(document, infos(tensors))
    assert found is form
    assert same(read, tensors)
    assert json_tensors.signature_name(document) == "s"


@given(tensors=tensor_maps, form=st.sampled_from(RequestForm))
def test_predict_outputs_of_an_answer_are_the_tensors(
    tensors: dict[str, np.ndarray], form: RequestForm
) -> None:
    utf8 = {
        name: np.vectorize(lambda element: element.hex().encode(), otypes=[object])(array) if array.dtype == object else array
        for name, array in tensors.items()
    }  # fmt: skip
    assert same(predict_outputs(json_tensors.predict_answer(utf8, form), infos(utf8)), utf8)


@pytest.mark.parametrize("form", RequestForm)
def test_predict_outputs_of_no_rows_has_every_output(form: RequestForm) -> None:
    tensors = {"a": np.empty((0,), np.float32), "b": np.empty((0,), np.int64)}
    read = predict_outputs(json_tensors.predict_answer(tensors, form), infos(tensors))
    assert {name: array.shape[0] for name, array in read.items()} == {"a": 0, "b": 0}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'{"predictions": [[1.5], [2]]}', {"predictions": [[1.5], [2.0]]}),
        (b'{"outputs": ["a"]}', {"outputs": [b"a"]}),
        (b'{"outputs": {"y": [1], "z_bytes": {"b64": "/w=="}}}', {"y": [1], "z_bytes": b"\xff"}),
        (b'{"predictions": [{"y": 1, "z": "a"}, {"y": 2, "z": "b"}]}', {"y": [1, 2], "z": [b"a", b"b"]}),
        (b'{"predictions": [{"b64": "/w=="}]}', {"predictions": [b"\xff"]}),
        (b'{"predictions": []}', {"predictions": []}),
    ],
)
def test_predict_outputs_without_a_signature_takes_names_and_types_from_the_answer(
    answer: bytes, expected: dict[str, Any]
) -> None:
    assert {name: array.tolist() for name, array in predict_outputs(answer).items()} == expected


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>", "JSON Parse error"),
        (b"[]", "neither 'predictions' nor 'outputs'"),
        (b'{"error": "x"}', "neither 'predictions' nor 'outputs'"),
        (b'{"predictions": [1]}', "expected an object with the outputs a, b"),
        (b'{"predictions": [{"a": 1}]}', "outputs missing in it: b"),
        (b'{"predictions": [{"a": "x", "b": 1}]}', "not of expected type: float"),
        (b'{"predictions": 1}', "expected an object with the outputs"),
    ],
)
def test_predict_outputs_of_a_damaged_answer_says_what_is_wrong(answer: bytes, message: str) -> None:
    outputs = {name: TensorInfo(name, dtypes.FLOAT, None) for name in ("a", "b")}
    with pytest.raises(StatusError, match=message) as caught:
        predict_outputs(answer, outputs)
    assert caught.value.code is Code.INTERNAL


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "no inputs"),
        ({"a": np.array(1)}, "{'a': 0} rows; expected"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "{'a': 2, 'b': 3} rows; expected the same"),
        ({"a": np.zeros(2, complex)}, "tensor type: complex128"),
    ],
)
def test_predict_body_that_cannot_be_sent_is_refused(inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(StatusError) as caught:
        predict_body(inputs)
    assert message in caught.value.message


def test_predict_body_without_a_signature_names_none() -> None:
    assert json.loads(predict_body({"x": np.array([1.5])})) == {"instances": [1.5]}
    assert json.loads(predict_body({"x": np.array(1.5)}, form=COLUMN)) == {"inputs": {"x": 1.5}}


@pytest.mark.parametrize(
    ("answer", "message"),
    [(b'{"error": "no"}', "no"), (b"<html>", None), (b"[]", None), (b'{"error": 1}', None), (b"", None)],
)
def test_error_message_is_the_apis_or_none(answer: bytes, message: str | None) -> None:
    assert error_message(answer) == message
