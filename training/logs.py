"""A job's log on standard error: lines of text, or one JSON object each for a log collector."""

from __future__ import annotations

import datetime
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import click

from training.progress import Advance, Progress, to_stderr

Format = Literal["auto", "json", "text"]
IN_DOCKER = Path("/.dockerenv")
IN_KUBERNETES = "KUBERNETES_SERVICE_HOST"
INTERRUPTED = 130


class JsonLines:
    """Reports JSON objects, one a line, as the server's log has them: time, level, logger, message.

    A step has its number and how many there are besides.
    """

    def line(self, text: str) -> None:
        """Write one fact."""
        self.record("INFO", text)

    def warning(self, text: str) -> None:
        """Write what went wrong and does not stop the job."""
        self.record("WARNING", text)

    @contextmanager
    def steps(self, title: str, total: int, done: int = 0) -> Iterator[Advance]:
        """Write an object for each step."""

        def advance(note: str) -> None:
            nonlocal done
            done += 1
            self.record("INFO", f"{title} {done}/{total}: {note}", step=done, steps=total)

        yield advance

    def record(self, level: str, message: str, **further: Any) -> None:
        """Write one object."""
        moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        document = {"time": moment, "level": level, "logger": "training", "message": message, **further}
        click.echo(json.dumps(document, ensure_ascii=False), err=True)


def reporting(log_format: Format) -> Progress:
    """Return what writes the log: "auto" is JSON in a container where nobody watches, else text."""
    if log_format == "json" or (log_format == "auto" and in_container(os.environ) and not _watched()):
        return JsonLines()
    return to_stderr()


def in_container(environment: Mapping[str, str]) -> bool:
    """Tell whether this process runs under Docker or Kubernetes."""
    return IN_KUBERNETES in environment or IN_DOCKER.exists()


@contextmanager
def telling_how_it_ends(progress: Progress) -> Iterator[None]:
    """Write the error that ends a job into a JSON log, and exit with its code; `kedge` tells it as text.

    A missing distribution is left to `kedge`, which knows the extra that brings it.
    """
    try:
        yield
    except ModuleNotFoundError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if not isinstance(progress, JsonLines):
            raise
        exit_code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", None)
        further = {} if exit_code is not None else {"traceback": traceback.format_exc()}
        progress.record("ERROR", str(error) or "interrupted", **further)
        sys.exit(1 if exit_code is None else exit_code)


def _watched() -> bool:
    return sys.stderr.isatty()
