"""Fitting a network: every epoch is one call into a compiled graph.

Keras's `fit` returns to Python for every batch. Here the data stay in memory as tensors, and the graph loops
over the batches of an epoch itself, gathering each by its shuffled indices: the same updates by the same
optimizer at a fraction of the time. The order of an epoch depends on the seed and its number alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.evaluate import measures

EVALUATION_BATCH_SIZE = 1024


@dataclass(frozen=True)
class History:
    """Loss and accuracy by epoch, on what the network was fitted on and on what was held out, if anything."""

    loss: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    validation_accuracy: tuple[float, ...] = ()

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, with the lowest validation loss; without validation the last."""
        return 1 + int(np.argmin(self.validation_loss)) if self.validation_loss else len(self.loss)


@dataclass(frozen=True)
class Tensors:
    """Examples as the network that is fitted takes them: inputs [N, ...], and labels int64 [N]."""

    inputs: Any
    labels: Any

    def part(self, start: int, stop: int) -> Tensors:
        """Return some consecutive examples."""
        return Tensors(self.inputs[start:stop], self.labels[start:stop])


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to fit: names as Keras knows them, counts, and the seed of the shuffles."""

    loss: str
    optimizer: str
    epochs: int
    batch_size: int
    seed: int


def fit(
    network: keras.Model,
    examples: Tensors,
    settings: Settings,
    *,
    held_out: Tensors | None = None,
    advance: Callable[[str], None],
) -> History:
    """Fit the network in place and return its history; `advance` is called after every epoch."""
    run_epoch = _compile_epoch(network, examples, settings)
    validate = _compile_evaluation(network, held_out, settings.loss) if held_out else None
    count = len(examples.labels)
    rows: list[list[float]] = []
    for epoch in range(settings.epochs):
        order = np.random.default_rng([settings.seed, epoch]).permutation(count).astype(np.int32)
        rows.append([*_means(run_epoch(order)), *(_means(validate()) if validate else ())])
        advance(
            f"loss {rows[-1][-2]:.4f}, accuracy {rows[-1][-1]:.4f}" + (" (validation)" if validate else "")
        )
    return History(*(tuple(column) for column in zip(*rows, strict=True)))


def _compile_epoch(network: keras.Model, examples: Tensors, settings: Settings) -> Callable[[Any], Any]:
    """Return a function of an epoch's order, int32 [N], that fits one epoch."""
    optimizer = keras.optimizers.get(settings.optimizer)
    optimizer.build(network.trainable_variables)
    inputs, labels = tf.constant(examples.inputs), tf.constant(examples.labels)

    def step(chosen: Any) -> Any:
        with tf.GradientTape() as tape:
            probabilities = network(tf.gather(inputs, chosen), training=True)
            losses, found = measures(settings.loss, probabilities, tf.gather(labels, chosen))
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        return _totals(losses, found)

    def run_epoch(order: Any) -> Any:
        totals = tf.zeros([3])
        for start in tf.range(0, tf.size(order), settings.batch_size):
            totals += step(order[start : start + settings.batch_size])
        return totals

    return tf.function(run_epoch, input_signature=[tf.TensorSpec([None], tf.int32)])  # type: ignore[no-any-return]


def _compile_evaluation(network: keras.Model, examples: Tensors, loss: str) -> Callable[[], Any]:
    inputs, labels = tf.constant(examples.inputs), tf.constant(examples.labels)
    size = EVALUATION_BATCH_SIZE

    def evaluate() -> Any:
        totals = tf.zeros([3])
        for start in tf.range(0, tf.size(labels), size):
            probabilities = network(inputs[start : start + size], training=False)
            totals += _totals(*measures(loss, probabilities, labels[start : start + size]))
        return totals

    return tf.function(evaluate, input_signature=[])  # type: ignore[no-any-return]


def _totals(losses: Any, found: Any) -> Any:
    return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(found), tf.cast(tf.size(losses), tf.float32)])


def _means(totals: Any) -> tuple[float, float]:
    loss, found, count = totals.numpy().tolist()
    return loss / count, found / count
