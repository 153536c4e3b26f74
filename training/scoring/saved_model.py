"""Answers from a version of the model store, in this process.

Preprocessing in bulk is several times faster than in the graph. So where the version has the function for
batch jobs, and for texts its vocabulary, that is asked; else texts and files go to the signature that takes
them, and all else, preprocessed, to serving_default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.model import Array, InputError, Inputs, Model, Reading, Vocabulary
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
        bulk = getattr(self._loaded, "bulk", None) if model.bulk_request else None
        # Called as it is saved: to find it among possible traces costs as much as half of its work.
        self._bulk = None if bulk is None else bulk.concrete_functions[0]
        vocabulary = _vocabulary(self._loaded)
        self._takes_texts = vocabulary is not None
        self._bulk_request = model.bulk_request(vocabulary) if model.bulk_request else None

    @property
    def version(self) -> int:
        """The version that is loaded."""
        return self._version

    def predict(self, inputs: Inputs) -> list[Reading]:
        """Answer raw inputs in one batch."""
        try:
            outputs = self._ask(inputs)
        except self._tf.errors.InvalidArgumentError as error:
            raise InputError(f"the model refused it: {_assertion(error)}") from error
        return self._model.read({key: tensor.numpy() for key, tensor in outputs.items()})

    def close(self) -> None:
        """Nothing is held that a process must give back."""

    def _ask(self, inputs: Inputs) -> Mapping[str, Any]:
        constant, texts = self._tf.constant, isinstance(inputs, list) and isinstance(inputs[0], (str, bytes))
        if self._bulk is not None and self._bulk_request is not None and (self._takes_texts or not texts):
            outputs: Mapping[str, Any] = self._bulk(*map(constant, self._bulk_request(inputs)))
            return outputs
        name, arrays = self._raw(inputs) if texts else (DEFAULT, self._model.preprocess(inputs, None))
        return self._signatures[name](**{key: constant(array) for key, array in arrays.items()})  # type: ignore[no-any-return]

    def _raw(self, inputs: Inputs) -> tuple[str, dict[str, Array]]:
        name, arrays = self._model.raw_request(inputs)
        if name not in self._signatures:
            raise StoreError(
                f"version {self._version} of {self._model.name} takes no texts: it has the signatures"
                f" {', '.join(sorted(self._signatures))} and not {name}"
            )
        return name, arrays


def _vocabulary(loaded: Any) -> Vocabulary | None:
    """Return the words and ranks that a version was fitted with, if it tells them."""
    read = getattr(loaded, "vocabulary", None)
    if read is None:
        return None
    found = {name: tensor.numpy().tolist() for name, tensor in read().items()}
    return {word.decode(): rank for word, rank in zip(found["words"], found["ranks"], strict=True)}


def _assertion(error: Exception) -> str:
    """Return the first lines of what TensorFlow says: further ones tell where in the graph it was."""
    return " ".join(str(getattr(error, "message", error)).split("\n\n")[0].split())[:300]
