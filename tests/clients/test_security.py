"""TLS, mutual TLS, tokens, metadata and proxies, over both protocols."""

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from clients import OptionError, Retry, Tls, Unreachable, connect
from tests.clients import certificates, exchanges, stubs
from tests.clients.certificates import Certificates
from tests.clients.conftest import Connecting
from tests.clients.stubs import Stub

TOKEN = "secret"  # noqa: S105
ONCE = Retry(attempts=1)
Serving = Callable[..., AbstractContextManager[Stub]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["grpc", "http"])
def serving(request: pytest.FixtureRequest) -> Serving:
    return {"grpc": stubs.grpc_server, "http": stubs.http_server}[request.param]


def answered(stub: Stub) -> Stub:
    exchanges.answer_status(stub, "mnist", [(1, "AVAILABLE", "OK", "")])
    return stub


def test_server_of_a_trusted_authority_is_asked(
    serving: Serving, made: Certificates, connecting: Connecting
) -> None:
    with serving(made) as stub, connecting(answered(stub).url, tls=Tls(ca=made.authority)) as client:
        assert client.status("mnist")[0].version == 1


def test_server_of_an_unknown_authority_is_not_asked(
    serving: Serving, made: Certificates, connecting: Connecting
) -> None:
    with (
        serving(made) as stub,
        connecting(stub.url, retry=ONCE) as client,
        pytest.raises(Unreachable, match=r"is its authority among those trusted"),
    ):
        client.status("mnist")
    assert stub.requests == []


def test_name_in_the_certificate_may_be_given(
    serving: Serving, made: Certificates, connecting: Connecting
) -> None:
    right, wrong = (Tls(ca=made.authority, server_name=name) for name in (certificates.NAME, "other.test"))
    with serving(made) as stub:
        with connecting(answered(stub).url, tls=right) as client:
            assert client.status("mnist")[0].version == 1
        with connecting(stub.url, tls=wrong, retry=ONCE) as client, pytest.raises(Unreachable):
            client.status("mnist")
    assert len(stub.requests) == 1


def test_client_shows_its_certificate_where_the_server_wants_one(
    serving: Serving, made: Certificates, connecting: Connecting
) -> None:
    known = Tls(ca=made.authority, certificate=made.client.certificate, key=made.client.key)
    with serving(made, mutual=True) as stub:
        with connecting(answered(stub).url, tls=known) as client:
            assert client.status("mnist")[0].version == 1
        unknown = Tls(ca=made.authority)
        with connecting(stub.url, tls=unknown, retry=ONCE) as client, pytest.raises(Unreachable):
            client.status("mnist")
    assert len(stub.requests) == 1


def test_token_and_metadata_come_with_every_request(
    serving: Serving, made: Certificates, connecting: Connecting
) -> None:
    tokens = iter(["first", "second"])
    options: dict[str, Any] = {"token": lambda: next(tokens), "metadata": {"X-Request-Id": "7"}}
    with (
        serving(made) as stub,
        connecting(answered(stub).url, tls=Tls(ca=made.authority), **options) as client,
    ):
        client.status("mnist")
        client.status("mnist")
    assert [headers["authorization"] for headers in stub.headers] == ["Bearer first", "Bearer second"]
    assert {headers["x-request-id"] for headers in stub.headers} == {"7"}


def test_token_goes_in_the_clear_to_this_machine_only(stub: Stub) -> None:
    with connect(answered(stub).url, token=TOKEN) as client:
        client.status("mnist")
    assert stub.headers[0]["authorization"] == "Bearer secret"
    with pytest.raises(OptionError, match="in the clear") as refused:
        connect(stub.url.replace("127.0.0.1", "server.test"), token=TOKEN)
    assert "secret" not in str(refused.value)


