"""The command `kedge playground` in a process of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients.playground.model_servers import answer
from tests.clients.stubs import Stub

ROOT = Path(__file__).resolve().parents[3]


@contextlib.contextmanager
def started(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "kedge", "playground", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(*arguments: str) -> tuple[int, str]:
    with started(*arguments) as process:
        _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_page_is_served_until_a_signal_and_then_ends_well(http_stub: Stub, told: signal.Signals) -> None:
    with started("--port=0", "--url", answer(http_stub).url) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert "<title>kedge playground</title>" in httpx.get(url).text
        document = {"protocol": "http", "text": "good"}
        assert httpx.post(f"{url}/api/review", json=document).json()["label"] == "positive"
        process.send_signal(told)
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert errors == f"the playground asks {http_stub.url}; Ctrl-C ends it\n"


def test_options_are_read_from_the_environment(http_stub: Stub, grpc_stub: Stub) -> None:
    urls = f"{grpc_stub.url} {http_stub.url}"
    with started(KEDGE_PLAYGROUND_URL=urls, KEDGE_PLAYGROUND_PORT="0") as process:
        assert process.stdout is not None
        found = httpx.get(f"{process.stdout.readline().strip()}/api/servers").json()
    assert found["servers"] == {"grpc": grpc_stub.url, "http": http_stub.url}


def test_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        exit_code, errors = ended(f"--port={port}")
    assert exit_code == 2
    assert f"cannot serve at 127.0.0.1, port {port}: Address already in use" in errors.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--url=http://a", "--url=https://b"), "--url http://a and --url https://b speak the same protocol"),
        (("--url=ftp://a",), "'ftp://a' is not the address of a server"),
        (("--bind-address=here",), "cannot serve at here, port 8600"),
        (("--token=secret", "--url=grpc://models.example"), "the token would cross the network in the clear"),
    ],
)
def test_wrong_use_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    exit_code, errors = ended(*arguments)
    assert exit_code == 2
    assert message in errors.splitlines()[-1]
