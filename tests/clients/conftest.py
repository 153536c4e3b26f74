"""Stub servers of both protocols."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clients import connect, connect_async
from tests.clients import stubs
from tests.clients.awaited import Awaited

Connecting = Callable[..., Any]

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "grpc_proxy", "no_grpc_proxy")


@pytest.fixture(autouse=True)
def environment_without_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("KEDGE_PREDICT_URL", raising=False)


@pytest.fixture
def grpc_stub() -> Iterator[stubs.Stub]:
    with stubs.grpc_server() as stub:
        yield stub


@pytest.fixture
def http_stub() -> Iterator[stubs.Stub]:
    with stubs.http_server() as stub:
        yield stub


@pytest.fixture(params=["grpc", "http"])
def stub(request: pytest.FixtureRequest) -> stubs.Stub:
    """A stub of each protocol in turn."""
    found: stubs.Stub = request.getfixturevalue(f"{request.param}_stub")
    return found


@pytest.fixture(params=["blocking", "asynchronous"])
def connecting(request: pytest.FixtureRequest) -> Connecting:
    """`connect`, and in turn `connect_async` behind the same face."""
    if request.param == "blocking":
        return connect
    return lambda *arguments, **options: Awaited(lambda: connect_async(*arguments, **options))
