"""Finding, checking and reading the files of a data set.

A file is looked for in the data directory that was given, then in Keras's cache, then downloaded into that
cache. What was downloaded, now or by Keras, must have the publisher's checksum. A directory that a person
gives may hold other editions of a file: SHA256SUMS is enforced where one lies there, and the model checks the
contents in any case. The bytes that are hashed are the bytes that are read.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.model import DataFile, Dataset, InputError, Splits
from training import npz
from training.download import FILE_LIMIT, download
from training.errors import DataError
from training.progress import Progress, Silent

SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class LoadedData:
    """Splits, where they came from, and the SHA-256 of every file (none where they are synthetic)."""

    splits: Splits
    source: str
    sha256: Mapping[str, str]
    sample: bool


def load(
    dataset: Dataset,
    *,
    data_dir: Path | None = None,
    sample: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> LoadedData:
    """Return the data set from its files, or with `sample` a synthetic one of the same shape.

    Raises DataError where a file cannot be had, is damaged, or does not hold what the model needs.
    """
    if sample:
        return LoadedData(dataset.sample(seed), f"synthetic sample, seed {seed}", {}, sample=True)
    contents: dict[str, Any] = {}
    digests: dict[str, str] = {}
    places: dict[str, None] = {}
    for file in dataset.files:
        content, path = _fetch(file, data_dir, progress or Silent())
        digests[file.name] = hashlib.sha256(content).hexdigest()
        places[str(path.parent)] = None
        parse = npz.read_json if path.suffix == ".json" else npz.read_npz
        contents[file.name] = parse(content, str(path))
    source = ", ".join(places)
    try:
        return LoadedData(dataset.read(contents), source, digests, sample=False)
    except InputError as error:
        raise DataError(f"the data in {source} are not what the model needs: {error}") from error


def keras_cache() -> Path:
    """Return the directory that Keras downloads data sets into."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"


def _fetch(file: DataFile, data_dir: Path | None, progress: Progress) -> tuple[bytes, Path]:
    """Return a file's checked bytes, and the path where it was found or put."""
    if data_dir is not None:
        if (data_dir / file.name).is_file():
            return _from_directory(data_dir, file.name), data_dir / file.name
        progress.line(f"{file.name} is not in {data_dir}: looking in Keras's cache")
    path = keras_cache() / file.name
    if not path.is_file():
        looked = " nor in ".join(str(place) for place in (data_dir, path.parent) if place is not None)
        progress.line(f"downloading {file.url}")
        return download(file, path, f"{file.name} is not in {looked}"), path
    content = _read(path)
    came = checksum(content, file.checksum)
    if came != file.checksum:
        raise DataError(
            f"{path} in Keras's cache has {came}; published was {file.checksum}: delete it to have it"
            " downloaded anew, or name its directory with --data-dir if it is meant to differ"
        )
    return content, path


def checksum(content: bytes, like: str) -> str:
    """Return the checksum of the content by the algorithm of another one, "algorithm:hex"."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()}"


def _from_directory(directory: Path, name: str) -> bytes:
    content = _read(directory / name)
    if (directory / SUMS).exists():
        expected = _read_sums(directory / SUMS).get(name)
        came = hashlib.sha256(content).hexdigest()
        if expected is None:
            raise DataError(f"{directory / SUMS} does not list {name}; add it, or remove {SUMS}")
        if came != expected:
            raise DataError(
                f"{directory / name} has the SHA-256 {came}; {SUMS} beside it says {expected}:"
                " get the file anew"
            )
    return content


def _read_sums(path: Path) -> dict[str, str]:
    """Read the format of sha256sum: a digest, a space, a space or an asterisk, a name."""
    sums = {}
    for number, line in enumerate(_read(path).decode(errors="replace").splitlines(), start=1):
        digest, _, name = line.strip().partition(" ")
        if not name or len(digest) != hashlib.sha256().digest_size * 2:
            raise DataError(f"line {number} of {path} is {line[:80]!r}; expected a SHA-256 and a file name")
        sums[name.lstrip(" *")] = digest.lower()
    return sums


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(FILE_LIMIT + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > FILE_LIMIT:
        raise DataError(f"{path} is larger than {FILE_LIMIT} bytes; this is not a file of the data set")
    return content
