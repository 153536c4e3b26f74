from pathlib import Path

import pytest

from serving.config_files import ModelConfig
from serving.model_state import Model
from serving.policy import All
from serving.states import State
from wire.errors import Code, StatusError


@pytest.fixture
def model() -> Model:
    """A model of two versions on disk, of which the older one has a label; nothing is loaded yet."""
    config = ModelConfig("m", Path("/m"), policy=All(), labels={"stable": 1, "gone": 7})
    made = Model("m")
    made.configure(config)
    made.found(config, {1: Path("/m/1"), 2: Path("/m/2")})
    return made


def test_start_waits_for_a_version_and_for_the_labelled_ones(model: Model) -> None:
    assert not model.settled()
    model.versions[2].state = State.AVAILABLE
    assert model.outcome() == (2, None)
    assert not model.settled()
    model.versions[1].state = State.AVAILABLE
    assert model.settled()


def test_start_does_not_wait_for_a_labelled_version_that_cannot_load(model: Model) -> None:
    model.versions[2].state = State.AVAILABLE
    model.versions[1].error = StatusError(Code.DATA_LOSS, "damaged")
    assert model.settled()


def test_start_does_not_wait_for_a_version_without_a_label(model: Model) -> None:
    model.versions[1].state = State.AVAILABLE
    assert model.settled()
