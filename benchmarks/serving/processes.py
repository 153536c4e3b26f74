"""Servers as processes: started, measured with all that they start, and ended with it."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "KEDGE_BENCHMARK_RUN"
TICKS = os.sysconf("SC_CLK_TCK")
GRACE_SECONDS = 15.0


class ServerFailed(Exception):  # noqa: N818 - named by what happened.
    """A server did not start, or did not answer as it should; the message says why."""


@dataclass(frozen=True)
class Processes:
    """A program and all the processes that come of it, found by a mark in their environment.

    Daemons that leave their parent (Ray's) keep the mark.
    """

    program: "subprocess.Popen[bytes]"
    mark: str
    log: Path

    def ids(self) -> list[int]:
        """The ids of those that run."""
        wanted, found = f"{MARK}={self.mark}".encode(), []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if wanted in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return found

    def cpu_seconds(self) -> float:
        """The processor time that they have used, user and system."""
        total = 0
        for process in self.ids():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def memory(self) -> dict[str, int]:
        """Their resident memory in bytes: `rss`, and `pss` with shared pages shared out among them."""
        total = {"rss": 0, "pss": 0}
        for process in self.ids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                    name, _, value = line.partition(":")
                    if name.lower() in total:
                        total[name.lower()] += int(value.split()[0]) * 1024
        return total

    def check(self) -> None:
        """ServerFailed where the program has ended."""
        code = self.program.poll()
        if code is not None:
            raise ServerFailed(f"it ended with code {code}; see {self.log}")


@dataclass
class Others:
    """How much of the machine is used by others than these processes, this one and what it has run."""

    processes: Processes

    def __post_init__(self) -> None:
        self._before = self._now()

    def cores(self) -> float:
        """The cores that others have used since this was made."""
        busy, own, time_ = (now - before for now, before in zip(self._now(), self._before, strict=True))
        return max(0.0, (busy - own) / time_)

    def _now(self) -> tuple[float, float, float]:
        # Of all processors: user, nice, system, idle, waiting, interrupts, stolen.
        ticks = [int(field) for field in Path("/proc/stat").read_text().split(None, 9)[1:9]]
        own = self.processes.cpu_seconds() + sum(os.times()[:4])
        return (sum(ticks) - ticks[3] - ticks[4]) / TICKS, own, time.monotonic()


@contextlib.contextmanager
def running(
    command: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[Processes]:
    """Run a program in the block; at its end every process that came of it is ended."""
    mark = uuid.uuid4().hex
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        program = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {}), MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    processes = Processes(program, mark, log)
    try:
        yield processes
    finally:
        _end(processes)


def _end(processes: Processes) -> None:
    """Ask the program to end, then all that is left, then kill."""
    if processes.program.poll() is None:
        processes.program.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            processes.program.wait(GRACE_SECONDS)
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + GRACE_SECONDS / 3
        left = processes.ids()
        for process in left:
            with contextlib.suppress(OSError):
                os.kill(process, number)
        while left and time.monotonic() < deadline:
            processes.program.poll()
            time.sleep(0.05)
            left = processes.ids()
    processes.program.wait()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
