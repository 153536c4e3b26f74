"""One server as a queue: an event loop that does one thing at a time, and threads that run batches.

A request costs the loop `receive` seconds, then it waits for its batch. As in `serving.batching`, what waits
runs together as soon as a thread is free, and a lone request at once. When a batch has run, the next one is
started, and then the loop writes the answers, `answer` seconds each. Times are in seconds.
"""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

RECEIVE, RAN, ANSWER = range(3)


@dataclass(frozen=True)
class Profile:
    """What a server costs, as it was measured.

    `seconds` is how long a batch of so many rows (`sizes`) runs, straight lines in between. `delay` is what
    a lone request takes besides: network, wake-ups. `stalls` are the moments by which single requests came
    later than the usual one, as a sample: they stop the loop. The processes use `cpu_factor` times the
    processor time that the loop and the runs take: gRPC has threads of its own.
    """

    sizes: Sequence[int]
    seconds: Sequence[float]
    receive: float
    answer: float
    delay: float = 0.0
    stalls: Sequence[float] = (0.0,)
    threads: int = 2
    rows: int = 128
    waiting: int = 4096
    cpu_factor: float = 1.0

    def runs(self) -> list[float]:
        """The seconds of a run by its rows, from 0 rows on."""
        found: list[float] = np.interp(np.arange(self.rows + 1), self.sizes, self.seconds).tolist()
        return found


@dataclass
class Counts:
    """What a pod did: seconds of its loop and runs, batches, what ran in them, requests turned away."""

    busy: float = 0.0
    batches: int = 0
    batched: int = 0
    refused: int = 0


Answered = Callable[[float, float], None]


@dataclass
class Pod:
    """A server under simulation; `answered` is told when each request came and when its answer was back.

    A request that the loop gets to later than `patience` seconds after it came is turned away: it is overdue.
    """

    profile: Profile
    random: np.random.Generator
    answered: Answered
    patience: float = math.inf
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self._events: list[tuple[float, int, int, float, list[float]]] = []
        self._numbers = count()
        self._queue: list[float] = []
        self._loop_free = 0.0
        self._threads = self.profile.threads
        self._runs = self.profile.runs()
        self._stalls = self._drawn()

    def offer(self, time: float) -> None:
        """A request comes at a time."""
        self._push(time + self.profile.delay / 2, RECEIVE, time)

    def advance(self, until: float) -> None:
        """Let everything happen that begins until a time."""
        events, profile, counts = self._events, self.profile, self.counts
        while events and events[0][0] <= until:
            ready, _, kind, came, batch = heapq.heappop(events)
            begin = max(ready, self._loop_free)
            if kind == RECEIVE:
                cost = profile.receive + self._stall()
                self._loop_free = begin + cost
                counts.busy += profile.receive
                self._receive(came, begin)
            elif kind == RAN:
                self._loop_free = begin
                self._threads += 1
                self._start()
                for each in batch:
                    self._push(begin, ANSWER, each)
            else:
                self._loop_free = begin + profile.answer
                counts.busy += profile.answer
                self.answered(came, self._loop_free + profile.delay / 2)

    def _receive(self, came: float, begin: float) -> None:
        if len(self._queue) >= self.profile.waiting or begin - came > self.patience:
            self.counts.refused += 1
            return
        self._queue.append(came)
        self._start()

    def _start(self) -> None:
        while self._threads and self._queue:
            batch, self._queue = self._queue[: self.profile.rows], self._queue[self.profile.rows :]
            seconds = self._runs[len(batch)]
            self._threads -= 1
            self.counts.busy += seconds
            self.counts.batches += 1
            self.counts.batched += len(batch)
            self._push(self._loop_free + seconds, RAN, 0.0, batch)

    def _push(self, time: float, kind: int, came: float, batch: Sequence[float] = ()) -> None:
        heapq.heappush(self._events, (time, next(self._numbers), kind, came, list(batch)))

    def _stall(self) -> float:
        if not self._stalls:
            self._stalls = self._drawn()
        return self._stalls.pop()

    def _drawn(self) -> list[float]:
        drawn: list[float] = self.random.choice(np.asarray(self.profile.stalls), 4096).tolist()
        return drawn


def open_loop(
    profile: Profile, arrivals: Sequence[float], seed: int = 0
) -> tuple["np.ndarray[tuple[int], np.dtype[np.float64]]", Counts]:
    """Requests that come at these times: the seconds that each took, in the order of the answers."""
    taken: list[float] = []
    pod = Pod(profile, np.random.default_rng(seed), lambda came, back: taken.append(back - came))
    for time in arrivals:
        pod.offer(time)
    pod.advance(math.inf)
    return np.array(taken), pod.counts


def closed_loop(
    profile: Profile, concurrency: int, requests: int = 20_000, seed: int = 0
) -> tuple[float, float]:
    """Each of some clients asks again as soon as it has its answer: answers a second, and busy cores."""
    last, answers = 0.0, 0

    def again(_: float, back: float) -> None:
        nonlocal last, answers
        last, answers = back, answers + 1
        if answers < requests:
            pod.offer(back)

    pod = Pod(profile, np.random.default_rng(seed), again)
    for _ in range(concurrency):
        pod.offer(0.0)
    pod.advance(math.inf)
    return answers / last, pod.counts.busy / last
