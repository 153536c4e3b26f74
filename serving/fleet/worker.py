"""One of several processes that serve on the same ports: `python -m serving.fleet.worker DESCRIPTOR FLAG...`.

It is started by a supervisor, with which it talks over the descriptor, and ends when that is gone.
"""

import asyncio
import os
import signal
import socket
import sys
from concurrent.futures import Future
from typing import TYPE_CHECKING

from serving.fleet.channel import Channel, ChannelClosed, Operation
from serving.options import ServerOptions, parse
from wire.errors import StatusError

if TYPE_CHECKING:
    from serving.events import Events
    from serving.fleet.follower import Follower
    from serving.server import ModelServer

USAGE = 2
# How long a metrics page may take that is collected from all workers.
PAGE_SECONDS = 5.0


class Worker:
    """The process: a server that follows its supervisor."""

    def __init__(self, connection: socket.socket) -> None:
        self._operations: dict[str, Operation] = {}
        self._opened: Future[None] = Future()
        self._channel = Channel(connection, self._operations, _stop_alone)

    def run(self, options: ServerOptions) -> int:
        """Serve until told to stop; the exit code. Why it cannot start is told the supervisor."""
        from serving.quiet import wake_tensorflow

        self._channel.start()
        try:
            wake_tensorflow(options)
            from serving import process

            process.run(options, self._make, lambda _server, _options: self._opened.set_result(None))
        except Exception as error:
            code = USAGE if isinstance(error, StatusError) else getattr(error, "exit_code", None)
            if code is None:
                raise
            self._channel.ask("failed", message=str(error), exit_code=code).result(PAGE_SECONDS)
            return int(code)
        return 0

    def _make(self, options: ServerOptions) -> "ModelServer":
        """On the event loop: the server, ready to be told what to load."""
        from serving import loading
        from serving.fleet.follower import Follower
        from serving.server import ModelServer

        loop = asyncio.get_running_loop()

        def follow(options: ServerOptions, events: "Events") -> Follower:
            load = loading.loader(options, events)
            follower = Follower(load, events, self._channel, load_threads=options.num_load_threads)
            self._operations.update(follower.operations())
            self._operations["open"] = lambda: self._open(follower)
            return follower

        server = ModelServer(options, follow)

        async def page() -> str:
            return server.page().decode()

        self._operations["page"] = lambda: asyncio.run_coroutine_threadsafe(page(), loop)
        server.show_page(self._whole_page)
        self._channel.ask("hello")
        return server

    def _open(self, follower: "Follower") -> "Future[None]":
        follower.open()
        return self._opened

    async def _whole_page(self) -> bytes | None:
        """The metrics of all workers; None when the supervisor does not give them."""
        asked = asyncio.wrap_future(self._channel.ask("metrics"))
        try:
            page: str = await asyncio.wait_for(asked, PAGE_SECONDS)
        except (ChannelClosed, StatusError, TimeoutError):
            return None
        return page.encode()


def _stop_alone() -> None:
    """The supervisor is gone: end as if it had said so."""
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the process."""
    descriptor, *flags = sys.argv[1:]
    options = parse(flags)
    connection = socket.socket(fileno=int(descriptor))
    sys.exit(Worker(connection).run(options))


if __name__ == "__main__":
    main()
