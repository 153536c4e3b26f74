"""SHA256SUMS: the digests of a version's files, in the format that `sha256sum -c` checks."""

import hashlib
import os
from pathlib import Path

FILE = "SHA256SUMS"


def write(directory: Path) -> None:
    """Write the digests of all files under a directory into a file in it."""
    lines = [f"{_digest(directory / name)}  {name}\n" for name in files(directory)]
    (directory / FILE).write_text("".join(lines))


def files(directory: Path) -> list[str]:
    """Name the files under a directory but SHA256SUMS itself, relative to it, sorted."""
    names = (
        (Path(root) / name).relative_to(directory).as_posix()
        for root, _, names in os.walk(directory)
        for name in names
    )
    return sorted(name for name in names if name != FILE)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
