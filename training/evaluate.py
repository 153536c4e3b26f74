"""Loss and accuracy of a network on labelled examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.model import Array, Examples, Model, Vocabulary
from training.errors import DataError

BATCH_SIZE = 512
"""Instances in one run of an evaluation: multi-hot rows of 10,000 then take 20 MB."""
THRESHOLD = 0.5


@dataclass(frozen=True)
class Score:
    """Mean loss, and the share of examples whose most probable label is right.

    `outputs` is what the network gave: float32 [N, labels], or [N, 1] of the second of two labels.
    """

    loss: float
    accuracy: float
    outputs: Array = field(default_factory=lambda: np.zeros((0, 1), np.float32), compare=False, repr=False)


def measures(loss: str, probabilities: Any, labels: Any) -> tuple[Any, Any]:
    """Return the loss [N] and whether the label was found, float32 [N] of 0 and 1.

    `probabilities` is [N, labels], or [N, 1] of the second of two labels for "binary_crossentropy"; `labels`
    is int64 [N].
    """
    if loss == "binary_crossentropy":
        truth = tf.cast(labels[:, tf.newaxis], tf.float32)
        losses = keras.losses.binary_crossentropy(truth, probabilities)
        found = tf.cast(probabilities[:, 0] >= THRESHOLD, tf.int64)
    else:
        losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        found = tf.argmax(probabilities, axis=-1)
    return losses, tf.cast(tf.equal(found, labels), tf.float32)


def evaluate(
    model: Model, answer: Callable[[Any], Any], examples: Examples, vocabulary: Vocabulary | None
) -> Score:
    """Score what is served, on the tensors that a client's preprocessing makes.

    `answer` turns the tensor of `serving_default` into probabilities: a Keras model does, or a SavedModel's
    signature.
    """

    def measured(tensor: Any, labels: Any) -> tuple[Any, Any]:
        probabilities = answer(tensor)
        losses, found = measures(model.recipe.loss, probabilities, labels)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(found)]), probabilities

    (spec,) = model.signature_specs["serving_default"].inputs
    run = tf.function(
        measured,
        input_signature=[tf.TensorSpec(spec.shape, spec.dtype), tf.TensorSpec([None], tf.int64)],
        autograph=False,
    )
    if len(examples) == 0:
        raise DataError("the test split is empty; expected at least one example to evaluate on")
    loss = accuracy = 0.0
    outputs: list[Array] = []
    for batch in batches(examples, BATCH_SIZE):
        tensor = model.preprocess(batch.inputs, vocabulary)[spec.name]
        totals, probabilities = run(tensor, batch.labels)
        batch_loss, batch_found = totals.numpy().tolist()
        loss, accuracy = loss + batch_loss, accuracy + batch_found
        outputs.append(probabilities.numpy())
    return Score(loss / len(examples), accuracy / len(examples), np.concatenate(outputs))


def batches(examples: Examples, size: int) -> Iterator[Examples]:
    """Cut examples into consecutive batches."""
    for start in range(0, len(examples), size):
        yield Examples(examples.inputs[start : start + size], examples.labels[start : start + size])
