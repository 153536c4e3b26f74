"""What a model is: its name, its tensors, its preprocessing, its labels, its network and its data.

Everything else in the project (jobs, versions, serving, clients, metrics) works from this description and
knows no model by name. A model is one module of this package with a constant `MODEL`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Array = NDArray[Any]
Arrays = Mapping[str, Array]


class InputError(ValueError):
    """What was given is not an input of the model; the message says what came and what is expected."""

    exit_code = 3


@dataclass(frozen=True)
class TensorSpec:
    """One named tensor of a signature.

    `dtype` is NumPy's name for it, or "string"; `shape` has None where the size is free, the batch
    dimension first.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Signature:
    """The tensors that one entry of the SavedModel takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Reading:
    """The answer for one instance: the most probable label, its probability, and every label's."""

    label: str
    probability: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Examples:
    """Raw inputs, one per row of `inputs`, with `labels` int64 [N], an index into the model's labels each."""

    inputs: Array
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Splits:
    """A data set as loaded: what to fit on, what to test on, and the vocabulary where inputs are words."""

    train: Examples
    test: Examples
    vocabulary: Mapping[str, int] | None = None


@dataclass(frozen=True)
class DataFile:
    """A file of a data set: its name in the data directory, where it comes from, and its SHA-256."""

    name: str
    url: str
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """Where the data of a model come from.

    `read` turns the contents of `files`, by name (an .npz file as a mapping of its arrays, a .json file as
    what it holds), into splits, or raises InputError. `sample` makes a small synthetic set of the same
    shape; the same seed gives the same set.
    """

    files: tuple[DataFile, ...]
    read: Callable[[Mapping[str, Any]], Splits]
    sample: Callable[[int], Splits]


@dataclass(frozen=True)
class Recipe:
    """How the network is fitted.

    With `validation` = 0 the network is fitted once, for `epochs`. With `validation` = n the first n training
    examples are held out while a first network is fitted for `epochs`; then a new one is fitted on all
    examples for the number of epochs at which the validation loss was lowest.
    """

    hidden: tuple[int, ...]
    loss: Literal["sparse_categorical_crossentropy", "binary_crossentropy"]
    optimizer: str
    epochs: int
    batch_size: int
    validation: int = 0


@dataclass(frozen=True)
class FitForm:
    """Another form of a model's network, the same mathematics, that is faster to fit.

    `build(hidden)` makes it, `inputs` its inputs from raw ones, and `transfer(fitted, built)` copies the
    fitted weights into the network that is exported.
    """

    build: Callable[[tuple[int, ...]], keras.Model]
    inputs: Callable[[Array], Any]
    transfer: Callable[[keras.Model, keras.Model], None]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model of the catalogue.

    `preprocess(inputs, vocabulary)` takes raw inputs (images; reviews as texts or token ids) and returns the
    tensors of `serving_default`, one row each; it raises InputError. The vocabulary (word to rank) is needed
    for texts only. `raw_request` gives the further signature that takes the same inputs as they are, and its
    tensors, for a server that does the preprocessing itself. `read` takes the outputs of any signature and
    returns one Reading a row. `read_argument` turns a word of the command line into a raw input (the path of a
    file into an image, a text into itself), and `show` a raw input into a few lines for a terminal.

    `build(hidden)` makes the network that is exported: a Keras model from the tensor of `serving_default` to
    its output. `fit_form`, where there is one, is another form of the same network that is faster to fit.
    `signatures` makes the further entries of the SavedModel from the built network, by name, given the
    vocabulary of its data.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    signature_specs: Mapping[str, Signature]
    preprocess: Callable[[Sequence[Any] | Array, Mapping[str, int] | None], dict[str, Array]]
    raw_request: Callable[[Sequence[Any] | Array], tuple[str, dict[str, Array]]]
    read: Callable[[Arrays], list[Reading]]
    read_argument: Callable[[str], Any]
    show: Callable[[Any], str]
    dataset: Dataset
    recipe: Recipe
    build: Callable[[tuple[int, ...]], keras.Model]
    fit_form: FitForm | None = None
    signatures: Callable[[keras.Model, Mapping[str, int] | None], dict[str, Any]]
