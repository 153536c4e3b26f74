"""A client of gRPC that sends what a test wants, frame by frame, and collects what comes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import ngh2

from wire.errors import Code


@dataclass
class Answer:
    """What has come of a call so far; `error` is the HTTP/2 code with which its stream was closed."""

    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    data: bytes = b""
    trailers: Mapping[bytes, bytes] = field(default_factory=dict)
    reset: int | None = None
    error: int | None = None

    @property
    def status(self) -> tuple[Code, str]:
        """gRPC's code and text."""
        told = self.trailers or self.headers
        return Code(int(told[b"grpc-status"])), told.get(b"grpc-message", b"").decode()


@dataclass
class Client:
    """A client that sends what a test wants, and collects what comes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http2: ngh2.Connection
    answers: dict[int, Answer] = field(default_factory=dict)
    seen: list[ngh2.Event] = field(default_factory=list)

    def begin(
        self,
        path: str = "/echo",
        data: bytes | None = None,
        *,
        end: bool = True,
        flush: bool = True,
        **extra: str,
    ) -> int:
        """Begin a call with this data; None is no DATA frame at all."""
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":authority": "h",
            ":path": path,
            "content-type": "application/grpc",
            "te": "trailers",
            **{name.replace("_", "-"): value for name, value in extra.items()},
        }
        headers = [(name.encode(), value.encode()) for name, value in fields.items()]
        stream = self.http2.send_request(headers, end_stream=end and data is None)
        self.answers[stream] = Answer()
        if data is not None:
            self.http2.send_data(stream, data, end_stream=end)
        if flush:
            self.flush()
        return stream

    def flush(self) -> None:
        """Send what is to be sent."""
        self.writer.write(self.http2.data_to_send())
        self._collect()

    @property
    def farewells(self) -> list[int]:
        """The last streams of the GOAWAYs that came."""
        return [event.last_stream_id for event in self.seen if isinstance(event, ngh2.GoAwayReceived)]

    async def read(self) -> bool:
        """Read once; False when the server has hung up."""
        data = await self.reader.read(65536)
        if data:
            self.http2.receive_data(data)
            self._collect()
            self.flush()
        return bool(data)

    async def until(self, told: Callable[[], bool]) -> None:
        """Read until something is so; ConnectionError when the server has hung up before."""
        while not told():
            if not await self.read():
                raise ConnectionError("the server has hung up")

    async def answer(self, stream: int) -> Answer:
        """The whole answer to a call."""
        answer = self.answers[stream]
        await self.until(lambda: answer.error is not None)
        return answer

    async def ask(self, path: str = "/echo", message: bytes = b"x", **extra: str) -> Answer:
        """Make a call of one message."""
        return await self.answer(self.begin(path, framed(message), **extra))

    def _collect(self) -> None:
        for event in self.http2.events():
            self.seen.append(event)
            match event:
                case ngh2.ResponseReceived():
                    self.answers[event.stream_id].headers = dict(event.headers)
                case ngh2.DataReceived():
                    self.answers[event.stream_id].data += event.data
                case ngh2.TrailersReceived():
                    self.answers[event.stream_id].trailers = dict(event.headers)
                case ngh2.StreamReset():
                    self.answers[event.stream_id].reset = event.error_code
                case ngh2.StreamClosed():
                    self.answers[event.stream_id].error = event.error_code


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    """A message behind its head."""
    return bytes((compressed,)) + len(message).to_bytes(4, "big") + message


@contextlib.asynccontextmanager
async def connected(port: int, window: int, patience: float) -> AsyncIterator[Client]:
    """A client of a port on 127.0.0.1, for so many seconds at most.

    It takes `window` bytes before it gives the server new ones to send.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**26)
    http2 = ngh2.Connection(ngh2.Role.CLIENT)
    http2.initiate_connection({ngh2.Setting.INITIAL_WINDOW_SIZE: window})
    http2.set_local_window_size(max(65535, window))
    client = Client(reader, writer, http2)
    client.flush()
    try:
        async with asyncio.timeout(patience):
            yield client
    finally:
        writer.close()
