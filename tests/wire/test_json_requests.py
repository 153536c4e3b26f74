"""Predict requests in JSON: TensorFlow Serving's rules and messages as tables, a line each."""

# ruff: noqa: E501

import re
from typing import Any

import numpy as np
import pytest

from wire import dtypes
from wire.errors import Code, StatusError
from wire.json_tensors import RequestForm, parse_object, predict_inputs, signature_name
from wire.tensors import TensorInfo

FLOAT_X = {"x": dtypes.FLOAT}
TWO = {"b": dtypes.STRING, "a": dtypes.INT32}


def read(body: str, inputs: dict[str, int]) -> tuple[dict[str, np.ndarray], RequestForm]:
    infos = {name: TensorInfo(f"{name}:0", dtype, None) for name, dtype in inputs.items()}
    return predict_inputs(parse_object(body.encode()), infos)


ACCEPTED = [
    # Row form: a leading dimension, the number of rows.
    ('{"instances": [1, 2.5]}', FLOAT_X, {"x": [1.0, 2.5]}, RequestForm.ROW),
    ('{"instances": [[1, 2], [3, 4]]}', FLOAT_X, {"x": [[1, 2], [3, 4]]}, RequestForm.ROW),
    ('{"instances": [{"x": 1}]}', FLOAT_X, {"x": [1]}, RequestForm.ROW),
    ('{"instances": [{"a": 1, "b": "s"}, {"b": {"b64": "dA=="}, "a": 2}]}', TWO, {"a": [1, 2], "b": [b"s", b"t"]}, RequestForm.ROW),
    ('{"instances": [{"b64": "dA=="}, "s"]}', {"x": dtypes.STRING}, {"x": [b"t", b"s"]}, RequestForm.ROW),
    ('{"instances": [[]]}', FLOAT_X, {"x": [[]]}, RequestForm.ROW),
    # Column form: no dimension is added, and what is not asked for is ignored.
    ('{"inputs": 3}', FLOAT_X, {"x": 3}, RequestForm.COLUMN),
    ('{"inputs": []}', FLOAT_X, {"x": []}, RequestForm.COLUMN),
    ('{"inputs": {"b64": "dA=="}}', {"x": dtypes.STRING}, {"x": b"t"}, RequestForm.COLUMN),
    ('{"inputs": {"x": [1], "y": "ignored"}}', FLOAT_X, {"x": [1]}, RequestForm.COLUMN),
    ('{"inputs": {"a": [1, 2, 3], "b": "s"}}', TWO, {"a": [1, 2, 3], "b": b"s"}, RequestForm.COLUMN),
    # By type.
    ('{"inputs": [NaN, Infinity, -Inf, 1e999, 1e39, 1e-60]}', FLOAT_X, {"x": [np.nan, np.inf, -np.inf, np.inf, np.inf, 0]}, RequestForm.COLUMN),
    ('{"inputs": [300, -1]}', {"x": dtypes.UINT8}, {"x": [44, 255]}, RequestForm.COLUMN),
    ('{"inputs": [200]}', {"x": dtypes.INT8}, {"x": [-56]}, RequestForm.COLUMN),
    ('{"inputs": [9223372036854775807]}', {"x": dtypes.INT64}, {"x": [2**63 - 1]}, RequestForm.COLUMN),
    ('{"inputs": [18446744073709551615]}', {"x": dtypes.UINT64}, {"x": [2**64 - 1]}, RequestForm.COLUMN),
    ('{"inputs": [4294967295]}', {"x": dtypes.UINT32}, {"x": [2**32 - 1]}, RequestForm.COLUMN),
    ('{"inputs": [true, false]}', {"x": dtypes.BOOL}, {"x": [True, False]}, RequestForm.COLUMN),
    ('{"inputs": [1, 0.1]}', {"x": dtypes.HALF}, {"x": [1, float(np.float16(0.1))]}, RequestForm.COLUMN),
    ('{"inputs": [1.5]}', {"x": dtypes.BFLOAT16}, {"x": [1.5]}, RequestForm.COLUMN),
    ('{"inputs": ["é", {"b64": "/w=="}, {"b64": "/w"}]}', {"x": dtypes.STRING}, {"x": ["é".encode(), b"\xff", b"\xff"]}, RequestForm.COLUMN),
    # An unsupported type without a value meets no error.
    ('{"inputs": []}', {"x": dtypes.COMPLEX64}, {"x": []}, RequestForm.COLUMN),
]  # fmt: skip


