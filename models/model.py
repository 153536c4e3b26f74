"""What a model is: its name, its tensors, its preprocessing, its labels, its network and its data.

Everything else in the project (jobs, versions, serving, clients, metrics) works from this description and
knows no model by name. A model is one module of this package with a constant `MODEL`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Vocabulary = Mapping[str, int]
"""Words and their ranks: 1 is the most frequent."""


class InputError(ValueError):
    """What was given is not an input of the model; the message says what came and what is expected."""

    exit_code = 3


@dataclass(frozen=True, eq=False)
class RaggedArray:
    """Rows of integers of unequal length, held as two arrays.

    `values` [total] holds all rows one after the other; row i is `values[row_splits[i]:row_splits[i + 1]]`,
    with `row_splits` int64 [rows + 1]. An integer index gives one row, a slice another RaggedArray; both are
    views. In a data set an object array of lists of integers is handed over in this form.
    """

    values: Array
    row_splits: NDArray[np.int64]

    def __post_init__(self) -> None:
        values, splits = self.values, self.row_splits
        if values.ndim != 1 or values.dtype.kind != "i":
            raise InputError(f"ragged values are {values.dtype}{list(values.shape)}; expected signed [total]")
        if splits.ndim != 1 or splits.dtype.kind not in "iu" or splits.size == 0:
            raise InputError(f"row splits are {splits.dtype}{list(splits.shape)}; expected [rows + 1]")
        if splits[0] != 0 or splits[-1] != values.size or np.any(splits[1:] < splits[:-1]):
            raise InputError(f"row splits do not rise from 0 to the number of values, {values.size}")

    @classmethod
    def of(cls, rows: Sequence[Array]) -> RaggedArray:
        """Join rows, each an integer array [length]."""
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        values = np.concatenate(rows) if len(rows) else np.zeros(0, np.int32)
        return cls(values, np.concatenate([[0], np.cumsum(lengths)]))

    def __len__(self) -> int:
        return len(self.row_splits) - 1

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> RaggedArray: ...
    def __getitem__(self, index: int | np.integer[Any] | slice) -> Array | RaggedArray:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise InputError(f"rows were asked for in steps of {step}; expected 1")
            splits = self.row_splits[start : max(start, stop) + 1]
            return RaggedArray(self.values[splits[0] : splits[-1]], splits - splits[0])
        row = range(len(self))[index]
        return self.values[self.row_splits[row] : self.row_splits[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of values in each row, int64 [rows]."""
        return np.diff(self.row_splits)

    @property
    def row_of_value(self) -> NDArray[np.int64]:
        """The row that each value is in, int64 [total]."""
        return np.repeat(np.arange(len(self)), self.lengths)


Inputs = Sequence[Any] | Array | RaggedArray
"""Raw inputs: what a person has, before preprocessing. Several, or one alone."""
BulkRequest = Callable[[Inputs], Sequence[Any]]
"""Turns raw inputs into the arguments of the function `bulk` of a SavedModel (`Entries`)."""


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


class Reading(NamedTuple):
    """The answer for one instance: the most probable label, its probability, and every label's."""

    label: str
    probability: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Examples:
    """Raw inputs, one per row of `inputs`, with `labels` int64 [N], an index into the model's labels each."""

    inputs: Array | RaggedArray
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels):
            raise InputError(
                f"{len(self.inputs)} inputs came with {len(self.labels)} labels; expected as many"
            )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """A data set as loaded: what to fit on, what to test on, and the vocabulary where inputs are words."""

    train: Examples
    test: Examples
    vocabulary: Vocabulary | None = None


@dataclass(frozen=True)
class DataFile:
    """A file of a data set: its name in the data directory and where it comes from.

    `checksum` is that of the file at `url`, with its algorithm: "sha256:..." or "md5:...", as its publisher
    states it.
    """

    name: str
    url: str
    checksum: str


@dataclass(frozen=True)
class Dataset:
    """Where the data of a model come from.

    `read` turns the contents of `files`, by name (an .npz file as a mapping of its arrays, an object array
    of lists of integers in it as a RaggedArray, a .json file as what it holds), into splits, or raises
    InputError. `sample` makes a small synthetic set of the same shape; the same seed gives the same set.
    """

    files: tuple[DataFile, ...]
    read: Callable[[Mapping[str, Any]], Splits]
    sample: Callable[[int], Splits]


