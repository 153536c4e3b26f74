"""A gRPC call, which is a stream of an HTTP/2 connection: the messages that come, and the answer."""

import asyncio
import time
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Protocol

import ngh2

from serving import grpc_headers
from wire.errors import Code, StatusError

# What comes before each message: whether it is compressed, and its length.
HEAD_BYTES = 5
# So much may come behind a message before the next one is asked for.
UNREAD_BYTES = 128 * 1024
# Pieces shorter than that are kept together: each would be an object of its own.
SHORT_BYTES = 1024
TOGETHER_BYTES = 64 * 1024
# A message is inflated from, and to, so many bytes at once; the event loop has its turn between them.
DEFLATED_AT_ONCE = 64 * 1024
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
    # Whether the client is behind with reading what was sent.
    paused: bool

    def flush_soon(self) -> None:
        """Send what was given to `http2`."""

    def answered(self, stream: "Stream") -> None:
        """The stream has its whole answer."""

    def reset(self, stream: "Stream") -> None:
        """End a stream that does not keep the rules."""

    def tell_when_taken(self, stream: "Stream") -> None:
        """Wake the stream once it says that it is `taken`, or the connection has ended."""


class Stream:
    """A call. Its messages are read one after the other; those that come meanwhile wait in bounds.

    `deadline` is a time of `time.monotonic`, or None. Once the stream is `over`, nothing is sent any more.
    """

    __slots__ = (
        "_between",
        "_deaf",
        "_fields",
        "_headed",
        "_most",
        "_offset",
        "_pieces",
        "_sender",
        "_size",
        "_unsent",
        "_woken",
        "deadline",
        "ended",
        "finished",
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
        # Whether the answer is complete, be it sent or not.
        self.finished = False
        self.task: asyncio.Task[None] | None = None
        seconds = grpc_headers.timeout_seconds(fields)
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self._sender = sender
        self._fields = fields
        self._most = most
        # What has come and was not read; of the first piece, what is behind the offset.
        self._pieces: deque[bytes | bytearray] = deque()
        self._offset = self._size = 0
        # Whether a message was read and the next one is not asked for.
        self._between = False
        # Whether what comes is not wanted any more.
        self._deaf = False
        self._headed = False
        self._unsent = 0
        self._woken: asyncio.Future[None] | None = None

    # What the connection tells

    def add(self, data: bytes) -> None:
        """A piece has come."""
        if self._deaf:
            return
        if self._pieces and len(data) < SHORT_BYTES:
            self._append(data)
        else:
            self._pieces.append(data)
        self._size += len(data)
        if self._between and self._size > UNREAD_BYTES:
            self._sender.reset(self)
        self.wake()

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self.wake()

    def wake(self) -> None:
        """What is waited for may be there."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

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
        self._between = False
        while self._size < HEAD_BYTES:
            if self.ended:
                if self._size:
                    raise _broken_off()
                return None
            await self._woken_up()
        head = self._take(HEAD_BYTES)
        size = int.from_bytes(head[1:], "big")
        if size > self._most:
            raise _too_long(size, self._most)
        if self._size < size:
            room.check(size)
        while self._size < size:
            if self.ended:
                raise _broken_off()
            # Taken as it comes only: who announced much and sent nothing would keep it from the others.
            room.hold(self._size)
            await self._woken_up()
        room.hold(size)
        message = self._take(size)
        self._between = True
        return await self._inflated(message, room) if head[0] else message

    async def read_only(self, room: Room) -> bytes | None:
        """The message of a call that has one, as `read`; what comes behind it is not wanted."""
        message = await self.read(room)
        self._want_no_more()
        return message

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

    async def sent(self, unsent: int) -> None:
        """Wait until the client has taken all of the answer so far but so many bytes."""
        self._unsent = unsent
        while not self.taken():
            self._sender.tell_when_taken(self)
            await self._woken_up()

    def taken(self) -> bool:
        """Whether what `sent` waits for is so."""
        sender = self._sender
        return not sender.paused and (self.over or sender.http2.queued_body_size(self.id) <= self._unsent)

    def give_up(self) -> None:
        """End the stream, whatever was sent of it."""
        self._sender.reset(self)

    def finish(self) -> None:
        """End the answer: all went well."""
        self._end(grpc_headers.OK)

    def refuse(self, error: StatusError, extra: Iterable[tuple[str, str]] = ()) -> None:
        """End the answer with an error, and further trailers."""
        self._end(grpc_headers.status(error, extra))

    def respond(self, headers: Iterable[grpc_headers.Header]) -> None:
        """Answer with headers alone."""
        if self.over:
            return
        self._headed = self.finished = True
        self._want_no_more()
        self._sender.http2.send_response(self.id, headers, end_stream=True)
        self._sender.answered(self)

    def _end(self, trailers: Iterable[grpc_headers.Header]) -> None:
        if not self._headed:
            self.respond((*grpc_headers.RESPONSE, *trailers))
        elif not self.over:
            self.finished = True
            self._want_no_more()
            self._sender.http2.send_trailers(self.id, trailers)
            self._sender.answered(self)

    # How messages come

    def _want_no_more(self) -> None:
        self._deaf = True
        self._pieces.clear()
        self._offset = self._size = 0

    async def _woken_up(self) -> None:
        self._woken = asyncio.get_running_loop().create_future()
        await self._woken
        self._woken = None

    def _append(self, data: bytes) -> None:
        """Keep a short piece with the one before it."""
        last = self._pieces[-1]
        if isinstance(last, bytearray) and len(last) < TOGETHER_BYTES:
            last += data
        elif len(last) < SHORT_BYTES:
            self._pieces[-1] = bytearray(last) + data
        else:
            self._pieces.append(data)

    def _take(self, size: int) -> bytes:
        """The next bytes of what has come, so many."""
        if not size:
            return b""
        self._size -= size
        first, begin = self._pieces[0], self._offset
        if begin + size < len(first):
            self._offset = begin + size
            return bytes(first[begin : begin + size])
        parts = [first[begin:] if begin else first]
        size -= len(parts[0])
        self._pieces.popleft()
        self._offset = 0
        while size:
            piece = self._pieces.popleft()
            if len(piece) > size:
                self._pieces.appendleft(piece)
                piece, self._offset = piece[:size], size
            parts.append(piece)
            size -= len(piece)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

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
        deflated = memoryview(message)
        while deflated or inflater.unconsumed_tail:
            given = inflater.unconsumed_tail or deflated[:DEFLATED_AT_ONCE]
            if not inflater.unconsumed_tail:
                deflated = deflated[DEFLATED_AT_ONCE:]
            try:
                pieces.append(inflater.decompress(given, INFLATED_AT_ONCE))
            except zlib.error as error:
                raise StatusError(Code.INTERNAL, f"The message does not inflate: {error}") from error
            size += len(pieces[-1])
            if size > self._most:
                raise _too_long(size, self._most)
            room.hold(len(message) + size)
            if inflater.eof:
                break
            await asyncio.sleep(0)
        if not inflater.eof or inflater.unused_data or deflated:
            raise _broken_off()
        room.hold(size)
        return b"".join(pieces)


def _broken_off() -> StatusError:
    return StatusError(Code.INTERNAL, "The message breaks off before its end, or goes on behind it")


def _too_long(size: int, most: int) -> StatusError:
    return StatusError(
        Code.RESOURCE_EXHAUSTED,
        f"Received message larger than max ({size} vs. {most}): see --grpc_max_message_bytes",
    )
