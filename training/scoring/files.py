"""An input of one file a row: a directory, or several files and directories. The keys are the files' names.

What is in memory is the names, not the files.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from training.errors import DataError
from training.scoring import rows
from training.scoring.rows import BEGIN, Block, Position, Unreadable

LARGEST = 256 << 20
"""The most bytes that a file of one row may have."""


@dataclass(frozen=True)
class NamedBytes:
    """The contents of a file, and the name to call it by in messages."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Files:
    """Files in the order of their names, each a row. `base` is what the names are relative to."""

    base: Path
    names: tuple[str, ...]
    start: Position = BEGIN
    column: str | None = None

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """The directory, and a digest of the names in it: a file more or less would move the rows."""
        digest = hashlib.sha256("\0".join(self.names).encode(errors="surrogateescape")).hexdigest()
        return {"path": str(self.base.resolve()), "files": len(self.names), "names": digest}

    @property
    def extent(self) -> int:
        """The number of files."""
        return len(self.names)

    def count(self) -> int:
        """Return the number of files."""
        return len(self.names)

    def find(self, row: int) -> Position:
        """Return the position of a row."""
        return Position(row, row)

    def blocks(self, start: Position, stop: int | None, size: int) -> Iterator[Block]:
        """Read the files from a position on."""
        return rows.read_spans(self._read, start.row, self.count() if stop is None else stop, size)

    def _read(self, first: int, after: int) -> tuple[Sequence[str], list[Any]]:
        names = self.names[first:after]
        shown = [name.encode(errors="surrogateescape").decode(errors="replace") for name in names]
        return shown, [_content(self.base / name, name) for name in names]


def directory(path: Path) -> Files:
    """Open a directory: all files under it that are not hidden."""
    names = sorted(_names(path, ""))
    if not names:
        raise DataError(f"the directory {path} has no file in it; expected one a row")
    return Files(path, tuple(names))


def several(paths: Sequence[Path]) -> Files:
    """Open files and directories in the order they are given."""
    names: list[str] = []
    for path in paths:
        names += [str(path / name) for name in directory(path).names] if path.is_dir() else [str(path)]
    return Files(Path(), tuple(names))


def _names(path: Path, prefix: str) -> list[str]:
    found: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    found += _names(path / entry.name, f"{prefix}{entry.name}/")
                else:
                    found.append(prefix + entry.name)
    except OSError as error:
        raise DataError(f"the directory {path} cannot be read: {error.strerror}") from error
    return found


def _content(path: Path, name: str) -> NamedBytes | Unreadable:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        return Unreadable(f"the file cannot be read: {error.strerror}")
    if len(content) > LARGEST:
        return Unreadable(f"the file is larger than {LARGEST >> 20} MiB")
    return NamedBytes(name, content)
