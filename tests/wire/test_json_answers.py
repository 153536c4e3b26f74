"""Answers in JSON: their shape, and that every number denotes the element's exact value."""

# ruff: noqa: E501

import json
from typing import Any

import hypothesis.extra.numpy as arrays_of
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import Code, StatusError
from wire.json_tensors import (
    RequestForm,
    classify_answer,
    error_body,
    parse_json,
    predict_answer,
    regress_answer,
)

ROW, COLUMN = RequestForm.ROW, RequestForm.COLUMN
WRITABLE = [
    np.dtype(name)
    for name in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "bool")
]  # fmt: skip


def strings(*elements: bytes) -> np.ndarray:
    return np.array(elements, object)


@pytest.mark.parametrize(
    ("outputs", "form", "expected"),
    [
        ({"y": np.array([1.5, 2], np.float32)}, ROW, {"predictions": [1.5, 2.0]}),
        ({"y": np.array([[1], [2]])}, ROW, {"predictions": [[1], [2]]}),
        ({"y": np.empty((0, 3))}, ROW, {"predictions": []}),
        ({"y": np.array([1, 2]), "z": strings(b"a", b"b")}, ROW, {"predictions": [{"y": 1, "z": "a"}, {"y": 2, "z": "b"}]}),
        ({"y": np.empty((0, 3)), "z": strings()}, ROW, {"predictions": []}),
        ({"y": np.array([[[1, 2]]]), "z": np.array([[True]])}, ROW, {"predictions": [{"y": [[1, 2]], "z": [True]}]}),
        ({"y": np.array(3)}, COLUMN, {"outputs": 3}),
        ({"y": np.array([3.5, np.inf]), "z": np.array(b"a", object)}, COLUMN, {"outputs": {"y": [3.5, np.inf], "z": "a"}}),
        ({"y": strings(b"a")}, COLUMN, {"outputs": ["a"]}),
        # The ending of the name, and nothing else, makes base64 of a string.
        ({"y_bytes": strings(b"a", b"\xff")}, COLUMN, {"outputs": [{"b64": "YQ=="}, {"b64": "/w=="}]}),
        ({"y_bytes": np.array([1])}, COLUMN, {"outputs": [1]}),
        ({"y": np.empty((2, 0), object)}, COLUMN, {"outputs": [[], []]}),
        ({"y": np.array([["a", "b"]], object)}, ROW, {"predictions": [["a", "b"]]}),
    ],
)  # fmt: skip
def test_predict_answer_has_the_form_of_the_request(
    outputs: dict[str, np.ndarray], form: RequestForm, expected: dict[str, Any]
) -> None:
    assert json.loads(predict_answer(outputs, form)) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(3), b"3.0"),
        (np.float32(0.1), b"0.1"),
        (np.float32(16777217), b"16777216.0"),
        (np.float64(1e22), b"1e+22"),
        (np.float32(np.nan), b"NaN"),
        (np.float64(np.inf), b"Infinity"),
        (np.float16(-np.inf), b"-Infinity"),
        (np.float32(-0.0), b"-0.0"),
        (np.uint64(2**64 - 1), b"18446744073709551615"),
        (ml_dtypes.bfloat16(1.5), b"1.5"),
        (np.bool_(True), b"true"),
    ],
)
def test_predict_answer_numbers_are_written_with_point_or_exponent_and_bare(value: Any, text: bytes) -> None:
    assert predict_answer({"y": np.array(value)}, COLUMN) == b'{\n    "outputs": ' + text + b"\n}"


@given(
    array=st.sampled_from(WRITABLE).flatmap(
        lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    )
)  # fmt: skip
def test_predict_answer_every_number_reads_back_as_the_same_bits(array: np.ndarray) -> None:
    """But for the bits of a NaN; json.loads reads NaN and Infinity as this API writes them."""
    written = json.loads(predict_answer({"y": array}, COLUMN))["outputs"]
    read = np.array(written, array.dtype).reshape(array.shape)
    assert np.where(np.isnan(array), 0, read).tobytes() == np.where(np.isnan(array), 0, array).tobytes()
    assert (np.isnan(read) == np.isnan(array)).all()


@given(array=arrays_of.arrays(np.float32, (3, 2), elements=st.sampled_from([np.nan, np.inf, -np.inf, 1.5])))
def test_predict_answer_rows_of_objects_keep_each_number_in_its_place(array: np.ndarray) -> None:
    answer = json.loads(
        predict_answer({"y": array, "z": array[:, 0], "null": strings(b"null", b"", b"NaN")}, ROW)
    )
    assert np.array_equal([row["y"] for row in answer["predictions"]], array, equal_nan=True)
    assert np.array_equal([row["z"] for row in answer["predictions"]], array[:, 0], equal_nan=True)
    assert [row["null"] for row in answer["predictions"]] == ["null", "", "NaN"]


def test_predict_answer_string_that_is_not_utf8_keeps_its_bytes() -> None:
    answer = predict_answer({"y": strings(b'\xff"\n\xc3\xa9')}, ROW)
    assert b'"\xff\\"\\n\xc3\xa9"' in answer
    assert parse_json(answer)["predictions"][0].encode(errors="surrogateescape") == b'\xff"\n\xc3\xa9'


@pytest.mark.parametrize(
    ("outputs", "form", "message"),
    [
        ({}, ROW, "Cannot convert empty tensor map to JSON"),
        ({"y": np.array(1)}, ROW, "Tensor name: y has no shape information "),
        (
            {"y": np.zeros(2), "z": np.zeros(3)},
            ROW,
            "Tensor name: z has inconsistent batch size: 3 expecting: 2",
        ),
        ({"y": np.zeros(2, np.uint16)}, ROW, "Failed to write JSON value for tensor type: uint16"),
        ({"y": np.zeros(2, np.complex64)}, COLUMN, "Failed to write JSON value for tensor type: complex64"),
    ],
)
def test_predict_answer_that_cannot_be_written_is_refused(
    outputs: dict[str, np.ndarray], form: RequestForm, message: str
) -> None:
    with pytest.raises(StatusError) as caught:
        predict_answer(outputs, form)
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, message)


@pytest.mark.parametrize(
    ("classes", "scores", "expected"),
    [
        (np.array([[b"a", b"b"]], object), np.array([[0.5, 1]], np.float32), [[["a", 0.5], ["b", 1.0]]]),
        (None, np.array([[0.5], [np.inf]], np.float32), [[["", 0.5]], [["", np.inf]]]),
        (np.array([[b"a"], [b"b"]], object), None, [[["a", 0.0]], [["b", 0.0]]]),
    ],
)
def test_classify_answer_pairs_labels_and_scores_under_results(
    classes: np.ndarray | None, scores: np.ndarray | None, expected: list[Any]
) -> None:
    assert json.loads(classify_answer(classes, scores)) == {"results": expected}


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_regress_answer_is_a_flat_list_under_results(shape: tuple[int, ...]) -> None:
    assert json.loads(regress_answer(np.array([1.5, 3], np.float32).reshape(shape))) == {
        "results": [1.5, 3.0]
    }


@pytest.mark.parametrize("message", ['a "quoted"\nmessage', "é", "\udcff"])
def test_error_body_holds_the_message(message: str) -> None:
    assert json.loads(error_body(message)) == {"error": message.encode(errors="replace").decode()}
