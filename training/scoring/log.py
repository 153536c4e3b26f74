"""The lines on disk, and how far they reach: a job that is killed at any instruction goes on from here.

Three files grow beside the output OUT: `OUT.part` and `ERRORS.part` with the lines, and `OUT.job.json`, the
record, which says how many bytes of the two are valid and which row comes next. The record is replaced in one
step, after the lines that it counts are on the disk; what lies behind the counted bytes is cut off when a
job goes on. At the end the record says `publishing`, the two files get their names, and the record stays, as
the receipt: the same job run again sees that all is done, as long as the files are there.

    running ── all rows read ──> publishing ── files renamed ──> done
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from training.errors import DataError
from training.scoring.outcomes import Outcome
from training.scoring.record import (
    ANEW,
    DONE,
    FORMAT,
    PUBLISHING,
    RUNNING,
    Record,
    ResumeError,
    read_record,
    record_path,
)


@dataclass(frozen=True)
class Places:
    """Where a job writes. `finish` turns the finished JSON Lines into the output's own format."""

    output: Path
    errors: Path
    finish: Callable[[Path, Path, Record], None] | None = None

    @property
    def answers_part(self) -> Path:
        """The answers so far."""
        return self.output.with_name(f"{self.output.name}.part")

    @property
    def errors_part(self) -> Path:
        """The bad rows so far."""
        return self.errors.with_name(f"{self.errors.name}.part")

    @property
    def record(self) -> Path:
        """The record of the job."""
        return record_path(self.output)


class Log:
    """The files of one job, held against other processes while it is open."""

    def __init__(self, places: Places, answers: int, errors: int) -> None:
        self.places = places
        self._answers, self._errors = answers, errors

    def previous(self) -> Record | None:
        """Return what an earlier process has left, after checking that the files go as far as it says."""
        record = read_record(self.places.record)
        if record is None or record.state != RUNNING:
            return record
        for descriptor, size, path in (
            (self._answers, record.answer_bytes, self.places.answers_part),
            (self._errors, record.error_bytes, self.places.errors_part),
        ):
            if (came := os.fstat(descriptor).st_size) < size:
                raise ResumeError(f"{path} has {came} bytes; {self.places.record} counts {size}: {ANEW}")
        return record

    def is_lost(self, record: Record) -> bool:
        """Return whether the job is done, and one of the files that it published has been taken away."""
        published = [self.places.output, *([self.places.errors] if record.error_bytes else [])]
        return record.state == DONE and not all(path.exists() for path in published)

    def forget(self) -> None:
        """Drop what an earlier process has left; its output stays until this job's takes its place."""
        with _explained(self.places.output):
            with suppress(FileNotFoundError):
                self.places.record.unlink()  # first: it counts what the next steps take away
            flush(self.places.output.parent)

    def begin(self, record: Record) -> None:
        """Cut off what the record does not count, and write the record."""
        with _explained(self.places.output):
            for descriptor, size in (
                (self._answers, record.answer_bytes),
                (self._errors, record.error_bytes),
            ):
                os.ftruncate(descriptor, size)
                os.lseek(descriptor, size, os.SEEK_SET)
            self._write_record(record)

    def append(self, outcome: Outcome) -> None:
        """Add a block's lines; they count from the next `commit` on."""
        with _explained(self.places.output):
            _write(self._answers, outcome.answers)
            _write(self._errors, outcome.errors)

    def commit(self, record: Record) -> None:
        """Let all lines so far count."""
        with _explained(self.places.output):
            os.fsync(self._answers)
            os.fsync(self._errors)
            self._write_record(record)

    def publish(self, record: Record) -> Record:
        """Give the finished files their names; can be called again after a kill. Returns the receipt."""
        places = self.places
        with _explained(places.output):
            if record.state == RUNNING:
                record = replace(record, state=PUBLISHING)
                self.commit(record)
            if record.state == PUBLISHING:
                self._publish_errors(record)
                self._publish_answers(record)
                flush(places.output.parent)
                flush(places.errors.parent)
                record = replace(record, state=DONE)
                self._write_record(record)
            for part in (places.answers_part, places.errors_part):
                with suppress(FileNotFoundError):
                    part.unlink()
        return record

    def _publish_errors(self, record: Record) -> None:
        if record.error_bytes == 0:
            with suppress(FileNotFoundError):
                self.places.errors.unlink()  # of an earlier job
        elif os.fstat(self._errors).st_size == record.error_bytes:
            self.places.errors_part.replace(self.places.errors)

    def _publish_answers(self, record: Record) -> None:
        """Rename the answers; where a killed process already has, the part is a new one, and empty."""
        places = self.places
        if os.fstat(self._answers).st_size != record.answer_bytes:
            return
        if places.finish is None:
            places.answers_part.replace(places.output)
            return
        finished = places.output.with_name(f"{places.output.name}.tmp")
        places.finish(places.answers_part, finished, record)
        flush(finished)
        finished.replace(places.output)

    def _write_record(self, record: Record) -> None:
        path = self.places.record
        temporary = path.with_name(f"{path.name}.tmp")
        content = {"format": FORMAT, **asdict(record)}
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            _write(descriptor, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)


@contextmanager
def open_log(places: Places) -> Iterator[Log]:
    """Open the files of a job, made where they are missing.

    Raises ResumeError where another process has them open, and DataError where they cannot be written.
    """
    with _explained(places.output):
        for path in (places.output, places.errors):
            path.parent.mkdir(parents=True, exist_ok=True)
        answers = _open_locked(places.answers_part)
        try:
            errors = _open_part(places.errors_part)
        except BaseException:
            os.close(answers)
            raise
    try:
        yield Log(places, answers, errors)
    finally:
        for path, descriptor in ((places.errors_part, errors), (places.answers_part, answers)):
            _drop_if_worthless(path, descriptor, places.record)
            os.close(descriptor)


def _drop_if_worthless(path: Path, descriptor: int, record: Path) -> None:
    """Remove a part without a line or a record of it, if the path is still that of the open file."""
    with suppress(OSError):
        about = os.fstat(descriptor)
        if (about.st_size == 0 or not record.exists()) and os.path.samestat(about, path.stat()):
            path.unlink()


def _open_part(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _open_locked(path: Path) -> int:
    while True:
        descriptor = _open_part(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ResumeError(
                f"another process is writing {path}; wait for it, or name another --output"
            ) from None
        except OSError:  # a file system without locks
            return descriptor
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # it was renamed by the process that had it locked


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def flush(path: Path) -> None:
    """Bring a file, or a directory's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{output} cannot be written: {error.strerror or error}; then the same command goes on from there"
        ) from error
