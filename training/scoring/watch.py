"""Telling how far a job is: a bar on a terminal, else a line from time to time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import click

from training.progress import Progress
from training.scoring.record import Record
from training.scoring.rows import Source

SECONDS = 10.0
"""Between two lines of a log."""
PARTS = 1000
"""Of a bar."""

At = Callable[[Record], None]
"""Takes note of how far the job is."""


@contextmanager
def watching(
    progress: Progress, source: Source, first: Record, *, terminal: bool, seconds: float = SECONDS
) -> Iterator[At]:
    """Watch a job from a record on. On a terminal there is a bar on standard error, and few lines."""
    name, begin = first.job["model"], first.start
    length = max(1, (source.extent if first.stop is None else first.stop.offset) - begin.offset)
    last, begun = first, time.monotonic()
    told = begun
    if done := first.position.row - begin.row:
        progress.line(f"{name}: {done} rows are done; going on behind them")
    with _bar(name, terminal) as bar:

        def at(record: Record) -> None:
            nonlocal last, told
            last, share = record, min(1.0, (record.position.offset - begin.offset) / length)
            if bar is not None:
                bar.update(int(share * PARTS) - bar.pos)
            elif (now := time.monotonic()) - told >= seconds:
                told = now
                rate = (record.position.row - first.position.row) / (now - begun)
                progress.line(
                    f"{name}: {record.scored} rows scored, {record.bad} bad, {share:.0%} of the input,"
                    f" {rate:.0f} rows a second"
                )

        try:
            at(first)
            yield at
        except BaseException:
            done = last.position.row - begin.row
            progress.line(f"{name}: stopped with {done} rows done; the same command goes on behind them")
            raise


def _bar(label: str, terminal: bool) -> AbstractContextManager[Any]:
    if not terminal:
        return nullcontext()
    return click.progressbar(length=PARTS, label=label, file=sys.stderr, width=24)
