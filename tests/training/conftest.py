"""A third model, tiny, that the jobs have never heard of, and files of a data set as they are published."""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.model import (
    Array,
    DataFile,
    Dataset,
    Entries,
    Examples,
    InputError,
    Model,
    Recipe,
    Signature,
    Splits,
    TensorSpec,
)
from training.quiet import import_tensorflow

import_tensorflow()

PLACES = np.array([[4, 0, 0], [0, 4, 0], [0, 0, 4]])


def points(seed: int) -> Splits:
    """Whole numbers around three places that are easy to tell apart."""
    generator = np.random.default_rng(seed)

    def split(count: int) -> Examples:
        labels = generator.integers(0, 3, count)
        return Examples((PLACES[labels] + generator.integers(-1, 2, (count, 3))).astype(np.int32), labels)

    return Splits(split(240), split(60))


def read_points(contents: Mapping[str, Any]) -> Splits:
    arrays = contents["points.npz"]
    if "x_train" not in arrays:
        raise InputError(f"points.npz has the arrays {sorted(arrays)}; expected x_train")
    return Splits(
        Examples(arrays["x_train"], arrays["y_train"]), Examples(arrays["x_test"], arrays["y_test"])
    )


def build(hidden: tuple[int, ...]) -> Any:
    import keras

    layers = [keras.layers.Dense(units, "relu") for units in hidden]
    return keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(3, "softmax")])


def whole_numbers(network: Any, vocabulary: Mapping[str, int] | None) -> Entries:
    import tensorflow as tf

    function = tf.function(
        lambda numbers: {"probabilities": network(tf.cast(numbers, tf.float32) / 4.0)},
        input_signature=[tf.TensorSpec([None, 3], tf.int32, name="numbers")],
    )
    return Entries({"whole_numbers": function})


def unused(*_: Any) -> Any:
    raise AssertionError("a job does not call this")


OUTPUTS = (TensorSpec("probabilities", "float32", (None, 3)),)
POINTS = Model(
    name="points",
    title="Points",
    labels=("a", "b", "c"),
    signature_specs={
        "serving_default": Signature((TensorSpec("scaled", "float32", (None, 3)),), OUTPUTS),
        "whole_numbers": Signature((TensorSpec("numbers", "int32", (None, 3)),), OUTPUTS),
    },
    preprocess=lambda inputs, _: {"scaled": np.asarray(inputs, np.float32) / np.float32(4)},
    raw_request=lambda inputs: ("whole_numbers", {"numbers": np.asarray(inputs)}),
    is_one=unused,
    read=unused,
    read_argument=unused,
    read_bytes=unused,
    show=unused,
    dataset=Dataset(
        files=(DataFile("points.npz", "http://localhost/points.npz", "sha256:" + "0" * 64),),
        read=read_points,
        sample=points,
    ),
    recipe=Recipe(
        hidden=(8,), loss="sparse_categorical_crossentropy", optimizer="rmsprop", epochs=3, batch_size=16
    ),
    build=build,
    signatures=whole_numbers,
)


@pytest.fixture
def model() -> Model:
    return POINTS


@pytest.fixture
def changed(model: Model) -> Callable[..., Model]:
    """The model with other numbers in its recipe."""
    return lambda **numbers: replace(model, recipe=model.recipe.changed(**numbers))


@pytest.fixture(autouse=True)
def text_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the log as on a plain machine, also where the tests run in a container."""
    monkeypatch.setenv("KEDGE_TRAIN_LOG_FORMAT", "text")


@pytest.fixture
def own_process() -> None:
    """Keeps `serve_in_this_process` away from a test."""


@pytest.fixture(autouse=True)
def serve_in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Try exported versions without the seconds that a new process takes to import TensorFlow."""
    if "own_process" not in request.fixturenames:
        from training import serve_once, verify

        monkeypatch.setattr(verify, "in_process_of_its_own", serve_once.answer)


def npz(**arrays: Array) -> bytes:
    """The bytes of an .npz file."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


@pytest.fixture
def points_file() -> bytes:
    """A points.npz as somebody would publish it."""
    splits = points(5)
    return npz(
        x_train=splits.train.inputs,
        y_train=splits.train.labels,
        x_test=splits.test.inputs,
        y_test=splits.test.labels,
    )


@pytest.fixture
def listing() -> Callable[[Path], list[str]]:
    """Names all that is under a directory, hidden or not."""
    return lambda directory: sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
