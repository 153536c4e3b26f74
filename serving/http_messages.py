"""HTTP/1.1 messages: a request, its body as it comes, and the answer to it."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

NO_HEADERS: Mapping[str, str] = {}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SERVER_NAME = "kedge"
PIECE_BYTES = 64 * 1024
# 499, to which gRPC's CANCELLED maps, is nginx's.
_REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}
# Dates of answers have whole seconds: the last one is kept.
_date: tuple[int, str] = (0, "")


class BodyBroken(Exception):  # noqa: N818 - what became of the body.
    """The rest of a body is not HTTP."""


class Body:
    """A request's body: its bytes, as they came, until they are taken.

    `complete` once the last has come; `broken` says why that will never be. `unread` bytes wait to be taken;
    `drained` is called when they have been, where somebody wants to know.
    """

    __slots__ = ("_chunks", "_waiting", "broken", "complete", "drained", "unread")

    def __init__(self) -> None:
        self.complete = False
        self.broken = ""
        self.unread = 0
        self.drained: Callable[[], None] | None = None
        self._chunks: list[bytes] = []
        self._waiting: asyncio.Future[None] | None = None

    def add(self, chunk: bytes) -> None:
        """Some of it has come."""
        self._chunks.append(chunk)
        self.unread += len(chunk)
        self._tell()

    def end(self, broken: str = "") -> None:
        """All of it has come, or no more will for the reason that is given."""
        self.complete, self.broken = not broken, broken
        self._tell()

    def take(self) -> bytes:
        """What has come and was not taken yet."""
        taken = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self.unread = 0
        if self.drained is not None:
            self.drained()
        return taken

    async def come(self) -> None:
        """Return when there is more to take, or it is complete; BodyBroken where neither will be."""
        while not self.unread and not self.complete:
            if self.broken:
                raise BodyBroken(self.broken)
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None

    def _tell(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Sender(Protocol):
    """The connection of a request, on which its answer goes out."""

    @property
    def remote(self) -> str:
        """The client's address."""

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes, in time: what the client does not take is kept."""

    def unread(self) -> int:
        """How many bytes are kept."""

    async def taken(self) -> None:
        """Return when the client has taken enough for more to be sent."""

    def abort(self) -> None:
        """Hang up on the client."""


@dataclass(slots=True, eq=False)
class Request:
    """A request whose head has come; names of `headers` are in lower case.

    `keep_alive`: the connection stays open for another once this one is answered.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    http_version: str
    sender: Sender
    keep_alive: bool = True
    body: Body = field(default_factory=Body)

    @property
    def path(self) -> str:
        """The path and query that are asked for, also by who writes the whole URL, as to a proxy."""
        if self.target.startswith("/"):
            return self.target
        _, _, beyond = self.target.partition("://")
        _, slash, path = beyond.partition("/")
        return slash + path


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; `close` ends the connection with it."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    close: bool = False

    def write(self, request: Request) -> None:
        """Send it, all at once, as the answer to this request."""
        for piece in self.pieces(request):
            request.sender.write(piece)

    def pieces(self, request: Request) -> Iterator[bytes | memoryview]:
        """What is sent as the answer to this request, whose connection stays open no longer if it says so.

        The pieces are so short that a connection tells after each whether it was taken: with TLS it encrypts
        the whole of one, and shows what it has kept with the next.
        """
        if self.close:
            request.keep_alive = False
        head, body = self._head(request), b"" if request.method == "HEAD" else self.body
        # Of a short one a copy costs less than a second call.
        if len(body) <= PIECE_BYTES:
            yield head + body
            return
        yield head
        whole = memoryview(body)
        for start in range(0, len(body), PIECE_BYTES):
            yield whole[start : start + PIECE_BYTES]

    def _head(self, request: Request) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {_REASONS[self.status]}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Content-Length: {len(self.body)}\r\nDate: {_now()}\r\nServer: {SERVER_NAME}")
        if not request.keep_alive:
            lines.append("Connection: close")
        elif request.http_version == "1.0":
            lines.append("Connection: keep-alive")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _now() -> str:
    """Date header of this second (RFC 9110, 6.6.1)."""
    global _date  # noqa: PLW0603 - a cache.
    second = int(time.time())
    if _date[0] != second:
        _date = second, formatdate(second, usegmt=True)
    return _date[1]
