"""The URLs that clients take."""

import pytest

from clients import GrpcClient, RestClient, UrlError, connect
from clients.address import parse


@pytest.mark.parametrize(
    ("url", "kind", "address"),
    [
        ("grpc://localhost:8500", GrpcClient, "grpc://localhost:8500"),
        ("grpc://models", GrpcClient, "grpc://models:8500"),
        ("grpc://[::1]:9000/", GrpcClient, "grpc://[::1]:9000"),
        ("http://localhost:8501", RestClient, "http://localhost:8501"),
        ("http://gateway/models/", RestClient, "http://gateway/models"),
        ("HTTP://Localhost:8501", RestClient, "http://localhost:8501"),
    ],
)
def test_connect_makes_the_client_of_the_scheme(url: str, kind: type, address: str) -> None:
    with connect(url) as client:
        assert type(client) is kind
        assert str(client.address) == address


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("localhost:8500", "has no scheme"),
        ("", "has no scheme"),
        ("ftp://localhost", "scheme ftp is not supported"),
        ("grpc://", "has no host"),
        ("http://localhost:no", "Port could not be cast"),
        ("http://localhost:99999", "Port out of range"),
        ("grpc://localhost:8500/v1", "has no path"),
        ("http://localhost:8501?x=1", "more than a host"),
        ("http://me:secret@localhost", "more than a host"),
        ("http://[::1", "Invalid IPv6"),
        (f"http://{'a' * 64}.test", "no name that can be looked up"),
        ("grpc://a..test", "no name that can be looked up"),
        ("grpc://\udcff", "no name that can be looked up"),
        ("http://\u2603.test", "Invalid IDNA hostname"),
        ("http://localhost/\x01", "non-printable"),
        ("http://localhost/\udcff", "surrogates not allowed"),
    ],
)
def test_url_that_cannot_be_used_is_told_in_one_line(url: str, reason: str) -> None:
    with pytest.raises(UrlError, match=reason) as wrong:
        connect(url)
    assert wrong.value.exit_code == 2
    assert "\n" not in str(wrong.value)
    assert "expected grpc://HOST:8500 or http://HOST:8501" in str(wrong.value)


def test_clients_take_addresses_without_a_scheme() -> None:
    with GrpcClient("localhost:8500") as grpc_client, RestClient("localhost:8501") as rest_client:
        assert str(grpc_client.address) == "grpc://localhost:8500"
        assert str(rest_client.address) == "http://localhost:8501"


def test_client_refuses_the_other_protocols_url() -> None:
    with pytest.raises(UrlError, match="this client speaks grpc, not http"):
        GrpcClient("http://localhost:8501")


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://localhost", True),
        ("http://127.0.0.2", True),
        ("grpc://[::1]", True),
        ("http://10.0.0.1", False),
    ],
)
def test_address_knows_whether_it_is_this_machine(url: str, loopback: bool) -> None:
    assert parse(url).is_loopback is loopback
