"""HTTP/1.1 with little of its own: for load, where what a client spends is taken for the server's.

A general client takes several times longer for a request than a server for its answer; this one writes a
request in one piece and reads what a model server answers: a body of a known length, or in chunks.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clients import http_connection, rest_encoding
from clients.address import Address
from clients.deadline import Deadline
from clients.exchange import Answer, Exchange
from clients.options import Headers, Settings
from clients.retry import Failure
from wire.errors import Code, StatusError

LONGEST_HEAD = 1 << 16
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class LoadHttpTransport:
    """A pool of connections to one server, as many as there are requests under way; through no proxy."""

    def __init__(self, address: Address, settings: Settings) -> None:
        self._address, self._settings = address, settings
        self._context: ssl.SSLContext | None = None
        if address.secure:
            self._context = http_connection.tls_context(address, settings.tls)
        self._idle: list[_Connection] = []

    async def send(self, exchange: Exchange[Any], deadline: Deadline, headers: Headers) -> Answer:
        """Send the request and read the whole answer within the deadline."""
        try:
            async with asyncio.timeout(deadline.left()):
                return await self._send(exchange, headers)
        except TimeoutError:
            raise StatusError(Code.DEADLINE_EXCEEDED, "") from None
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise Failure(Code.UNAVAILABLE, str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Close the connections."""
        while self._idle:
            await _end(self._idle.pop())

    async def _send(self, exchange: Exchange[Any], headers: Headers) -> Answer:
        connection = self._idle.pop() if self._idle else await self._open()
        kept = False
        try:
            connection.writer.write(self._head(exchange, headers))
            if exchange.body:
                connection.writer.write(exchange.body)
            status, reason, answered = _parse(await connection.reader.readuntil(b"\r\n\r\n"))
            body = await _body(connection.reader, answered)
            kept = answered.get("connection", "").lower() != "close"
        finally:
            # After an error, or cancelled, nobody knows what still comes on it.
            if kept:
                self._idle.append(connection)
            else:
                await _end(connection)
        rest_encoding.check(status, reason, answered, body)
        return Answer(body, answered)

    async def _open(self) -> _Connection:
        tls = self._settings.tls
        name = (tls and tls.server_name) or self._address.host
        port = self._address.port or PORTS[self._address.scheme]
        reader, writer = await asyncio.open_connection(
            self._address.host,
            port,
            ssl=self._context,
            server_hostname=name if self._context else None,
            limit=LONGEST_HEAD,
        )
        return _Connection(reader, writer)

    def _head(self, exchange: Exchange[Any], headers: Headers) -> bytes:
        lines = {
            "host": self._address.authority,
            "content-type": "application/json",
            "content-length": str(len(exchange.body)),
            **headers,
        }
        fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{exchange.method} {self._address.path}{exchange.path} HTTP/1.1\r\n{fields}\r\n".encode()


async def _end(connection: _Connection) -> None:
    connection.writer.transport.abort()
    with contextlib.suppress(OSError):
        await connection.writer.wait_closed()


def _parse(head: bytes) -> tuple[int, str, dict[str, str]]:
    """The status, its reason and the headers, by names in small letters; ValueError if it is no HTTP."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    version, status, *reason = first.split(" ", 2)
    if not version.startswith("HTTP/1."):
        raise ValueError(f"the answer begins with {first[:40]!r}; expected HTTP/1.1")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status), "".join(reason), headers


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = bytearray()
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    # Trailers, which say nothing here, and the empty line at the end.
    while (await reader.readline()).strip():
        continue
    return bytes(body)
