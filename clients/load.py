"""Load on a server: requests in a closed or in an open loop, and how long their answers took.

In a closed loop each of some workers sends its next request when it has the answer to its last: the server
sets the pace. In an open loop requests are due at a fixed rate, whatever the server does, and a latency
counts from when its request was due. A server that stalls thus makes all requests late that were due in the
meantime, as it would make all its users wait, and not just the few that were under way ("coordinated
omission", http://highscalability.com/blog/2015/10/5/your-load-generator-is-probably-lying-to-you.html).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from clients.histogram import Histogram
from wire.errors import StatusError

Send = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Plan:
    """What load: `concurrency` requests under way at most, for `duration` seconds after a warm-up.

    With a `rate` the loop is open: so many requests a second are due.
    """

    concurrency: int
    duration: float
    warmup: float = 0.0
    rate: float | None = None


@dataclass
class Tally:
    """What came of it, without the warm-up.

    `latencies` are those of all requests that were due, whether answered or not; `errors` counts by the name
    of the code. `unsent` were due and never sent, for none of the workers was free: they count as waiting
    until the end. `lateness` is how long after its time a worker that was free sent a request: this
    client's own delay. `seconds` is how long it all took.
    """

    latencies: Histogram = field(default_factory=Histogram)
    lateness: Histogram = field(default_factory=Histogram)
    errors: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    unsent: int = 0
    seconds: float = 0.0

    @property
    def throughput(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds if self.seconds else 0.0


async def run(send: Send, plan: Plan) -> Tally:
    """Put a load on what `send` asks, and tell what came of it."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    load = _Load(send, plan, Tally(), start, start + plan.warmup, start + plan.warmup + plan.duration)
    worker = load.closed if plan.rate is None else load.open
    numbers = count()
    async with asyncio.TaskGroup() as workers:
        for _ in range(plan.concurrency):
            workers.create_task(worker(numbers))
    load.tally.seconds = max(loop.time(), load.end) - load.begin
    return load.tally


@dataclass(frozen=True)
class _Load:
    """A load under way: moments are of the event loop's clock."""

    send: Send
    plan: Plan
    tally: Tally
    start: float
    begin: float
    end: float

    async def closed(self, numbers: Iterator[int]) -> None:
        """Send one request after the other."""
        loop = asyncio.get_running_loop()
        while (now := loop.time()) < self.end:
            await self._ask(now)

    async def open(self, numbers: Iterator[int]) -> None:
        """Send the requests whose numbers are drawn, each when it is due."""
        loop = asyncio.get_running_loop()
        for number in numbers:
            due = self.start + number / (self.plan.rate or 1)
            if due >= self.end:
                return
            early = due - loop.time()
            if early > 0:
                await asyncio.sleep(early)
                if due >= self.begin:
                    self.tally.lateness.record(loop.time() - due)
            if loop.time() < self.end:
                await self._ask(due)
            elif due >= self.begin:
                self.tally.unsent += 1
                self.tally.latencies.record(loop.time() - due)

    async def _ask(self, due: float) -> None:
        code = None
        try:
            await self.send()
        except StatusError as error:
            code = error.code.name
        if due < self.begin:
            return
        self.tally.latencies.record(asyncio.get_running_loop().time() - due)
        if code is None:
            self.tally.answered += 1
        else:
            self.tally.errors[code] += 1
