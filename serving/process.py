"""The server as a process: its event loop, its signals, and what it says of its ports."""

import asyncio
import ipaddress
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from serving import logs
from serving.options import ServerOptions
from serving.server import ModelServer

_log = logging.getLogger(__name__)

# What Python is given to take the process down once the server has stopped.
CLEANING_UP_SECONDS = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(options: ServerOptions) -> None:
    """Serve until SIGTERM or SIGINT, answer what is under way, and return; a second signal ends it at once.

    ports.StartError, wire.errors.StatusError: it cannot start.
    """
    logs.configure(options.log_format)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(options))


async def _serve(options: ServerOptions) -> None:
    server = ModelServer(options)
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
    _report(server, options)
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
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            # The first process of a container is not ended by a signal that nobody handles.
            signal.signal(number, _end_at_once if os.getpid() == 1 else signal.SIG_DFL)

    for number in _SIGNALS:
        loop.add_signal_handler(number, told)
    return stopping


def _end_at_once(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _report(server: ModelServer, options: ServerOptions) -> None:
    """Say where the server listens: to people on standard error, to a program on its descriptor."""
    places = []
    if server.grpc_port:
        places.append(f"gRPC on {options.bind_address}:{server.grpc_port}")
    if options.grpc_socket_path:
        places.append(f"gRPC on unix:{options.grpc_socket_path}")
    if server.rest_port:
        places.append(f"REST on http://{options.bind_address}:{server.rest_port}")
    said = f"{', '.join(places)}{_reach(options.bind_address)}"
    if options.log_format == "json":
        _log.info("%s", said)
    else:
        print(f"kedge: {said}", file=sys.stderr, flush=True)
    if options.report_ports_fd >= 0:
        with os.fdopen(options.report_ports_fd, "w") as pipe:
            json.dump({"grpc_port": server.grpc_port, "rest_port": server.rest_port}, pipe)
            pipe.write("\n")


def _reach(address: str) -> str:
    """What a person must know who calls from elsewhere, and in vain."""
    host = address.strip("[]")
    if host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback):
        return " (this machine only; --bind_address=0.0.0.0 for all)"
    return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed; it is not on every system."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Any = uvloop.new_event_loop
    return factory  # type: ignore[no-any-return]
