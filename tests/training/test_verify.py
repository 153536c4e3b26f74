"""A version is tried in a process of its own, and its answers are held against those of the network."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.model import Model
from training import export, verify, warm_up
from training.errors import GateError


@pytest.fixture
def exported(model: Model, tmp_path: Path) -> tuple[Path, list[warm_up.Answer]]:
    """A version as a job stages it, and the network's answers to its warm-up requests."""
    splits = model.dataset.sample(0)
    entries = export.export(model, model.build((4,)), None, tmp_path)
    (tmp_path / "assets.extra").mkdir()
    answers = warm_up.write(tmp_path / "assets.extra" / warm_up.FILE, model, entries, splits)
    return tmp_path, answers


def test_every_signature_of_a_good_version_is_answered_alike(
    model: Model, exported: tuple[Path, list[warm_up.Answer]]
) -> None:
    directory, answers = exported
    assert {signature for signature, _ in answers} == set(model.signature_specs)
    verify.verify(directory, answers)


def other(answers: list[warm_up.Answer], change: Callable[[Any], Any]) -> list[warm_up.Answer]:
    """The answers with a change in the last one."""
    signature, outputs = answers[-1]
    return [*answers[:-1], (signature, {name: change(array) for name, array in outputs.items()})]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda array: array + np.float32(1e-3), "probabilities, which is off by 0.001, of signature"),
        (lambda array: array[:, :2], r"float32\[16, 3\] in place of float32\[16, 2\] for probabilities"),
        (lambda array: array.astype(np.float64), r"in place of float64\[16, 3\]"),
    ],
)
def test_answer_that_differs_from_the_network_s_is_refused(
    exported: tuple[Path, list[warm_up.Answer]], change: Callable[[Any], Any], reason: str
) -> None:
    directory, answers = exported
    with pytest.raises(GateError, match=f"does not answer as the network: .*{reason}"):
        verify.verify(directory, other(answers, change))


def test_outputs_of_other_names_are_refused(exported: tuple[Path, list[warm_up.Answer]]) -> None:
    directory, answers = exported
    renamed = [
        (signature, dict(zip(["other"], outputs.values(), strict=True))) for signature, outputs in answers
    ]
    with pytest.raises(GateError, match=r"the outputs \['probabilities'\] in place of \['other'\]"):
        verify.verify(directory, renamed)


def test_missing_answer_is_refused(exported: tuple[Path, list[warm_up.Answer]]) -> None:
    directory, answers = exported
    with pytest.raises(GateError, match="answered 6 of 7 warm-up requests"):
        verify.verify(directory, [*answers, answers[0]])


@pytest.mark.usefixtures("own_process")
def test_version_is_loaded_in_another_process(
    exported: tuple[Path, list[warm_up.Answer]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From any working directory; and what fails there is one line here."""
    directory, answers = exported
    monkeypatch.chdir(os.sep)
    verify.verify(directory, answers)
    (directory / "saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(GateError, match=r"the exported version cannot be served: .*saved_model") as caught:
        verify.verify(directory, answers)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("own_process")
def test_version_that_does_not_answer_in_time_is_refused(
    exported: tuple[Path, list[warm_up.Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "TIMEOUT", 0.01)
    with pytest.raises(GateError, match=r"did not answer within 0\.01 seconds"):
        verify.verify(*exported)
