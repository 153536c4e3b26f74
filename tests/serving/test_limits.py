"""What a server takes on: no more than it has room for, nothing too large, nothing from who is too slow."""

import asyncio
import contextlib
import gzip
import json
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import ngh2
import numpy as np
import pytest

from serving import memory
from serving.admission import Admission
from serving.grpc_codec import reader
from serving.inference import Call, ModelSpec
from tests.serving import saved_models
from tests.serving.http2 import connected, framed
from tests.serving.servers import PREDICTION, Endpoint, Question, serving
from wire import messages
from wire.errors import Code, StatusError

OPEN = Question("gate", {"x": np.zeros(1, np.float32)}, signature="open")
SHORT = Question("peculiar", {"x": np.array([1], np.float32)}, signature="positive")
RUNNING_OR_WAITING = (
    'kedge_model_requests_in_flight{transport="%s",model="gate",version="1",signature="wait"} '
)
IN_FLIGHT = 'kedge_requests_in_flight{transport="%s"} '
REFUSED = 'kedge_requests_refused_total{reason="requests",transport="%s",model="",version="",signature=""} '
PREDICT = f"/{PREDICTION}/Predict"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    saved_models.peculiar(path / "peculiar" / "1")
    saved_models.gate(path / "gate" / "1")
    return path


@contextlib.asynccontextmanager
async def _serving(store: Path, *arguments: str) -> AsyncIterator[Endpoint]:
    async with serving(f"--model_store_root={store}", *arguments) as endpoint:
        yield endpoint


def _waiting(number: float = 1) -> Question:
    """A request that ends when the gate is opened, with this number."""
    return Question("gate", {"rows": np.array([[number]], np.float32)}, signature="wait")


def _large_answer() -> Question:
    """A request whose answer is of a megabyte."""
    return Question("peculiar", {"x": np.ones(2**18, np.float32)}, signature="positive")


def _large(megabytes: float) -> Question:
    """A request whose message has that size; its answer is 0."""
    return Question("gate", {"rows": np.zeros((1, int(megabytes * 2**18)), np.float32)})


@contextlib.asynccontextmanager
async def _occupied(endpoint: Endpoint, transport: str) -> AsyncIterator[None]:
    """A request under way until the block is left."""
    under_way = asyncio.create_task(endpoint.predict(transport, _waiting(7)))
    await endpoint.until_sample(IN_FLIGHT % transport, 1)
    yield
    core = endpoint.server._inference  # Asked past the limits, which the test has used up.
    call = Call(ModelSpec("gate", signature_name="open"))
    await core.predict(call, reader(OPEN.inputs))
    assert await under_way == {"y": [7.0]}


# How many


