"""What a cell of an input stands for: one raw input of the model, or the reason why it is none.

A cell may be a number array, a list of numbers, a text (what `kedge predict` takes as an argument: a review,
or the path of an image), or the bytes of a file.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from models.checks import describe
from models.model import Array, InputError, Inputs, Model, TensorSpec
from training.scoring.files import NamedBytes
from training.scoring.rows import Unreadable

FAULTS = (ValueError, TypeError, ArithmeticError, LookupError)
"""What a model's reading of a wrong cell may raise: InputError, or what NumPy and Python raise."""


def raw_specs(model: Model) -> tuple[TensorSpec, ...]:
    """Return the tensors that raw inputs go to: serving_default's where it is the only signature."""
    further = {name: sign for name, sign in model.signature_specs.items() if name != "serving_default"}
    return tuple(spec for sign in (further or model.signature_specs).values() for spec in sign.inputs)


def convert(model: Model, column: str | None, cells: Sequence[Any] | Array) -> tuple[Inputs, dict[int, str]]:
    """Turn cells into raw inputs, and give the reasons of those that are none, by their place.

    The inputs are those of the other cells, in order. An array of numbers stays one.
    """
    if isinstance(cells, np.ndarray):
        if cells.dtype.kind in "US":
            return convert(model, column, cells.tolist())
        try:
            return _cast(cells, raw_specs(model), 1), {}
        except InputError:
            cells = list(cells)
    inputs: list[Any] = []
    reasons: dict[int, str] = {}
    numeric = _is_numeric(model, column)
    for place, cell in enumerate(cells):
        try:
            inputs.append(_input(model, cell, numeric=numeric))
        except FAULTS as error:
            reasons[place] = one_line(error)
    return inputs, reasons


def one_line(error: Exception) -> str:
    """Return an error's message on one line of bounded length."""
    return " ".join(str(error).split())[:500] or type(error).__name__


def _input(model: Model, cell: Any, *, numeric: bool) -> Any:
    if isinstance(cell, str):
        if numeric:
            return _cast(np.asarray(_numbers(cell)), raw_specs(model), 0)
        return _one(model, model.read_argument(cell))
    if isinstance(cell, Unreadable):
        raise InputError(cell.reason)
    if isinstance(cell, NamedBytes):
        return _one(model, model.read_bytes(cell.content, cell.name))
    if isinstance(cell, bytes):
        return _one(model, model.read_bytes(cell, "the cell"))
    if isinstance(cell, (list, int, float, np.ndarray, np.generic)) and not isinstance(cell, bool):
        return _one(model, _cast(np.asarray(cell), raw_specs(model), 0))
    raise InputError(f"the cell is {type(cell).__name__}; expected a text, bytes or numbers")


def _one(model: Model, inputs: Any) -> Any:
    """Return the one input that there must be: files may hold several."""
    if model.is_one(inputs):
        return inputs
    if np.ndim(inputs) == 0 or len(inputs) != 1:
        raise InputError(f"the row holds {describe(inputs)}, not one input of {model.name}")
    return inputs[0]


def _is_numeric(model: Model, column: str | None) -> bool:
    """Tell whether a column has the name of a tensor that takes no texts."""
    kinds = {spec.dtype for spec in raw_specs(model) if spec.name == column}
    return bool(kinds) and "string" not in kinds


def _numbers(text: str) -> Any:
    """Read numbers with commas or spaces between, or a JSON list."""
    stripped = text.strip()
    if stripped.startswith("["):
        try:
            return orjson.loads(stripped)
        except orjson.JSONDecodeError as error:
            raise InputError(f"the cell is no list of numbers: {error}") from None
    words = stripped.replace(",", " ").split()
    try:
        return [int(word) for word in words]
    except ValueError:
        return [float(word) for word in words]


def _cast(array: Array, specs: Sequence[TensorSpec], batch: int) -> Array:
    """Give integers the dtype that the signature of their rank takes; files of text do not tell it.

    `batch` is the number of leading axes that are no axes of an input.
    """
    for spec in specs:
        if spec.dtype == "string" or len(spec.shape) - 1 != array.ndim - batch:
            continue
        wanted = np.dtype(spec.dtype)
        if array.dtype.kind in "iu" and wanted.kind in "iu" and array.dtype != wanted:
            cast = array.astype(wanted)
            if not np.array_equal(cast, array):
                limits = np.iinfo(wanted)
                raise InputError(f"a number is outside of {limits.min}..{limits.max}")
            return cast
        break
    return array
