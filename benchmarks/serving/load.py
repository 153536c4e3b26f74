"""Load from generators written in C: h2load for gRPC's messages, wrk for REST.

Each runs in one thread. A gRPC answer has the HTTP status 200 also where it is an error; but then it has no
message, so that the bytes of all answers tell how many were messages of the right length.
"""

import json
import math
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.processes import ServerFailed
from benchmarks.serving.requests import Request

Log = NDArray[np.int64]

SCRIPT = Path(__file__).with_name("load.lua")
_COUNTS = re.compile(
    r"requests: (?P<total>\d+) total, .* (?P<succeeded>\d+) succeeded, (?P<failed>\d+) failed, "
    r"(?P<errored>\d+) errored"
)
_DATA = re.compile(r"\((\d+)\) data")
_FINISHED = re.compile(r"finished in ([\d.]+)(us|ms|s)\b")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Load:
    """What came of a load: the answers, the errors, the seconds it took, and percentiles in seconds."""

    answers: int
    errors: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return (self.answers - self.errors) / self.seconds


def grpc(
    port: int, request: Request, answer_bytes: int, concurrency: int, *, seconds: float = 0, count: int = 0
) -> Load:
    """Load a gRPC method for some seconds, or with a number of requests.

    Some connections with several streams each, as channels of several clients are: 8 of 8 for 64.
    `answer_bytes` is the length of a right answer's message in its frame.
    """
    connections = math.isqrt(concurrency)
    extent = ["-n", str(count)] if count else ["-D", f"{round(seconds * 1000)}ms"]
    options = [*extent, "-c", str(connections), "-m", str(concurrency // connections)]
    with tempfile.TemporaryDirectory() as directory:
        text = _run(h2load_command(port, request, Path(directory), options))
        rows = read_log(Path(directory))
    return of_h2load(text, rows, answer_bytes, seconds)


def h2load_command(port: int, request: Request, directory: Path, options: list[str]) -> list[str]:
    """A command that posts a gRPC message, which is written to the directory; its log goes there too."""
    body = directory / "body"
    body.write_bytes(request.framed)
    return [
        *("h2load", "-t", "1", *options, "-d", str(body)),
        *("-H", "content-type: application/grpc", "-H", "te: trailers"),
        *(f"--log-file={directory / 'log'}", f"http://127.0.0.1:{port}{request.path}"),
    ]


def read_log(directory: Path) -> Log:
    """h2load's log, int64 [requests, 3]: microseconds of the start, status, microseconds until the answer."""
    return np.loadtxt(directory / "log", np.int64, ndmin=2)


def of_h2load(text: str, rows: Log, answer_bytes: int, seconds: float) -> Load:
    """What h2load told, and its log; `seconds` 0 takes the time that it states."""
    counts, data, finished = _COUNTS.search(text), _DATA.search(text), _FINISHED.search(text)
    if counts is None or data is None or finished is None or not len(rows):
        raise ServerFailed(f"h2load got no answers: {' '.join(text.split())[-300:]}")
    answers = int(counts["succeeded"]) + int(counts["failed"]) + int(counts["errored"])
    right = min(int(data[1]) // answer_bytes, int(counts["succeeded"]))
    took = float(finished[1]) * _UNITS[finished[2]]
    times = rows[rows[:, 1] == 200, 2] / 1e6
    return Load(answers, answers - right, seconds or took, *map(float, np.percentile(times, (50, 99))))


def rest(port: int, request: Request, concurrency: int, *, seconds: float) -> Load:
    """Load an HTTP path for some seconds, on as many connections as requests are under way."""
    # wrk takes whole seconds.
    with tempfile.NamedTemporaryFile() as body:
        body.write(request.body)
        body.flush()
        text = _run(
            [
                *("wrk", "-t", "1", "-c", str(concurrency), "-d", f"{max(1, round(seconds))}s"),
                *("--timeout", "20s", "-s", str(SCRIPT), f"http://127.0.0.1:{port}{request.path}"),
            ],
            LOAD_BODY=body.name,
        )
    found = json.loads(text.strip().splitlines()[-1])
    if not found["requests"]:
        raise ServerFailed("wrk got no answers")
    return Load(
        found["requests"],
        found["errors"],
        found["microseconds"] / 1e6,
        found["p50"] / 1e6,
        found["p99"] / 1e6,
    )


def _run(command: list[str], **environment: str) -> str:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    except FileNotFoundError:
        package = {"h2load": "nghttp2-client", "wrk": "wrk"}[command[0]]
        raise SystemExit(f"{command[0]} is not installed: install it (Debian's package {package})") from None
    except subprocess.TimeoutExpired:
        raise ServerFailed(f"{command[0]} did not end in 300 s") from None
    if done.returncode:
        raise ServerFailed(f"{command[0]} ended with code {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout
