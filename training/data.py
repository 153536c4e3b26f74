"""Finding, checking and reading the files of a data set.

A file is looked for in the data directory that was given, then in Keras's cache, then downloaded into that
cache. What was downloaded, now or by Keras, must have the publisher's checksum. A directory that a person
gives may hold other editions of a file: SHA256SUMS is enforced where one lies there, and the model checks the
contents in any case. The bytes that are hashed are the bytes that are read.
"""

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.model import DataFile, Dataset, InputError, Splits
from training import npz, whole_file
from training.download import FILE_LIMIT, download
from training.errors import DataError
from training.progress import Progress, Silent

SUMS = "SHA256SUMS"
AS_PUBLISHED = "as published"


@dataclass(frozen=True)
class LoadedData:
    """Splits, where they came from, and the SHA-256 of every file (none where they are synthetic)."""

    splits: Splits
    source: str
    sha256: Mapping[str, str]
    sample: bool


@dataclass(frozen=True)
class Found:
    """A file of a data set: where it is, its bytes, and what they were checked against."""

    path: Path
    content: bytes
    checked: str


def load(
    dataset: Dataset,
    *,
    data_dir: Path | None = None,
    sample: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> LoadedData:
    """Return the data set from its files, or with `sample` a synthetic one of the same shape.

    What is missing is downloaded into Keras's cache. Raises DataError where a file cannot be had, is damaged,
    or does not hold what the model needs.
    """
    if sample:
        return LoadedData(dataset.sample(seed), f"synthetic sample, seed {seed}", {}, sample=True)
    progress = progress or Silent()
    found = [
        fetch(file, data_dir=data_dir, into=keras_cache(), tell=progress.line, sleep=sleep)
        for file in dataset.files
    ]
    for file in found:
        if data_dir is not None and file.path.parent != data_dir:
            progress.line(f"{file.path.name} is not in {data_dir}: it is read from {file.path.parent}")
    return read(dataset, found)


def read(dataset: Dataset, found: Sequence[Found]) -> LoadedData:
    """Read the files of a data set; raises DataError where they do not hold what the model needs."""
    contents: dict[str, Any] = {}
    for file in found:
        parse = npz.read_json if file.path.suffix == ".json" else npz.read_npz
        contents[file.path.name] = parse(file.content, str(file.path))
    source = ", ".join(dict.fromkeys(str(file.path.parent) for file in found))
    digests = {file.path.name: hashlib.sha256(file.content).hexdigest() for file in found}
    try:
        return LoadedData(dataset.read(contents), source, digests, sample=False)
    except InputError as error:
        raise DataError(f"the data in {source} are not what the model needs: {error}") from error


def keras_cache() -> Path:
    """Return the directory that Keras downloads data sets into."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"


def find(file: DataFile, data_dir: Path | None) -> Found | None:
    """Return a file from the directory that was given, else from Keras's cache, checked; None if in neither.

    Raises DataError where its checksum is wrong.
    """
    if data_dir is not None and (data_dir / file.name).is_file():
        return _from_directory(data_dir, file)
    path = keras_cache() / file.name
    if not path.is_file():
        return None
    content = _read(path)
    came = checksum(content, file.checksum)
    if came != file.checksum:
        raise DataError(
            f"{path} in Keras's cache has {came}; published was {file.checksum}: delete it to have it"
            " downloaded anew, or name its directory with --data-dir if it is meant to differ"
        )
    return Found(path, content, AS_PUBLISHED)


def fetch(
    file: DataFile,
    *,
    data_dir: Path | None,
    into: Path,
    tell: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Found:
    """Return a file as `find` does; where it is nowhere it is downloaded into the directory `into`."""
    found = find(file, data_dir)
    if found is None:
        download(file, into / file.name, absent(file, data_dir), tell=tell, sleep=sleep)
        found = find(file, into)
    if found is None:
        raise DataError(f"{into / file.name} was there and was removed meanwhile; try again")
    return found


def place(file: DataFile, directory: Path, tell: Callable[[str], None]) -> Found:
    """Return a file as `find` does, from that directory: a copy of Keras's, or downloaded, if need be."""
    found = fetch(file, data_dir=directory, into=directory, tell=tell)
    if found.path.parent == directory:
        return found
    tell(f"copying {found.path}")
    path = directory / file.name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        whole_file.write(path, found.content)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; name another --data-dir") from error
    return replace(found, path=path)


def absent(file: DataFile, data_dir: Path | None) -> str:
    """Say where a file was looked for in vain."""
    looked = " nor in ".join(str(place) for place in (data_dir, keras_cache()) if place is not None)
    return f"{file.name} is not in {looked}"


def checksum(content: bytes, like: str) -> str:
    """Return the checksum of the content by the algorithm of another one, "algorithm:hex"."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()}"


def _from_directory(directory: Path, file: DataFile) -> Found:
    path, sums = directory / file.name, directory / SUMS
    content = _read(path)
    if sums.exists():
        expected = _read_sums(sums).get(file.name)
        came = hashlib.sha256(content).hexdigest()
        if expected is None:
            raise DataError(f"{sums} does not list {file.name}; add it, or remove {SUMS}")
        if came != expected:
            raise DataError(
                f"{path} has the SHA-256 {came}; {SUMS} beside it says {expected}: get the file anew"
            )
        return Found(path, content, f"as {SUMS} beside it says")
    if checksum(content, file.checksum) == file.checksum:
        return Found(path, content, AS_PUBLISHED)
    return Found(path, content, f"not the published edition, and no {SUMS} beside it")


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
