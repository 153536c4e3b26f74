"""A worker as its supervisor has it: a process, and a channel to it."""

import contextlib
import dataclasses
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from serving.embedded import environment
from serving.fleet.channel import Channel, Operation
from serving.options import FLAGS, ServerOptions

# How long a process may take to be gone once it has hung up.
ENDING_SECONDS = 5.0


class CannotServe(Exception):  # noqa: N818 - named by what a person is told.
    """A worker could not start, or ended before it served; the message says why."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class WorkerProcess:
    """A worker, started when this is made. `hello` is done once its server is made and waits for orders."""

    def __init__(
        self,
        options: ServerOptions,
        operations: Mapping[str, Operation],
        gone: Callable[["WorkerProcess"], None],
    ) -> None:
        """`operations` are what it may ask for; `gone` is called once it has hung up."""
        self.hello: Future[None] = Future()
        self.heard = time.monotonic()
        self.failure: CannotServe | None = None
        self._gone = gone
        here, there = socket.socketpair()
        own: dict[str, Operation] = {"hello": self._said_hello, "failed": self._failed}
        self._channel = Channel(here, {**own, **operations}, self._hung_up)
        with there:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, with the user's flags.
                [sys.executable, "-m", "serving.fleet.worker", str(there.fileno()), *arguments(options)],
                stdin=subprocess.DEVNULL,
                env=environment(),
                pass_fds=(there.fileno(),),
                # Not the terminal's: an interrupt there is the supervisor's to pass on.
                process_group=0,
            )
        self.pid = self._process.pid
        self._channel.start()

    def ask(self, operation: str, **given: Any) -> "Future[Any]":
        """Have it do something; ChannelClosed comes by the Future once it is gone."""
        return self._channel.ask(operation, **given)

    def terminate(self) -> None:
        """Tell it to answer what is under way and end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it is gone, killing it after `timeout` seconds; its exit code, negative for a signal."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def _said_hello(self) -> None:
        self.heard = time.monotonic()
        self.hello.set_result(None)

    def _failed(self, message: str, exit_code: int) -> None:
        self.failure = CannotServe(message, exit_code)

    def _hung_up(self) -> None:
        self._gone(self)
        code = self.wait(ENDING_SECONDS)
        if self.failure is None:
            self.failure = CannotServe(f"a worker ended with code {code} before it served")
        if not self.hello.done():
            self.hello.set_exception(self.failure)


def arguments(options: ServerOptions) -> list[str]:
    """The flags that give a worker these options; it reports its ports to nobody else."""
    own = dataclasses.replace(options, report_ports_fd=-1)
    given = (
        (flag.name, getattr(own, flag.name)) for flag in FLAGS if getattr(own, flag.name) != flag.default
    )
    return [f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in given]
