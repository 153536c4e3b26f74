"""A server in a process of its own, for as long as a `with` block: for the demo, notebooks and tests."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]


class ServerDied(Exception):  # noqa: N818 - named by what happened.
    """The server ended before it served, or did not come up in time; the message has its last line."""

    exit_code = 5


@dataclass(frozen=True)
class Server:
    """A running server: its ports on 127.0.0.1 (0: off) and the id of its process."""

    grpc_port: int
    rest_port: int
    pid: int


@contextlib.contextmanager
def running(arguments: Sequence[str], *, timeout: float = 60.0, grace: float = 10.0) -> Iterator[Server]:
    """Run `python -m serving` with these arguments, on free ports unless they name some, inside the block.

    `timeout` is the seconds that it may take to load the models and open its ports. At the end it is told to
    stop, and killed when it has not after `grace` seconds. ServerDied: it did not come up.
    """
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as log, os.fdopen(reading) as ports:
        command = [
            *(sys.executable, "-m", "serving", "--port=-1", "--rest_api_port=-1"),
            *(f"--shutdown_grace_seconds={grace / 2}", f"--report_ports_fd={writing}", *arguments),
        ]
        process = subprocess.Popen(  # noqa: S603 - our own module, with the caller's flags.
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
            pass_fds=(writing,),
        )
        os.close(writing)
        try:
            yield _server(process, ports, log, timeout)
        finally:
            _end(process, grace)


def environment() -> dict[str, str]:
    """What a child process is given, so that it finds this package here, also when it was never installed."""
    inherited = os.environ.get("PYTHONPATH", "")
    paths = [str(ROOT), *([inherited] if inherited else [])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _server(process: subprocess.Popen[bytes], ports: IO[str], log: IO[bytes], timeout: float) -> Server:
    line = _line(ports, timeout)
    if line is None:
        raise ServerDied(f"the server did not open its ports in {timeout:g} s; its last line: {_last(log)}")
    if not line:
        code = process.wait()
        raise ServerDied(f"the server ended with code {code}; its last line: {_last(log)}")
    return Server(**json.loads(line), pid=process.pid)


def _line(pipe: IO[str], timeout: float) -> str | None:
    """The line that the child writes, "" when it ends without one, None when it writes none in time."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        if not selector.select(timeout):
            return None
    return pipe.readline()


def _last(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "(none)"


def _end(process: subprocess.Popen[bytes], grace: float) -> None:
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
