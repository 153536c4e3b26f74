"""What a load asks: real inputs of a catalogue's model, or values of the right form for any other."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from clients.exchange import SERVING_DEFAULT
from clients.raw_inputs import has_text, rows_of
from clients.results import SignatureInfo
from models.model import Array, Arrays, InputError, Model
from wire import dtypes
from wire.tensors import TensorInfo

FREE = 16
"""The size that is given to a free dimension that is not the batch's."""
TEXT = b"a film that one remembers with pleasure"


def of_words(model: Model, words: Sequence[str], signature: str | None, rows: int) -> tuple[str, Arrays]:
    """The signature and the tensors of inputs as on the command line, repeated up to so many rows."""
    inputs: list[Any] = [row for word in words for row in rows_of(model, model.read_argument(word))]
    batch = [inputs[number % len(inputs)] for number in range(rows)]
    if signature == SERVING_DEFAULT or not (signature or has_text(batch)):
        return SERVING_DEFAULT, model.preprocess(batch, None)
    name, arrays = model.raw_request(batch)
    if signature not in (None, name):
        raise InputError(f"these inputs go to {SERVING_DEFAULT} or {name}; {signature} was asked for")
    return name, arrays


def of_signature(signature: SignatureInfo, rows: int) -> Arrays:
    """Tensors of a signature: the same ones each time, floats in [0, 1), whole numbers 0..9."""
    generator = np.random.default_rng(0)
    return {name: _values(info, rows, generator) for name, info in signature.inputs.items()}


def _values(info: TensorInfo, rows: int, generator: np.random.Generator) -> Array:
    if info.shape is None:
        raise InputError(f"the shape of {info.name} is not known; expected inputs of the model (--input)")
    shape = [
        size if size is not None else rows if axis == 0 else FREE for axis, size in enumerate(info.shape)
    ]
    if info.dtype == dtypes.STRING:
        return np.full(shape, TEXT, object)
    dtype = dtypes.find(info.dtype).numpy
    if dtype.kind in "fcV":
        return generator.random(shape, np.float32).astype(dtype)
    return generator.integers(0, 2 if dtype.kind == "b" else 10, shape).astype(dtype)
