"""Inputs of the command line: words, files and standard input, read a piece at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from models.model import InputError, Model

T = TypeVar("T")
STANDARD_INPUT = "-"
BLOCK = 1 << 16
"""How much of a stream is read at once, in bytes."""


@dataclass(frozen=True)
class Source:
    """One raw input, and what names it in the output: the text itself, or the file and the row in it."""

    name: str
    instance: Any


def read(model: Model, words: Iterable[str], files: Iterable[str], stdin: BinaryIO) -> Iterator[Source]:
    """Read words as the model does, then files; "-" is standard input in either place."""
    for word in words:
        if word == STANDARD_INPUT:
            yield from _stream(model, stdin, "standard input")
        else:
            yield from _named(model, model.read_argument(word), word)
    for path in files:
        if path == STANDARD_INPUT:
            yield from _stream(model, stdin, "standard input")
        else:
            yield from _file(model, path)


def count(words: Sequence[str], files: Sequence[str]) -> int | None:
    """How many inputs there are, where each word is one; None where only reading tells."""
    return None if files or STANDARD_INPUT in words else len(words)


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Group items by `size`, the last group with what is left."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _file(model: Model, path: str) -> Iterator[Source]:
    try:
        with Path(path).open("rb") as stream:
            yield from _stream(model, stream, path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _stream(model: Model, stream: BinaryIO, name: str) -> Iterator[Source]:
    """Read lines of text in blocks, so that a file may be longer than memory; anything else is read whole."""
    first = stream.read(BLOCK)
    if b"\0" in first or not first.strip():
        yield from _named(model, model.read_bytes(first + stream.read(), name), name)
        return
    number = 1
    for block in _blocks(first, stream):
        place = name if number == 1 else f"{name} from line {number}"
        if block.strip():
            yield from _named(model, model.read_bytes(block, place), name)
        number += block.count(b"\n")


def _blocks(first: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """Cut a stream into blocks of whole lines."""
    parts: list[bytes] = []
    for data in chain([first], iter(lambda: stream.read(BLOCK), b"")):
        lines, newline, tail = data.rpartition(b"\n")
        if newline:
            yield b"".join([*parts, lines, newline])
            parts.clear()
        parts.append(tail)
    if last := b"".join(parts):
        yield last


def _named(model: Model, inputs: Any, name: str) -> Iterator[Source]:
    if model.is_one(inputs):
        yield Source(inputs if isinstance(inputs, str) else name, inputs)
        return
    rows: Sequence[Any] = inputs
    for number, row in enumerate(rows):
        yield Source(row if isinstance(row, str) else f"{name}[{number}]", row)
