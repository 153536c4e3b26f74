"""The model store: DIR/NAME/VERSION, and how a version gets there whole or not at all.

A version is written in a staging directory beside the versions, under a name that no server takes for one,
and renamed into place. The kernel's lock on that directory tells a job at work from what a killed one left.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from training import sums
from training.errors import StoreError

STAGING = ".staging-"
REMOVED = ".removed-"
"""What a version is called while it is removed."""
VERSION = re.compile(r"[+-]?[0-9]+", re.ASCII)
"""What TensorFlow Serving takes for a version: the whole name as a signed decimal."""
LARGEST = 2**63 - 1
ATTEMPTS = 100


def versions(base: Path) -> list[int]:
    """Return the numbers of the versions under NAME, rising; what is no directory of such a name is junk."""
    return sorted({number for number, path in _numbered(base) if path.is_dir()})


def next_version(base: Path) -> int:
    """Return the number after the highest that is taken, be it by a directory or by a stray file."""
    version = max([0, *(number for number, _ in _numbered(base))]) + 1
    if version > LARGEST:
        raise StoreError(f"{base} has the version {version - 1}, and there is no higher one; remove it")
    return version


@contextmanager
def staging(base: Path) -> Iterator[Path]:
    """Make a directory to write a version in; whatever is left in it at the end is removed.

    Raises StoreError where the store cannot be written. Leftovers of jobs that were killed are removed too.
    """
    with explained(base):
        made = _make_directories(base)
        _remove_leftovers(base)
        path, descriptor = _make_staging(base)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)
        for directory in made:
            with suppress(OSError):  # another job may have put something in it
                directory.rmdir()


def publish(staged: Path, label: Callable[[int], None]) -> Path:
    """Rename a staged version to the next number and return its path.

    `label(version)` is called before, to write the number into the version; then SHA256SUMS is written, and
    all of it is on the disk before it has its name. Where another job takes the number first, the next one is
    tried: a rename never replaces a directory with something in it.
    """
    base = staged.parent
    with explained(base):
        for _ in range(ATTEMPTS):
            version = next_version(base)
            label(version)
            sums.write(staged)
            _flush(staged)
            try:
                staged.rename(base / str(version))
            except OSError:
                if not (base / str(version)).exists():
                    raise
            else:
                flush_directory(base)
                return base / str(version)
    raise StoreError(
        f"other jobs took {ATTEMPTS} version numbers under {base} before this one could; try again"
    )


def hide(base: Path, version: int) -> Path:
    """Take a version out of every server's sight in one step, and return where its files are, to be removed.

    The files of one who is killed before that are removed by the next job.
    """
    hidden = base / f"{REMOVED}{secrets.token_hex(8)}"
    next(path for number, path in _numbered(base) if number == version).rename(hidden)
    flush_directory(base)
    return hidden


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep others who lock the directory out; where the file system has no locks nobody is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _numbered(base: Path) -> list[tuple[int, Path]]:
    """Return all that lies under NAME with the name of a version."""
    try:
        named = [(int(path.name), path) for path in base.iterdir() if VERSION.fullmatch(path.name)]
        return [(number, path) for number, path in named if -LARGEST <= number <= LARGEST]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"the model store {base} cannot be read: {error.strerror}") from error


def _make_directories(base: Path) -> list[Path]:
    """Make NAME and the store where they are missing, and return those made, the innermost first."""
    missing = [path for path in (base, *base.parents) if not path.exists()]
    base.mkdir(parents=True, exist_ok=True)
    for path in missing:
        flush_directory(path.parent)
    return missing


def _make_staging(base: Path) -> tuple[Path, int]:
    """Make a locked directory; mkdir and not mkdtemp, whose mode keeps a server of another user out."""
    while True:
        path = base / f"{STAGING}{secrets.token_hex(8)}"
        path.mkdir()
        with suppress(FileNotFoundError):  # taken for a leftover before it was locked
            descriptor = os.open(path, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks: its leftovers stay
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if path.exists():
                return path, descriptor
            os.close(descriptor)


def _remove_leftovers(base: Path) -> None:
    """Remove staging directories that no living job holds the lock of, and what was being removed."""
    for path in (*base.glob(f"{STAGING}*"), *base.glob(f"{REMOVED}*")):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if _try_lock(descriptor):
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Lock a directory unless another process has; False as well where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _flush(directory: Path) -> None:
    """Bring all that is in a directory to the disk, so that a version outlives a power cut whole."""
    for root, _, names in os.walk(directory):
        for name in names:
            with (Path(root) / name).open("rb") as stream:
                os.fsync(stream.fileno())
        flush_directory(Path(root))


def flush_directory(directory: Path) -> None:
    """Bring a directory's names to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(base: Path) -> Iterator[None]:
    """Turn what the operating system says against writing in the store into a StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the model store {base} cannot be written: {error.strerror}; name another with --model-store"
        ) from error
