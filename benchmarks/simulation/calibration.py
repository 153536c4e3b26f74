"""Measures what the simulation needs of the embedded server, and what it is checked against.

The run of a batch by its rows comes from the server's own histogram (`kedge_run_seconds`). The rest follows
from requests that come alone, and from a closed loop of 64.
"""

import re
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.serving.cases import BY_NAME, Example
from benchmarks.serving.load import h2load_command, read_log
from benchmarks.serving.measure import Started
from benchmarks.serving.processes import Others
from benchmarks.serving.requests import Request
from benchmarks.simulation import pod
from benchmarks.simulation.arrivals import Times, poisson
from benchmarks.simulation.pod import Profile
from serving import gathering

T = TypeVar("T")

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
RUN = re.compile(r'^kedge_(run_seconds|batch_requests)_(sum|count)\{model="mnist".*\} (\S+)$', re.MULTILINE)
LONE_SECONDS = 0.01
LOW_LOAD = 0.15
"""Of the most that the server answers: requests meet few others, and processors that are awake."""
SETTLED = 0.1
"""The part of a run at its beginning that does not count."""


@dataclass(frozen=True)
class Histogram:
    """Sums and counts of the server's histograms of mnist's runs."""

    seconds: float
    requests: float
    runs: float

    def since(self, earlier: "Histogram") -> "Histogram":
        """What came after an earlier reading."""
        return Histogram(
            self.seconds - earlier.seconds, self.requests - earlier.requests, self.runs - earlier.runs
        )


def read_histogram(server: Started) -> Histogram:
    """Read the metrics' page."""
    url = f"http://127.0.0.1:{server.ports['rest']}/monitoring/prometheus/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        page = answer.read().decode()
    found = {f"{name}_{kind}": float(value) for name, kind, value in RUN.findall(page)}
    return Histogram(
        found.get("run_seconds_sum", 0), found.get("batch_requests_sum", 0), found.get("run_seconds_count", 0)
    )


def request(server: Started, example: Example, rows: int) -> Request:
    """A request of MNIST images, the example's one so many times."""
    repeated = {name: np.repeat(array[:1], rows, axis=0) for name, array in example.inputs.items()}
    return server.request("grpc", BY_NAME["mnist"], replace(example, inputs=repeated))


def closed(server: Started, example: Example, *, rows: int, concurrency: int, seconds: float) -> Times:
    """The seconds of the requests of a closed loop on one connection."""
    return _load(
        server, request(server, example, rows), ["-m", str(concurrency), "-D", f"{round(seconds * 1e3)}ms"]
    )[1]


def quietest(server: Started, repeat: int, measure: Callable[[], T]) -> tuple[T, float]:
    """Measure several times: what came when other programs used least cores, and how many."""
    found = []
    for _ in range(repeat):
        others = Others(server.processes)
        found.append((measure(), others.cores()))
    return min(found, key=lambda each: each[1])


def replayed(server: Started, example: Example, arrivals: Times) -> tuple[Times, Times]:
    """Send requests at times, whatever the server does: when each was really sent, and how long it took.

    h2load's clock ticks in milliseconds, so that requests are sent in small groups, and somewhat late.
    """
    asked = request(server, example, 1)
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as script:
        for time in arrivals.tolist():
            script.write(f"{round(time * 1e3)}\thttp://127.0.0.1:{server.ports['grpc']}{asked.path}\n")
        script.flush()
        return _load(server, asked, ["-m", "4000", f"--timing-script-file={script.name}"])


def _load(server: Started, asked: Request, options: list[str]) -> tuple[Times, Times]:
    with tempfile.TemporaryDirectory() as directory:
        command = h2load_command(server.ports["grpc"], asked, Path(directory), ["-c", "1", *options])
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        rows = read_log(Path(directory))
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    sent = (rows[:, 0] - rows[0, 0]) / 1e6
    settled = sent >= sent[-1] * SETTLED
    return sent[settled], rows[settled, 2] / 1e6


def curve(server: Started, example: Example, seconds: float) -> list[float]:
    """The mean seconds of a run by its rows."""
    found = []
    for rows in SIZES:
        closed(server, example, rows=rows, concurrency=1, seconds=0.3)
        before = read_histogram(server)
        closed(server, example, rows=rows, concurrency=1, seconds=seconds)
        ran = read_histogram(server).since(before)
        found.append(ran.seconds / ran.runs)
    return found


def profile(server: Started, example: Example, seconds: float) -> Profile:
    """Measure a server's profile.

    The loop's cost of a request is what makes the simulation answer as many a second with 64 at a time as the
    server does; the delay is what is then left of the usual time at a low load.
    """
    runs = curve(server, example, seconds / 2)
    # Far enough apart to be alone, and to find the processors asleep as requests that come at random do.
    _, lone = replayed(server, example, np.arange(0, 2 * seconds, LONE_SECONDS))
    before = server.processes.cpu_seconds()
    crowd = closed(server, example, rows=1, concurrency=64, seconds=seconds)
    cores = (server.processes.cpu_seconds() - before) / seconds
    rate = 64 / float(crowd.mean())
    usual = float(np.median(lone))
    stalls = np.maximum(0, np.random.default_rng(0).permutation(lone)[:2000] - usual)
    due = poisson(LOW_LOAD * rate, 0, 2 * seconds, np.random.default_rng(1))
    earlier = read_histogram(server)
    sent, took = replayed(server, example, due)
    ran = read_histogram(server).since(earlier)
    # In a closed loop of nothing else the network stays in the cache; here other work drives it out.
    cold = ran.seconds / ran.runs / float(np.interp(ran.requests / ran.runs, SIZES, runs))
    runs = [each * max(1.0, cold) for each in runs]
    made = Profile(SIZES, runs, 0, 0, stalls=stalls.tolist(), patient=_patient_seconds())
    cost = _loop_cost(made, rate)
    made = replace(made, receive=cost / 2, answer=cost / 2)
    simulated, _ = pod.open_loop(made, sent.tolist())
    made = replace(made, delay=max(0.0, float(np.median(took) - np.median(simulated))))
    return replace(made, cpu_factor=cores / pod.closed_loop(made, 64)[1])


def _patient_seconds() -> float:
    """How long the rounds take for which a batch waits for more: a sleep is longer than it is told to be."""
    begin = time.perf_counter()
    for _ in range(100):
        time.sleep(gathering.PATIENT_SECONDS)
    return gathering.PATIENT_ROUNDS * (time.perf_counter() - begin) / 100


def _loop_cost(made: Profile, rate: float) -> float:
    """By bisection, the seconds of the loop for a request."""
    low, high = 0.0, 1 / rate
    for _ in range(12):
        middle = (low + high) / 2
        reached, _ = pod.closed_loop(replace(made, receive=middle / 2, answer=middle / 2), 64, 8000)
        low, high = (middle, high) if reached > rate else (low, middle)
    return (low + high) / 2
