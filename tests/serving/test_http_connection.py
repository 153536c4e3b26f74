"""The REST port's HTTP/1.1: where a request ends, in which order answers go out, who is hung up on."""

import asyncio
import contextlib
import errno
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import uvloop

from serving import connections, http_connection, rest_body, rest_front
from serving.admission import Admission
from serving.connections import ConnectionLimits, Connections
from serving.http_connection import MAX_HEAD_BYTES, MAX_HEADERS, MAX_UNREAD_BYTES, MAX_URL_BYTES, Connection
from serving.http_messages import NO_HEADERS, BodyBroken, Request, Response
from serving.patience import Patience
from tests.serving.certificates import Authority, context
from wire.errors import Code, http_status

# Longer than a test takes; what is waited for so long has not come.
PATIENCE = 20
LARGE = 32 * 2**20
BREAKS_OFF = {"X-Body": "broken"}


@dataclass
class Port:
    """A port that tells each client what it has asked, and what became of its requests."""

    connections: Connections | None = None
    number: int = 0
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: Request) -> None:
        """Answer by the path: `/body` reads it, `/wait` waits for the gate, `/large` has a large answer."""
        body, headers = b"", NO_HEADERS
        if request.path == "/wait":
            await self._wait()
        if request.path == "/fails":
            raise ZeroDivisionError
        if request.path == "/cancelled":
            raise asyncio.CancelledError
        if request.path == "/body":
            body, headers = await _whole(request)
        self.asked.append((request.method, request.path, body))
        self.headers.append(dict(request.headers))
        status = int(request.path.removeprefix("/status/")) if request.path.startswith("/status/") else 200
        told = bytes(LARGE) if request.path == "/large" else request.path.encode() + b" " + body
        await rest_body.send(Response(status, told, headers), request, Patience(PATIENCE))

    async def _wait(self) -> None:
        self.waiting.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.gone.set()
            raise

    async def answers(self, *sent: bytes) -> bytes:
        """What comes back until the server hangs up on who sends this, piece by piece."""
        async with self.connected() as (reader, writer):
            for piece in sent:
                writer.write(piece)
                await writer.drain()
            return await reader.read()

    @contextlib.asynccontextmanager
    async def connected(
        self, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A client's connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number, ssl=tls)
        try:
            async with asyncio.timeout(PATIENCE):
                yield reader, writer
        finally:
            writer.close()


async def _whole(request: Request) -> tuple[bytes, Mapping[str, str]]:
    pieces = []
    try:
        while request.body.unread or not request.body.complete:
            await request.body.come()
            pieces.append(request.body.take())
    except BodyBroken:
        return b"", BREAKS_OFF
    return b"".join(pieces), NO_HEADERS


@contextlib.asynccontextmanager
async def _listening(
    idle: float = 60.0, most: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Port]:
    port, limits = (
        Port(),
        ConnectionLimits(most=most, handshake=idle, tls=tls, refusal=rest_front.TOO_MANY_CONNECTIONS),
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port.number = listening.getsockname()[1]
        port.connections = Connections(lambda: Connection(port.handle, idle), listening, Admission(), limits)
        try:
            yield port
        finally:
            port.gate.set()
            await port.connections.close(PATIENCE)


def _get(path: str, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/{version}", "Host: h", *headers, "", ""]).encode()


def _post(body: bytes, *headers: str, path: str = "/body") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: h", *headers, "", ""]).encode() + body


def _bodies(answers: bytes) -> Iterator[bytes]:
    """The bodies of answers that came one after the other."""
    while answers:
        head, _, rest = answers.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        yield rest[: int(length[1])]
        answers = rest[int(length[1]) :]


LAST = _get("/last", "Connection: close")
CHUNKED = "Transfer-Encoding: chunked"


# Where a request ends


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (_post(b"abc", "Content-Length: 3"), b"abc"),
        (_post(b"", "Content-Length: 0"), b""),
        (_post(b""), b""),
        (_post(b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n", CHUNKED), b"abcde"),
        (_post(b"3\r\nabc\r\n0\r\nHost: other\r\n\r\n", CHUNKED), b"abc"),
    ],
    ids=["length", "length-0", "no-length", "chunked", "trailers"],
)
@pytest.mark.parametrize("piece", [1, 7, 10**6])
async def test_bodies_end_where_they_say(sent: bytes, body: bytes, piece: int) -> None:
    """Another request behind it is one of its own, wherever the network cuts them."""
    async with _listening() as port:
        all_of_it = sent + LAST
        pieces = [all_of_it[at : at + piece] for at in range(0, len(all_of_it), piece)]
        assert list(_bodies(await port.answers(*pieces))) == [b"/body " + body, b"/last "]
        assert port.asked == [("POST", "/body", body), ("GET", "/last", b"")]
        assert [headers["host"] for headers in port.headers] == ["h", "h"]


@pytest.mark.parametrize(
    "sent",
    [
        _post(b"nonsense\r\n", CHUNKED),
        _post(b"3\r\nabcd\r\n", CHUNKED),
        _post(b"abc", "Transfer-Encoding: gzip"),
        _post(b"1;" + b"x" * (8 * MAX_HEAD_BYTES), CHUNKED),
        _post(b"0\r\nTrailer: " + b"x" * (8 * MAX_HEAD_BYTES), CHUNKED),
        _post(b"0\r\n" + b"X:\r\n" * (MAX_HEADERS + 1) + b"\r\n", CHUNKED),
    ],
    ids=[
        "no-size", "longer-than-its-size", "no-chunks", "endless-extension", "endless-trailers",
        "many-trailers",
    ],
)  # fmt: skip
async def test_body_that_breaks_off_is_answered_and_ends_the_connection(sent: bytes) -> None:
    async with _listening() as port:
        answers = await port.answers(sent, LAST)
        assert answers.count(b"HTTP/1.1 ") == 1
        assert b"X-Body: broken" in answers
        assert b"Connection: close" in answers


# What is none


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"hello\r\n\r\n", "method"),
        (_get("/" + "x" * MAX_URL_BYTES), "a URL of more than 65536 bytes"),
        (_get("/", "X: " + "x" * (2 * MAX_HEAD_BYTES)), "more than 131072 bytes of headers"),
        (_get("/", "X: " + "x" * (MAX_HEAD_BYTES + 1)), "more than 131072 bytes of headers"),
        (_get("/", *(["X:"] * (MAX_HEADERS + 1))), "more than 256 headers"),
        (_post(b"0\r\n\r\n", CHUNKED, "Content-Length: 5"), "Content-Length"),
        (_post(b"abc", "Content-Length: 3", "Content-Length: 4"), "Content-Length"),
        (_post(b"abc", "Content-Length: -3"), "Content-Length"),
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", "header"),
        (b"GET / HTTP/2.0\r\n\r\n", "HTTP/2.0"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "method"),
    ],
    ids=[
        "no-http", "long-url", "long-header", "longer-than-a-read", "many-headers", "length-and-chunks",
        "two-lengths", "negative-length", "space-in-name", "http2", "tls",
    ],
)  # fmt: skip
async def test_what_is_not_http_1_1_is_told_why_and_hung_up_on(sent: bytes, reason: str) -> None:
    async with _listening() as port:
        head, _, body = (await port.answers(sent)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"Connection: close" in head
        assert reason.lower() in body.decode().lower()
        assert port.asked == []


async def test_headers_are_counted_anew_for_each_request() -> None:
    many = ["X:"] * (MAX_HEADERS - 10)
    trailing = _post(b"0\r\n" + b"X:\r\n" * (MAX_HEADERS - 10) + b"\r\n", CHUNKED)
    async with _listening() as port:
        sent = trailing + _get("/1", *many) + _get("/2", *many) + LAST
        assert list(_bodies(await port.answers(sent))) == [b"/body ", b"/1 ", b"/2 ", b"/last "]


async def test_requests_before_a_broken_one_are_answered_first() -> None:
    async with _listening() as port:
        answers = await port.answers(_get("/1") + _get("/2") + b"hello\r\n\r\n" + LAST)
        assert list(_bodies(answers))[:2] == [b"/1 ", b"/2 "]
        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"200", b"400"]


