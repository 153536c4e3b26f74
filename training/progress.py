"""How a job tells what it is doing: lines, and a bar where a person is watching."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import click

Advance = Callable[[str], None]
"""Tells that one more step is done, with a few words on how it went."""

NOTE_COLUMNS = 48
"""The columns of a bar's line that are not its title nor the bar itself: the note, brackets and gaps."""


class Progress(Protocol):
    """What a job reports to."""

    def line(self, text: str) -> None:
        """Report one fact."""

    def warning(self, text: str) -> None:
        """Report what went wrong and does not stop the job."""

    def steps(self, title: str, total: int, done: int = 0) -> AbstractContextManager[Advance]:
        """Begin a piece of work of so many steps, some done before; the value is called after each."""


class Silent:
    """Reports nothing."""

    def line(self, text: str) -> None:
        """Drop the line."""

    def warning(self, text: str) -> None:
        """Drop the warning."""

    @contextmanager
    def steps(self, title: str, total: int, done: int = 0) -> Iterator[Advance]:
        """Drop the steps."""
        yield lambda _: None


class Lines:
    """Reports plain lines on standard error: for logs."""

    def line(self, text: str) -> None:
        """Write one line."""
        click.echo(text, err=True)

    def warning(self, text: str) -> None:
        """Write one line that says that it is a warning."""
        self.line(f"warning: {text}")

    @contextmanager
    def steps(self, title: str, total: int, done: int = 0) -> Iterator[Advance]:
        """Write a line for each step, with its number."""

        def advance(note: str) -> None:
            nonlocal done
            done += 1
            self.line(f"{title} {done}/{total}: {note}")

        yield advance


class Bars(Lines):
    """Reports on a terminal: the steps of a piece of work are one bar that grows."""

    @contextmanager
    def steps(self, title: str, total: int, done: int = 0) -> Iterator[Advance]:
        """Draw a bar on one line of the terminal, the last step's note behind it."""
        # A line that is longer than the terminal is wide could not be drawn over.
        left = shutil.get_terminal_size().columns - len(title) - NOTE_COLUMNS
        with click.progressbar(
            length=total,
            label=title,
            file=sys.stderr,
            item_show_func=str,
            show_eta=False,
            show_percent=False,
            width=max(5, min(24, left)),
        ) as bar:
            bar.update(done)
            yield lambda note: bar.update(1, note)


def to_stderr() -> Progress:
    """Return what suits standard error: bars on a terminal, else lines."""
    return Bars() if sys.stderr.isatty() else Lines()
