"""What an input is to the job: rows with a number, a key and a cell, read in blocks from any position on.

Blocks begin at row numbers that are multiples of their size, wherever reading begins. So a row meets the same
neighbours in its batch whether the job is whole, split or resumed, and gets the same answer to the last bit.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol

from models.model import Array, InputError

KEY = "key"
"""The column that holds the rows' keys where the caller names none."""


@dataclass(frozen=True)
class Position:
    """A place between two rows: the number of the next one, and its offset in units of `Source.extent`."""

    row: int
    offset: int


BEGIN = Position(0, 0)


@dataclass(frozen=True)
class Unreadable:
    """Stands where a row has no cell that can be read, with the reason."""

    reason: str


@dataclass(frozen=True)
class Block:
    """Rows from number `first` on, with a key and a cell each; `end` is the position behind them."""

    first: int
    keys: Sequence[str | int]
    cells: Sequence[Any] | Array
    end: Position


class Source(Protocol):
    """An input that is open."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What tells this input from another or a changed one: JSON."""

    @property
    def column(self) -> str | None:
        """The name of the cells' column, where the input has named columns."""

    @property
    def start(self) -> Position:
        """Where the first row is."""

    @property
    def extent(self) -> int:
        """The offset behind the last row."""

    def count(self) -> int:
        """Count the rows; a text file is read through for it."""

    def find(self, row: int) -> Position:
        """Return the position of a row."""

    def blocks(self, start: Position, stop: int | None, size: int) -> Iterator[Block]:
        """Read the rows from a position to the row number `stop`, or to the end."""


@dataclass(frozen=True)
class Columns:
    """Which columns hold the input and the key; None looks for `names` (the signatures' inputs), and KEY."""

    column: str | None
    key: str | None
    names: tuple[str, ...]

    def choose(self, header: Sequence[str], where: str) -> tuple[str, str | None]:
        """Return the columns of the cells and of the keys, or raise InputError."""
        there = ", ".join(header) or "none"
        key = self.key if self.key is not None else KEY if KEY in header else None
        if key is not None and key not in header:
            raise InputError(f"{where} has no column {key!r} for the keys; it has {there}")
        if self.column is not None:
            if self.column not in header:
                raise InputError(f"{where} has no column {self.column!r}; it has {there}")
            return self.column, key
        others = [name for name in header if name != key]
        found = [name for name in self.names if name in others] or others
        if len(found) == 1 or (found and found[0] in self.names):
            return found[0], key
        raise InputError(f"{where} has the columns {there}; name the one of the input with --column")


def key_of(value: Any, row: int) -> str | int:
    """Return a key as it is written, or raise InputError: keys are texts and whole numbers."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value
    raise InputError(f"the key of row {row} is {value!r:.40}; expected a text or a whole number")


Parse = Callable[[int, Any], tuple[str | int, Any]]
"""Turns a row's number and record into its key and cell, or raises ValueError."""
ParseAll = Callable[[int, Sequence[Any]], tuple[Sequence[str | int], Sequence[Any]]]
"""Turns the first row's number and the records of some rows into keys and cells."""


def one_by_one(parse: Parse) -> ParseAll:
    """Parse each record for itself; one that is Unreadable, or that cannot be parsed, has no cell."""

    def parse_one(row: int, record: Any) -> tuple[str | int, Any]:
        try:
            return (row, record) if isinstance(record, Unreadable) else parse(row, record)
        except ValueError as error:
            return row, Unreadable(str(error))

    def parse_all(first: int, records: Sequence[Any]) -> tuple[Sequence[str | int], Sequence[Any]]:
        parsed = [parse_one(row, record) for row, record in enumerate(records, first)]
        return [key for key, _ in parsed], [cell for _, cell in parsed]

    return parse_all


def cut(
    records: Iterable[tuple[Any, int]], parse_all: ParseAll, start: Position, stop: int | None, size: int
) -> Iterator[Block]:
    """Cut a stream of records into blocks; each comes with the offset behind it, the first is at `start`."""
    left = islice(records, None if stop is None else stop - start.row)
    first = start.row
    while members := list(islice(left, size - first % size)):
        found, ends = zip(*members, strict=True)
        keys, cells = parse_all(first, found)
        after = first + len(found)
        yield Block(first, keys, cells, Position(after, ends[-1]))
        first = after


def spans(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Give the first row and the one behind the last of each block, for inputs with random access."""
    edges = chain([start], range(start - start % size + size, stop, size))
    for first in edges:
        if first < stop:
            yield first, min(first - first % size + size, stop)


Read = Callable[[int, int], tuple[Sequence[str | int], Sequence[Any] | Array]]


def read_spans(read: Read, start: int, stop: int, size: int) -> Iterator[Block]:
    """Read blocks by a function that reads rows from one number to another."""
    for first, after in spans(start, stop, size):
        keys, cells = read(first, after)
        yield Block(first, keys, cells, Position(after, after))