@pytest.mark.parametrize("occupied", ["grpc", "rest"])
async def test_request_too_many_is_told_when_to_come_again(store: Path, occupied: str) -> None:
    flags = ("--max_requests_in_flight=1", "--rest_api_timeout_in_ms=20000")
    async with _serving(store, *flags) as endpoint, _occupied(endpoint, occupied):
        refusal = await endpoint.rest("POST", SHORT.path, SHORT.body())
        assert refusal.status == 503
        assert refusal.headers["Retry-After"] == "1"
        assert "1 requests under way" in refusal.document["error"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await endpoint.channel.unary_unary(PREDICT)(SHORT.request().SerializeToString(), timeout=20)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        trailers = dict(caught.value.trailing_metadata())
        assert trailers["retry-after"] == "1"
        for transport in ("grpc", "rest"):
            assert await endpoint.sample(REFUSED % transport) == 1
        assert (await endpoint.rest("GET", "/readyz")).status == 200


async def test_grpc_clients_retry_when_the_refusal_says(store: Path) -> None:
    """gRPC's own retries read the trailer: the request succeeds without the caller noticing."""
    policy = {"maxAttempts": 5, "initialBackoff": "20s", "maxBackoff": "20s", "backoffMultiplier": 1}
    retries = {
        "methodConfig": [{"name": [{}], "retryPolicy": {**policy, "retryableStatusCodes": ["UNAVAILABLE"]}}]
    }
    async with _serving(store, "--max_requests_in_flight=1") as endpoint:
        target = f"127.0.0.1:{endpoint.server.grpc_port}"
        options = [("grpc.service_config", json.dumps(retries))]
        async with grpc.aio.insecure_channel(target, options=options) as channel:
            async with _occupied(endpoint, "grpc"):
                call = channel.unary_unary(PREDICT)(SHORT.request().SerializeToString(), timeout=15)
                await endpoint.until_sample(REFUSED % "grpc", 1)
            assert messages.PredictResponse.FromString(await call).outputs["y"].float_val == [2.0]


@pytest.mark.parametrize("transport", ["grpc", "rest"])
async def test_work_is_not_begun_for_callers_that_have_gone(store: Path, transport: str) -> None:
    """The thread for it is busy; of the requests that wait, those whose callers leave never run."""
    async with _serving(store) as endpoint:
        running = asyncio.create_task(endpoint.predict(transport, _waiting()))
        await endpoint.until_sample(RUNNING_OR_WAITING % transport, 1)
        await endpoint.until_sample("kedge_requests_waiting{} ", 0)
        waiting = [asyncio.create_task(endpoint.predict(transport, _waiting(n))) for n in range(5)]
        await endpoint.until_sample("kedge_requests_waiting{} ", 5)
        for task in waiting[:4]:
            task.cancel()
        await endpoint.until_sample("kedge_requests_waiting{} ", 1)
        await endpoint.predict(transport, OPEN)
        assert await waiting[4] == {"y": [4.0]}
        assert await running == {"y": [1.0]}
        ran = await endpoint.sample('kedge_batch_rows_sum{model="gate",version="1",signature="wait"} ')
        assert ran == 2


# How large


@pytest.mark.parametrize("chunked", [False, True], ids=["by-its-header", "as-it-comes"])
async def test_body_over_the_limit_is_413(store: Path, chunked: bool) -> None:
    async with _serving(store, "--rest_api_max_body_bytes=1000") as endpoint:
        body = SHORT.body()
        url = endpoint.url(SHORT.path)

        async def pieces() -> AsyncIterator[bytes]:
            yield body
            yield b" " * 1000

        data: Any = pieces() if chunked else body + b" " * 1000
        async with endpoint.session.post(url, data=data) as answer:
            assert answer.status == 413
            assert "1000 bytes" in json.loads(await answer.read())["error"]
            assert answer.headers["Connection"] == "close"
        padded = body + b" " * (1000 - len(body))
        assert (await endpoint.rest("POST", SHORT.path, padded)).status == 200
        answer = await endpoint.rest(
            "POST", SHORT.path, gzip.compress(padded + b" " * 9000), Content_Encoding="gzip"
        )
        assert answer.status == 200, "the limit is that of the body as it comes"


async def test_message_over_the_limit_is_resource_exhausted(store: Path) -> None:
    async with _serving(store, "--grpc_max_message_bytes=1048576") as endpoint:
        with pytest.raises(StatusError, match="larger than max") as refusal:
            await endpoint.predict("grpc", _large(1.5))
        assert refusal.value.code == Code.RESOURCE_EXHAUSTED
        assert await endpoint.predict("grpc", _large(0.5)) == {"y": [0.0]}


@pytest.mark.parametrize("transport", ["grpc", "rest"])
async def test_bodies_have_room_together_and_a_lone_one_always_has(store: Path, transport: str) -> None:
    flags = ("--max_request_bytes_in_flight=100000", "--rest_api_timeout_in_ms=20000")
    async with _serving(store, *flags) as endpoint:
        assert await endpoint.predict(transport, _large(0.5)) == {"y": [0.0]}
        async with _occupied(endpoint, transport):
            with pytest.raises(StatusError, match="all memory") as refusal:
                await endpoint.predict(transport, _large(0.5))
            assert refusal.value.code == Code.UNAVAILABLE
            if transport == "rest":
                assert await endpoint.predict(transport, SHORT) == {"y": [2.0]}


async def test_chunked_body_is_refused_once_it_outgrows_the_room(store: Path) -> None:
    async with (
        _serving(store, "--max_request_bytes_in_flight=100000") as endpoint,
        _occupied(endpoint, "rest"),
    ):

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(4):
                yield b" " * 50_000

        async with endpoint.session.post(endpoint.url(SHORT.path), data=pieces()) as answer:
            assert answer.status == 503


def test_admission_gives_back_what_requests_held() -> None:
    admission = Admission(max_bytes=100)
    for _ in range(3):
        with admission.request("rest") as first, admission.request("grpc") as second:
            first.hold(60)
            second.hold(40)
            with pytest.raises(StatusError):
                second.hold(41)
            assert admission.bytes_in_flight == 100
    assert admission.bytes_in_flight == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("268435456\n", 2**28), ("max\n", None), ("9223372036854771712", None), (None, None)],
)
def test_memory_is_that_of_the_control_group_where_it_has_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, expected: int | None
) -> None:
    file = tmp_path / "memory.max"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(memory, "_CONTROL_GROUPS", (tmp_path / "gone",))
    machine = memory.limit()
    monkeypatch.setattr(memory, "_CONTROL_GROUPS", (file,))
    assert memory.limit() == (expected or machine)


# How slow


