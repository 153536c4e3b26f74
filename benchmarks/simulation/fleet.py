"""Replicas of the embedded server behind one address, and Kubernetes' autoscaler on their processor time.

The autoscaler is the HorizontalPodAutoscaler's algorithm: every 15 s it sets the replicas to the present ones
times their mean utilisation over the target, unless that is within a tenth; up by at most 4 or to the double,
down only to the most that it wanted in the stabilisation window. A replica that it adds answers after `start`
seconds.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from benchmarks.simulation.arrivals import Times, poisson
from benchmarks.simulation.pod import Counts, Pod, Profile

TICK = 15.0
TOLERANCE = 0.1


@dataclass(frozen=True)
class Scaling:
    """The autoscaler's settings. `cores` is what a replica requests; clients wait for `patience` seconds.

    With `connections` each of so many clients stays with the replica that it first met, as gRPC's do behind a
    Service; without them a balancer shares out requests.
    """

    least: int
    most: int
    target: float
    cores: float
    start: float
    stabilization: float = 600.0
    patience: float = 1.0
    connections: int | None = None


@dataclass(frozen=True)
class Tick:
    """15 seconds: requests a second, replicas that answer, their utilisation, seconds, refusals."""

    time: float
    rate: float
    replicas: int
    utilisation: float
    p50: float
    p99: float
    refused: int


@dataclass
class _Fleet:
    profile: Profile
    scaling: Scaling
    random: np.random.Generator
    taken: list[float] = field(default_factory=list)
    pods: list[tuple[float, Pod]] = field(default_factory=list)
    homes: list[Pod] = field(default_factory=list)
    wanted: list[tuple[float, int]] = field(default_factory=list)

    def add(self, ready: float) -> None:
        self.pods.append((ready, Pod(self.profile, self.random, self._answered, self.scaling.patience)))

    def _answered(self, came: float, back: float) -> None:
        self.taken.append(back - came)

    def ready(self, time: float) -> list[Pod]:
        return [pod for since, pod in self.pods if since <= time]

    def offer(self, arrivals: Times, time: float) -> None:
        """Share a tick's requests out."""
        pods = self.ready(time)
        if self.scaling.connections is not None:
            while len(self.homes) < self.scaling.connections:
                self.homes.append(pods[len(self.homes) % len(pods)])
            # A client whose replica has gone connects to another.
            self.homes = [
                home if home in pods else pods[self.random.integers(len(pods))] for home in self.homes
            ]
            pods = self.homes
        for arrival, place in zip(
            arrivals.tolist(), self.random.integers(len(pods), size=len(arrivals)), strict=True
        ):
            pods[place].offer(arrival)

    def scale(self, time: float, utilisation: float) -> None:
        """Decide as the autoscaler does at the end of a tick."""
        scaling, present = self.scaling, len(self.pods)
        ratio = utilisation / scaling.target
        wanted = present if abs(ratio - 1) <= TOLERANCE else math.ceil(len(self.ready(time)) * ratio)
        wanted = max(scaling.least, min(scaling.most, wanted, max(present * 2, present + 4)))
        self.wanted = [(at, number) for at, number in self.wanted if at > time - scaling.stabilization]
        self.wanted.append((time, wanted))
        wanted = max(wanted, min(present, max(number for _, number in self.wanted)))
        for _ in range(wanted - present):
            self.add(time + scaling.start)
        for _, pod in self.pods[wanted:]:
            pod.advance(math.inf)
        del self.pods[wanted:]


def run(profile: Profile, scaling: Scaling, rates: list[float], seed: int = 0) -> list[Tick]:
    """Let a fleet answer for as many ticks as there are rates (requests a second)."""
    random = np.random.default_rng(seed)
    fleet = _Fleet(profile, scaling, random)
    for _ in range(scaling.least):
        fleet.add(0.0)
    ticks: list[Tick] = []
    for number, rate in enumerate(rates):
        begin, end = number * TICK, (number + 1) * TICK
        fleet.offer(poisson(rate, begin, end, random), begin)
        pods = fleet.ready(begin)
        busy, refused = 0.0, 0
        for pod in pods:
            pod.advance(end)
            busy, refused = busy + pod.counts.busy, refused + pod.counts.refused
            pod.counts = Counts()
        utilisation = busy * profile.cpu_factor / (len(pods) * scaling.cores * TICK)
        p50, p99 = np.percentile(fleet.taken or [float("nan")], (50, 99)).tolist()
        ticks.append(Tick(begin, rate, len(pods), utilisation, p50, p99, refused))
        fleet.taken.clear()
        fleet.scale(end, utilisation)
    return ticks
