"""The bodies of the REST API's answers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wire.json_parse import invalid
from wire.json_requests import RequestForm
from wire.json_write import (
    StringWriter,
    base64_object,
    require_writable,
    text,
    write_array,
    write_document,
    write_elements,
    write_list,
    write_objects,
)

Array = NDArray[Any]


def predict_answer(outputs: Mapping[str, Array], form: RequestForm) -> bytes:
    """The answer to a predict request of the given form, with all the outputs of its signature.

    Strings of an output whose name ends in "_bytes" are written as base64 objects.
    StatusError (INVALID_ARGUMENT): a data type that JSON has no values for; in the row form also an output
    without a first dimension, or with another first dimension than the others.
    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    for array in outputs.values():
        require_writable(array)
    if form is RequestForm.ROW:
        _check_rows(outputs)
        return write_document("predictions", _row_answer(outputs))
    return write_document("outputs", _column_answer(outputs))


def classify_answer(classes: Array | None, scores: Array | None) -> bytes:
    """The answer to a classify request: `classes` strings [N, C] and `scores` float32 [N, C].

    One of them may be missing: the labels are then empty, the scores 0.
    """
    shape = next(array.shape for array in (classes, scores) if array is not None)
    labels = np.full(shape, b"", object) if classes is None else classes
    numbers = np.zeros(shape, np.float32) if scores is None else scores
    results = []
    for row, row_scores in zip(labels, numbers, strict=True):
        pairs = zip(write_elements(row, text), write_elements(row_scores, text), strict=True)
        results.append(write_list(map(write_list, pairs)))
    return write_document("results", write_list(results))


def regress_answer(values: Array) -> bytes:
    """The answer to a regress request: `values` float32 [N] or [N, 1]."""
    return write_document("results", write_array(values.reshape(-1), text))


def error_body(message: str) -> bytes:
    """The body that every error is answered with."""
    return write_document("error", text(message.encode(errors="replace")))


def _check_rows(outputs: Mapping[str, Array]) -> None:
    expected: int | None = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information ")
        size = array.shape[0]
        if expected is not None and size != expected:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {size} expecting: {expected}")
        expected = size


def _row_answer(outputs: Mapping[str, Array]) -> bytes:
    if len(outputs) == 1:
        return _column_answer(outputs)
    columns = {name: write_elements(array, _string(name)) for name, array in outputs.items()}
    return write_list(write_objects(columns))


def _column_answer(outputs: Mapping[str, Array]) -> bytes:
    values = {name: write_array(array, _string(name)) for name, array in outputs.items()}
    if len(values) == 1:
        return next(iter(values.values()))
    return next(write_objects({name: [value] for name, value in values.items()}))


def _string(name: str) -> StringWriter:
    return base64_object if name.endswith("_bytes") else text
