"""The lean HTTP of a load: answers of every form, errors by kind, connections used again."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import Tls
from clients.address import parse
from clients.deadline import Deadline
from clients.exchange import Answer, Exchange
from clients.load_http import LoadHttpTransport
from clients.options import Settings
from tests.clients import certificates, stubs
from tests.clients.stubs import SILENCE, HttpAnswer, Stub
from wire.errors import Code, StatusError

OK = b"HTTP/1.1 200 OK\r\n"


def ask(
    url: str, *, times: int = 1, path: str = "/v1/x", timeout: float = 10, **options: Any
) -> list[Answer]:
    async def run() -> list[Answer]:
        settings = Settings(**options)
        transport = LoadHttpTransport(parse(url), settings)
        exchange = Exchange("predict", "POST", path, b"body", lambda answer: answer)
        try:
            return [
                await transport.send(exchange, Deadline(timeout), settings.headers()) for _ in range(times)
            ]
        finally:
            await transport.close()

    return asyncio.run(run())


def answering(data: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(data)

    return behave


def test_connection_is_used_again(http_stub: Stub) -> None:
    http_stub.answers["/a/v1/x"] = HttpAnswer("{}")
    answers = ask(http_stub.url + "/a", times=3, metadata={"x-id": "7"})
    assert [answer.body for answer in answers] == [b"{}"] * 3
    assert http_stub.requests == [("/a/v1/x", b"body")] * 3
    assert len(http_stub.connections) == 1
    assert http_stub.headers[0]["x-id"] == "7"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK + b"Content-Length: 3\r\n\r\nabc", b"abc"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2;x=1\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n", b"abc"),
        (OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n", b""),
    ],
    ids=["length", "chunks", "empty"],
)
def test_answer_is_read_in_every_form(answer: bytes, body: bytes) -> None:
    with stubs.raw_server(answering(answer)) as port:
        assert ask(f"http://127.0.0.1:{port}")[0].body == body


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0\r\n\r\n", OK + b"Content-Length: 9\r\n\r\nabc", b"HTTP/1.1 x\r\n\r\n", b"x" * (1 << 18)],
)
def test_answer_that_is_none_is_unavailable(answer: bytes) -> None:
    with stubs.raw_server(answering(answer)) as port, pytest.raises(StatusError) as failed:
        ask(f"http://127.0.0.1:{port}")
    assert failed.value.code is Code.UNAVAILABLE


def test_refusal_has_its_code(http_stub: Stub) -> None:
    http_stub.answers["/v1/x"] = HttpAnswer('{"error": "no"}', 400)
    with pytest.raises(StatusError, match="no") as failed:
        ask(http_stub.url)
    assert failed.value.code is Code.INVALID_ARGUMENT


def test_silent_server_is_given_up_at_the_deadline(http_stub: Stub) -> None:
    http_stub.answers["/v1/x"] = SILENCE
    with pytest.raises(StatusError) as failed:
        ask(http_stub.url, timeout=0.2)
    assert failed.value.code is Code.DEADLINE_EXCEEDED


def test_port_where_nobody_listens_is_unavailable() -> None:
    with stubs.closed_port() as port, pytest.raises(StatusError) as failed:
        ask(f"http://127.0.0.1:{port}")
    assert failed.value.code is Code.UNAVAILABLE


def test_tls_is_spoken(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    with stubs.http_server(made) as stub:
        stub.answers["/v1/x"] = HttpAnswer("{}")
        assert ask(stub.url, tls=Tls(ca=made.authority))[0].body == b"{}"