@pytest.mark.parametrize(("body", "inputs", "expected", "form"), ACCEPTED)
def test_predict_inputs_reads_the_tensors(
    body: str, inputs: dict[str, int], expected: dict[str, Any], form: RequestForm
) -> None:
    arrays, found = read(body, inputs)
    assert found is form
    assert arrays.keys() == inputs.keys()
    for name, array in arrays.items():
        assert array.dtype == dtypes.find(inputs[name]).numpy
        assert np.array_equal(array, np.array(expected[name], array.dtype), equal_nan=array.dtype.kind == "f")


ELEMENT = "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
REFUSED = [
    ("{}", FLOAT_X, "Missing 'inputs' or 'instances' key"),
    ('{"instances": [1], "inputs": [1]}', FLOAT_X, 'JSON Value: {"instances":[1],"inputs":[1]} Not formatted correctly expecting only one of \'inputs\' or \'instances\' keys to exist '),
    ('{"instances": 1}', FLOAT_X, "JSON Value: 1 Expecting 'instances' to be an list/array"),
    ('{"instances": []}', FLOAT_X, "JSON Value: [] No values in 'instances' array"),
    ('{"instances": [1]}', {}, "Failed to get input map for signature: DEFAULT"),
    ('{"instances": [1], "signature_name": "s"}', {}, "Failed to get input map for signature: s"),
    ('{"instances": [1]}', TWO, "JSON Value: [1] instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map"),
    ('{"instances": [{"x": 1}, [1]]}', FLOAT_X, "Expecting object but got list at item 1 of input list"),
    ('{"instances": [1, {"x": 1}]}', FLOAT_X, "Expecting value/list but got object at item 1 of input list"),
    ('{"instances": [{"x": 1}, {"y": 1}]}', FLOAT_X, "Failed to process element: 1 key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have named input: y"),
    ('{"instances": [{"x": 1, "y": 1}]}', FLOAT_X, "Failed to process element: 0 key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have named input: y"),
    ('{"instances": [{"a": 1}]}', TWO, "Failed to process element: 0 of 'instances' list. JSON object: {\"a\":1} keys must be equal to: a,b"),
    ('{"instances": [{"x": [1]}, {"x": [1, 2]}]}', FLOAT_X, "Failed to process element: 1 key: x of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 1 but got: 2"),
    ('{"instances": [[1], [1, 2]]}', FLOAT_X, ELEMENT + "Expecting tensor size: 1 but got: 2"),
    ('{"instances": [[[1, 2]], [[1], [2]]]}', FLOAT_X, ELEMENT + "Expecting shape [1,2] but got: [2,1]"),
    ('{"instances": [1, [1]]}', FLOAT_X, ELEMENT + "Expecting shape [] but got: [1]"),
    ('{"instances": [[[1], [2]], [[1], [2, 3]]]}', FLOAT_X, ELEMENT + "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
    ('{"instances": [[1, 2], [1, [2]]]}', FLOAT_X, ELEMENT + "Encountered list at unexpected level: 1 expected < 1"),
    ('{"instances": [[[1]], [[1], 2]]}', FLOAT_X, ELEMENT + "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    ('{"instances": [1, "a"]}', FLOAT_X, ELEMENT + 'JSON Value: "a" Type: String is not of expected type: float'),
    ('{"instances": ["a", {"b64": "!"}]}', {"x": dtypes.STRING}, ELEMENT + "Unable to base64 decode"),
    ('{"inputs": 1}', TWO, "JSON Value: 1 inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map"),
    ('{"inputs": {"b": "s"}}', TWO, "Missing named input: a in 'inputs' object."),
    ('{"inputs": [null]}', FLOAT_X, "JSON Value: null Type: Null is not of expected type: float"),
    ('{"inputs": [true]}', FLOAT_X, "JSON Value: true Type: True is not of expected type: float"),
    ('{"inputs": [1.0]}', {"x": dtypes.INT32}, "JSON Value: 1.0 Type: Number is not of expected type: int32"),
    ('{"inputs": [1e2]}', {"x": dtypes.INT64}, "JSON Value: 100.0 Type: Number is not of expected type: int64"),
    ('{"inputs": [2147483648]}', {"x": dtypes.INT8}, "JSON Value: 2147483648 Type: Number is not of expected type: int8"),
    ('{"inputs": [true]}', {"x": dtypes.INT32}, "JSON Value: true Type: True is not of expected type: int32"),
    ('{"inputs": [-1]}', {"x": dtypes.UINT32}, "JSON Value: -1 Type: Number is not of expected type: uint32"),
    ('{"inputs": [-1]}', {"x": dtypes.UINT64}, "JSON Value: -1 Type: Number is not of expected type: uint64"),
    ('{"inputs": [9223372036854775808]}', {"x": dtypes.INT64}, "JSON Value: 9223372036854775808 Type: Number is not of expected type: int64"),
    ('{"inputs": [1]}', {"x": dtypes.BOOL}, "JSON Value: 1 Type: Number is not of expected type: bool"),
    ('{"inputs": [1]}', {"x": dtypes.STRING}, "JSON Value: 1 Type: Number is not of expected type: string"),
    ('{"inputs": [{"b64": "YQ==", "x": 1}]}', {"x": dtypes.STRING}, 'JSON Value: {"b64":"YQ==","x":1} not formatted correctly for base64 data'),
    ('{"inputs": [{"b64": "YQ"}]}', FLOAT_X, 'JSON Value: {"b64":"YQ"} Type: Object is not of expected type: float'),
    ('{"inputs": ' + "[" * 65 + "]" * 65 + "}", FLOAT_X, "Encountered list at unexpected level: 64 expected < 64"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "inputs", "message"), REFUSED)
def test_predict_inputs_refuses_with_the_contracts_words(
    body: str, inputs: dict[str, int], message: str
) -> None:
    with pytest.raises(StatusError, match=f"^{re.escape(message)}$") as caught:
        read(body, inputs)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ('{"inputs": [1]}', Code.UNIMPLEMENTED, "Conversion of JSON Value: 1 to type: uint16"),
        ('{"instances": [1]}', Code.INVALID_ARGUMENT, "Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: Conversion of JSON Value: 1 to type: uint16"),
    ],
)  # fmt: skip
def test_predict_inputs_unsupported_type_is_unimplemented_in_columns_and_invalid_in_rows(
    body: str, code: Code, message: str
) -> None:
    with pytest.raises(StatusError) as caught:
        read(body, {"x": dtypes.UINT16})
    assert (caught.value.code, caught.value.message) == (code, message)


@pytest.mark.parametrize("dtype", [dtypes.INT64, dtypes.FLOAT, dtypes.STRING])
def test_predict_inputs_first_fault_in_reading_order_is_told(dtype: int) -> None:
    good = '"s"' if dtype == dtypes.STRING else "1"
    with pytest.raises(StatusError, match="JSON Value: null"):
        read(f'{{"inputs": [[{good}, null], [{good}, false, {good}]]}}', {"x": dtype})


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ({}, "serving_default"),
        ({"signature_name": ""}, "serving_default"),
        ({"signature_name": "text"}, "text"),
    ],
)
def test_signature_name_absent_or_empty_is_the_default(document: dict[str, Any], name: str) -> None:
    assert signature_name(document) == name


def test_signature_name_not_a_string_is_refused() -> None:
    message = "'signature_name' key must be a string value."
    with pytest.raises(StatusError, match=message) as caught:
        signature_name({"signature_name": 1})
    assert caught.value.message.startswith('JSON Value: {"signature_name":1} not formatted correctly. ')
