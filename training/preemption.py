"""SIGTERM: what a job does when its machine is wanted for something else."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 143


class Preemption:
    """Ends the process on SIGTERM as an exception does; while that is deferred it only notes the wish.

    `requested` is whether SIGTERM came. What defers it looks at that every few seconds, or is done as soon.
    """

    def __init__(self) -> None:
        self.requested = False
        self._deferred = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle SIGTERM while this runs."""
        before = signal.signal(signal.SIGTERM, self._notice)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let what runs inside end by itself."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Within what is deferred, let SIGTERM end what runs inside, also one that came before."""
        self._deferred = False
        try:
            if self.requested:
                sys.exit(TERMINATED)
            yield
        finally:
            self._deferred = True

    def _notice(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        if not self._deferred:
            sys.exit(TERMINATED)
