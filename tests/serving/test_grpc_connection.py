"""The gRPC port's HTTP/2, spoken to frame by frame: calls, their messages, flow control, and how it ends."""

import asyncio
import contextlib
import gc
import gzip
import logging
import socket
import weakref
import zlib
from collections.abc import AsyncIterator, Callable

import ngh2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving import errors, grpc_methods
from serving.admission import Admission
from serving.connections import ConnectionLimits, Connections
from serving.grpc_connection import (
    CONNECTION_WINDOW_BYTES,
    PIECE_BYTES,
    RESETS,
    STREAM_WINDOW_BYTES,
    TOO_MANY_CONNECTIONS,
    GrpcConnection,
)
from serving.grpc_limits import GrpcLimits
from serving.grpc_methods import Methods
from serving.grpc_stream import UNREAD_BYTES, Stream
from tests.serving.http2 import Client, connected, framed
from wire.errors import Code, StatusError

# Longer than a test takes; what is waited for so long has not come.
PATIENCE = 30.0
MEBIBYTE = 2**20


class Room:
    """Takes messages of so many bytes in all."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def check(self, size: int) -> None:
        if size > self.most:
            raise errors.invalid_argument("no room")

    def hold(self, size: int) -> None:
        self.check(size)
        self.held = size


class Port:
    """A port on 127.0.0.1, its methods, and what became of their calls."""

    def __init__(self) -> None:
        self.number = 0
        self.made = 0
        self.room = Room(64 * MEBIBYTE)
        self.gate = asyncio.Event()
        self.waiting = asyncio.Semaphore(0)
        self.cancelled = asyncio.Semaphore(0)
        self.connections: Connections | None = None

    @property
    def methods(self) -> Methods:
        return {
            grpc_methods.ANY_OTHER: grpc_methods.unknown,
            b"/echo": self._echo,
            b"/each": self._each,
            b"/wait": self._wait,
            b"/large": self._large,
            b"/fail": self._fail,
            b"/refuse": self._refuse,
            b"/first": self._first,
            b"/only": self._only,
            b"/nothing": self._nothing,
            b"/many": self._many,
        }

    @property
    def connection(self) -> GrpcConnection:
        """The only connection."""
        assert self.connections is not None
        (connection,) = self.connections._placed
        assert isinstance(connection, GrpcConnection)
        return connection

    async def _echo(self, stream: Stream) -> None:
        message = await stream.read(self.room)
        stream.send(b"none" if message is None else message)
        stream.finish()

    async def _each(self, stream: Stream) -> None:
        while (message := await stream.read(self.room)) is not None:
            stream.send(message)
        stream.send(b"end")
        stream.finish()

    async def _wait(self, stream: Stream) -> None:
        self.waiting.release()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.release()
            raise
        await self._echo(stream)

    async def _large(self, stream: Stream) -> None:
        """Answers with as many bytes as the message says."""
        stream.send(bytes(int(await stream.read(self.room) or b"0")))
        stream.finish()

    async def _fail(self, _: Stream) -> None:
        raise RuntimeError("a fault")

    async def _first(self, stream: Stream) -> None:
        """Reads a message, and no other."""
        await stream.read(self.room)
        await self._wait(stream)

    async def _only(self, stream: Stream) -> None:
        """Reads a message, and wants no other."""
        message = await stream.read_only(self.room)
        self.waiting.release()
        await self.gate.wait()
        stream.send(message or b"")
        stream.finish()

    async def _many(self, stream: Stream) -> None:
        """Answers with many messages, each once the client has taken most of the others."""
        for _ in range(100):
            self.made += 1
            stream.send(bytes(10_000))
            await stream.sent(20_000)
        stream.finish()

    async def _nothing(self, stream: Stream) -> None:
        stream.finish()

    async def _refuse(self, stream: Stream) -> None:
        """Does not look at any message."""
        stream.refuse(StatusError(Code.UNAVAILABLE, "50% of ümlauts\n"), (("retry-after", "1"),))

    def client(
        self, window: int = 16 * MEBIBYTE, patience: float = PATIENCE
    ) -> contextlib.AbstractAsyncContextManager[Client]:
        """A client that takes so many bytes before it gives the server new ones to send."""
        return connected(self.number, window, patience)


@contextlib.asynccontextmanager
async def listening(limits: GrpcLimits | None = None, most: int = 0) -> AsyncIterator[Port]:
    port, given = Port(), limits or GrpcLimits()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        port.number = bound.getsockname()[1]
        methods = port.methods
        port.connections = Connections(
            lambda: GrpcConnection(methods, given),
            bound,
            Admission(),
            ConnectionLimits(most=most, refusal=TOO_MANY_CONNECTIONS),
        )
        try:
            yield port
        finally:
            port.gate.set()
            await port.connections.close(PATIENCE)


async def _until_hung_up(client: Client) -> None:
    """Read, and answer nothing."""
    with contextlib.suppress(ConnectionResetError):
        while await client.reader.read(65536):
            pass


# Calls


async def test_a_call_is_answered_with_the_message_and_status_0() -> None:
    async with listening() as port, port.client() as client:
        answer = await client.ask(message=b"hello")
        assert answer.headers[b":status"] == b"200"
        assert answer.headers[b"content-type"] == b"application/grpc"
        assert answer.data == framed(b"hello")
        assert answer.trailers == {b"grpc-status": b"0"}
        assert answer.error == ngh2.ErrorCode.NO_ERROR


async def test_calls_on_one_connection_do_not_wait_for_each_other() -> None:
    async with listening() as port, port.client() as client:
        slow = client.begin("/wait", framed(b"slow"))
        assert (await client.ask(message=b"fast")).data == framed(b"fast")
        port.gate.set()
        assert (await client.answer(slow)).data == framed(b"slow")


@pytest.mark.parametrize(
    ("extra", "status"),
    [({":method": "GET"}, b"405"), ({"content-type": "text/plain"}, b"415"), ({"content-type": ""}, b"415")],
)
async def test_what_is_no_call_gets_a_status_of_http(extra: dict[str, str], status: bytes) -> None:
    async with listening() as port, port.client() as client:
        answer = await client.answer(client.begin("/echo", framed(b"x"), **extra))
        assert answer.headers[b":status"] == status
        assert (await client.ask()).status[0] == Code.OK


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto"])
async def test_grpcs_content_types_are_taken(kind: str) -> None:
    async with listening() as port, port.client() as client:
        assert (await client.ask(content_type=kind)).status[0] == Code.OK


async def test_unknown_method_is_unimplemented() -> None:
    async with listening() as port, port.client() as client:
        assert (await client.ask("/nope")).status == (Code.UNIMPLEMENTED, "Method not found!")


async def test_error_is_percent_encoded_and_has_its_trailers() -> None:
    async with listening() as port, port.client() as client:
        answer = await client.ask("/refuse")
        assert answer.status == (Code.UNAVAILABLE, "50%25 of %C3%BCmlauts%0A")
        assert answer.headers[b"retry-after"] == b"1"


async def test_fault_of_ours_is_internal_and_a_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as port, port.client() as client:
        answer = await client.ask("/fail")
        assert answer.status == (Code.INTERNAL, "RuntimeError in the server; see its log")
        assert (await client.ask()).status[0] == Code.OK
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_call_whose_stream_ends_in_trailers_is_answered() -> None:
    async with listening() as port, port.client() as client:
        stream = client.begin(data=framed(b"x"), end=False)
        client.http2.send_trailers(stream, [(b"some", b"thing")])
        client.flush()
        assert (await client.answer(stream)).data == framed(b"x")


# Messages


@pytest.mark.parametrize("size", [0, 1, 5, 3141])
async def test_message_may_come_byte_by_byte(size: int) -> None:
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with listening() as port, port.client() as client:
        stream = client.begin(end=False)
        for byte in framed(message):
            client.http2.send_data(stream, bytes((byte,)))
            client.flush()
        client.http2.end_stream(stream)
        client.flush()
        assert (await client.answer(stream)).data == framed(message)


async def test_messages_in_one_piece_are_read_one_by_one() -> None:
    messages = framed(b"one") + framed(b"") + framed(b"three")
    async with listening() as port, port.client() as client:
        answer = await client.answer(client.begin("/each", messages))
        assert answer.data == messages + framed(b"end")


@pytest.mark.parametrize("data", [None, b""], ids=["headers-alone", "empty-data"])
async def test_call_without_a_message_reads_none(data: bytes | None) -> None:
    async with listening() as port, port.client() as client:
        assert (await client.answer(client.begin(data=data))).data == framed(b"none")


@pytest.mark.parametrize("cut", [1, 4, 5, 7])
async def test_message_that_breaks_off_is_internal(cut: int) -> None:
    async with listening() as port, port.client() as client:
        answer = await client.answer(client.begin(data=framed(b"abcd")[:cut]))
        assert answer.status[0] == Code.INTERNAL
        assert "breaks off" in answer.status[1]


@pytest.mark.parametrize("size", [PIECE_BYTES - 5, PIECE_BYTES, STREAM_WINDOW_BYTES, 20 * MEBIBYTE])
async def test_message_larger_than_the_windows_passes_both_ways(size: int) -> None:
    message = bytes(size)
    async with listening() as port, port.client() as client:
        assert (await client.ask(message=message)).data == framed(message)


async def test_large_answer_passes_a_client_that_takes_little_at_a_time() -> None:
    async with listening() as port, port.client(window=1000) as client:
        answer = await client.ask("/large", b"300000")
        assert len(answer.data) == 300_005
        assert answer.status[0] == Code.OK


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress)],
)
async def test_compressed_message_is_inflated(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    message = bytes(range(256)) * 5000
    async with listening() as port, port.client() as client:
        stream = client.begin(data=framed(compress(message), compressed=True), grpc_encoding=encoding)
        assert (await client.answer(stream)).data == framed(message)
        plain = client.begin(data=framed(message), grpc_encoding=encoding)
        assert (await client.answer(plain)).data == framed(message)
        assert port.room.held == len(message)


@pytest.mark.parametrize(
    ("encoding", "data", "code"),
    [
        ("identity", gzip.compress(b"x"), Code.INTERNAL),
        ("snappy", b"x", Code.UNIMPLEMENTED),
        ("gzip", b"no gzip", Code.INTERNAL),
        ("gzip", gzip.compress(b"x" * 1000)[:-9], Code.INTERNAL),
        ("gzip", b"", Code.INTERNAL),
    ],
    ids=["no-encoding", "unknown", "no-gzip", "cut-off", "empty"],
)
async def test_message_that_does_not_inflate_is_refused(encoding: str, data: bytes, code: Code) -> None:
    async with listening() as port, port.client() as client:
        stream = client.begin(data=framed(data, compressed=True), grpc_encoding=encoding)
        assert (await client.answer(stream)).status[0] == code
        assert (await client.ask()).status[0] == Code.OK


async def test_compressed_message_is_inflated_as_far_as_there_is_room() -> None:
    async with listening(GrpcLimits(message=50 * MEBIBYTE)) as port, port.client() as client:
        port.room.most = 2 * MEBIBYTE
        bomb = framed(gzip.compress(bytes(40 * MEBIBYTE)), compressed=True)
        stream = client.begin(data=bomb, grpc_encoding="gzip")
        assert (await client.answer(stream)).status[1] == "no room"
        assert port.room.held <= 2 * MEBIBYTE
        port.room.most = 1000 * MEBIBYTE
        stream = client.begin(
            data=framed(gzip.compress(bytes(60 * MEBIBYTE)), compressed=True), grpc_encoding="gzip"
        )
        assert (await client.answer(stream)).status[0] == Code.RESOURCE_EXHAUSTED


async def test_message_too_long_is_refused_before_it_comes() -> None:
    async with listening(GrpcLimits(message=1000)) as port, port.client() as client:
        stream = client.begin(data=b"\0" + (1001).to_bytes(4, "big"), end=False)
        answer = await client.answer(stream)
        assert answer.status[0] == Code.RESOURCE_EXHAUSTED
        assert "larger than max (1001 vs. 1000)" in answer.status[1]
        assert answer.reset == ngh2.ErrorCode.NO_ERROR, "the client need not send the rest"
        assert (await client.ask(message=bytes(1000))).data == framed(bytes(1000))


async def test_message_without_room_is_refused_before_it_comes() -> None:
    async with listening() as port, port.client() as client:
        port.room.most = 1000
        answer = await client.answer(client.begin(data=framed(bytes(1001))[:6], end=False))
        assert answer.status == (Code.INVALID_ARGUMENT, "no room")
        assert port.room.held == 0


async def test_announced_message_takes_room_as_it_comes() -> None:
    async with listening() as port, port.client() as client:
        stream = client.begin(data=framed(bytes(MEBIBYTE))[: 5 + 1000], end=False)
        await client.ask("/refuse")
        assert port.room.held == 1000
        client.http2.send_data(stream, bytes(MEBIBYTE - 1000), end_stream=True)
        client.flush()
        assert (await client.answer(stream)).status[0] == Code.OK
        assert port.room.held == MEBIBYTE


# Flow control


async def test_stream_on_which_far_more_comes_than_is_read_ends() -> None:
    async with listening() as port, port.client() as client:
        stream = client.begin("/first", framed(b"x") + bytes(UNREAD_BYTES - 1000), end=False)
        assert (await client.ask()).data == framed(b"x")
        assert client.answers[stream].error is None
        client.http2.send_data(stream, bytes(2000))
        client.flush()
        assert (await client.answer(stream)).reset == ngh2.ErrorCode.ENHANCE_YOUR_CALM
        await port.cancelled.acquire()
        assert (await client.ask()).data == framed(b"x")


async def test_what_comes_behind_the_only_message_is_thrown_away() -> None:
    async with listening() as port, port.client() as client:
        stream = client.begin("/only", framed(b"x") + bytes(4 * UNREAD_BYTES), end=False)
        await port.waiting.acquire()
        assert (await client.ask()).data == framed(b"x")
        (kept,) = port.connection._streams.values()
        assert kept._size == 0
        port.gate.set()
        assert (await client.answer(stream)).data == framed(b"x")


async def test_refused_calls_give_back_what_the_client_may_send() -> None:
    """What comes for calls that were answered already is not counted against the connection for ever."""
    async with listening() as port, port.client() as client:
        for _ in range(CONNECTION_WINDOW_BYTES // MEBIBYTE + 2):
            stream = client.begin("/refuse", bytes(MEBIBYTE), end=False)
            assert (await client.answer(stream)).status[0] == Code.UNAVAILABLE
        assert (await client.ask(message=bytes(MEBIBYTE))).status[0] == Code.OK


async def test_calls_given_up_give_back_what_the_client_may_send() -> None:
    async with listening() as port, port.client() as client:
        for _ in range(CONNECTION_WINDOW_BYTES // MEBIBYTE + 2):
            stream = client.begin("/wait", bytes(MEBIBYTE), end=False)
            await port.waiting.acquire()
            client.http2.reset_stream(stream)
            client.flush()
            await port.cancelled.acquire()
        assert (await client.ask(message=bytes(MEBIBYTE))).status[0] == Code.OK


async def test_client_that_does_not_read_has_little_written_to_it() -> None:
    """Its answers wait unframed; and it is answered once it reads."""
    async with listening() as port, port.client(window=2**30) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        streams = [client.begin("/large", framed(b"%d" % MEBIBYTE)) for _ in range(20)]
        async with port.client() as other:
            for _ in streams:
                await other.ask()
        written = [each._transport.get_write_buffer_size() for each in port.connections._placed]  # type: ignore[union-attr]
        assert max(written) < 3 * PIECE_BYTES
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for stream in streams:
            assert len((await client.answer(stream)).data) == MEBIBYTE + 5


async def test_answers_are_made_as_fast_as_the_client_takes_them() -> None:
    async with listening() as port, port.client(window=30_000) as client:
        stream = client.begin("/many", framed(b"x"))
        async with port.client() as other:
            for _ in range(10):
                await other.ask()
        assert port.made <= 6
        assert len((await client.answer(stream)).data) == 100 * 10_005


# Calls that end otherwise


async def test_call_that_its_client_gives_up_is_cancelled() -> None:
    async with listening() as port, port.client() as client:
        stream = client.begin("/wait", framed(b"x"))
        await port.waiting.acquire()
        client.http2.reset_stream(stream)
        client.flush()
        async with asyncio.timeout(PATIENCE):
            await port.cancelled.acquire()
        assert (await client.ask()).status[0] == Code.OK


async def test_calls_of_a_client_that_has_gone_are_cancelled() -> None:
    async with listening() as port:
        async with port.client() as client:
            for _ in range(3):
                client.begin("/wait", framed(b"x"))
                await port.waiting.acquire()
        async with asyncio.timeout(PATIENCE):
            for _ in range(3):
                await port.cancelled.acquire()


async def test_calls_too_many_on_a_connection_are_refused_and_may_be_tried_again() -> None:
    async with listening(GrpcLimits(streams=2)) as port, port.client() as client:
        first = client.begin("/wait", framed(b"1"))
        # The client has heard of the limit.
        await client.until(lambda: any(isinstance(event, ngh2.SettingsReceived) for event in client.seen))
        client.begin("/wait", framed(b"2"))
        third = client.begin("/wait", framed(b"3"))
        for _ in range(2):
            await port.waiting.acquire()
        port.gate.set()
        assert (await client.answer(first)).status[0] == Code.OK
        assert (await client.answer(third)).status[0] == Code.OK


async def test_connection_that_gives_up_calls_without_end_is_ended() -> None:
    async with listening() as port, port.client() as client:
        begun = 0
        with contextlib.suppress(ngh2.ConnectionStateError, ConnectionError):
            while begun < 3 * RESETS[0]:
                for _ in range(100):
                    client.http2.reset_stream(client.begin("/echo", end=False))
                    begun += 1
                await client.ask()
        assert RESETS[0] < begun < 3 * RESETS[0]
    async with listening() as port, port.client() as client:
        assert (await client.ask()).status[0] == Code.OK


@pytest.mark.parametrize("size", [8192, 60_000])
async def test_headers_too_large_end_their_call_alone(size: int) -> None:
    async with listening(GrpcLimits(headers=8192)) as port, port.client() as client:
        other = client.begin("/wait", framed(b"other"))
        # In HTTP/2 a frame has 16 KiB: what is larger goes on in others.
        answer = await client.ask(**{f"large-{n}": "y" * (size // 8) for n in range(8)})
        assert answer.status == (Code.RESOURCE_EXHAUSTED, "The call's metadata has more than 8192 bytes")
        assert (await client.ask(large="y" * 7000)).status[0] == Code.OK
        port.gate.set()
        assert (await client.answer(other)).data == framed(b"other")


async def test_many_headers_are_taken() -> None:
    async with listening() as port, port.client() as client:
        assert (await client.ask(**{f"h{n}": "v" for n in range(400)})).status[0] == Code.OK


async def test_call_given_up_at_once_ends_alone() -> None:
    """It has ended before its answer, whichever that is."""
    async with listening() as port, port.client() as client:
        other = client.begin("/wait", framed(b"other"))
        for extra in ({":method": "GET"}, {"large": "y" * 20_000}, {}):
            sent = []
            for path in ("/echo", "/nope"):
                stream = client.begin(path, flush=False, **extra)
                sent.append(client.http2.data_to_send())
                client.http2.reset_stream(stream)
                sent.append(client.http2.data_to_send())
            client.writer.write(b"".join(sent))
            assert (await client.ask()).status[0] == Code.OK
        port.gate.set()
        assert (await client.answer(other)).data == framed(b"other")


async def test_error_of_the_connection_ends_its_calls_and_closes_it(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as port, port.client() as client:
        client.begin("/wait", framed(b"x"))
        client.begin("/echo", framed(b"xyz")[:-1], end=False)
        await port.waiting.acquire()
        window_update_of_nothing = bytes((0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        client.writer.write(window_update_of_nothing)
        await _until_hung_up(client)
        await port.cancelled.acquire()
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_answer_without_messages_is_status_0() -> None:
    async with listening() as port, port.client() as client:
        answer = await client.ask("/nothing")
        assert (answer.status[0], answer.data) == (Code.OK, b"")


async def test_nothing_is_kept_of_calls_and_connections_that_ended() -> None:
    """Without the garbage collector, which may take its time."""
    gc.collect()
    gc.disable()
    try:
        async with listening() as port:
            async with port.client(window=1000) as client:
                for path in ("/echo", "/each", "/nope", "/refuse", "/nothing"):
                    await client.ask(path)
                first = weakref.ref(port.connection)
                client.begin("/wait", framed(b"x"))
                client.begin("/large", framed(b"1000000"))
                client.begin("/echo", framed(b"xyz")[:-1], end=False)
                await client.ask()
                assert sum(isinstance(each, Stream) for each in gc.get_objects()) == 3
            await port.cancelled.acquire()
            async with port.client() as other:
                await other.ask()
            await asyncio.sleep(0)
            assert [each for each in gc.get_objects() if isinstance(each, Stream)] == []
            assert first() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", bytes(100), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)]
)
async def test_what_is_not_http_2_is_a_line_of_the_log(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as port:
        with caplog.at_level(logging.INFO, "serving.grpc_connection"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            writer.write(sent)
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionResetError):
                    await reader.read()
            writer.close()
    told = [record for record in caplog.records if "127.0.0.1" in record.getMessage()]
    assert [(record.levelno, record.exc_info) for record in told] == [(logging.INFO, None)]


@given(st.lists(st.binary(max_size=60), max_size=8))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_bytes_are_a_fault_of_ours(pieces: list[bytes]) -> None:
    """Frames of any kind, and what is none, behind a proper beginning."""

    async def send() -> None:
        async with listening() as port:
            async with port.client() as client:
                stream = client.begin(end=False)
                await client.until(lambda: client.http2.remote_settings != {})
                frames = [
                    len(piece).to_bytes(3, "big") + piece[:1] + b"\0" + stream.to_bytes(4, "big") + piece
                    for piece in pieces
                ]
                client.writer.write(b"".join(frames) + b"".join(pieces))
                client.writer.write_eof()
                with contextlib.suppress(ConnectionResetError):
                    while await client.reader.read(65536):
                        pass
            async with port.client() as client:
                assert (await client.ask()).status[0] == Code.OK

    asyncio.run(send())


# Time


async def test_client_that_says_nothing_is_hung_up_on() -> None:
    async with listening(GrpcLimits(greeting=0.05)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionResetError):
                while await reader.read(1024):
                    pass
        writer.close()


async def test_client_that_answers_pings_stays_and_one_that_does_not_is_hung_up_on() -> None:
    limits = GrpcLimits(greeting=0.5, ping=0.05, pong=0.5)
    async with listening(limits) as port, port.client() as living, port.client() as dead:
        await dead.ask()
        await living.until(lambda: sum(isinstance(event, ngh2.PingReceived) for event in living.seen) > 3)
        assert (await living.ask()).status[0] == Code.OK
        await _until_hung_up(dead)


async def test_old_connection_takes_no_new_calls_and_ends_with_the_last() -> None:
    async with listening(GrpcLimits(age=0.05)) as port, port.client() as client:
        stream = client.begin("/wait", framed(b"x"))
        # The first says only that there is going to be one, for calls that are on their way.
        await client.until(lambda: len(client.farewells) == 2)
        assert client.farewells == [2**31 - 1, stream]
        port.gate.set()
        assert (await client.answer(stream)).data == framed(b"x")
        while await client.read():
            pass


async def test_old_connection_is_cut_off_after_its_grace() -> None:
    async with listening(GrpcLimits(age=0.01, age_grace=0.01)) as port, port.client() as client:
        client.begin("/wait", framed(b"x"))
        await _until_hung_up(client)
        async with asyncio.timeout(PATIENCE):
            await port.cancelled.acquire()


async def test_last_answer_of_an_old_connection_comes_whole() -> None:
    async with listening(GrpcLimits(age=0.05)) as port, port.client(window=2**30) as client:
        stream = client.begin("/wait", framed(bytes(16 * MEBIBYTE)))
        await client.until(lambda: any(isinstance(event, ngh2.GoAwayReceived) for event in client.seen))
        port.gate.set()
        assert len((await client.answer(stream)).data) == 16 * MEBIBYTE + 5


# How a port is closed


async def test_closing_answers_what_is_under_way_and_ends_the_others() -> None:
    async with listening() as port, port.client() as busy, port.client() as idle:
        stream = busy.begin("/wait", framed(b"x"))
        assert (await idle.ask()).status[0] == Code.OK
        await port.waiting.acquire()
        assert port.connections is not None
        closing = asyncio.create_task(port.connections.close(PATIENCE))
        while await idle.read():
            pass
        port.gate.set()
        assert (await busy.answer(stream)).data == framed(b"x")
        await closing


async def test_closing_cuts_off_what_does_not_end_in_time() -> None:
    async with listening() as port, port.client() as client:
        client.begin("/wait", framed(b"x"))
        await port.waiting.acquire()
        assert port.connections is not None
        await port.connections.close(0.01)
        async with asyncio.timeout(PATIENCE):
            await port.cancelled.acquire()


async def test_connection_too_many_is_told_so_and_hung_up_on() -> None:
    async with listening(most=1) as port, port.client() as client:
        assert (await client.ask()).status[0] == Code.OK
        async with port.client() as other:
            await other.until(lambda: any(isinstance(event, ngh2.GoAwayReceived) for event in other.seen))
            (told,) = [event for event in other.seen if isinstance(event, ngh2.GoAwayReceived)]
            assert told.error_code == ngh2.ErrorCode.ENHANCE_YOUR_CALM
            assert b"too many connections" in told.debug_data
        assert (await client.ask()).status[0] == Code.OK
