"""The client's side of the REST API: predict requests written, answers read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from wire import dtypes
from wire.errors import Code, StatusError
from wire.json_parse import dump, invalid, parse_json
from wire.json_requests import RequestForm
from wire.json_values import to_tensor
from wire.json_write import (
    require_writable,
    text_or_base64,
    write_array,
    write_elements,
    write_list,
    write_objects,
)
from wire.tensors import TensorInfo

Array = NDArray[Any]


def predict_body(
    inputs: Mapping[str, Array], *, form: RequestForm = RequestForm.ROW, signature_name: str | None = None
) -> bytes:
    """The body of a predict request.

    In the row form the arrays have the same first dimension, the rows, at least one; a single input is sent
    without its name. Strings that are not UTF-8 are sent as base64 objects.
    StatusError (INVALID_ARGUMENT): no inputs, a data type without JSON values, no rows or unequal numbers.
    """
    if not inputs:
        raise invalid("request has no inputs; expected one array at least")
    for array in inputs.values():
        require_writable(array)
    value = _rows(inputs) if form is RequestForm.ROW else _columns(inputs)
    signature = b'"signature_name": ' + orjson.dumps(signature_name) + b", " if signature_name else b""
    return b"{" + signature + b'"' + form.value.encode() + b'": ' + value + b"}"


def predict_outputs(answer: bytes, outputs: Mapping[str, TensorInfo] | None = None) -> dict[str, Array]:
    """The tensors of the answer to a predict request, in either form.

    `outputs` is the signature's. Without it the names are the answer's, which for a single output are its
    key, "predictions" or "outputs", and the elements' data types are what NumPy makes of them.
    StatusError (INTERNAL) if the answer is not one, or not one of such a signature.
    """
    try:
        document = parse_json(answer)
        for form in ("predictions", "outputs"):
            if isinstance(document, dict) and form in document:
                return _read(document[form], form, outputs)
    except (StatusError, ValueError) as error:
        raise _damaged(answer, str(error)) from None
    raise _damaged(answer, "it has neither 'predictions' nor 'outputs'")


def error_message(answer: bytes) -> str | None:
    """The message in the body of an error, or None if the body is not the API's (but a proxy's, say)."""
    try:
        document = parse_json(answer)
    except StatusError:
        return None
    message = document.get("error") if isinstance(document, dict) else None
    return message if isinstance(message, str) else None


def _rows(inputs: Mapping[str, Array]) -> bytes:
    sizes = {name: array.shape[0] if array.ndim else 0 for name, array in inputs.items()}
    if len(set(sizes.values())) > 1 or 0 in sizes.values():
        raise invalid(f"inputs have {sizes} rows; expected the same number in all and at least one")
    if len(inputs) == 1:
        return write_array(next(iter(inputs.values())), text_or_base64)
    columns = {name: write_elements(array, text_or_base64) for name, array in inputs.items()}
    return write_list(write_objects(columns))


def _columns(inputs: Mapping[str, Array]) -> bytes:
    return next(write_objects({name: [write_array(array, text_or_base64)] for name, array in inputs.items()}))


def _read(value: Any, form: str, outputs: Mapping[str, TensorInfo] | None) -> dict[str, Array]:
    members = _members(value, form, outputs)
    if outputs is None:
        return {name: _guessed(member) for name, member in members.items()}
    return {name: to_tensor(members[name], info.dtype) for name, info in outputs.items()}


def _members(value: Any, form: str, outputs: Mapping[str, TensorInfo] | None) -> dict[str, Any]:
    """The outputs of an answer by name; of two and more, each row or the whole is an object."""
    if outputs is not None and len(outputs) == 1:
        return dict.fromkeys(outputs, value)
    rows = value if form == "predictions" and isinstance(value, list) else [value]
    named = all(map(_is_named, rows))
    if outputs is None and not (rows and named):
        return {form: value}
    if outputs is not None and not named:
        raise ValueError(f"expected an object with the outputs {', '.join(outputs)}, came {dump(value)}")
    names = rows[0] if outputs is None else outputs
    missing = [name for name in names if not all(name in row for row in rows)]
    if missing:
        raise ValueError(f"outputs missing in it: {', '.join(missing)}")
    if form == "outputs":
        return {name: value[name] for name in names}
    return {name: [row[name] for row in rows] for name in names}


def _is_named(row: Any) -> bool:
    return isinstance(row, dict) and row.keys() != {"b64"}


def _guessed(value: Any) -> Array:
    """An array of a value whose data type is not known: strings, or what NumPy takes the numbers for."""
    element = value
    while isinstance(element, list) and element:
        element = element[0]
    if isinstance(element, str | dict):
        return to_tensor(value, dtypes.STRING)
    return np.array(value)


def _damaged(answer: bytes, problem: str) -> StatusError:
    start = answer[:80].decode(errors="replace")
    return StatusError(Code.INTERNAL, f"the server's answer to predict cannot be read: {problem} ({start!r})")
