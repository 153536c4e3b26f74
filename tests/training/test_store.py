"""Versions appear whole or not at all, each under a number of its own."""

import errno
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from training import store
from training.errors import StoreError

ROOT = Path(__file__).parents[2]


def publish(base: Path, content: str = "whole") -> Path:
    with store.staging(base) as staged:
        (staged / "saved_model.pb").write_text(content)
        return store.publish(staged, lambda version: (staged / "number").write_text(str(version)) and None)


def test_first_version_is_1_and_the_next_is_the_highest_plus_one(tmp_path: Path) -> None:
    base = tmp_path / "store" / "points"
    assert publish(base) == base / "1"
    (base / "7").mkdir()
    assert publish(base) == base / "8"
    assert (base / "8" / "number").read_text() == "8"
    assert store.versions(base) == [1, 7, 8]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], 1),
        (["latest", "1.5", "v3", "12a", ".5", "\uff11\uff12"], 1),
        (["00012", "-40"], 13),
        (["99999999999999999999", "3"], 4),
        (["+5"], 6),
    ],
)
def test_next_version_ignores_junk_and_counts_what_a_server_takes_for_a_version(
    tmp_path: Path, names: list[str], expected: int
) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    assert store.next_version(tmp_path) == expected


def test_file_with_the_name_of_a_version_is_no_version_but_takes_the_number(tmp_path: Path) -> None:
    (tmp_path / "3").touch()
    assert store.versions(tmp_path) == []
    assert publish(tmp_path) == tmp_path / "4"


def test_highest_possible_version_leaves_no_next(tmp_path: Path) -> None:
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(StoreError, match="no higher one"):
        store.next_version(tmp_path)


def test_published_version_can_be_read_by_other_users(tmp_path: Path) -> None:
    """A server runs as another user than the job; the umask decides, as for any other directory."""
    (tmp_path / "plain").mkdir()
    assert publish(tmp_path / "points").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_version_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another job takes the number between the look and the rename, the next one is used."""
    publish(tmp_path, "theirs")
    numbers = iter([1, 2])
    monkeypatch.setattr(store, "next_version", lambda _: next(numbers))
    assert publish(tmp_path, "ours") == tmp_path / "2"
    assert (tmp_path / "1" / "saved_model.pb").read_text() == "theirs"
    assert (tmp_path / "2" / "number").read_text() == "2"


def test_jobs_at_once_get_different_versions(tmp_path: Path) -> None:
    published: list[Path] = []
    barrier = threading.Barrier(8)

    def job(number: int) -> None:
        with store.staging(tmp_path) as staged:
            (staged / "saved_model.pb").write_text(str(number))
            barrier.wait()
            published.append(store.publish(staged, lambda _: None))

    threads = [threading.Thread(target=job, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in published) == [str(number) for number in range(1, 9)]
    assert {(path / "saved_model.pb").read_text() for path in published} == {str(n) for n in range(8)}


@pytest.mark.parametrize("existing", [True, False])
def test_job_that_fails_leaves_the_store_as_it_was(
    tmp_path: Path, existing: bool, listing: Callable[[Path], list[str]]
) -> None:
    base = tmp_path / "store" / "points"
    if existing:
        publish(base)
    before = listing(tmp_path)

    def fail(staged: Path) -> None:
        (staged / "saved_model.pb").write_text("half")
        raise ZeroDivisionError(staged.name)

    with pytest.raises(ZeroDivisionError, match=r"^\.staging-"), store.staging(base) as staged:
        fail(staged)
    assert listing(tmp_path) == before


def test_leftover_of_a_killed_job_is_removed_by_the_next(tmp_path: Path) -> None:
    program = f"""
import os, pathlib, signal
from training import store

with store.staging(pathlib.Path({str(tmp_path)!r})) as staged:
    (staged / "saved_model.pb").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".staging-")
    publish(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_staging_of_a_job_at_work_is_left_alone(tmp_path: Path) -> None:
    with store.staging(tmp_path) as first:
        publish(tmp_path)
        assert first.is_dir()


@pytest.mark.parametrize("place", ["store", "store/points"])
def test_file_in_the_place_of_the_store_is_a_store_error(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with (
        pytest.raises(StoreError, match=r"cannot be written.*--model-store") as caught,
        store.staging(tmp_path / "store" / "points"),
    ):
        pytest.fail("a staging directory was made in a file")
    assert caught.value.exit_code == 3


def test_full_disk_on_publishing_is_a_store_error_and_leaves_nothing(
    tmp_path: Path, listing: Callable[[Path], list[str]]
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoreError, match="No space left on device"), store.staging(tmp_path / "m") as staged:
        store.publish(staged, full)
    assert listing(tmp_path) == []


def test_job_killed_at_any_line_leaves_the_old_versions_or_the_new_ones_whole(tmp_path: Path) -> None:
    """And the next job publishes, and removes what the killed one left."""
    program = [sys.executable, str(Path(__file__).with_name("killed_anywhere.py")), str(tmp_path)]
    done = subprocess.run(
        program, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["killed"] > 100
    assert told["states"] == [[1, 2], [1, 2, 3], [2, 3]]
    assert told["after"] == [["2", "3"], ["3", "4"]]


def test_version_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its files and directories are flushed, then it is renamed, then the names beside it are flushed."""
    done: list[str] = []
    flush, rename = os.fsync, os.rename

    def name(path: str) -> str:
        return re.sub(r"\.staging-\w+", "staged", str(Path(path).relative_to(tmp_path)))

    def fsync(descriptor: int) -> None:
        done.append(name(str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        flush(descriptor)

    def moved(source: Path, target: Path) -> None:
        done.append("rename")
        rename(source, target)

    base = tmp_path / "store" / "points"
    with store.staging(base) as staged:
        (staged / "variables").mkdir()
        (staged / "variables" / "index").write_text("whole")
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "rename", moved)
        store.publish(staged, lambda _: None)
    at = done.index("rename")
    inside = ("", "/SHA256SUMS", "/variables", "/variables/index")
    assert set(done[:at]) == {f"store/points/staged{path}" for path in inside}
    assert done[at + 1 :] == ["store/points"]


def test_sums_are_those_that_sha256sum_checks(tmp_path: Path) -> None:
    path = publish(tmp_path / "points")
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=path, capture_output=True, text=True, check=True
    )
    assert checked.stdout.splitlines() == ["number: OK", "saved_model.pb: OK"]
