"""A gRPC call, which is a stream of an HTTP/2 connection: the messages that come, and the answer."""

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, TypeAlias

import ngh2

from serving import grpc_headers
from wire.errors import Code, StatusError

# What comes before each message: whether it is compressed, and its length.
HEAD_BYTES = 5
# So much of a stream may come before anybody has asked for it, and before there is room for it.
WINDOW_BYTES = 256 * 1024
# The window of a stream whose message was let in.
WIDEST_WINDOW_BYTES = 8 * 2**20
# A message is inflated in steps of so many bytes, and the event loop has its turn between them.
INFLATED_AT_ONCE = 256 * 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class Room(Protocol):
    """Where the bytes of messages are counted; both raise StatusError where there is no room for so many."""

    def check(self, size: int) -> object:
        """A message of this size is announced."""

    def hold(self, size: int) -> None:
        """So much of it has come in all."""


class Sender(Protocol):
    """What a stream asks of its connection."""

    http2: ngh2.Connection
    peer: str

    def flush_soon(self) -> None:
        """Send what was given to `http2`."""

    def answered(self, stream: "Stream") -> None:
        """The stream has its whole answer."""


class Stream:
    """A call. Its messages are read one after the other; those that come meanwhile wait in bounds.

    `deadline` is a time of `time.monotonic`, or None. Once the stream is `over`, nothing is sent any more.
    """

    __slots__ = (
        "_fields",
        "_flowing",
        "_headed",
        "_most",
        "_owed",
        "_pieces",
        "_sender",
        "_size",
        "_woken",
        "deadline",
        "ended",
        "id",
        "over",
        "task",
    )

    def __init__(self, sender: Sender, number: int, fields: Mapping[bytes, bytes], most: int) -> None:
        """`fields` are the request's headers, `most` the longest message that is taken."""
        self.id = number
        self.over = False
        # Whether all has come that the client is going to send: to read it takes no waiting.
        self.ended = False
        self.task: asyncio.Task[None] | None = None
        seconds = grpc_headers.timeout_seconds(fields)
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self._sender = sender
        self._fields = fields
        self._most = most
        self._pieces: list[bytes] = []
        self._size = 0
        # Bytes that have come, and for which the client was not given new ones to send yet.
        self._owed = 0
        self._flowing = False
        self._headed = False
        self._woken: asyncio.Future[None] | None = None

    # What the connection tells

    def add(self, data: bytes) -> None:
        """A piece has come."""
        self._pieces.append(data)
        self._size += len(data)
        self._owed += len(data)
        if self._flowing:
            self.acknowledge()
        self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self._wake()

    def acknowledge(self) -> None:
        """Let the client send as much again as has come."""
        owed, self._owed = self._owed, 0
        if owed:
            self._sender.http2.acknowledge_received_data(owed, self.id)

    # What the call's handler asks

    def metadata(self) -> dict[str, str]:
        """The request's headers, their names in lower case."""
        return grpc_headers.metadata(self._fields)

    def peer(self) -> str:
        """The client's address, as gRPC writes it."""
        return self._sender.peer

    async def read(self, room: Room) -> bytes | None:
        """The next message; None when there is none any more.

        StatusError: it is too long (RESOURCE_EXHAUSTED), breaks off or is compressed though no encoding is
        named (INTERNAL), or by one that is not known (UNIMPLEMENTED); or there is no `room` for it.
        """
        while self._size < HEAD_BYTES:
            if self.ended:
                if self._size:
                    raise _broken_off()
                self.acknowledge()
                return None
            await self._more()
        compressed, size = self._head()
        if size > self._most:
            raise _too_long(size, self._most)
        if self._size < size:
            room.check(size)
            self._flow(size)
        while self._size < size:
            if self.ended:
                raise _broken_off()
            # Taken as it comes only: who announced much and sent nothing would keep it from the others.
            room.hold(self._size)
            await self._more()
        room.hold(size)
        self._flowing = False
        message = self._take(size)
        self.acknowledge()
        return await self._inflated(message, room) if compressed else message

    def send(self, message: bytes) -> None:
        """Send a message of the answer."""
        if self.over:
            return
        http2 = self._sender.http2
        if not self._headed:
            self._headed = True
            http2.send_response(self.id, grpc_headers.RESPONSE)
        http2.send_data(self.id, b"\0" + len(message).to_bytes(4, "big") + message)
        self._sender.flush_soon()

    def finish(self) -> None:
        """End the answer, which has had one message at least: all went well."""
        if self.over:
            return
        self._sender.http2.send_trailers(self.id, grpc_headers.OK)
        self._sender.answered(self)

    def refuse(self, error: StatusError, extra: Iterable[tuple[str, str]] = ()) -> None:
        """End the answer with an error, and further trailers."""
        if self.over:
            return
        trailers = grpc_headers.status(error, extra)
        if self._headed:
            self._sender.http2.send_trailers(self.id, trailers)
        else:
            self.respond([*grpc_headers.RESPONSE, *trailers])
            return
        self._sender.answered(self)

    def respond(self, headers: list[grpc_headers.Header]) -> None:
        """Answer with headers alone."""
        self._headed = True
        self._sender.http2.send_response(self.id, headers, end_stream=True)
        self._sender.answered(self)

    # How messages come

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def _more(self) -> None:
        """Wait for another piece, or the end."""
        # What was taken makes room for it.
        self.acknowledge()
        self._sender.flush_soon()
        self._woken = asyncio.get_running_loop().create_future()
        await self._woken
        self._woken = None

    def _head(self) -> tuple[int, int]:
        """Take what comes before a message: whether it is compressed, and its length."""
        first = self._pieces[0] if len(self._pieces[0]) >= HEAD_BYTES else b"".join(self._pieces)
        if first is not self._pieces[0]:
            self._pieces.clear()
            self._pieces.append(first)
        self._pieces[0] = first[HEAD_BYTES:]
        self._size -= HEAD_BYTES
        return first[0], int.from_bytes(first[1:HEAD_BYTES], "big")

    def _flow(self, size: int) -> None:
        """Have a message of this size come as fast as it can: there is room for it."""
        self._flowing = True
        if size > WINDOW_BYTES and not self.over:
            widest = min(size, WIDEST_WINDOW_BYTES)
            self._sender.http2.set_local_window_size(widest, stream_id=self.id)

    def _take(self, size: int) -> bytes:
        together = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size -= size
        if not self._size:
            return together
        self._pieces.append(together[size:])
        return together[:size]

    async def _inflated(self, message: bytes, room: Room) -> bytes:
        encoding = self._fields.get(b"grpc-encoding", b"identity")
        if encoding == b"identity":
            raise StatusError(
                Code.INTERNAL, "The message is marked compressed, but no grpc-encoding is given"
            )
        if encoding not in grpc_headers.ENCODINGS:
            raise StatusError(
                Code.UNIMPLEMENTED,
                f"Messages compressed with {encoding.decode(errors='replace')} are not taken; gzip, deflate "
                "and identity are",
            )
        inflater, pieces, size = zlib.decompressobj(_GZIP_OR_ZLIB), list[bytes](), 0
        while not inflater.eof:
            try:
                piece = inflater.decompress(message, INFLATED_AT_ONCE)
            except zlib.error as error:
                raise StatusError(Code.INTERNAL, f"The message does not inflate: {error}") from error
            if not piece and not inflater.eof:
                raise _broken_off()
            message = inflater.unconsumed_tail
            pieces.append(piece)
            size += len(piece)
            if size > self._most:
                raise _too_long(size, self._most)
            room.hold(size)
            await asyncio.sleep(0)
        return b"".join(pieces)


Handle: TypeAlias = Callable[[Stream], Awaitable[None]]
# Handlers by the paths of their methods: /SERVICE/METHOD.
Methods: TypeAlias = Mapping[bytes, Handle]


def path(service: str, method: str) -> bytes:
    """The path of a method, its service's name in full."""
    return f"/{service}/{method}".encode()


def _broken_off() -> StatusError:
    return StatusError(Code.INTERNAL, "The message breaks off before its end")


def _too_long(size: int, most: int) -> StatusError:
    return StatusError(
        Code.RESOURCE_EXHAUSTED,
        f"Received message larger than max ({size} vs. {most}): see --grpc_max_message_bytes",
    )
