"""The REST port's connections: no more of them than are wanted, with TLS or without, ended in time."""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import cast

from serving.admission import Admission
from serving.http_connection import Connection, Handle

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
        # uvloop's are no subclass of it.
        cast(asyncio.WriteTransport, transport).write(_REFUSAL)
        transport.close()


class Connections:
    """The open connections of a port, and what accepts them."""

    def __init__(self, listener: asyncio.Server, open_ones: set[Connection]) -> None:
        self._listener = listener
        self._open_ones = open_ones

    async def close(self, seconds: float) -> None:
        """Accept no more, close those that wait for a request, and the others once they are answered.

        What is left after so many seconds is cut off.
        """
        self._listener.close()
        for connection in list(self._open_ones):
            connection.leave()
        under_way = {each for each in self._open_ones if each.under_way}
        if under_way:
            await asyncio.wait([each.gone for each in under_way], timeout=seconds)
        for connection in under_way & self._open_ones:
            connection.abort()


async def listen(
    handle: Handle, listening: socket.socket, admission: Admission, limits: ConnectionLimits
) -> Connections:
    """Answer the HTTP requests on a bound socket by `handle`."""
    open_ones: set[Connection] = set()

    def connected() -> asyncio.Protocol:
        if limits.most and len(open_ones) >= limits.most:
            admission.turned_away["connections"] += 1
            return _Refusal()
        return Connection(handle, limits.idle, open_ones)

    listener = await asyncio.get_running_loop().create_server(
        connected,
        sock=listening,
        ssl=limits.tls,
        ssl_handshake_timeout=limits.idle if limits.tls else None,
    )
    return Connections(listener, open_ones)
