"""Which version a new one is held against."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from training.report import baseline


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., Path]:
    """Writes versions with a kedge.json that tells their number; returns the model's directory."""

    def write(*versions: int) -> Path:
        for version in versions:
            directory = tmp_path / "points" / str(version) / "assets.extra"
            directory.mkdir(parents=True)
            (directory / "kedge.json").write_text(json.dumps({"version": version}))
        return tmp_path / "points"

    return write


def label(store: Path, model: str, **labels: int) -> None:
    lines = "".join(
        f'version_labels {{ key: "{name}" value: {version} }}' for name, version in labels.items()
    )
    config = f'model_config_list {{ config {{ name: "{model}" base_path: "/m" {lines} }} }}'
    (store / "models.config").write_text(config)


def test_without_labels_it_is_the_newest(publish: Callable[..., Path]) -> None:
    assert baseline.find(publish(1, 9, 10)) == baseline.Baseline(10, False, {"version": 10})


def test_version_labelled_stable_goes_before_the_newest(publish: Callable[..., Path]) -> None:
    base = publish(1, 2, 3)
    label(base.parent, "points", stable=2, canary=3)
    assert baseline.find(base) == baseline.Baseline(2, True, {"version": 2})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda base: label(base.parent, "points", canary=1),
        lambda base: label(base.parent, "points", stable=99),
        lambda base: label(base.parent, "others", stable=1),
        lambda base: (base.parent / "models.config").write_bytes(b"\xff not a config {"),
    ],
)
def test_label_that_does_not_tell_leaves_the_newest(
    publish: Callable[..., Path], spoil: Callable[[Path], None]
) -> None:
    base = publish(1, 2)
    spoil(base)
    found = baseline.find(base)
    assert found is not None
    assert (found.version, found.labelled) == (2, False)


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"{}"])
def test_version_of_another_program_is_none_to_compare_with(
    publish: Callable[..., Path], content: bytes
) -> None:
    base = publish(1)
    (base / "1" / "assets.extra" / "kedge.json").write_bytes(content)
    assert baseline.find(base) is None


def test_empty_store_has_none(tmp_path: Path) -> None:
    assert baseline.find(tmp_path / "points") is None


def test_settings_are_flat_with_those_that_differ_first() -> None:
    now = {"seed": 1, "hidden": [8], "libraries": {"numpy": "2", "new": "1"}, "accuracy": 0.9, "created": "x"}
    before = {"seed": 1, "hidden": [4], "libraries": {"numpy": "2", "old": "3"}, "accuracy": 0.1}
    found = {setting.name: setting for setting in baseline.settings(now, before)}
    assert list(found)[:3] == ["hidden", "libraries.new", "libraries.old"]
    assert [setting.changed for setting in found.values()] == [True, True, True, False, False]
    assert (found["hidden"].now, found["hidden"].before) == ("[8]", "[4]")
    assert (found["libraries.new"].before, found["libraries.old"].now) == (None, "none")


def test_settings_with_nothing_to_compare_with_are_none_changed() -> None:
    assert [(s.name, s.changed) for s in baseline.settings({"seed": 1, "hidden": []}, None)] == [
        ("seed", False), ("hidden", False)
    ]  # fmt: skip
