"""Checks on arrays that come from outside: a server's answers and the files of a data set."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.model import Array, Arrays, InputError, RaggedArray


def output(outputs: Arrays, name: str, width: int) -> Array:
    """Return the output of that name, probabilities [N, width], or raise InputError."""
    if name not in outputs:
        raise InputError(f"the outputs are {', '.join(sorted(outputs)) or 'none'}; expected {name}")
    values = np.asarray(outputs[name])
    if values.dtype.kind != "f" or values.ndim != 2 or values.shape[1] != width:  # noqa: PLR2004
        raise InputError(f"{name} is {describe(values)}; expected floating [N, {width}]")
    wrong = np.flatnonzero(~((values >= 0) & (values <= 1)).all(axis=1))
    if wrong.size:
        raise InputError(f"row {wrong[0]} of {name} is {values[wrong[0]]}; expected probabilities in 0..1")
    return values


def member(contents: Mapping[str, Any], file: str, name: str) -> Array | RaggedArray:
    """Return the array of that name of an .npz file, or raise InputError."""
    arrays = contents.get(file)
    if not isinstance(arrays, Mapping):
        raise InputError(f"the data have no arrays of {file}; expected them by name")
    if name not in arrays:
        raise InputError(f"{file} has the arrays {', '.join(sorted(arrays)) or 'none'}; expected {name}")
    array = arrays[name]
    if not isinstance(array, (np.ndarray, RaggedArray)) or len(array) == 0:
        raise InputError(f"{name} of {file} is {describe(array)}; expected an array with something in it")
    return array


def labels(contents: Mapping[str, Any], file: str, name: str, count: int) -> NDArray[np.int64]:
    """Return the labels of that name, int64 [N] in 0..count - 1, or raise InputError."""
    array = member(contents, file, name)
    if isinstance(array, RaggedArray) or array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"{name} of {file} is {describe(array)}; expected integers [N]")
    wrong = np.flatnonzero((array < 0) | (array >= count))
    if wrong.size:
        raise InputError(f"row {wrong[0]} of {name} is {array[wrong[0]]}; expected labels in 0..{count - 1}")
    return array.astype(np.int64)


def describe(value: Any) -> str:
    """Say what an array is, in a few characters: its dtype and shape."""
    if isinstance(value, RaggedArray):
        return f"ragged {value.values.dtype}[{len(value)}, ...]"
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
