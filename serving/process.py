"""The server as a process: its event loop, its signals, and what it says of its ports."""

import asyncio
import gc
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from serving import announce, logs, signals
from serving.options import ServerOptions
from serving.server import ModelServer

_log = logging.getLogger(__name__)

Make = Callable[[ServerOptions], ModelServer]
Opened = Callable[[ModelServer, ServerOptions], None]

# Python looks for garbage in circles each time that so many more objects were made than freed. Its own 700
# are made in a few requests, which leave none: a twentieth of the event loop's time would go into looking.
GARBAGE_THRESHOLD = 20_000
# What Python is given to take the process down once the server has stopped.
CLEANING_UP_SECONDS = 1.0


def run(options: ServerOptions, make: Make = ModelServer, opened: Opened | None = None) -> None:
    """Serve until SIGTERM or SIGINT, answer what is under way, and return; a second signal ends it at once.

    `make` makes the server, and `opened` is called once its ports are open; unless given, they are reported.

    ports.StartError, wire.errors.StatusError: it cannot start.
    """
    logs.configure(options.log_format)
    gc.set_threshold(GARBAGE_THRESHOLD)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(options, make, opened or _report))


async def _serve(options: ServerOptions, make: Make, opened: Opened) -> None:
    server = make(options)
    stopping = _stopping_on_signals()
    starting = asyncio.create_task(server.start())
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait((starting, told), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
        _end_without_waiting()
        return
    await starting
    opened(server, options)
    await told
    _log.info("stopping: new requests are refused, those under way have %g s", options.shutdown_grace_seconds)
    _end_without_waiting(CLEANING_UP_SECONDS if await server.stop() else 0)


def _end_without_waiting(seconds: float = CLEANING_UP_SECONDS) -> None:
    """Have the process end in so many seconds, also when a thread is in a run, or a load, that never ends.

    Python itself would wait for all threads.
    """

    def end() -> None:
        _log.warning("a model is still running: it is not waited for")
        logging.shutdown()
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _stopping_on_signals() -> asyncio.Event:
    """An event that the first signal sets; the second ends the process at once."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        stopping.set()
        for number in signals.STOPPING:
            loop.remove_signal_handler(number)
        signals.next_ends_at_once()

    for number in signals.STOPPING:
        loop.add_signal_handler(number, told)
    return stopping


def _report(server: ModelServer, options: ServerOptions) -> None:
    announce.ports(options, server.grpc_port, server.rest_port)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed; it is not on every system."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Any = uvloop.new_event_loop
    return factory  # type: ignore[no-any-return]
