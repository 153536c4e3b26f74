"""By when a call with all of its requests must be answered."""

import time
from collections.abc import Callable

from models.model import InputError
from wire.errors import Code, StatusError

LONGEST = 1e6
"""Seconds, eleven days: an operating system waits for a socket no longer than 2**31 milliseconds."""

Clock = Callable[[], float]
"""Seconds since any moment, never going back."""


class Deadline:
    """A moment `seconds` from now by which a whole answer must be there."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """The seconds that are left, or StatusError (DEADLINE_EXCEEDED) if there are none."""
        seconds = self._end - self._clock()
        if seconds <= 0:
            raise StatusError(Code.DEADLINE_EXCEEDED, "")
        return seconds

    def allows(self, wait: float) -> bool:
        """Whether something can still be asked after a wait of so many seconds."""
        return self._clock() + wait < self._end


def checked_timeout(timeout: float) -> float:
    """The timeout, or InputError if it is no number of seconds that one can wait."""
    if not 0 < timeout <= LONGEST:
        raise InputError(f"the timeout is {timeout!r}; expected seconds above 0, up to {LONGEST:,.0f}")
    return float(timeout)
