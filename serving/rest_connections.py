"""The REST port's connections: no more of them than are wanted, none that only waits, with TLS or without."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from serving.admission import Admission

_log = logging.getLogger(__name__)

MAX_URL_BYTES = 65536
LONGEST_REASON = 200
# What is left unread of a body that was refused is read for so long, so that the client gets to the answer.
LINGERING_SECONDS = 2.0
_REFUSED = b'{ "error": "The server has too many connections; try again later" }'
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Retry-After: 1\r\nConnection: close\r\n\r\n%b" % (len(_REFUSED), _REFUSED)
)


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """`most` connections at once (0: any), and the seconds that one may wait for a request's header."""

    most: int = 0
    idle: float = 75.0
    tls: ssl.SSLContext | None = None


def _without_traceback(record: logging.LogRecord) -> bool:
    """Have what is no HTTP/1.1, as a gRPC client's HTTP/2, be a line of the log: it is no fault of ours."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        reason = " ".join(error.message.split())[:LONGEST_REASON]
        record.msg, record.args = "%s: it is not HTTP/1.1: %s", (record.getMessage(), reason)
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        record.exc_info = None
    return True


_log.addFilter(_without_traceback)


class _Refusal(asyncio.Protocol):
    """A connection too many: is told so and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(_REFUSAL)
        transport.close()


async def listen(
    handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    listening: socket.socket,
    admission: Admission,
    limits: ConnectionLimits,
) -> tuple[web.Server, asyncio.Server]:
    """Answer the HTTP requests on a bound socket by `handle`: the connections, and what accepts them."""
    server = web.Server(
        handle,
        handler_cancellation=True,
        auto_decompress=False,
        access_log=None,
        logger=_log,
        max_line_size=MAX_URL_BYTES,
        # aiohttp starts this time with the connection, too, and does not stop it for half a header.
        keepalive_timeout=limits.idle,
        lingering_time=LINGERING_SECONDS,
    )

    def connected() -> asyncio.Protocol:
        if limits.most and len(server.connections) >= limits.most:
            admission.turned_away["connections"] += 1
            return _Refusal()
        return server()

    listener = await asyncio.get_running_loop().create_server(
        connected,
        sock=listening,
        ssl=limits.tls,
        ssl_handshake_timeout=limits.idle if limits.tls else None,
    )
    return server, listener
