"""Measuring: a server and the control of its protocol take turns, so that both had the same minute."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.serving import asking, load, processes
from benchmarks.serving.cases import BY_NAME, Case, Example
from benchmarks.serving.figures import Row, Series, pooled
from benchmarks.serving.processes import Others, Processes
from benchmarks.serving.requests import Request, framed
from benchmarks.serving.servers import CONTROLS, GRPC, Server

WARM_UP_SECONDS = 0.3
WARM_UP_CONCURRENCY = 16


@dataclass(frozen=True)
class Setting:
    """Where things are, and how long and how often to measure."""

    store: Path
    cache: Path
    examples: Mapping[str, Example]
    seconds: float
    repeat: int


@dataclass(frozen=True)
class Question:
    """What is asked of servers: a case over a protocol, with so many requests under way."""

    protocol: str
    case: Case
    concurrency: int

    def __str__(self) -> str:
        return f"{self.protocol} {self.case.name} at {self.concurrency}"


@dataclass(frozen=True)
class Started:
    """A server that runs: the seconds from its start to its first right answers from all its models."""

    server: Server
    workers: int
    processes: Processes
    ports: Mapping[str, int]
    seconds: float

    def request(self, protocol: str, case: Case, example: Example) -> Request:
        """A case as this server takes it."""
        return self.server.encoders[protocol](case, example)


@contextmanager
def started(server: Server, workers: int, setting: Setting) -> Iterator[Started]:
    """Start a server for the block, and wait for its first answers; ServerFailed, NotInstalled."""
    ports = {protocol: processes.free_port() for protocol in ("grpc", "rest")}
    command = server.command(setting.store, ports, workers, setting.cache)
    first = {
        (protocol, name): encode(BY_NAME[name], setting.examples[name])
        for protocol, encode in server.encoders.items()
        for name in ("mnist", "imdb")
    }
    begin = time.monotonic()
    log = setting.cache / "logs" / f"{server.name}-{workers}.log"
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    with processes.running(command, log, environment=environment, cwd=server.cwd) as running:
        asking.await_first_answers(running, first, ports)
        yield Started(server, workers, running, ports, time.monotonic() - begin)


@contextmanager
def controls(setting: Setting) -> Iterator[Mapping[str, Started]]:
    """Start the control of each protocol for the block."""
    grpc, rest = CONTROLS.values()
    with started(grpc, 1, setting) as echo, started(rest, 1, setting) as asgi:
        yield {"grpc": echo, "rest": asgi}


def measure(subject: Started, control: Started, question: Question, setting: Setting) -> Row:
    """Load a server and the control in turns; ServerFailed where an answer is wrong before or after."""
    for each in (control, subject):
        turn(each, replace(question, concurrency=WARM_UP_CONCURRENCY), WARM_UP_SECONDS, setting)
    turns: dict[str, list[Series]] = {"subject": [], "control": []}
    for _ in range(setting.repeat):
        turns["control"].append(turn(control, question, setting.seconds, setting))
        turns["subject"].append(turn(subject, question, setting.seconds, setting))
    return Row(
        server=subject.server.name,
        workers=subject.workers,
        protocol=question.protocol,
        case=question.case.name,
        concurrency=question.concurrency,
        subject=pooled(turns["subject"]),
        control=pooled(turns["control"]),
    )


def turn(subject: Started, question: Question, seconds: float, setting: Setting) -> Series:
    """Load a server once for some seconds."""
    protocol, case = question.protocol, question.case
    request, port = subject.request(protocol, case, setting.examples[case.name]), subject.ports[protocol]
    answer = asking.checked(protocol, port, request)
    before, others = subject.processes.cpu_seconds(), Others(subject.processes)
    if protocol == GRPC:
        came = load.grpc(port, request, len(framed(answer)), question.concurrency, seconds=seconds)
    else:
        came = load.rest(port, request, question.concurrency, seconds=seconds)
    cpu, used = subject.processes.cpu_seconds() - before, others.cores()
    asking.checked(protocol, port, request)
    cpu_each = cpu / max(1, came.answers)
    return Series([came.rate], [came.p50], [came.p99], [cpu_each], came.errors, [used])
