"""How long a batch waits for requests that are on their way: microseconds, and never for a timer."""

import asyncio
import time
from collections.abc import Callable

# A batch is made once the event loop has gone round so often without another request: those that are still on
# their way through the transport run in it, and a few rows take hardly longer than one. A round takes
# microseconds where there is nothing to do.
QUIET_ROUNDS = 8
# Where more came together lately, some further rounds wait, as those who were answered ask again. They last
# longer, but less than the whole milliseconds that the loop's timers have.
PATIENT_ROUNDS = 6
PATIENT_SECONDS = 0.00005
GATHERING_SECONDS = 0.01


class Gathering:
    """Gathers the requests that arrive together, round after round of the event loop."""

    def __init__(
        self, gathered: Callable[[asyncio.AbstractEventLoop], None], clock: Callable[[], float]
    ) -> None:
        """`gathered` is called when no more requests are likely to come, or when the time has come."""
        self._gathered = gathered
        self._clock = clock
        self._going_on = False
        self._came = 0
        # So many came together lately.
        self._expected = 0

    def add(self, loop: asyncio.AbstractEventLoop) -> None:
        """A request has come."""
        self._came += 1
        self.go_on(loop)

    def go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gather those that are on their way to the ones that are here."""
        if not self._going_on:
            self._going_on = True
            loop.call_soon(self._go_round, loop, self._clock() + GATHERING_SECONDS, self._came)

    def _go_round(self, loop: asyncio.AbstractEventLoop, until: float, seen: int, quiet: int = 0) -> None:
        quiet = quiet + 1 if self._came == seen else 0
        enough = QUIET_ROUNDS + (PATIENT_ROUNDS if self._came < self._expected else 0)
        if quiet < enough and self._clock() < until:
            if quiet >= QUIET_ROUNDS:
                time.sleep(PATIENT_SECONDS)
            loop.call_soon(self._go_round, loop, until, self._came, quiet)
            return
        if self._came:
            self._expected = max(self._came, self._expected // 2)
        self._came, self._going_on = 0, False
        self._gathered(loop)
