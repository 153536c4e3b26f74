"""Checking the files of a published version against its SHA256SUMS."""

import hashlib
import os
import re
from pathlib import Path

FILE = "SHA256SUMS"
LINE = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?P<name>.+)")


class SumsError(Exception):
    """A file of a version is not as it was published; the message names it."""

    exit_code = 3


def check(directory: Path) -> int:
    """Return the number of the files under a directory, each of which is what SHA256SUMS in it says.

    Raises SumsError, which names the first file that is missing, damaged or not listed.
    """
    expected = _read(directory / FILE)
    there = _files(directory)
    for name, digest in expected.items():
        path = directory / name
        if name not in there:
            raise SumsError(f"{path} is missing: {FILE} beside it lists it")
        if _digest(path) != digest:
            raise SumsError(f"{path} is damaged: its SHA-256 is not that of {FILE}")
    for name in sorted(there - expected.keys()):
        raise SumsError(f"{directory / name} was not published with the version: {FILE} does not list it")
    return len(expected)


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SumsError(f"{path} cannot be read: {error.strerror}") from error
    sums = {}
    for number, line in enumerate(lines, start=1):
        found = LINE.fullmatch(line)
        if found is None:
            raise SumsError(f"{path} is damaged: line {number} is no SHA-256 and file name")
        sums[found["name"]] = found["digest"]
    if not sums:
        raise SumsError(f"{path} is damaged: it lists no file")
    return sums


def _files(directory: Path) -> set[str]:
    found = {
        (Path(root) / name).relative_to(directory).as_posix()
        for root, _, names in os.walk(directory)
        for name in names
    }
    return found - {FILE}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SumsError(f"{path} cannot be read: {error.strerror}") from error
