"""Parquet in and out, by pyarrow, which is an extra of its own: it is imported when a .parquet file is named.

A row group is read at a time, and written at a time.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from models.model import InputError
from training.errors import DataError
from training.scoring import rows
from training.scoring.lines import identity
from training.scoring.rows import BEGIN, Block, Columns, Position

SUFFIX = ".parquet"
BATCH = 1024
"""Rows that are turned into Python's objects at once."""
GROUP = 1 << 16
"""Rows of a row group that is written."""


class MissingPyarrowError(Exception):
    """Parquet was asked for where pyarrow is not installed."""

    exit_code = 2


def require() -> Any:
    """Import pyarrow with its Parquet module, or raise MissingPyarrowError, which says how to get it."""
    try:
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ModuleNotFoundError:
        raise MissingPyarrowError("Parquet files need pyarrow: pip install 'kedge[parquet]'") from None


@dataclass(frozen=True)
class ParquetRows:
    """The rows of a Parquet file."""

    path: Path
    column: str
    key: str | None
    groups: tuple[int, ...]
    start: Position = BEGIN

    @property
    def identity(self) -> Mapping[str, Any]:
        """The file's path, size and time of change."""
        return identity(self.path)

    @property
    def extent(self) -> int:
        """The number of rows."""
        return self.count()

    def count(self) -> int:
        """Return the number of rows."""
        return sum(self.groups)

    def find(self, row: int) -> Position:
        """Return the position of a row."""
        return Position(row, row)

    def blocks(self, start: Position, stop: int | None, size: int) -> Iterator[Block]:
        """Read the rows from a position on; earlier row groups are not read."""
        return rows.cut(self._records(start.row), rows.one_by_one(self._parse), start, stop, size)

    def _records(self, start: int) -> Iterator[tuple[Mapping[str, Any], int]]:
        pyarrow = require()
        columns = [self.column, *([self.key] if self.key is not None else [])]
        with _explained(self.path), pyarrow.parquet.ParquetFile(self.path) as file:
            first = 0
            for group, length in enumerate(self.groups):
                if first + length > start:
                    batches = file.iter_batches(BATCH, row_groups=[group], columns=columns)
                    records = (record for batch in batches for record in batch.to_pylist())
                    skipped = max(0, start - first)
                    for number, record in enumerate(islice(records, skipped, None), first + skipped):
                        yield record, number + 1
                first += length

    def _parse(self, row: int, record: Mapping[str, Any]) -> tuple[str | int, Any]:
        return row if self.key is None else rows.key_of(record[self.key], row), record[self.column]


def read(path: Path, columns: Columns) -> ParquetRows:
    """Open a Parquet file."""
    pyarrow = require()
    with _explained(path), pyarrow.parquet.ParquetFile(path) as file:
        about = file.metadata
        groups = tuple(about.row_group(group).num_rows for group in range(about.num_row_groups))
        try:
            column, key = columns.choose(file.schema_arrow.names, str(path))
        except InputError as error:
            raise DataError(str(error)) from None
    return ParquetRows(path, column, key, groups)


def write(records: Iterable[Mapping[str, Any]], path: Path, text_keys: bool) -> None:
    """Write the records of a job's output: key, label, probability and version."""
    pyarrow = require()
    schema = pyarrow.schema(
        [
            ("key", pyarrow.string() if text_keys else pyarrow.int64()),
            ("label", pyarrow.string()),
            ("probability", pyarrow.float64()),
            ("version", pyarrow.int64()),
        ]
    )
    stream = iter(records)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(stream, GROUP)):
            if text_keys:
                group = [{**record, "key": str(record["key"])} for record in group]
            writer.write_table(pyarrow.Table.from_pylist(group, schema))


def join(paths: Sequence[Path], path: Path) -> None:
    """Write the rows of several outputs into one, a row group at a time.

    An output without rows has no say in the type of the keys: it could not know it.
    """
    pyarrow = require()
    found = []
    for part in paths:
        with _explained(part), pyarrow.parquet.ParquetFile(part) as file:
            found.append((file.metadata.num_rows, file.schema_arrow))
    schemas = [schema for rows, schema in found if rows] or [found[0][1]]
    if any(not schema.equals(schemas[0]) for schema in schemas):
        raise DataError("the shards' Parquet files have keys of different types; write JSON Lines instead")
    with pyarrow.parquet.ParquetWriter(path, schemas[0]) as writer:
        for part in paths:
            with _explained(part), pyarrow.parquet.ParquetFile(part) as file:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    pyarrow = require()
    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} is damaged, or no Parquet file: {reason}; get it anew") from error