async def test_fault_of_ours_ends_its_connection_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async with _listening() as port:
        with contextlib.suppress(ConnectionResetError):
            assert await port.answers(_get("/fails")) == b""
        assert [record.exc_info is not None for record in caplog.records] == [True]
        assert list(_bodies(await port.answers(LAST))) == [b"/last "]


# One after the other


async def test_answers_go_out_in_the_order_of_the_requests() -> None:
    async with _listening() as port:
        requests = [_get("/wait"), *(_get(f"/{number}") for number in range(3000)), LAST]
        async with port.connected() as (reader, writer):
            writer.write(b"".join(requests))
            await port.waiting.wait()
            assert port.asked == []
            port.gate.set()
            bodies = list(_bodies(await reader.read()))
        assert bodies == [b"/wait ", *(b"/%d " % number for number in range(3000)), b"/last "]


async def test_requests_that_wait_for_an_answer_are_not_all_taken_apart() -> None:
    """One read has thousands of the shortest, which as objects take a hundred times their bytes."""
    async with _listening() as port, port.connected() as (_, writer):
        writer.write(_get("/wait") + b"GET / HTTP/1.1\r\n\r\n" * 50_000)
        await port.waiting.wait()
        assert port.connections is not None
        (connection,) = port.connections._placed
        assert len(connection._requests) < 2000


