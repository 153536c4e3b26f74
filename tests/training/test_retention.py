"""Old versions go; what is labelled or newest stays."""

import fcntl
import os
from pathlib import Path

import pytest

from training import labels, retention
from training.errors import StoreError


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model with the versions 1 to 5, and a stray file."""
    for version in range(1, 6):
        (tmp_path / "points" / str(version) / "variables").mkdir(parents=True)
    (tmp_path / "points" / "notes").touch()
    return tmp_path / "points"


def label(base: Path, **versions: int) -> None:
    entries = "".join(f' version_labels {{ key: "{key}" value: {value} }}' for key, value in versions.items())
    (base.parent / "models.config").write_text(
        'model_config_list { config { name: "other" version_labels { key: "stable" value: 3 } }'
        f' config {{ name: "points"{entries} }} }}'
    )


@pytest.mark.parametrize(
    ("labelled", "count", "left"),
    [
        ({}, 2, ["4", "5"]),
        ({}, 1, ["5"]),
        ({}, 9, ["1", "2", "3", "4", "5"]),
        ({"stable": 1, "canary": 3}, 1, ["1", "3", "5"]),
        ({"stable": 5}, 2, ["4", "5"]),
        ({"stable": 77}, 1, ["5"]),
    ],
)
def test_newest_and_labelled_versions_stay(
    base: Path, labelled: dict[str, int], count: int, left: list[str]
) -> None:
    if labelled:
        label(base, **labelled)
    removed = retention.keep_newest(base, count)
    assert sorted(path.name for path in base.iterdir()) == [*left, "notes"]
    assert sorted([*map(str, removed), *left]) == ["1", "2", "3", "4", "5"]


def test_newest_version_cannot_be_asked_away(base: Path) -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        retention.keep_newest(base, 0)


def test_nothing_is_removed_where_the_labels_cannot_be_read(base: Path) -> None:
    (base.parent / "models.config").write_text("model_config_list {")
    with pytest.raises(StoreError, match=r"the labels in .*models\.config cannot be read"):
        retention.keep_newest(base, 1)
    assert (base / "1").is_dir()


def test_labels_are_read_under_the_lock_that_promote_takes(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(of: Path) -> dict[str, int]:
        descriptor = os.open(base.parent, os.O_RDONLY)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
        return {"stable": 1}

    monkeypatch.setattr(retention, "labels", look)
    assert retention.keep_newest(base, 4) == []


def test_served_version_is_the_stable_one_else_the_newest(base: Path, tmp_path: Path) -> None:
    assert labels.now_served(base) == 5
    label(base, canary=2)
    assert labels.now_served(base) == 5
    label(base, canary=2, stable=1)
    assert labels.now_served(base) == 1
    label(base, stable=77)
    assert labels.now_served(base) == 5
    assert labels.now_served(tmp_path / "nothing") is None
