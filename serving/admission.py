"""Which requests are let in: all of them until the server is told to stop, then none."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from serving import errors


class Admission:
    """Counts the requests under way, by transport, and turns new ones away while draining.

    `refused` counts by reason what was turned away before it was a request. Used on the event loop.
    """

    def __init__(self) -> None:
        self.draining = False
        self.in_flight: dict[str, int] = {"grpc": 0, "rest": 0}
        self.refused: Counter[str] = Counter()
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def request(self, transport: str) -> Iterator[None]:
        """Be under way inside; StatusError (UNAVAILABLE) while draining."""
        if self.draining:
            raise errors.draining()
        self.in_flight[transport] += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.in_flight[transport] -= 1
            if not any(self.in_flight.values()):
                self._idle.set()

    async def drain(self, seconds: float) -> bool:
        """Turn new requests away, and wait for those under way; False when some are left at the end."""
        self.draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True
