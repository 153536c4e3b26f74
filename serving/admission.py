"""Which requests are let in: as many as memory has room for until the server is told to stop, then none."""

import asyncio
from collections import Counter
from types import TracebackType

from serving import errors, memory
from serving.errors import Refusal
from wire.errors import Code


class Admitted:
    """A request that was let in, under way until it is left, and the bytes of its body that count."""

    __slots__ = ("_admission", "_bytes", "_transport")

    def __init__(self, admission: "Admission", transport: str) -> None:
        self._admission = admission
        self._transport = transport
        self._bytes = 0

    def __enter__(self) -> "Admitted":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Be no longer under way, and give back what is counted."""
        admission = self._admission
        admission.bytes_in_flight -= self._bytes
        admission.in_flight[self._transport] -= 1
        if admission.draining:
            admission.tell_if_idle()

    def hold(self, size: int) -> None:
        """Count `size` bytes in all, instead of what was counted before.

        StatusError (UNAVAILABLE): there is no room for them beside what other requests hold. A request that
        is alone is let in whatever its size, as otherwise no retry would ever help.
        """
        others = self.check(size)
        self._bytes = size
        self._admission.bytes_in_flight = others + size

    def keep(self, size: int) -> None:
        """Count `size` bytes in all, of what is there already, whether there is room for them or not."""
        self._admission.bytes_in_flight += size - self._bytes
        self._bytes = size

    def check(self, size: int) -> int:
        """The bytes that the other requests hold; StatusError as `hold`, and nothing is counted."""
        admission = self._admission
        others = admission.bytes_in_flight - self._bytes
        if others and size > self._bytes and others + size > admission.max_bytes:
            raise _refusal(
                "bytes", "The requests under way take all memory that there is for them; try again later"
            )
        return others


class Admission:
    """Counts the requests under way by transport, and the bytes of their bodies; turns away what is too much.

    `turned_away` counts by reason what was refused before it was known what it asks for. Used on the event
    loop.
    """

    def __init__(self, *, max_requests: int = 0, max_bytes: int = 0) -> None:
        """0 requests is any number, 0 bytes a share of the memory that the process may use."""
        self.draining = False
        self.in_flight: dict[str, int] = {"grpc": 0, "rest": 0}
        self.bytes_in_flight = 0
        self.turned_away: Counter[str] = Counter()
        self._max_requests = max_requests
        self.max_bytes = max_bytes or memory.for_bodies()
        self._idle = asyncio.Event()

    def request(self, transport: str) -> Admitted:
        """Be under way until the result is left; StatusError (UNAVAILABLE): draining, or too many are."""
        if self.draining:
            raise errors.draining()
        if self._max_requests and sum(self.in_flight.values()) >= self._max_requests:
            raise _refusal(
                "requests", f"The server has {self._max_requests} requests under way; try again later"
            )
        self.in_flight[transport] += 1
        return Admitted(self, transport)

    def tell_if_idle(self) -> None:
        """Whoever waits for the requests under way is told when there are none."""
        if not any(self.in_flight.values()):
            self._idle.set()

    async def drain(self, seconds: float) -> bool:
        """Turn new requests away, and wait for those under way; False when some are left at the end."""
        self.draining = True
        if not any(self.in_flight.values()):
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


def _refusal(reason: str, message: str) -> Refusal:
    return Refusal(reason, Code.UNAVAILABLE, message)