@dataclass(frozen=True)
class Recipe:
    """How the network is fitted.

    With `validation` = 0 the network is fitted once, for `epochs`. With `validation` = n the first n training
    examples, or the first two fifths where that is fewer (a sample), are held out while a first network is
    fitted for `epochs`; then a new one is fitted on all examples for the number of epochs at which the
    validation loss was lowest.

    Below `min_accuracy` on the test set a network is not published, below `sample_min_accuracy` if it was
    fitted on the synthetic sample; None asks for nothing.
    """

    hidden: tuple[int, ...]
    loss: Literal["sparse_categorical_crossentropy", "binary_crossentropy"]
    optimizer: str
    epochs: int
    batch_size: int
    validation: int = 0
    min_accuracy: float | None = None
    sample_min_accuracy: float | None = None

    def changed(self, **numbers: Any) -> Recipe:
        """Return the recipe with other numbers; None keeps the recipe's own."""
        return replace(self, **{name: value for name, value in numbers.items() if value is not None})


@dataclass(frozen=True)
class FitForm:
    """Another form of a model's network, the same mathematics, that is faster to fit.

    `build(hidden)` makes it, `inputs` its inputs from raw ones, in a form that Keras's `fit` and `evaluate`
    take, and `transfer(fitted, built)` copies the fitted weights into the network that is exported.
    """

    build: Callable[[tuple[int, ...]], keras.Model]
    inputs: Callable[[Inputs], Any]
    transfer: Callable[[keras.Model, keras.Model], None]


@dataclass(frozen=True)
class Entries:
    """Entries of a SavedModel: by name a tf.function with its input signature, giving a dict of tensors.

    `tracked` is what they use besides the network's weights, such as tables: TensorFlow saves what it tracks.
    `bulk` and `vocabulary` are functions for batch jobs, saved beside the signatures, which no server offers:
    the first takes what the model's `bulk_request` makes, in that order, and gives the outputs of
    serving_default; the second gives `words` string [V] and `ranks` int64 [V].
    """

    functions: Mapping[str, Any] = field(default_factory=dict)
    tracked: Sequence[Any] = ()
    bulk: Any = None
    vocabulary: Any = None


class Show(Protocol):
    """A function that turns one raw input into a few lines for a terminal."""

    def __call__(self, instance: Any, vocabulary: Vocabulary | None = None) -> str:
        """Show token ids as words where there is a vocabulary."""
        ...


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model of the catalogue.

    For clients. `preprocess(inputs, vocabulary)` takes raw inputs (images; reviews as texts or token ids) and
    returns the tensors of `serving_default`, one row each; the vocabulary is needed for texts only.
    `raw_request` gives the further signature that takes the same inputs as they are, and its tensors, for a
    server that does the preprocessing itself. Both raise InputError, and both take one input alone as a
    batch of one; `is_one` tells which it is. `read` takes the outputs of any signature and returns one
    Reading a row. `read_argument` turns a word of the command line into raw inputs (the path of a file into
    its images, a text into itself), `read_bytes(data, source)` the contents of a file or of standard input,
    named in messages by `source`, and `show` one raw input into a few lines for a terminal.

    For training. `source_accuracy` is the accuracy on the test set that the recipe's source states (0..1).
    `build(hidden)` makes the network that is exported: a Keras model from the tensor of
    `serving_default` to its output. `fit_form`, where there is one, is another form of the same network that
    is faster to fit. `signatures(network, vocabulary)`, where there is one, makes the entries of the
    SavedModel besides `serving_default`. `bulk_request(vocabulary)`, where there is one, prepares batches for
    its function `bulk`, which answers many rows faster than a signature can.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    signature_specs: Mapping[str, Signature]
    preprocess: Callable[[Inputs, Vocabulary | None], dict[str, Array]]
    raw_request: Callable[[Inputs], tuple[str, dict[str, Array]]]
    is_one: Callable[[Any], bool]
    read: Callable[[Arrays], list[Reading]]
    read_argument: Callable[[str], Any]
    read_bytes: Callable[[bytes, str], Inputs]
    show: Show
    dataset: Dataset
    recipe: Recipe
    source_accuracy: float | None = None
    build: Callable[[tuple[int, ...]], keras.Model]
    fit_form: FitForm | None = None
    signatures: Callable[[keras.Model, Vocabulary | None], Entries] | None = None
    bulk_request: Callable[[Vocabulary | None], BulkRequest] | None = None