@pytest.mark.parametrize(
    ("version", "header", "stays"),
    [
        ("1.1", "X: y", True),
        ("1.1", "Connection: keep-alive", True),
        ("1.1", "Connection: close", False),
        ("1.0", "X: y", False),
        ("1.0", "Connection: keep-alive", True),
    ],
)
async def test_connection_stays_open_as_its_client_wants(version: str, header: str, stays: bool) -> None:
    async with _listening() as port:
        answers = await port.answers(_get("/1", header, version=version) + LAST)
        assert answers.count(b"HTTP/1.1 200 OK") == 1 + stays
        told = re.findall(rb"Connection: (.*)\r\n", answers)
        assert told == ([b"keep-alive"] if stays and version == "1.0" else []) + [b"close"]


async def test_nothing_is_upgraded_to() -> None:
    """What asks for HTTP/2 is answered in HTTP/1.1, and what it sends next is, too, however often it asks."""
    async with _listening() as port:
        asking = _get("/1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")
        answers = await port.answers(asking * 2000 + LAST)
        assert list(_bodies(answers)) == [*([b"/1 "] * 2000), b"/last "]


@pytest.mark.parametrize(
    ("framing", "sent"), [("Content-Length: 3", b"abc"), (CHUNKED, b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")]
)
@pytest.mark.parametrize("piece", [1, 10**6])
async def test_request_that_would_be_upgraded_has_its_body(framing: str, sent: bytes, piece: int) -> None:
    """Java's HttpClient asks for HTTP/2 so, also where it posts."""
    async with _listening() as port:
        asking = _post(sent, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", framing)
        all_of_it = asking * 2 + LAST
        pieces = [all_of_it[at : at + piece] for at in range(0, len(all_of_it), piece)]
        assert list(_bodies(await port.answers(*pieces))) == [b"/body abc", b"/body abc", b"/last "]


async def test_behind_connect_is_no_request() -> None:
    async with _listening() as port:
        answers = await port.answers(b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n" + LAST)
        assert answers.count(b"HTTP/1.1 ") == 1
        assert port.asked == [("CONNECT", "", b"")]


async def test_whole_url_asks_for_its_path() -> None:
    async with _listening() as port:
        await port.answers(_get("http://h:80/a/b?c=d", "Connection: close"))
        assert port.asked == [("GET", "/a/b?c=d", b"")]


async def test_header_that_comes_again_is_a_list_and_its_name_has_no_case() -> None:
    async with _listening() as port:
        await port.answers(_get("/", "ACCEPT: a", "Accept:b", "X: \u00e4", "Connection: close"))
        assert port.headers[0]["accept"] == "a, b"
        assert port.headers[0]["x"] == "\u00e4"


# Answers


async def test_answer_says_when_and_by_whom_it_was_made() -> None:
    async with _listening() as port:
        head = (await port.answers(LAST)).partition(b"\r\n\r\n")[0].decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        assert head.startswith("HTTP/1.1 200 OK\r\n")
        assert headers["Server"] == "kedge"
        assert parsedate_to_datetime(headers["Date"]).tzinfo is not None
        assert headers["Content-Length"] == "6"


async def test_head_is_answered_without_a_body() -> None:
    async with _listening() as port:
        answers = await port.answers(b"HEAD /large HTTP/1.1\r\nHost: h\r\n\r\n" + LAST)
        first, _, rest = answers.partition(b"\r\n\r\n")
        assert f"Content-Length: {LARGE}".encode() in first
        assert list(_bodies(rest)) == [b"/last "]


async def test_large_answer_waits_for_its_reader() -> None:
    async with _listening() as port, port.connected() as (reader, writer):
        writer.write(_get("/large") + LAST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"Content-Length: {LARGE}".encode() in head
        assert [path for _, path, _ in port.asked] == ["/large"]
        assert await reader.readexactly(LARGE) == bytes(LARGE)
        assert list(_bodies(await reader.read())) == [b"/last "]


# Bodies that nobody reads, or not yet


async def test_large_body_is_read_only_as_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    held_back = asyncio.Event()
    hold_back = Connection._hold_back

    def tells(connection: Connection) -> None:
        hold_back(connection)
        if connection._paused:
            held_back.set()

    monkeypatch.setattr(Connection, "_hold_back", tells)
    async with _listening() as port, port.connected() as (reader, writer):
        writer.write(_post(bytes(LARGE), f"Content-Length: {LARGE}", path="/wait"))
        await held_back.wait()
        assert port.connections is not None
        (connection,) = port.connections._placed
        assert MAX_UNREAD_BYTES < connection._requests[0].body.unread < LARGE // 4
        port.gate.set()
        await writer.drain()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 OK")


async def test_body_that_is_not_wanted_does_not_keep_the_next_request_back() -> None:
    async with _listening() as port:
        unwanted = _post(bytes(2 * MAX_UNREAD_BYTES), f"Content-Length: {2 * MAX_UNREAD_BYTES}", path="/1")
        assert list(_bodies(await port.answers(unwanted + LAST))) == [b"/1 ", b"/last "]


async def test_who_goes_on_sending_what_is_not_wanted_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "LINGERING_SECONDS", 0.05)
    async with _listening() as port:
        answers = await port.answers(_post(b"abc", "Content-Length: 1000", path="/1"))
        assert list(_bodies(answers)) == [b"/1 "]


async def test_what_is_not_wanted_may_break_off_too() -> None:
    async with _listening() as port, port.connected() as (reader, writer):
        writer.write(_post(b"3\r\nabc\r\n", CHUNKED, path="/1"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 OK")
        writer.write(b"nonsense\r\n")
        assert (await reader.read()).endswith(b"/1 ")


# Who goes, and who is told to


async def test_request_of_a_client_that_has_gone_is_given_up() -> None:
    async with _listening() as port:
        async with port.connected() as (_, writer):
            writer.write(_get("/wait"))
            await port.waiting.wait()
        async with asyncio.timeout(PATIENCE):
            await port.gone.wait()
        assert port.asked == []


async def test_idle_connection_is_closed_but_not_one_that_waits_for_its_answer() -> None:
    async with _listening(idle=0.05) as port, port.connected() as (reader, writer):
        writer.write(_get("/wait"))
        await port.waiting.wait()
        assert await port.answers(_get("/1")) != b""
        assert await port.answers(b"") == b""
        assert await port.answers(b"GET / HTTP/1.1\r\nHos") == b""
        port.gate.set()
        assert list(_bodies(await reader.read())) == [b"/wait "]


async def test_stop_closes_who_waits_and_answers_who_has_asked() -> None:
    async with _listening() as port:
        assert port.connections is not None
        async with port.connected() as (idle, _), port.connected() as (reader, writer):
            writer.write(_get("/wait"))
            await port.waiting.wait()
            stopping = asyncio.create_task(port.connections.close(PATIENCE))
            assert await idle.read() == b""
            assert not stopping.done()
            port.gate.set()
            answer = await reader.read()
            assert list(_bodies(answer)) == [b"/wait "]
            assert b"Connection: close" in answer
            await stopping
            with pytest.raises(ConnectionRefusedError):
                await port.answers(LAST)


async def test_stop_cuts_off_what_takes_too_long() -> None:
    async with _listening() as port:
        assert port.connections is not None
        async with port.connected() as (reader, writer):
            writer.write(_get("/wait"))
            await port.waiting.wait()
            await port.connections.close(0.05)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            await port.gone.wait()


@pytest.fixture
def certified(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server with TLS and of its clients."""
    authority = Authority()
    issued = authority.issue()
    (tmp_path / "server.pem").write_text(issued.key + issued.certificate)
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(tmp_path / "server.pem")
    return served, context(authority, tmp_path)


async def test_stop_lets_who_reads_slowly_have_the_answer_also_with_tls(
    certified: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    served, trusting = certified
    async with _listening(tls=served) as port:
        assert port.connections is not None
        async with port.connected(trusting) as (reader, writer):
            writer.write(_get("/large"))
            await reader.readuntil(b"\r\n\r\n")
            stopping = asyncio.create_task(port.connections.close(PATIENCE))
            assert await reader.readexactly(2**20) == bytes(2**20)
            assert not stopping.done()
            assert await reader.read() == bytes(LARGE - 2**20)
            await stopping


async def test_who_asked_for_what_was_cancelled_is_hung_up_on() -> None:
    async with _listening() as port:
        with contextlib.suppress(ConnectionResetError):
            assert await port.answers(_get("/cancelled")) == b""


# How many there are


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("size", [0, 10, 10**6])
def test_connection_too_many_is_refused_on_each_event_loop(
    factory: Callable[[], asyncio.AbstractEventLoop], size: int
) -> None:
    async def ask() -> bytes:
        async with _listening(most=1) as port, port.connected() as (reader, writer):
            writer.write(_get("/1"))
            await reader.readline()
            return await port.answers(_post(bytes(size), f"Content-Length: {size}"))

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(ask()).startswith(b"HTTP/1.1 503 Service Unavailable")


async def test_only_so_many_are_told_at_once_that_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_REFUSALS", 1)
    async with _listening(most=1) as port, port.connected() as (reader, writer):
        writer.write(_get("/1"))
        await reader.readline()
        async with port.connected() as (told, _):
            assert b"503" in await told.readline()
            assert await port.answers() == b""


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_handshake_takes_a_place_and_gives_it_back(
    factory: Callable[[], asyncio.AbstractEventLoop], certified: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """One that is mute keeps the next out, one that fails or is too slow keeps nobody out any more."""
    served, trusting = certified

    async def ask(port: Port) -> bytes:
        async with port.connected(trusting) as (reader, writer):
            writer.write(LAST)
            return await reader.readline()

    async def fail_and_ask() -> None:
        async with _listening(most=1, tls=served) as port:
            async with port.connected() as (mute, writer):
                assert b" 503 " in await ask(port)
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
                await mute.read()
            assert b" 200 " in await ask(port)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(fail_and_ask())


async def test_who_is_refused_over_tls_and_stays_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, certified: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    monkeypatch.setattr(connections, "LINGERING_SECONDS", 0.05)
    served, trusting = certified
    async with _listening(most=1, tls=served) as port, port.connected(trusting) as (reader, writer):
        writer.write(_get("/1"))
        await reader.readline()
        with await asyncio.to_thread(_refused_over_tls, port.number, trusting):
            assert port.connections is not None
            for refused in tuple(port.connections._refused):
                await asyncio.shield(refused.gone)
            assert port.connections._refused == set()


def _refused_over_tls(port: int, trusting: ssl.SSLContext) -> ssl.SSLSocket:
    """A client that has read its refusal, and is silent: it does not say that it has heard of the end."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    client = trusting.wrap_socket(connection, server_hostname="127.0.0.1")
    assert b" 503 " in client.recv(1000)
    return client


async def test_slow_handshake_is_given_up(
    monkeypatch: pytest.MonkeyPatch, certified: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    monkeypatch.setattr(connections, "HANDSHAKE_SECONDS", 0.05)
    async with _listening(tls=certified[0]) as port, port.connected() as (mute, _):
        assert await mute.read() == b""
        assert port.connections is not None
        assert port.connections._placed == set()


async def test_stop_waits_for_no_handshake(certified: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    served, trusting = certified
    async with _listening(tls=served) as port, port.connected() as (mute, _):
        assert port.connections is not None
        # The one before is accepted, too, then.
        async with port.connected(trusting):
            pass
        await port.connections.close(PATIENCE)
        assert await mute.read() == b""


async def test_port_that_could_not_accept_accepts_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "RETRY_SECONDS", 0.01)
    accepting = pytest.MonkeyPatch()

    def accept(listening: socket.socket) -> None:
        accepting.undo()
        raise OSError(errno.EMFILE, "Too many open files")

    async with _listening() as port:
        accepting.setattr(socket.socket, "accept", accept)
        assert list(_bodies(await port.answers(LAST))) == [b"/last "]
    assert "Too many open files" in caplog.text


# Answers


@pytest.mark.parametrize("status", sorted({http_status(code) for code in Code}))
async def test_answer_has_its_status_and_reason(status: int) -> None:
    async with _listening() as port:
        line = (await port.answers(_get(f"/status/{status}", "Connection: close"))).split(b"\r\n")[0]
        assert re.fullmatch(rb"HTTP/1\.1 %d [A-Z][A-Za-z ]+" % status, line)
