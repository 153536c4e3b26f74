"""One server as a queue: an event loop that does one thing at a time, the model's short runs among them.

A request costs the loop `receive` seconds, then it waits for its batch. As in `serving.gathering`, a batch
runs when for a moment no further request has come, a longer moment where more came together lately, and at
last when the time has come. Then the loop runs it, makes the answers, `answer` seconds each, and sends them
together. What comes meanwhile waits. Times are in seconds.
"""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from serving.gathering import GATHERING_SECONDS

# What an overdue request costs of another one: it is taken in and looked at, no more.
OVERDUE = 0.1


@dataclass(frozen=True)
class Profile:
    """What a server costs, as it was measured.

    `seconds` is how long a batch of so many rows (`sizes`) runs, straight lines in between. `delay` is what
    a lone request takes besides: network, wake-ups. `stalls` are the moments by which single requests came
    later than the usual one, as a sample: by so much a loop that slept is woken late. The process uses
    `cpu_factor` times the processor time that the loop takes: TensorFlow has threads of its own. A batch
    waits until nothing has come for `quiet` seconds, `patient` more where it has fewer than came lately, and
    `gathering` in all.
    """

    sizes: Sequence[int]
    seconds: Sequence[float]
    receive: float
    answer: float
    delay: float = 0.0
    stalls: Sequence[float] = (0.0,)
    rows: int = 128
    waiting: int = 4096
    cpu_factor: float = 1.0
    quiet: float = 30e-6
    patient: float = 600e-6
    gathering: float = GATHERING_SECONDS

    def runs(self) -> list[float]:
        """The seconds of a run by its rows, from 0 rows on."""
        found: list[float] = np.interp(np.arange(self.rows + 1), self.sizes, self.seconds).tolist()
        return found


@dataclass
class Counts:
    """What a pod did: seconds of its loop, batches, what ran in them, requests turned away."""

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
        self._coming: list[tuple[float, float]] = []
        self._queue: list[float] = []
        self._loop_free = 0.0
        self._gather_until = 0.0
        self._expected = 0
        self._runs = self.profile.runs()
        self._stalls = self._drawn()

    def offer(self, time: float) -> None:
        """A request comes at a time."""
        heapq.heappush(self._coming, (time + self.profile.delay / 2, time))

    def advance(self, until: float) -> None:
        """Let everything happen that begins until a time."""
        while True:
            arrives = max(self._coming[0][0], self._loop_free) if self._coming else math.inf
            runs = self._runs_at()
            if min(arrives, runs) > until or arrives == runs == math.inf:
                return
            if arrives <= runs:
                self._receive(arrives, heapq.heappop(self._coming)[1])
            else:
                self._run(runs)

    def _runs_at(self) -> float:
        """When the batch that waits runs if nothing else comes."""
        if not self._queue:
            return math.inf
        waits = self.profile.quiet
        if len(self._queue) < self._expected:
            waits += self.profile.patient
        return max(self._loop_free, min(self._loop_free + waits, self._gather_until))

    def _receive(self, begin: float, came: float) -> None:
        cost = self.profile.receive
        if begin - came > self.patience or len(self._queue) >= self.profile.waiting:
            self.counts.refused += 1
            cost *= OVERDUE
        else:
            if not self._queue:
                self._gather_until = begin + self.profile.gathering
            self._queue.append(came)
        self.counts.busy += cost
        # A loop that slept may be woken late, and finds all that came meanwhile.
        slept = begin > self._loop_free and not self._queue
        self._loop_free = begin + cost + (self._stall() if slept else 0.0)

    def _run(self, begin: float) -> None:
        profile, counts = self.profile, self.counts
        self._expected = max(len(self._queue), self._expected // 2)
        batch, self._queue = self._queue[: profile.rows], self._queue[profile.rows :]
        # The answers of a batch are sent together.
        at = begin + self._runs[len(batch)] + len(batch) * profile.answer
        for came in batch:
            self.answered(came, at + profile.delay / 2)
        counts.busy += at - begin
        counts.batches += 1
        counts.batched += len(batch)
        self._loop_free = at

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
