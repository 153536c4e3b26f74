"""What a terminal gets and a file does not: colours and progress."""

import os
import time
from collections.abc import Callable
from typing import TextIO

import click

BAR = 24
REDRAW = 0.1
"""Seconds between two drawings of the progress."""

Paint = Callable[..., str]
"""Styles a text, as `click.style` does."""


def painter(stream: TextIO) -> Paint:
    """`click.style` for a terminal with colours, and for all else what leaves a text as it is.

    NO_COLOR turns colours off (https://no-color.org).
    """
    colours = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style if colours else plain


def plain(text: str, **style: object) -> str:  # noqa: ARG001
    """Leave a text as it is."""
    return text


class Progress:
    """How many inputs have their answer, and how many a second, on one line of a terminal.

    It is drawn on `err` only where that is a terminal and the answers go elsewhere: otherwise they show it.
    """

    def __init__(
        self, out: TextIO, err: TextIO, total: int | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._err = err
        self._shown = err.isatty() and not out.isatty()
        self._total = total
        self._clock = clock
        self._start = self._next = clock()
        self._done = self._width = 0

    def add(self, count: int) -> None:
        """Count answers, and draw now and then."""
        self._done += count
        now = self._clock()
        if self._shown and now >= self._next:
            self._next = now + REDRAW
            self._draw(self._line(now))

    def close(self) -> None:
        """Clear the line."""
        if self._width:
            self._draw("")
            self._err.write("\r")
            self._err.flush()

    def _line(self, now: float) -> str:
        speed = f", {self._done / (now - self._start):,.0f} a second" if now > self._start else ""
        if self._total is None or self._done > self._total:
            return f"{self._done:,} inputs{speed}"
        filled = BAR * self._done // max(1, self._total)
        return f"[{'#' * filled}{'-' * (BAR - filled)}] {self._done:,} of {self._total:,}{speed}"

    def _draw(self, line: str) -> None:
        self._err.write("\r" + line.ljust(self._width))
        self._err.flush()
        self._width = len(line)
