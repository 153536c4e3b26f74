"""TFRecord files of a bounded size and number, written by one thread."""

import contextlib
import datetime
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from serving.session import tensorflow
from serving.warmup import MAX_RECORDS

SUFFIX = ".tfrecord"
# Of each record: its length and two check sums.
FRAME_BYTES = 16
_STAMP = r"\d{8}T\d{6}\.\d{6}Z-\d+"


@dataclass(frozen=True, kw_only=True)
class FileLimits:
    """The bytes of a file, and the files that there may be of one prefix and model, by all processes."""

    file_bytes: int = 64 * 2**20
    files: int = 10


class RecordFiles:
    """The files PREFIX-MODEL-TIME-PROCESS.tfrecord of one model; readable by their owner only.

    A full one is followed by another, and the oldest are removed. None has more records than a warm-up may,
    so that each can be copied as one.
    """

    def __init__(self, prefix: str, model: str, limits: FileLimits) -> None:
        path = Path(prefix).absolute()
        self._directory = path.parent
        self._stem = f"{path.name}-{quote(model, safe='')}"
        self._limits = limits
        self._path: Path | None = None
        self._writer: Any = None
        self._records = 0
        self._bytes = 0

    def write(self, record: bytes) -> None:
        """Add a record. OSError, or TensorFlow's: it cannot be written, and the file is given up."""
        full = self._records >= MAX_RECORDS or self._bytes + len(record) > self._limits.file_bytes
        if self._writer is None or (full and self._records) or not self._is_there():
            self.close()
            self._open()
        try:
            self._writer.write(record)
        except Exception:
            self._give_up()
            raise
        self._records += 1
        self._bytes += len(record) + FRAME_BYTES

    def flush(self) -> None:
        """Have everything in the file that was written. Errors as of `write`."""
        if self._writer is None:
            return
        try:
            self._writer.flush()
        except Exception:
            self._give_up()
            raise

    def close(self) -> None:
        """Close the file; the next record opens another. Errors as of `write`."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _is_there(self) -> bool:
        """Whether the file was not removed by another process, or by hand."""
        return self._path is not None and self._path.exists()

    def _give_up(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def _open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = self._directory / f"{self._stem}-{stamp}-{os.getpid()}{SUFFIX}"
        # TensorFlow would make it readable by all, and there are requests in it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self._writer = tensorflow().io.TFRecordWriter(str(path))
        self._path, self._records, self._bytes = path, 0, 0
        self._remove_oldest()

    def _remove_oldest(self) -> None:
        pattern = re.compile(re.escape(self._stem) + "-" + _STAMP + re.escape(SUFFIX))
        found = sorted(path for path in self._directory.iterdir() if pattern.fullmatch(path.name))
        for path in found[: -self._limits.files]:
            path.unlink(missing_ok=True)
