"""The part of the rows that is one pod's, and the parts put together again.

A shard is a run of whole blocks, so that its rows are scored in the very batches that an unsplit job makes.
The outputs one after the other are the unsplit output: `cat` joins JSON Lines, and `join` joins both formats
after it has seen that all shards are there, and of one job.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.errors import DataError
from training.scoring.log import flush
from training.scoring.record import DONE, Record, read_record, record_path, total
from training.scoring.rows import Position, Source

FORM = re.compile(r"(\d{1,6})/(\d{1,6})", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """Number `index`, from 0 on, of `count` parts."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def name(self, path: Path) -> Path:
        """Return the shard's own file: scores.jsonl becomes scores-00000-of-00004.jsonl."""
        return path.with_name(f"{path.stem}-{self.index:05}-of-{self.count:05}{path.suffix}")

    def bounds(self, source: Source, size: int) -> tuple[Position, Position]:
        """Return the positions where the shard's rows begin and end."""
        count = source.count()
        blocks = -(-count // size)
        first, after = (
            min(count, number * blocks // self.count * size) for number in (self.index, self.index + 1)
        )
        return source.find(first), source.find(after)


def parse(text: str) -> Shard:
    """Read "I/N", or raise ValueError."""
    found = FORM.fullmatch(text)
    if found is None or not int(found[1]) < int(found[2]):
        raise ValueError(f"{text!r} is no shard; expected I/N with I from 0 to N - 1, such as 0/4")
    return Shard(int(found[1]), int(found[2]))


def join(output: Path, errors: Path, count: int) -> Record:
    """Join the shards of an output, and of its errors, and return the sum of their records.

    The output appears whole or not at all. Raises DataError where a shard is missing, unfinished or of
    another job.
    """
    shards = [Shard(index, count) for index in range(count)]
    records = [_finished(shard.name(output)) for shard in shards]
    for shard, record in zip(shards, records, strict=True):
        if _common(record) != _common(records[0]):
            raise DataError(
                f"{shard.name(output)} is of another job, version or input than {shards[0].name(output)}"
            )
    if any(record.error_bytes for record in records):
        parts = [
            shard.name(errors) for shard, record in zip(shards, records, strict=True) if record.error_bytes
        ]
        _join_files(parts, errors)
    else:
        errors.unlink(missing_ok=True)
    _join_files([shard.name(output) for shard in shards], output)
    return total(records)


def _finished(path: Path) -> Record:
    record = read_record(record_path(path))
    if record is None or record.state != DONE or not path.exists():
        state = "missing" if record is None else "not finished" if record.state != DONE else "missing"
        raise DataError(f"the shard {path} is {state}; all shards must be done before they are joined")
    return record


def _common(record: Record) -> tuple[object, ...]:
    job = {name: value for name, value in record.job.items() if name != "shard"}
    return job, record.version


def _join_files(parts: Sequence[Path], path: Path) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        if path.suffix == ".parquet":
            from training.scoring import parquet

            parquet.join(parts, temporary)
        else:
            with temporary.open("wb") as whole:
                for part in parts:
                    with part.open("rb") as stream:
                        shutil.copyfileobj(stream, whole, 1 << 20)
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
