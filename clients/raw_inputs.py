"""Raw inputs as callers give them: words, paths, contents of files, arrays and lists."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.model import Array, InputError, Inputs, Model, RaggedArray


def read_inputs(model: Model, inputs: Any) -> Inputs:
    """Read what the caller gave: words as on the command line, paths and contents of files, or raw inputs."""
    if isinstance(inputs, (np.ndarray, RaggedArray)):
        return inputs
    if isinstance(inputs, (str, bytes, os.PathLike)):
        read: Inputs = _read(model, inputs)
        return read
    if not isinstance(inputs, Iterable):
        raise InputError(f"the inputs of {model.name} are {type(inputs).__name__}; expected raw inputs")
    elements = list(inputs)
    if not any(isinstance(element, (str, bytes, os.PathLike)) for element in elements):
        return elements
    return [row for element in elements for row in rows_of(model, _read(model, element))]


def tensor(name: str, value: Any) -> Array:
    """An input of a signature as an array; InputError for one whose elements no tensor has."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise InputError(f"the input {name} is no array: {error}") from None
    if array.dtype.kind == "O":
        for element in array.ravel().tolist():
            if not isinstance(element, (str, bytes)):
                found = type(element).__name__
                raise InputError(
                    f"the input {name} cannot be sent: it has a {found} among objects; expected str"
                )
    return array


def rows_of(model: Model, inputs: Any) -> Iterable[Any]:
    """Raw inputs one by one, whether there is one or several."""
    return [inputs] if model.is_one(inputs) else inputs


def has_text(inputs: Inputs) -> bool:
    """Whether there are texts among the inputs, which only a vocabulary or the server can read."""
    if isinstance(inputs, np.ndarray):
        return inputs.dtype.kind in "OSU"
    if isinstance(inputs, Sequence):
        return isinstance(inputs, str) or any(isinstance(row, str) for row in inputs[:1])
    return False


def _read(model: Model, element: Any) -> Any:
    if isinstance(element, str):
        return model.read_argument(element)
    if isinstance(element, bytes):
        return model.read_bytes(element, "the input")
    if isinstance(element, os.PathLike):
        path = Path(element)
        try:
            return model.read_bytes(path.read_bytes(), str(path))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return element
