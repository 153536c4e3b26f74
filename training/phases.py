"""A model's network, fitted as its recipe says: in one phase, or in two with a choice of epochs between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from models.model import Model, Splits
from training.errors import DataError
from training.fit import History, Pause, Settings, Tensors, fit
from training.progress import Progress

LARGEST_SHARE = (2, 5)
"""Of a small set at most this share is held out: that of the source, 10,000 of 25,000."""


@dataclass(frozen=True)
class Fitted:
    """A network to export: how many epochs it was fitted for, and the history that this number rests on.

    `end` is where the fit ended: one that starts there has nothing left to do.
    """

    network: keras.Model
    epochs: int
    history: History
    held_out: int
    end: Pause

    @property
    def best_epoch(self) -> int:
        """The epoch of the history with the lowest validation loss, or its last."""
        return self.history.best_epoch


def fit_network(
    model: Model,
    splits: Splits,
    seed: int,
    progress: Progress,
    *,
    start: Pause | None = None,
    paused: Callable[[], bool] = lambda: False,
) -> Fitted:
    """Fit a new network by the model's recipe; see `models.model.Recipe`.

    It goes on from `start` where there is one. Raises Paused soon after `paused` says so.
    """
    recipe, examples, start = model.recipe, _tensors(model, splits), start or Pause()
    count = len(splits.train)
    held_out = min(recipe.validation, count * LARGEST_SHARE[0] // LARGEST_SHARE[1])

    def run(
        title: str, epochs: int, examples: Tensors, start: Pause, held_out: Tensors | None = None
    ) -> tuple[keras.Model, Pause]:
        network = unfitted(model, seed)
        settings = Settings(
            loss=recipe.loss,
            optimizer=recipe.optimizer,
            epochs=epochs,
            batch_size=recipe.batch_size,
            seed=seed,
        )
        with progress.steps(f"{model.name}: {title}", epochs, done=len(start.rows)) as advance:
            return network, fit(
                network, examples, settings, held_out=held_out, advance=advance, start=start, paused=paused
            )

    if not held_out:
        network, end = run("epoch", recipe.epochs, examples, start)
        return Fitted(_exportable(model, network, seed), len(end.rows), end.history, held_out, end)
    chosen = start.chosen
    if chosen is None:
        fitted_on, validated_on = examples.part(held_out, count), examples.part(0, held_out)
        _, end = run("phase 1, epoch", recipe.epochs, fitted_on, start, validated_on)
        chosen = end.history
        progress.line(f"{model.name}: the validation loss was lowest at epoch {chosen.best_epoch}")
        start = Pause(chosen=chosen)
    network, end = run("phase 2, epoch", chosen.best_epoch, examples, start)
    return Fitted(_exportable(model, network, seed), len(end.rows), chosen, held_out, end)


def unfitted(model: Model, seed: int) -> keras.Model:
    """Build a network of the kind that is fitted; its weights follow from the seed alone."""
    return _seeded(model.fit_form.build if model.fit_form else model.build, model.recipe.hidden, seed)


def _tensors(model: Model, splits: Splits) -> Tensors:
    """Return the training split as the network that is fitted takes it."""
    train = splits.train
    if len(train) == 0:
        raise DataError("the training split is empty; expected at least one example to fit on")
    if model.fit_form:
        return Tensors(model.fit_form.inputs(train.inputs), train.labels)
    (spec,) = model.signature_specs["serving_default"].inputs
    return Tensors(model.preprocess(train.inputs, splits.vocabulary)[spec.name], train.labels)


def _exportable(model: Model, fitted: keras.Model, seed: int) -> keras.Model:
    if model.fit_form is None:
        return fitted
    network = _seeded(model.build, model.recipe.hidden, seed)
    model.fit_form.transfer(fitted, network)
    return network


def _seeded(
    build: Callable[[tuple[int, ...]], keras.Model], hidden: tuple[int, ...], seed: int
) -> keras.Model:
    """Build a network whose initial weights follow from the seed alone."""
    keras.utils.set_random_seed(seed)
    return build(hidden)
