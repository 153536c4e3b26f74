"""What happens on the way: no server, a silent one, a dying one, and connections that are used again."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from clients import ClientError, DeadlineExceeded, Refused, RestClient, Unreachable, connect
from clients.address import parse
from clients.deadline import Deadline
from clients.exchange import Exchange
from clients.options import Settings
from clients.transport import RestTransport
from models.model import InputError
from tests.clients import exchanges, stubs
from tests.clients.conftest import Connecting
from tests.clients.stubs import SILENCE, HttpAnswer, Stub
from wire.errors import Code, StatusError

IMAGE = np.zeros((28, 28), np.uint8)
PLACES = (exchanges.PREDICT, exchanges.STATUS, "/v1/models/mnist", "/v1/models/mnist:predict")


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_port_where_nobody_listens_is_unreachable(connecting: Connecting, scheme: str) -> None:
    with (
        stubs.closed_port() as port,
        connecting(f"{scheme}://127.0.0.1:{port}") as client,
        pytest.raises(Unreachable, match=f"{scheme}://127.0.0.1:{port} is not available") as unreachable,
    ):
        client.status("mnist")
    assert unreachable.value.exit_code == 5
    assert unreachable.value.code is Code.UNAVAILABLE


def test_silent_server_is_given_up_after_the_timeout(connecting: Connecting, stub: Stub) -> None:
    stub.answers.update(dict.fromkeys(PLACES, SILENCE))
    with connecting(stub.url) as client, pytest.raises(DeadlineExceeded, match=r"within 0\.2 s") as exceeded:
        client.predict("mnist", IMAGE, timeout=0.2)
    assert exceeded.value.exit_code == 5


def test_timeout_of_the_client_holds_where_a_call_has_none(connecting: Connecting, stub: Stub) -> None:
    stub.answers.update(dict.fromkeys(PLACES, SILENCE))
    with (
        connecting(stub.url, timeout=0.25) as client,
        pytest.raises(DeadlineExceeded, match=r"within 0\.25 s"),
    ):
        client.status("mnist")


def test_answer_that_stops_halfway_is_given_up_after_the_timeout(
    connecting: Connecting, http_stub: Stub
) -> None:
    http_stub.answers["/v1/models/mnist"] = HttpAnswer('{"model_version_status": []}', pause=True)
    with connecting(http_stub.url) as client, pytest.raises(DeadlineExceeded):
        client.status("mnist", timeout=0.2)


def test_answer_that_never_ends_is_given_up_after_the_timeout(connecting: Connecting) -> None:
    """Every byte comes soon after the last, so that no single read takes long."""
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not done.wait(0.01):
            connection.sendall(b" ")

    with stubs.raw_server(drip) as port, connecting(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(DeadlineExceeded):
            client.status("mnist", timeout=0.3)
        done.set()


def test_each_phase_of_a_request_gets_what_is_left_of_the_timeout() -> None:
    now = 100.0
    seen: list[float] = []

    def phases(request: httpx.Request) -> httpx.Response:
        nonlocal now
        for phase in ("connect", "write", "read"):
            seen.append(request.extensions["timeout"].get(phase))
            now += 2
        return httpx.Response(200, content=b"{}")

    transport = RestTransport(parse("http://localhost"), Settings(), httpx.MockTransport(phases))
    with pytest.raises(StatusError) as late:
        transport.send(
            Exchange("status", "GET", "/", b"", lambda answer: answer), Deadline(5, lambda: now), {}
        )
    transport.close()
    assert seen == [5, 3, 1]
    assert late.value.code is Code.DEADLINE_EXCEEDED


@pytest.mark.parametrize("timeout", [0, -1, 1e7, 1e300, float("nan"), float("inf")])
def test_timeout_that_is_none_is_refused(timeout: float) -> None:
    with pytest.raises(InputError, match="expected seconds above 0"):
        RestClient(timeout=timeout)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_server_that_dies_before_its_answer_is_unreachable(connecting: Connecting, scheme: str) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(1 << 16)

    with (
        stubs.raw_server(hang_up) as port,
        connecting(f"{scheme}://127.0.0.1:{port}") as client,
        pytest.raises(Unreachable),
    ):
        client.status("mnist")


def test_server_that_dies_amid_its_answer_is_unreachable(connecting: Connecting) -> None:
    def die(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"model_version_status"')

    with (
        stubs.raw_server(die) as port,
        connecting(f"http://127.0.0.1:{port}") as client,
        pytest.raises(Unreachable),
    ):
        client.status("mnist")


def test_client_of_the_other_protocol_says_that_the_server_is_none(
    connecting: Connecting, grpc_stub: Stub, http_stub: Stub
) -> None:
    with connecting(grpc_stub.url.replace("grpc", "http")) as rest, pytest.raises(Unreachable):
        rest.status("mnist")
    with connecting(http_stub.url.replace("http", "grpc")) as client, pytest.raises(ClientError):
        client.status("mnist")


def test_connection_is_used_again(connecting: Connecting, http_stub: Stub) -> None:
    with connecting(http_stub.url) as client:
        for _ in range(3):
            with pytest.raises(Refused):
                client.status("mnist")
    assert len(http_stub.requests) == 3
    assert len(http_stub.connections) == 1


def test_tensors_larger_than_grpcs_own_limit_travel(connecting: Connecting, grpc_stub: Stub) -> None:
    large = np.zeros((2, 1 << 20), np.float32)
    exchanges.answer_outputs(grpc_stub, "large", {"y": large}, "", as_content=True)
    with connecting(grpc_stub.url) as client:
        assert client.predict("large", {"x": large})["y"].shape == large.shape


def test_threads_share_a_client(stub: Stub) -> None:
    exchanges.answer_status(stub, "mnist", [(1, "AVAILABLE", "OK", "")])
    with connect(stub.url) as client, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.status("mnist")[0].version, range(32)))
    assert answers == [1] * 32


def test_closed_client_says_so(connecting: Connecting, stub: Stub) -> None:
    with connecting(stub.url) as client:
        client.close()
        with pytest.raises(RuntimeError, match="is closed"):
            client.status("mnist")
    assert stub.requests == []