async def _answer_of(endpoint: Endpoint, sent: bytes) -> bytes:
    """What comes back until the server hangs up on a client that sends this and no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.server.rest_port)
    try:
        writer.write(sent)
        async with asyncio.timeout(15):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"POST /v1/models/peculiar:pre", b""),
        (b"POST /v1/models/peculiar:predict HTTP/1.1\r\nHost: h\r\nContent-Le", b""),
        (b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200"),
        (
            b"POST /v1/models/peculiar:predict HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{",
            b"HTTP/1.1 408",
        ),
    ],
    ids=["nothing", "half-a-line", "half-a-header", "no-second-request", "half-a-body"],
)
async def test_client_that_does_not_go_on_is_hung_up_on(store: Path, sent: bytes, answer: bytes) -> None:
    async with _serving(store, "--rest_api_idle_timeout_seconds=0.2") as endpoint:
        assert (await _answer_of(endpoint, sent))[: len(answer or b"1")] == answer


@pytest.mark.parametrize(
    "sent",
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)), b"GET / HTTP/9.9\r\n\r\n"],
    ids=["http2", "http9"],
)
async def test_what_is_not_http_1_is_a_line_of_the_log_without_a_traceback(
    store: Path, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with _serving(store) as endpoint:
        with caplog.at_level(logging.INFO, "serving.http_connection"):
            assert (await _answer_of(endpoint, sent)).split()[1] == b"400"
    told = [record for record in caplog.records if "127.0.0.1" in record.getMessage()]
    assert [(record.levelno, record.exc_info) for record in told] == [(logging.INFO, None)]


async def test_client_that_does_not_read_its_answer_is_hung_up_on(store: Path) -> None:
    """Its request ends, and gives back what it held; the others are answered meanwhile."""
    rows = b"1, " * 3_000_000 + b"1"
    body = b'{"signature_name": "fed", "instances": [' + rows + b"]}"
    flags = "--rest_api_idle_timeout_seconds=0.2"
    with socket.socket() as connection:
        async with _serving(store, flags) as endpoint:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, ("127.0.0.1", endpoint.server.rest_port))
            head = f"POST {SHORT.path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
            await loop.sock_sendall(connection, head.encode() + body)
            await endpoint.until_sample(IN_FLIGHT % "rest", 1)
            assert await endpoint.predict("rest", SHORT) == {"y": [2.0]}
            endpoint_rate = 'kedge_request_seconds_count{transport="rest",api="predict",model="peculiar"'
            await endpoint.until_sample(f'{endpoint_rate},version="1",signature="fed",code="OK"}} ', 1)
            assert await endpoint.sample(IN_FLIGHT % "rest") == 0


async def test_grpc_message_that_does_not_come_ends_its_call(store: Path) -> None:
    async with _serving(store, "--grpc_read_timeout_seconds=0.2") as endpoint:
        call = endpoint.channel.stream_unary(PREDICT)()
        with pytest.raises(grpc.aio.AioRpcError, match="did not come") as caught:
            await call
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert await endpoint.predict("grpc", SHORT) == {"y": [2.0]}


async def test_grpc_call_without_a_message_is_refused(store: Path) -> None:
    async with _serving(store) as endpoint:
        call = endpoint.channel.stream_unary(PREDICT)(iter(()), timeout=20)
        with pytest.raises(grpc.aio.AioRpcError, match="no message"):
            await call


async def test_large_answer_keeps_its_request_under_way_until_it_is_taken(store: Path) -> None:
    request = _large_answer().request().SerializeToString()
    async with _serving(store) as endpoint, connected(endpoint.server.grpc_port, 1000, 20) as client:
        stream = client.begin(PREDICT, framed(request))
        await client.until(lambda: len(client.answers[stream].data) > 0)
        assert await endpoint.sample(IN_FLIGHT % "grpc") == 1
        answer = await client.answer(stream)
        assert answer.status[0] == Code.OK
        await endpoint.until_sample(IN_FLIGHT % "grpc", 0)
        assert endpoint.server._admission.bytes_in_flight == 0


async def test_client_that_does_not_take_its_grpc_answer_is_given_up(store: Path) -> None:
    request = _large_answer().request().SerializeToString()
    async with (
        _serving(store, "--grpc_read_timeout_seconds=0.2") as endpoint,
        connected(endpoint.server.grpc_port, 0, 20) as client,
    ):
        answer = await client.answer(client.begin(PREDICT, framed(request)))
        assert answer.reset == ngh2.ErrorCode.ENHANCE_YOUR_CALM
        await endpoint.until_sample(IN_FLIGHT % "grpc", 0)
        assert endpoint.server._admission.bytes_in_flight == 0
        assert await endpoint.predict("grpc", SHORT) == {"y": [2.0]}


# How many connections


async def test_connection_too_many_is_told_when_to_come_again(store: Path) -> None:
    async with _serving(store, "--rest_api_max_connections=2") as endpoint:
        address = ("127.0.0.1", endpoint.server.rest_port)
        open_ones = [await asyncio.open_connection(*address) for _ in range(2)]
        for reader, writer in open_ones:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
            assert b"200" in await reader.readline()
        head, _, body = (await _answer_of(endpoint, b"")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 1" in head
        assert "connections" in json.loads(body)["error"]
        for _, writer in open_ones:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(10):
            while (
                await _answer_of(endpoint, b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            )[:12] != b"HTTP/1.1 200":
                continue


async def test_requests_beyond_the_streams_of_a_connection_wait_in_the_client(store: Path) -> None:
    async with _serving(store, "--grpc_max_concurrent_streams=1") as endpoint:
        async with _occupied(endpoint, "grpc"):
            second = asyncio.create_task(endpoint.predict("grpc", SHORT))
            assert (await endpoint.rest("POST", SHORT.path, SHORT.body())).status == 200
            assert await endpoint.sample(IN_FLIGHT % "grpc") == 1
            assert not second.done()
        assert await second == {"y": [2.0]}
