"""What is not published is kept out of servers' sight, and not for ever."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from training import refused

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def keep(store: Path, created: datetime, name: str = "points") -> Path:
    staged = store / name / ".staging-x"
    staged.mkdir(parents=True, exist_ok=True)
    (staged / "saved_model.pb").touch()
    return refused.keep(staged, created)


def test_refused_version_is_named_by_model_and_time(tmp_path: Path) -> None:
    path = keep(tmp_path, NOON)
    assert path == tmp_path / ".refused" / "points-20260102T120000Z"
    assert [inside.name for inside in path.iterdir()] == ["saved_model.pb"]


def test_refused_versions_of_one_second_are_both_kept(tmp_path: Path) -> None:
    assert keep(tmp_path, NOON) != keep(tmp_path, NOON)
    assert len(list((tmp_path / ".refused").iterdir())) == 2


def test_oldest_refused_versions_of_the_model_are_removed(tmp_path: Path) -> None:
    other = keep(tmp_path, NOON, "other")
    kept = [keep(tmp_path, NOON + timedelta(days=day)) for day in range(refused.KEPT + 2)]
    assert sorted((tmp_path / ".refused").iterdir()) == [other, *kept[2:]]
