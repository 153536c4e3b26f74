"""Where a version goes that is not published: out of every server's sight, with all that tells why."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from training import store
from training.errors import StoreError

DIRECTORY = ".refused"
"""Beside the models of the store; servers take no name with a dot in front for a model."""
KEPT = 5
"""Refused versions of a model that are kept: the newest."""
ATTEMPTS = 100


def keep(staged: Path, created: datetime) -> Path:
    """Move a staged version to STORE/.refused/NAME-CREATED, and return where it is; the oldest ones go.

    Raises StoreError where the store cannot be written.
    """
    base = staged.parent
    directory = base.parent / DIRECTORY
    with store.explained(base):
        directory.mkdir(exist_ok=True)
        path = _move(staged, directory, f"{base.name}-{created:%Y%m%dT%H%M%SZ}")
        store.flush_directory(directory)
        for old in sorted(directory.glob(f"{base.name}-[0-9]*"))[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return path


def _move(staged: Path, directory: Path, name: str) -> Path:
    """Rename without replacing: two jobs may end in the same second."""
    for number in range(ATTEMPTS):
        path = directory / (f"{name}-{number}" if number else name)
        try:
            return staged.rename(path)
        except OSError:
            if not path.exists():
                raise
    raise StoreError(f"{directory} has {ATTEMPTS} refused versions of one second; remove some")
