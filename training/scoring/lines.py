"""Inputs of text: JSON Lines, CSV, and plain lines. A position is a row number and the byte where it begins.

Nothing but the line that is read is in memory. Blank lines are no rows.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from models.model import InputError
from training.errors import DataError
from training.scoring import rows
from training.scoring.rows import Block, Columns, ParseAll, Position, Unreadable, one_by_one

LONGEST = 16 << 20
"""The most bytes that a line may have."""
MARK = 4096
"""Every so many rows, counting remembers where it was, so that finding a row reads few others."""
BOM = b"\xef\xbb\xbf"


@dataclass
class Lines:
    """A file of records. `records` gives each with the byte behind it, from a byte on."""

    path: Path
    column: str | None
    start: Position
    records: Callable[[BinaryIO], Iterator[tuple[Any, int]]]
    parse_all: ParseAll
    _marks: dict[int, int] = field(default_factory=dict)

    @property
    def identity(self) -> Mapping[str, Any]:
        """The file's path, size and time of change."""
        return identity(self.path)

    @property
    def extent(self) -> int:
        """The file's size."""
        return self.path.stat().st_size

    def count(self) -> int:
        """Count the rows, and remember some of their places."""
        last = self.start
        for position in self._positions(self.start):
            if position.row % MARK == 0:
                self._marks[position.row] = position.offset
            last = position
        return last.row

    def find(self, row: int) -> Position:
        """Return where a row begins, reading from the nearest mark."""
        mark = row - row % MARK
        near = Position(mark, self._marks[mark]) if mark in self._marks else self.start
        if near.row == row:
            return near
        return next(position for position in self._positions(near) if position.row == row)

    def blocks(self, start: Position, stop: int | None, size: int) -> Iterator[Block]:
        """Read the rows from a position on."""
        with _open(self.path) as stream:
            stream.seek(start.offset)
            yield from rows.cut(self.records(stream), self.parse_all, start, stop, size)

    def _positions(self, start: Position) -> Iterator[Position]:
        with _open(self.path) as stream:
            stream.seek(start.offset)
            for row, (_, end) in enumerate(self.records(stream), start.row + 1):
                yield Position(row, end)


def identity(path: Path) -> Mapping[str, Any]:
    """Return what tells a file from another, or from itself when it was changed."""
    about = path.stat()
    return {"path": str(path.resolve()), "bytes": about.st_size, "changed": about.st_mtime_ns}


def json_lines(path: Path, columns: Columns) -> Lines:
    """Open a file of JSON documents one a line: objects with the columns, or bare inputs."""

    @lru_cache(maxsize=64)
    def choose(names: tuple[str, ...]) -> tuple[str, str | None]:
        return columns.choose(names, "the object")

    def parse(row: int, line: bytes) -> tuple[str | int, Any]:
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"the line is no JSON: {error}") from None
        if not isinstance(document, dict):
            return row, document
        column, key = choose(tuple(document))
        return row if key is None else rows.key_of(document[key], row), document[column]

    def parse_all(first: int, lines: Sequence[Any]) -> tuple[Sequence[str | int], Sequence[Any]]:
        numbers = range(first, first + len(lines))
        try:
            documents = [orjson.loads(line) for line in lines]
            (names,) = set(map(tuple, documents))
            column, key = choose(names)
            cells = [document[column] for document in documents]
            if key is None:
                return numbers, cells
            return [
                rows.key_of(document[key], row) for row, document in zip(numbers, documents, strict=True)
            ], cells
        except (ValueError, TypeError, LookupError):  # not all alike, or no object of the columns
            return one_by_one(parse)(first, lines)

    return Lines(path, columns.column, _after_bom(path), _lines, parse_all)


def plain(path: Path) -> Lines:
    """Open a file whose lines are inputs as `kedge predict` takes them: paths of images, or reviews."""

    def parse(row: int, line: bytes) -> tuple[str | int, str]:
        text = _text(line).strip()
        return row, text

    return Lines(path, None, _after_bom(path), _lines, one_by_one(parse))


def separated(path: Path, columns: Columns, delimiter: str = ",") -> Lines:
    """Open a CSV file; its first record names the columns. A record may go over several lines, in quotes."""

    def records(stream: BinaryIO) -> Iterator[tuple[Any, int]]:
        return _records(stream, delimiter)

    start = _after_bom(path)
    with _open(path) as stream:
        stream.seek(start.offset)
        found, end = next(records(stream), (Unreadable(""), 0))
    if isinstance(found, Unreadable):
        raise DataError(f"{path} has no line with the names of the columns; expected a CSV file with one")
    header: list[str] = found
    if len(set(header)) != len(header):
        raise DataError(f"{path} names a column twice: {', '.join(header)}; expected different names")
    try:
        column, key = columns.choose(header, str(path))
    except InputError as error:
        raise DataError(str(error)) from None
    width, of_cell, of_key = len(header), header.index(column), header.index(key) if key is not None else None

    def parse(row: int, record: list[str]) -> tuple[str | int, str]:
        if len(record) != width:
            raise InputError(f"the row has {len(record)} fields; the first line names {width}")
        return row if of_key is None else record[of_key], record[of_cell]

    return Lines(path, column, Position(0, end), records, one_by_one(parse))


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=1 << 18)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _after_bom(path: Path) -> Position:
    with _open(path) as stream:
        return Position(0, len(BOM) if stream.read(len(BOM)) == BOM else 0)


def _lines(stream: BinaryIO) -> Iterator[tuple[bytes | Unreadable, int]]:
    """Give the lines that are not blank; of one that is too long, nothing is kept."""
    at = stream.tell()
    while line := stream.readline(LONGEST):
        at += len(line)
        whole = len(line) < LONGEST or line.endswith(b"\n")
        while not whole:
            rest = stream.readline(LONGEST)
            at += len(rest)
            whole = rest.endswith(b"\n") or len(rest) < LONGEST
            line = b""
        if not line:
            yield Unreadable(f"the line is longer than {LONGEST} bytes"), at
        elif not line.isspace():
            yield line, at


def _records(stream: BinaryIO, delimiter: str) -> Iterator[tuple[list[str] | Unreadable, int]]:
    """Give the records of a CSV file that are not blank.

    Where a quote is not closed, only the line that it is in is bad, and reading goes on behind that.
    """
    going_on = True
    while going_on:
        going_on = False
        for line, end in _lines(stream):
            record, after = (
                (line, end) if isinstance(line, Unreadable) else _record(stream, line, end, delimiter)
            )
            yield record, after
            if after != end:
                going_on = True  # `_lines` begins anew behind the further lines of the record
                break


def _record(stream: BinaryIO, line: bytes, end: int, delimiter: str) -> tuple[list[str] | Unreadable, int]:
    """Parse the record that begins with a line which ends at a byte; return it with the byte behind it."""
    after = end

    def feed() -> Iterator[str]:
        nonlocal after
        yield _text(line)
        # Inside quotes blank lines count, so these are the stream's own and not `_lines`.
        while more := stream.readline(LONGEST):
            after += len(more)
            yield _text(more)

    try:
        return next(csv.reader(feed(), delimiter=delimiter, strict=True)), after
    except (csv.Error, ValueError) as error:
        stream.seek(end)
        return Unreadable(f"the line is no CSV: {error}"), end


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"the line is no UTF-8: {error.reason} at byte {error.start}") from None
