"""Inputs that are NumPy arrays, one row each: .npy files and the members of .npz files.

Rows are read as they are needed, and not mapped: of a mapped file all that was touched counts as the
process's memory, and one that is cut off while it is read ends the process without a word.
"""

import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from models.model import Array, InputError
from training.errors import DataError
from training.npz import DAMAGED, read_header
from training.scoring import rows
from training.scoring.lines import identity
from training.scoring.rows import BEGIN, Block, Columns, Position

SUFFIX = ".npy"


@dataclass(frozen=True)
class Member:
    """Where the rows of an array are: in a file, from a byte on; `name` is that in an .npz file."""

    path: Path
    name: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: int

    @property
    def row_bytes(self) -> int:
        """The bytes of a row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])

    def read(self, stream: IO[bytes], first: int, after: int) -> Array:
        """Return rows, read from the stream, which is best where the last call left it."""
        stream.seek(self.data + first * self.row_bytes)
        content = stream.read((after - first) * self.row_bytes)
        try:
            return np.frombuffer(content, self.dtype).reshape(after - first, *self.shape[1:])
        except ValueError:
            raise DataError(
                f"{self.path} ends before row {after}; it was cut off while it was read"
            ) from None


@dataclass(frozen=True)
class ArrayRows:
    """The rows of an array, with the elements of another one as keys where there is one."""

    inputs: Member
    keys: Member | None
    start: Position = BEGIN

    @property
    def identity(self) -> Mapping[str, Any]:
        """The file's, and the array's name."""
        return {**identity(self.inputs.path), "array": self.inputs.name}

    @property
    def column(self) -> str | None:
        """The array's name in an .npz file."""
        return self.inputs.name

    @property
    def extent(self) -> int:
        """The number of rows."""
        return self.count()

    def count(self) -> int:
        """Return the number of rows."""
        return self.inputs.shape[0]

    def find(self, row: int) -> Position:
        """Return the position of a row."""
        return Position(row, row)

    def blocks(self, start: Position, stop: int | None, size: int) -> Iterator[Block]:
        """Read the rows from a position on."""
        stop = self.count() if stop is None else stop
        with _opened(self.inputs) as stream, _opened(self.keys or self.inputs) as others:

            def read(first: int, after: int) -> tuple[Any, Array]:
                cells = self.inputs.read(stream, first, after)
                if self.keys is None:
                    return range(first, after), cells
                return self.keys.read(others, first, after).tolist(), cells

            yield from rows.read_spans(read, start.row, stop, size)


def npy(path: Path) -> ArrayRows:
    """Open a .npy file."""
    with _explained(path), path.open("rb") as stream:
        return ArrayRows(_member(path, None, stream, path.stat().st_size), None)


def npz(path: Path, columns: Columns) -> ArrayRows:
    """Open an .npz file: the arrays are its columns."""
    with _explained(path), zipfile.ZipFile(path) as archive:
        sizes = {info.filename.removesuffix(SUFFIX): info.file_size for info in archive.infolist()}
        try:
            column, key = columns.choose(list(sizes), str(path))
        except InputError as error:
            raise DataError(str(error)) from None

        def member(name: str) -> Member:
            with archive.open(name + SUFFIX) as stream:
                return _member(path, name, stream, sizes[name])

        found = ArrayRows(member(column), None if key is None else member(key))
    return _with_checked_keys(found)


def _with_checked_keys(found: ArrayRows) -> ArrayRows:
    keys, count = found.keys, found.count()
    if keys is not None and (keys.shape != (count,) or keys.dtype.kind not in "iuU"):
        raise DataError(
            f"{keys.name} in {keys.path} is {keys.dtype}{list(keys.shape)}; expected {count} keys:"
            " integers or texts"
        )
    return found


def _member(path: Path, name: str | None, stream: IO[bytes], size: int) -> Member:
    where = str(path) if name is None else f"{name} in {path}"
    shape, fortran_order, dtype = read_header(stream, where)
    if dtype.hasobject or dtype.kind not in "biufUS":
        raise DataError(
            f"{where} is an array of {dtype}; expected numbers or texts: write rows of unequal length as JSON"
            " Lines"
        )
    if not shape or any(length < 0 for length in shape):
        raise DataError(f"{where} has the shape {list(shape)}; expected rows")
    if fortran_order and len(shape) > 1:
        raise DataError(f"{where} is in Fortran's order; save np.ascontiguousarray(...) of it")
    member = Member(path, name, shape, dtype, stream.tell())
    if (came := size - member.data) != (expected := shape[0] * member.row_bytes):
        raise DataError(f"{where} has {came} bytes of data; its header says {expected}: get it anew")
    return member


@contextmanager
def _opened(member: Member) -> Iterator[IO[bytes]]:
    with _explained(member.path):
        if member.name is None:
            with member.path.open("rb", buffering=0) as stream:
                yield stream
        else:
            with zipfile.ZipFile(member.path) as archive, archive.open(member.name + SUFFIX) as part:
                yield part


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except DAMAGED as error:
        raise DataError(f"{path} is damaged, or no file of NumPy's: {error}; get it anew") from error
