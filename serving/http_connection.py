"""A client's HTTP/1.1 connection: its requests, one after the other, each answered before the next."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import cast

import httptools

from serving.connections import LINGERING_SECONDS
from serving.http_messages import Body, BodyBroken, Request, Response

_log = logging.getLogger(__name__)

# The most bytes of a request's headers, with those after its body, and of what is between two pieces of that.
MAX_HEAD_BYTES = 128 * 1024
MAX_HEADERS = 256
# The longest URL.
MAX_URL_BYTES = 64 * 1024
# From so many bytes of a body on that nobody has taken yet, no more are read.
MAX_UNREAD_BYTES = 256 * 1024
# So much is parsed at once, however short the requests in it are: behind one that is not answered yet, the
# next piece waits.
PIECE_BYTES = 32 * 1024
LONGEST_REASON = 200

_LONG_HEAD = f"more than {MAX_HEAD_BYTES} bytes of headers"

Handle = Callable[[Request], Awaitable[None]]


class Connection(asyncio.Protocol):
    """Reads requests, and has each answered by `handle`, which is cancelled when the client goes away.

    A connection that has waited `idle` seconds for a request's head, whole, is closed.
    """

    def __init__(self, handle: Handle, idle: float) -> None:
        self._handle = handle
        self._idle = idle
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._requests: deque[Request] = deque()
        # The request whose body is coming.
        self._coming: Request | None = None
        # The parser reads a head that stands for the one before, whose body it would have passed over.
        self._in_place = False
        self._url = b""
        self._headers: dict[str, str] | None = None
        self._header_count = self._header_bytes = 0
        # What has come and is not parsed yet.
        self._rest = b""
        # Bytes that were parsed since there was last something to tell of them.
        self._unheard = 0
        self._deaf = False
        self._paused = False
        self._fault = ""
        self._waiting_since = self._loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self._was_closing = False
        self._room: asyncio.Future[None] | None = None
        # Answers what has come; None while there is nothing to answer.
        self._task: asyncio.Task[None] | None = None
        # Done once nothing more can be sent.
        self.gone: asyncio.Future[None] = self._loop.create_future()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        # uvloop's are no subclass of it.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.remote = str(peer[0]) if peer else ""
        self._watch = self._loop.call_later(self._idle, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for an answer any more."""
        self.gone.set_result(None)
        if self._watch is not None:
            self._watch.cancel()
        self.resume_writing()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if not self._deaf:
            self._rest = self._rest + data if self._rest else data
            self._read()

    def pause_writing(self) -> None:
        """The client does not take what is sent as fast as it is made."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """It has taken enough."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    # What the parser calls

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url, self._headers = b"", {}
        self._header_count = self._header_bytes = 0

    def on_url(self, piece: bytes) -> None:
        """A piece of the URL."""
        self._url += piece
        if len(self._url) > MAX_URL_BYTES:
            raise ValueError(f"a URL of more than {MAX_URL_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; one that comes again is a list (RFC 9110, 5.3). Those after the body are not used."""
        self._header_count += 1
        self._header_bytes += len(name) + len(value)
        if self._header_count > MAX_HEADERS:
            raise ValueError(f"more than {MAX_HEADERS} headers")
        if self._header_bytes > MAX_HEAD_BYTES:
            raise ValueError(_LONG_HEAD)
        if self._headers is not None:
            key, text = name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")
            self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        """The head of a request has come."""
        headers, self._headers, self._unheard = self._headers or {}, None, 0
        if self._in_place:
            self._in_place = False
            return
        parser = self._parser
        version = parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            raise ValueError(f"HTTP/{version}")
        method = parser.get_method().decode("latin-1")
        target = self._url.decode("utf-8", "surrogateescape")
        self._coming = Request(method, target, headers, version, self, parser.should_keep_alive())
        self._requests.append(self._coming)
        if self._task is None:
            self._task = self._loop.create_task(self._answer())

    def on_body(self, chunk: bytes) -> None:
        """A piece of a body."""
        self._unheard = 0
        if self._coming is not None:
            self._coming.body.add(chunk)

    def on_message_complete(self) -> None:
        """A request has come."""
        self._unheard = 0
        coming = self._coming
        if coming is not None and not (self._parser.should_upgrade() and _framing(coming)):
            coming.body.end()
            # Nothing that follows is a request.
            self._deaf = not coming.keep_alive
            self._coming = None

    # What answers write to

    def write(self, data: bytes | memoryview) -> None:
        """As `http_messages.Sender`."""
        self._transport.write(data)

    def unread(self) -> int:
        """As `http_messages.Sender`."""
        return self._transport.get_write_buffer_size()

    async def taken(self) -> None:
        """As `http_messages.Sender`."""
        if self._room is not None:
            await asyncio.shield(self._room)

    def abort(self) -> None:
        """As `http_messages.Sender`."""
        self._transport.abort()

    # How it ends

    @property
    def under_way(self) -> bool:
        """Whether a request is being answered."""
        return self._task is not None and not self._task.done()

    @property
    def sending(self) -> bool:
        """Never: an answer is under way until the client has taken most of it."""
        return False

    def close(self) -> None:
        """Let the client have what was sent, and end."""
        self._deaf = True
        self._transport.close()

    def leave(self) -> None:
        """Answer the request that is under way as the last one, and wait for nothing more."""
        if self.under_way:
            self._requests[0].keep_alive = False
        else:
            self.close()

    def _read(self) -> None:
        """Parse what has come; what is not wanted yet waits, and no more of it is read."""
        while self._rest and not self._deaf and not self._sated:
            piece, self._rest = self._rest[:PIECE_BYTES], self._rest[PIECE_BYTES:]
            self._unheard += len(piece)
            try:
                self._parse(piece)
            except httptools.HttpParserError as error:
                # What a method above raises comes within an error of the parser's.
                self._fail(str(error.__context__ or error))
            else:
                if self._unheard > MAX_HEAD_BYTES:
                    self._fail(_LONG_HEAD)
        if self._deaf:
            self._rest = b""
        else:
            self._hold_back()

    @property
    def _sated(self) -> bool:
        """Whether more has come than is wanted."""
        body = self._coming.body if self._coming is not None else None
        return len(self._requests) > 1 or (body is not None and body.unread > MAX_UNREAD_BYTES)

    def _parse(self, data: bytes) -> None:
        while data and not self._deaf:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # No request is granted an upgrade: what follows is HTTP/1.1 still, but behind a CONNECT.
                data = data[upgrade.args[0] :]
                if self._requests[-1].method == "CONNECT":
                    self._requests[-1].keep_alive, self._deaf = False, True
                elif self._coming is not None:
                    # httptools takes for the new protocol what is the body, as Java's client sends it.
                    self._in_place = True
                    self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % _framing(self._coming))
            else:
                return

    def _fail(self, reason: str) -> None:
        """What came is not HTTP/1.1: say so once all that came before it has been answered."""
        self._deaf, self._fault = True, " ".join(reason.split())[:LONGEST_REASON]
        _log.info("a request from %s is not HTTP/1.1: %s", self.remote, self._fault)
        if self._coming is not None:
            self._coming.keep_alive = False
            self._coming.body.end(broken=self._fault)
        elif not self.under_way:
            self._tell_of_fault()

    def _tell_of_fault(self) -> None:
        refused = Request("", "", {}, "1.1", self)
        text = f"The request is not HTTP/1.1: {self._fault}\n".encode("utf-8", "replace")
        Response(400, text, {"Content-Type": "text/plain"}, close=True).write(refused)
        self._close_later()

    def _close_later(self) -> None:
        """Say that nothing more will come: to close while the client sends would take the answer from it."""
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        self._loop.call_later(LINGERING_SECONDS, self.close)

    def _hold_back(self) -> None:
        """Read no more while more has come than is wanted; `Body.drained` and the next answer read on."""
        if not self._sated or self._transport.is_closing():
            return
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if self._coming is not None:
            self._coming.body.drained = self._go_on

    def _go_on(self) -> None:
        if not self._paused or self._sated:
            return
        self._read()
        if not self._sated and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    async def _answer(self) -> None:
        """Answer what has come, one after the other."""
        while self._requests:
            request = self._requests[0]
            try:
                await self._handle(request)
            except Exception:  # noqa: BLE001 - a fault of ours ends this connection alone.
                _log.exception("%s %s failed", request.method, request.target)
                self.abort()
                return
            except asyncio.CancelledError:
                # Not always by the client's going.
                self.abort()
                raise
            if not request.body.complete:
                await self._linger(request.body)
            self._requests.popleft()
            if request.body.broken:
                self._close_later()
                return
            if not request.keep_alive or not request.body.complete:
                self.close()
                return
            self._go_on()
        self._task = None
        self._waiting_since = self._loop.time()
        if self._fault:
            self._tell_of_fault()

    async def _linger(self, body: Body) -> None:
        """Read what is left of a body that nobody wants, for a while."""
        try:
            async with asyncio.timeout(LINGERING_SECONDS):
                while not body.complete and not body.broken:
                    body.take()
                    await body.come()
        except (TimeoutError, BodyBroken):
            return

    def _look(self) -> None:
        """Close a connection that has waited too long, and look again when another could have."""
        left = self._idle
        if self._transport.is_closing():
            if self._was_closing:
                # All that time the client has not taken its last answer.
                self._transport.abort()
                return
            self._was_closing = True
        elif not self.under_way:
            left += self._waiting_since - self._loop.time()
            if left <= 0:
                self.close()
                left = self._idle
        self._watch = self._loop.call_later(left, self._look)


def _framing(request: Request) -> bytes:
    """The headers that tell where a request's body ends; none of one without a body."""
    told = [(name, request.headers.get(name, "")) for name in ("content-length", "transfer-encoding")]
    return b"".join(
        f"{name}: {value}\r\n".encode("utf-8", "surrogateescape") for name, value in told if value
    )