@contextlib.contextmanager
def a_proxy() -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy that leads every request to the server on this machine, and what it was asked."""
    asked: list[str] = []

    def forward(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def behave(connection: socket.socket) -> None:
        head = connection.recv(1 << 16)
        method, where, _ = head.split(b"\r\n", 1)[0].decode().split()
        asked.append(f"{method} {where}")
        authority = where.removeprefix("http://").partition("/")[0]
        with socket.create_connection(("127.0.0.1", int(authority.rpartition(":")[2]))) as server:
            if method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                server.sendall(head.replace(f"http://{authority}".encode(), b"", 1))
            back = threading.Thread(target=forward, args=(server, connection))
            back.start()
            forward(connection, server)
            back.join()

    with stubs.raw_server(behave) as port:
        yield f"http://127.0.0.1:{port}", asked


def test_requests_go_through_the_proxy(stub: Stub, connecting: Connecting) -> None:
    with a_proxy() as (proxy, asked):
        where = stub.url.replace("127.0.0.1", "server.test")
        with connecting(where, proxy=proxy) as client:
            answered(stub)
            assert client.status("mnist")[0].version == 1
        verb = "CONNECT server.test:" if exchanges.is_grpc(stub) else "GET http://server.test:"
        assert asked[0].startswith(verb)


def test_tls_goes_through_the_proxy_unread(
    serving: Serving, made: Certificates, connecting: Connecting
) -> None:
    with a_proxy() as (proxy, asked), serving(made) as stub:
        where = answered(stub).url.replace("127.0.0.1", certificates.NAME)
        with connecting(where, proxy=proxy, tls=Tls(ca=made.authority)) as client:
            assert client.status("mnist")[0].version == 1
    assert asked[0].startswith(f"CONNECT {certificates.NAME}:")


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("grpc://host", {"tls": Tls()}, "expected grpcs://"),
        ("http://host", {"tls": Tls()}, "expected https://"),
        ("grpcs://host", {"tls": Tls(ca="/no/such.pem")}, "cannot read the file of authorities /no/such.pem"),
        ("https://host", {"tls": Tls(ca="/no/such.pem")}, "cannot read the file of authorities /no/such.pem"),
        ("http://host", {"metadata": {"x\r\ny": "1"}}, "cannot be sent as metadata"),
        ("http://host", {"metadata": {"Content-Length": "1"}}, "cannot be sent as metadata"),
        ("grpc://host", {"metadata": {"grpc-timeout": "1S"}}, "cannot be sent as metadata"),
        ("grpc://host", {"metadata": {"x-name": "a\nb"}}, "the value of 'x-name' cannot be sent"),
    ],
)
def test_option_that_cannot_be_followed_is_told_at_once(
    connecting: Connecting, url: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(OptionError, match=words) as refused, connecting(url, **options) as client:
        client.status("mnist")
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize("proxy", ["me:secret@proxy:3128", "ftp://me:secret@proxy:3128"])
def test_proxy_that_is_none_is_told_at_once(connecting: Connecting, scheme: str, proxy: str) -> None:
    with (
        pytest.raises(
            OptionError, match=r"the proxy 'proxy:3128' cannot be used; expected http://"
        ) as refused,
        connecting(f"{scheme}://server.test", proxy=proxy) as client,
    ):
        client.status("mnist")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "ftp://proxy"), ("HTTP_PROXY", "http://proxy:no"), ("NO_PROXY", "http://a:b")],
)
def test_proxy_of_the_environment_that_is_none_is_told_at_once(
    connecting: Connecting, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(OptionError, match=r"environment \(HTTP_PROXY"), connecting("http://server.test"):
        pass


def test_proxy_that_needs_what_is_not_installed_is_told_at_once(
    connecting: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    with (
        pytest.raises(OptionError, match=r"the proxy 'socks5://proxy:1080' cannot be used"),
        connecting("http://server.test", proxy="socks5://proxy:1080"),
    ):
        pass


def test_authorities_of_the_environment_that_cannot_be_read_are_told_at_once(
    connecting: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such.pem")
    with (
        pytest.raises(OptionError, match=r"of SSL_CERT_FILE .* cannot be used: No such file"),
        connecting("https://server.test"),
    ):
        pass


def test_name_that_no_server_has_is_refused() -> None:
    with pytest.raises(OptionError, match="no server is called"):
        Tls(server_name="a" * 64)


def test_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(OptionError, match="one came without the other"):
        Tls(certificate="client.pem")


def test_file_that_is_no_certificate_is_refused(tmp_path: Path, connecting: Connecting) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with (
        pytest.raises(OptionError, match="is not in PEM format"),
        connecting("https://host", tls=Tls(ca=tmp_path / "ca.pem")) as client,
    ):
        client.status("mnist")


def test_secrets_are_not_shown() -> None:
    client = connect("https://host", token=TOKEN, metadata={"x-key": "secret"}, proxy="http://u:secret@proxy")
    assert "secret" not in repr(client) + repr(client.settings)
    client.close()
