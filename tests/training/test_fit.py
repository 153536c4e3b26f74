"""What fitting promises: Keras's own updates, the same weights from the same seed, honest histories."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from models import catalogue
from models.model import Examples, Model, Splits
from training.errors import DataError
from training.fit import History, Settings, Tensors, fit
from training.phases import Fitted, fit_network
from training.progress import Silent

SETTINGS = Settings(
    loss="sparse_categorical_crossentropy", optimizer="rmsprop", epochs=3, batch_size=16, seed=0
)


def ignore(_: str) -> None:
    """Takes the note of an epoch."""


@pytest.fixture
def examples(model: Model) -> Tensors:
    split = model.dataset.sample(0).train
    return Tensors(model.preprocess(split.inputs, None)["scaled"], split.labels)


def network(model: Model, seed: int = 0) -> Any:
    keras.utils.set_random_seed(seed)
    return model.build((8,))


def run(model: Model, *, seed: int = 0, **changes: Any) -> Fitted:
    changed = replace(model, recipe=model.recipe.changed(**changes))
    return fit_network(changed, model.dataset.sample(0), seed, Silent())


def equal(first: Any, second: Any) -> bool:
    return all(map(np.array_equal, first.get_weights(), second.get_weights()))


def test_epochs_make_the_updates_of_keras_fit(model: Model, examples: Tensors) -> None:
    """The same batches through Keras's train_on_batch end in the same weights."""
    ours, theirs = network(model), network(model)
    fit(ours, examples, SETTINGS, advance=ignore)
    theirs.compile("rmsprop", "sparse_categorical_crossentropy")
    for epoch in range(SETTINGS.epochs):
        order = np.random.default_rng([0, epoch]).permutation(len(examples.labels))
        for start in range(0, len(order), SETTINGS.batch_size):
            chosen = order[start : start + SETTINGS.batch_size]
            theirs.train_on_batch(examples.inputs[chosen], examples.labels[chosen])
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_validation_history_is_what_keras_evaluates(model: Model, examples: Tensors) -> None:
    fitted = network(model)
    held_out = examples.part(0, 60)
    history = fit(fitted, examples.part(60, 240), SETTINGS, held_out=held_out, advance=ignore).history
    fitted.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = fitted.evaluate(examples.inputs[:60], examples.labels[:60], verbose=0)
    assert history.validation_loss[-1] == pytest.approx(loss, abs=1e-5)
    assert history.validation_accuracy[-1] == pytest.approx(accuracy)


def test_history_has_a_value_for_every_epoch_and_improves(model: Model, examples: Tensors) -> None:
    notes: list[str] = []
    history = fit(network(model), examples, replace(SETTINGS, epochs=5), advance=notes.append).history
    assert len(history.loss) == len(history.accuracy) == len(notes) == 5
    assert history.loss[-1] < history.loss[0]
    assert history.validation_loss == ()


def test_batch_size_that_does_not_divide_the_examples_uses_all_of_them(
    model: Model, examples: Tensors
) -> None:
    """The mean over an epoch is over examples, not over batches: with no learning it is the exact loss."""
    fixed = network(model)
    settings = replace(SETTINGS, epochs=1, batch_size=1000)
    history = fit(fixed, examples.part(0, 100), settings, advance=ignore).history
    expected = network(model)
    expected.compile("rmsprop", "sparse_categorical_crossentropy")
    loss = expected.evaluate(examples.inputs[:100], examples.labels[:100], verbose=0)
    assert history.loss[0] == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize(
    ("losses", "best"), [((0.5, 0.3, 0.4), 2), ((0.3, 0.3), 1), ((3.0, 2.0, 1.0), 3), ((), 4)]
)
def test_best_epoch_is_the_first_of_lowest_validation_loss(losses: tuple[float, ...], best: int) -> None:
    assert History(loss=(1.0,) * 4, validation_loss=losses).best_epoch == best


@pytest.mark.parametrize("name", ["mnist", "imdb"])
def test_same_seed_gives_the_same_weights_to_the_bit(name: str) -> None:
    model = catalogue.find(name)
    first, again = (run(model, seed=7, epochs=2, hidden=(16, 16)) for _ in range(2))
    assert equal(first.network, again.network)
    assert first.history == again.history


def test_another_seed_gives_other_weights(model: Model) -> None:
    assert not equal(run(model, seed=1).network, run(model, seed=2).network)


@pytest.mark.parametrize("hidden", [(4,), (16, 16), (5, 6, 7)])
def test_hidden_sets_the_number_of_layers_and_their_units(model: Model, hidden: tuple[int, ...]) -> None:
    kernels = [weight.shape for weight in run(model, hidden=hidden).network.get_weights()[::2]]
    assert kernels == list(zip((3, *hidden), (*hidden, 3), strict=True))


def test_second_phase_fits_a_new_network_on_everything_for_the_best_number_of_epochs(model: Model) -> None:
    both = run(model, epochs=6, validation=50, batch_size=8)
    assert both.held_out == 50
    assert len(both.history.validation_loss) == 6
    assert both.epochs == both.best_epoch == 1 + int(np.argmin(both.history.validation_loss))
    alone = run(model, epochs=both.epochs, batch_size=8)
    assert equal(both.network, alone.network)


def test_small_set_holds_out_two_fifths_at_most(model: Model) -> None:
    assert run(model, validation=10_000).held_out == 96


def test_set_of_one_example_is_fitted_without_validation(model: Model) -> None:
    one = Examples(np.array([[4, 0, 0]], np.int32), np.array([0]))
    held_out = replace(model, recipe=model.recipe.changed(validation=10))
    assert fit_network(held_out, Splits(one, one), 0, Silent()).held_out == 0


def test_empty_training_split_is_a_data_error(model: Model) -> None:
    none = Examples(np.zeros((0, 3), np.int32), np.zeros(0, np.int64))
    with pytest.raises(DataError, match="training split is empty"):
        fit_network(model, Splits(none, none), 0, Silent())


def test_fit_form_ends_in_a_network_with_the_same_answers() -> None:
    """IMDB is fitted on tokens and exported on multi-hot rows: the history's last line must hold for both."""
    model = catalogue.find("imdb")
    splits = model.dataset.sample(0)
    fitted = fit_network(replace(model, recipe=model.recipe.changed(epochs=1)), splits, 0, Silent())
    assert fitted.network.input_shape == (None, 10_000)
    assert model.fit_form is not None
    on_tokens = model.fit_form.build((16, 16))
    on_tokens.set_weights(fitted.network.get_weights())
    few = splits.test.inputs[:32]
    expected = fitted.network.predict_on_batch(model.preprocess(few, None)["multi_hot"])
    np.testing.assert_allclose(on_tokens.predict_on_batch(model.fit_form.inputs(few)), expected, atol=1e-6)
