"""What the quality gate lets through, and what it says of the rest."""

from typing import Any

import pytest

from models import catalogue
from models.model import Model
from training import gate
from training.errors import GateError
from training.evaluate import Score


def score(accuracy: float, loss: float = 0.1) -> Score:
    return Score(loss=loss, accuracy=accuracy)


@pytest.mark.parametrize(
    "arguments",
    [
        {"min_accuracy": None},
        {"min_accuracy": 0.9},
        {"min_accuracy": None, "max_regression": 0.0},
        {"min_accuracy": None, "baseline": gate.Baseline(3, score(1.0))},
        {"min_accuracy": None, "max_regression": 0.0, "baseline": gate.Baseline(3, score(0.9))},
        {"min_accuracy": None, "max_regression": 0.01, "baseline": gate.Baseline(3, score(0.91))},
    ],
)
def test_network_that_is_exactly_good_enough_passes(arguments: Any) -> None:
    gate.check(score(0.9), **arguments)


@pytest.mark.parametrize(
    ("measured", "arguments", "reason"),
    [
        (score(0.8999), {"min_accuracy": 0.9}, "is 0.8999; --min-accuracy asks for 0.9"),
        (score(0.9, float("nan")), {"min_accuracy": None}, "is nan: the fit diverged"),
        (score(0.9, float("inf")), {"min_accuracy": None}, "is inf: the fit diverged"),
        (
            score(0.9),
            {"min_accuracy": 0.5, "max_regression": 0.01, "baseline": gate.Baseline(3, score(0.9101))},
            "that of version 3, which is served now, 0.9101; --max-regression allows 0.01 less",
        ),
    ],
)
def test_network_that_is_not_good_enough_is_refused_with_the_reason(
    measured: Score, arguments: Any, reason: str
) -> None:
    with pytest.raises(GateError) as caught:
        gate.check(measured, **arguments)
    assert str(caught.value).endswith(reason)


@pytest.mark.parametrize(("name", "least"), [("mnist", 0.97), ("imdb", 0.86)])
def test_model_states_the_least_accuracy_and_a_lower_one_on_the_sample(name: str, least: float) -> None:
    model = catalogue.find(name)
    assert gate.least_accuracy(model, None, sample=False) == least
    on_sample = gate.least_accuracy(model, None, sample=True)
    assert on_sample is not None
    assert on_sample < least


@pytest.mark.parametrize("sample", [True, False])
def test_asked_accuracy_goes_before_the_model_s(sample: bool) -> None:
    assert gate.least_accuracy(catalogue.find("mnist"), 0.0, sample=sample) == 0.0


def test_model_that_states_no_accuracy_is_asked_for_none(model: Model) -> None:
    assert gate.least_accuracy(model, None, sample=False) is None
