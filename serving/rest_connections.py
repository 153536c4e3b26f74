"""The REST port's connections: no more of them than are wanted, none that only waits, with TLS or without."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from serving.admission import Admission

MAX_URL_BYTES = 65536
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
