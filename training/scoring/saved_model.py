"""Answers from a version of the model store, in this process.

Texts and files go to the signature that takes them, as only the SavedModel has the vocabulary of its weights;
all else is preprocessed in bulk for serving_default, which is several times faster than in the graph.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.model import Array, InputError, Inputs, Model, Reading
from training import store
from training.errors import StoreError
from training.scoring.cells import one_line

DEFAULT = "serving_default"


def find_version(model: Model, model_store: Path, version: int | None) -> int:
    """Return the version asked for, or the newest; raise StoreError where there is none."""
    there = store.versions(model_store / model.name)
    if not there:
        raise StoreError(
            f"{model_store} has no version of {model.name}; train one with `kedge train {model.name}`, or"
            " name another store with --model-store"
        )
    if version is None:
        return there[-1]
    if version not in there:
        raise StoreError(
            f"{model_store} has no version {version} of {model.name}; it has {', '.join(map(str, there))}"
        )
    return version


class SavedModel:
    """A version that is loaded."""

    def __init__(self, model: Model, model_store: Path, version: int) -> None:
        import tensorflow as tf

        path = model_store / model.name / str(version)
        try:
            self._loaded = tf.saved_model.load(os.fspath(path))
            self._signatures: Mapping[str, Any] = self._loaded.signatures
        except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
            raise StoreError(f"{path} cannot be loaded: {one_line(error)}") from error
        self._model, self._tf, self._version = model, tf, version

    @property
    def version(self) -> int:
        """The version that is loaded."""
        return self._version

    def predict(self, inputs: Inputs) -> list[Reading]:
        """Answer raw inputs in one batch."""
        name, arrays = self._request(inputs)
        tf = self._tf
        try:
            tensors = {key: tf.constant(array) for key, array in arrays.items()}
            outputs = self._signatures[name](**tensors)
        except tf.errors.InvalidArgumentError as error:
            raise InputError(f"the model refused it: {_assertion(error)}") from error
        return self._model.read({key: tensor.numpy() for key, tensor in outputs.items()})

    def close(self) -> None:
        """Nothing is held that a process must give back."""

    def _request(self, inputs: Inputs) -> tuple[str, dict[str, Array]]:
        if not isinstance(inputs, list) or not isinstance(inputs[0], (str, bytes)):
            return DEFAULT, self._model.preprocess(inputs, None)
        name, arrays = self._model.raw_request(inputs)
        if name not in self._signatures:
            raise StoreError(
                f"version {self._version} of {self._model.name} takes no texts: it has the signatures"
                f" {', '.join(sorted(self._signatures))} and not {name}"
            )
        return name, arrays


def _assertion(error: Exception) -> str:
    """Return the first lines of what TensorFlow says: further ones tell where in the graph it was."""
    return " ".join(str(getattr(error, "message", error)).split("\n\n")[0].split())[:300]
