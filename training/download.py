"""Downloading one file of a data set into Keras's cache: whole and verified, or not at all."""

import hashlib
import http.client
import os
import tempfile
import urllib.request
from pathlib import Path

from models.model import DataFile
from training.errors import DataError

FILE_LIMIT = 1 << 28
"""The most bytes that a file of a data set may have."""
TIMEOUT = 30.0
"""Seconds without an answer or any data."""
INSTEAD = "put it in a directory and name that with --data-dir, or train on synthetic data with --sample"


def download(file: DataFile, path: Path, why: str) -> bytes:
    """Download a file to `path`, which appears only when the checksum is right, and return its bytes.

    Raises DataError, whose message begins with `why` there was need of it.
    """
    try:
        content = _get(file.url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{why}, and {file.url} could not be downloaded ({reason}): {INSTEAD}") from error
    algorithm, _, expected = file.checksum.partition(":")
    came = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if came != expected:
        raise DataError(
            f"{why}, and what came from {file.url} ({len(content)} bytes) has the {algorithm} {came}; "
            f"expected {expected}: {INSTEAD}"
        )
    try:
        _place(content, path)
    except OSError as error:
        raise DataError(
            f"{file.name} was downloaded but cannot be kept in {path.parent}: {error.strerror};"
            " name another directory with KERAS_HOME"
        ) from error
    return content


def _get(url: str) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"the address {url!r} does not begin with https:// or http://")
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310 (checked above)
        content: bytes = answer.read(FILE_LIMIT + 1)
        declared = answer.headers["Content-Length"]
    if len(content) > FILE_LIMIT:
        raise ValueError(f"it is larger than {FILE_LIMIT} bytes")
    if declared is not None and len(content) != int(declared):
        raise ValueError(f"the connection broke off after {len(content)} of {declared} bytes")
    return content


def _place(content: bytes, path: Path) -> None:
    """Write beside the path and rename, so that nobody sees a part of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
