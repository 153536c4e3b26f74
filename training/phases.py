"""A model's network, fitted as its recipe says: in one phase, or in two with a choice of epochs between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras

from models.model import Model, Splits
from training.errors import DataError
from training.fit import History, Settings, Tensors, fit
from training.progress import Progress

LARGEST_SHARE = (2, 5)
"""Of a small set at most this share is held out: that of the source, 10,000 of 25,000."""


@dataclass(frozen=True)
class Fitted:
    """A network to export: how many epochs it was fitted for, and the history that this number rests on."""

    network: keras.Model
    epochs: int
    history: History
    held_out: int

    @property
    def best_epoch(self) -> int:
        """The epoch of the history with the lowest validation loss, or its last."""
        return self.history.best_epoch


def fit_network(model: Model, splits: Splits, seed: int, progress: Progress) -> Fitted:
    """Fit a new network by the model's recipe. See `models.model.Recipe`."""
    recipe = model.recipe
    examples = _tensors(model, splits)
    count = len(splits.train)
    held_out = min(recipe.validation, count * LARGEST_SHARE[0] // LARGEST_SHARE[1])
    settings = Settings(
        loss=recipe.loss,
        optimizer=recipe.optimizer,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        seed=seed,
    )
    build = model.fit_form.build if model.fit_form else model.build

    def run(title: str, settings: Settings, examples: Tensors, held_out: Tensors | None = None) -> Fitted:
        network = _seeded(build, recipe.hidden, seed)
        with progress.steps(f"{model.name}: {title}", settings.epochs) as advance:
            history = fit(network, examples, settings, held_out=held_out, advance=advance)
        return Fitted(network, settings.epochs, history, 0 if held_out is None else len(held_out.labels))

    if held_out:
        chosen = run("phase 1, epoch", settings, examples.part(held_out, count), examples.part(0, held_out))
        progress.line(f"{model.name}: the validation loss was lowest at epoch {chosen.best_epoch}")
        final = run("phase 2, epoch", replace(settings, epochs=chosen.best_epoch), examples)
        fitted = replace(chosen, network=final.network, epochs=final.epochs)
    else:
        fitted = run("epoch", settings, examples)
    return replace(fitted, network=_exportable(model, recipe.hidden, fitted.network, seed))


def _tensors(model: Model, splits: Splits) -> Tensors:
    """Return the training split as the network that is fitted takes it."""
    train = splits.train
    if len(train) == 0:
        raise DataError("the training split is empty; expected at least one example to fit on")
    if model.fit_form:
        return Tensors(model.fit_form.inputs(train.inputs), train.labels)
    (spec,) = model.signature_specs["serving_default"].inputs
    return Tensors(model.preprocess(train.inputs, splits.vocabulary)[spec.name], train.labels)


def _exportable(model: Model, hidden: tuple[int, ...], fitted: keras.Model, seed: int) -> keras.Model:
    if model.fit_form is None:
        return fitted
    network = _seeded(model.build, hidden, seed)
    model.fit_form.transfer(fitted, network)
    return network


def _seeded(
    build: Callable[[tuple[int, ...]], keras.Model], hidden: tuple[int, ...], seed: int
) -> keras.Model:
    """Build a network whose initial weights follow from the seed alone."""
    keras.utils.set_random_seed(seed)
    return build(hidden)
