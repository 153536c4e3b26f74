"""Fitting a network: many batches are one call into a compiled graph.

Keras's `fit` returns to Python for every batch. Here the data stay in memory as tensors, and the graph loops
over the batches itself, gathering each by its shuffled indices: the same updates by the same optimizer at a
fraction of the time. The order of an epoch depends on the seed and its number alone, so that a fit can be
paused between two calls and go on, to the bit, in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.model import Array
from training.evaluate import measures

EVALUATION_BATCH_SIZE = 1024
BATCHES_IN_A_CALL = 64
"""Few enough that a fit that is told to pause does so soon, and enough that Python's part costs nothing."""


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


@dataclass(frozen=True)
class Pause:
    """Where a fit is: all that it goes on from.

    `rows` are the measures of the epochs that are done, `position` the number of examples of the next that
    are, `totals` their sums of losses, of found labels and of examples, and `weights` the variables of the
    network and of its optimizer. `chosen` is the history of the first phase where this is the second.
    """

    rows: tuple[tuple[float, ...], ...] = ()
    position: int = 0
    totals: tuple[float, ...] = (0.0, 0.0, 0.0)
    weights: tuple[Array, ...] = ()
    chosen: History | None = None

    @property
    def history(self) -> History:
        """The measures of the epochs that are done."""
        return History(*(tuple(column) for column in zip(*self.rows, strict=True)))


class Paused(Exception):  # noqa: N818 (no error: somebody asked for it)
    """A fit stopped because it was asked to; `pause` is where."""

    def __init__(self, pause: Pause) -> None:
        super().__init__("the fit is paused")
        self.pause = pause


def fit(
    network: keras.Model,
    examples: Tensors,
    settings: Settings,
    *,
    held_out: Tensors | None = None,
    advance: Callable[[str], None],
    start: Pause | None = None,
    paused: Callable[[], bool] = lambda: False,
) -> Pause:
    """Fit the network in place and return where the fit ends; `advance` is called after every epoch.

    `paused` is called before each call into the graph, of BATCHES_IN_A_CALL. Where it says so the fit ends
    with Paused, and one that starts there ends as this would have.
    """
    optimizer = keras.optimizers.get(settings.optimizer)
    optimizer.build(network.trainable_variables)
    variables = [*network.variables, *optimizer.variables]
    start = start or Pause()
    _restore(variables, start.weights)
    run = _compile_batches(network, optimizer, examples, settings)
    validate = _compile_evaluation(network, held_out, settings.loss) if held_out else None
    rows, position, totals = [*start.rows], start.position, np.array(start.totals)
    count, stride = len(examples.labels), BATCHES_IN_A_CALL * settings.batch_size

    def here() -> Pause:
        weights = tuple(variable.numpy() for variable in variables)
        return Pause(tuple(rows), position, tuple(totals.tolist()), weights, start.chosen)

    for epoch in range(len(rows), settings.epochs):
        order = np.random.default_rng([settings.seed, epoch]).permutation(count).astype(np.int32)
        while position < count:
            if paused():
                raise Paused(here())
            totals = totals + run(order[position : position + stride]).numpy()
            position += stride
        rows.append((*_means(totals), *(_means(validate().numpy()) if validate else ())))
        position, totals = 0, np.zeros(3)
        advance(
            f"loss {rows[-1][-2]:.4f}, accuracy {rows[-1][-1]:.4f}" + (" (validation)" if validate else "")
        )
    return here()


def _restore(variables: Sequence[keras.Variable], weights: Sequence[Array]) -> None:
    """Put back the values that a pause holds, if it holds any."""
    if weights:
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)


def _compile_batches(
    network: keras.Model, optimizer: keras.optimizers.Optimizer, examples: Tensors, settings: Settings
) -> Callable[[Any], Any]:
    """Return a function of an order of examples, int32 [N], that fits on them batch by batch."""
    inputs, labels = tf.constant(examples.inputs), tf.constant(examples.labels)

    def step(chosen: Any) -> Any:
        with tf.GradientTape() as tape:
            probabilities = network(tf.gather(inputs, chosen), training=True)
            losses, found = measures(settings.loss, probabilities, tf.gather(labels, chosen))
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        return _totals(losses, found)

    def run(order: Any) -> Any:
        totals = tf.zeros([3])
        for start in tf.range(0, tf.size(order), settings.batch_size):
            totals += step(order[start : start + settings.batch_size])
        return totals

    return tf.function(run, input_signature=[tf.TensorSpec([None], tf.int32)])  # type: ignore[no-any-return]


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
    loss, found, count = totals.tolist()
    return loss / count, found / count
