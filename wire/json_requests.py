"""The bodies of REST predict requests as tensors: the rules of the row form and of the column form."""

import enum
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from wire.errors import StatusError
from wire.json_parse import dump, invalid
from wire.json_values import first_fault, is_base64_object, to_tensor, try_tensor
from wire.tensors import TensorInfo

Array = NDArray[Any]


class RequestForm(enum.Enum):
    """How a predict request holds its tensors; the answer is in the same form."""

    ROW = "instances"
    COLUMN = "inputs"


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request names; "serving_default" if it names none.

    StatusError (INVALID_ARGUMENT) if the name is not a string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise _fault(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name or "serving_default"


def predict_inputs(
    document: Mapping[str, Any], inputs: Mapping[str, TensorInfo]
) -> tuple[dict[str, Array], RequestForm]:
    """The tensors of a predict request, by the signature's `inputs`, and the form they came in.

    In the row form every tensor gets a leading dimension, the number of rows; neither form is checked against
    the shapes of the signature. StatusError (INVALID_ARGUMENT; in the column form also UNIMPLEMENTED for a
    data type without JSON values).
    """
    if not inputs:
        raise invalid(f"Failed to get input map for signature: {document.get('signature_name') or 'DEFAULT'}")
    if "instances" in document:
        if "inputs" in document:
            problem = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
            raise _fault(document, problem)
        return _from_rows(document["instances"], inputs), RequestForm.ROW
    if "inputs" in document:
        return _from_columns(document["inputs"], inputs), RequestForm.COLUMN
    raise invalid("Missing 'inputs' or 'instances' key")


def _from_columns(value: Any, inputs: Mapping[str, TensorInfo]) -> dict[str, Array]:
    if isinstance(value, dict) and not is_base64_object(value):
        return {name: to_tensor(_named(value, name), info.dtype) for name, info in inputs.items()}
    if len(inputs) > 1:
        problem = (
            "inputs is a plain value/list, but expecting an object as multiple input tensors required"
            " as per tensorinfo_map"
        )
        raise _fault(value, problem)
    ((name, info),) = inputs.items()
    return {name: to_tensor(value, info.dtype)}


def _named(value: dict[str, Any], name: str) -> Any:
    if name not in value:
        raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return value[name]


def _from_rows(rows: Any, inputs: Mapping[str, TensorInfo]) -> dict[str, Array]:
    if not isinstance(rows, list):
        raise _fault(rows, "Expecting 'instances' to be an list/array")
    if not rows:
        raise _fault(rows, "No values in 'instances' array")
    if isinstance(rows[0], dict) and not is_base64_object(rows[0]):
        return _from_objects(rows, inputs)
    if len(inputs) > 1:
        problem = (
            "instances is a plain list, but expecting list of objects as multiple input tensors required"
            " as per tensorinfo_map"
        )
        raise _fault(rows, problem)
    return _from_plain_rows(rows, inputs)


def _from_plain_rows(rows: list[Any], inputs: Mapping[str, TensorInfo]) -> dict[str, Array]:
    ((name, info),) = inputs.items()
    array = try_tensor(rows, info.dtype)
    if array is not None:
        return {name: array}
    first: dict[str, Array] = {}
    for index, row in enumerate(rows):
        if isinstance(row, dict) and not is_base64_object(row):
            raise invalid(f"Expecting value/list but got object at item {index} of input list")
        try:
            _check_item(name, row, inputs, first)
        except StatusError as error:
            raise _in_element(f"{index} of 'instances' list", error) from None
    raise AssertionError(f"no fault in {dump(rows)} as {info}")


def _from_objects(rows: list[Any], inputs: Mapping[str, TensorInfo]) -> dict[str, Array]:
    names = inputs.keys()
    if all(isinstance(row, dict) and row.keys() == names for row in rows):
        arrays = {name: try_tensor([row[name] for row in rows], info.dtype) for name, info in inputs.items()}
        whole = {name: array for name, array in arrays.items() if array is not None}
        if len(whole) == len(arrays):
            return whole
    first: dict[str, Array] = {}
    for index, row in enumerate(rows):
        _check_object(index, row, inputs, first)
    raise AssertionError(f"no fault in {dump(rows)} as {inputs}")


def _check_object(index: int, row: Any, inputs: Mapping[str, TensorInfo], first: dict[str, Array]) -> None:
    if not isinstance(row, dict):
        raise invalid(f"Expecting object but got list at item {index} of input list")
    for key, value in row.items():
        try:
            _check_item(key, value, inputs, first)
        except StatusError as error:
            raise _in_element(f"{index} key: {key} of 'instances' list", error) from None
    if row.keys() != inputs.keys():
        raise invalid(
            f"Failed to process element: {index} of 'instances' list. JSON object: {dump(row)}"
            f" keys must be equal to: {','.join(sorted(inputs))}"
        )


def _check_item(name: str, value: Any, inputs: Mapping[str, TensorInfo], first: dict[str, Array]) -> None:
    """Raise what is wrong with one row's value of an input; `first` holds the first row's, by input."""
    if name not in inputs:
        raise invalid(f"JSON object: does not have named input: {name}")
    array = try_tensor(value, inputs[name].dtype)
    if array is None:
        raise first_fault(value, inputs[name].dtype)
    expected = first.setdefault(name, array)
    if array.size != expected.size:
        raise invalid(f"Expecting tensor size: {expected.size} but got: {array.size}")
    if array.shape != expected.shape:
        raise invalid(f"Expecting shape {_shape(expected)} but got: {_shape(array)}")


def _in_element(element: str, error: StatusError) -> StatusError:
    return invalid(f"Failed to process element: {element}. Error: {error.code.name}: {error.message}")


def _shape(array: Array) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def _fault(value: Any, problem: str) -> StatusError:
    return invalid(f"JSON Value: {dump(value)} {problem}")
