"""Servers on free ports that answer what a test tells them, as TensorFlow Serving would.

They are real: a gRPC server and an HTTP server, each in threads of this process.
"""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf.message import Message

from tests.clients.certificates import Certificates

HOST = "127.0.0.1"
# TensorFlow Serving too takes messages of any length.
OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1))


@dataclass(frozen=True)
class GrpcError:
    """An answer that is not OK."""

    code: grpc.StatusCode
    message: str


@dataclass(frozen=True)
class HttpAnswer:
    """An answer over HTTP; `pause` stops it in the middle of the body until the server is closed."""

    body: bytes | str
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    pause: bool = False


NO_METHOD = GrpcError(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
SILENCE = object()
"""No answer until the server is closed."""


@dataclass
class Stub:
    """What a server is asked, in order, and what it answers by path (`/v1/...`, or a method's full name).

    An answer is a message, an HttpAnswer, an error, SILENCE, or a function from the body to one of these.
    """

    url: str
    answers: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    connections: set[Any] = field(default_factory=set)
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of each request, the names in small letters."""
    times_left: list[float] = field(default_factory=list)
    """Of each gRPC request, the seconds to its deadline."""

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


@contextlib.contextmanager
def grpc_server(certificates: Certificates | None = None, *, mutual: bool = False) -> Iterator[Stub]:
    stub = Stub("")

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(lambda body, context: answer(details, body, context))

    def answer(details: grpc.HandlerCallDetails, body: bytes, context: grpc.ServicerContext) -> bytes:
        stub.requests.append((details.method, body))
        stub.headers.append({pair.key: str(pair.value) for pair in context.invocation_metadata()})
        stub.times_left.append(context.time_remaining() or 0.0)
        found = stub.answers.get(
            details.method, GrpcError(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        )
        if callable(found):
            found = found(body)
        if found is SILENCE:
            stub.closing.wait()
            return b""
        if isinstance(found, GrpcError):
            context.abort(found.code, found.message)
        return found.SerializeToString() if isinstance(found, Message) else found

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Handler()], options=OPTIONS)
    if certificates is None:
        stub.url = f"grpc://{HOST}:{server.add_insecure_port(f'{HOST}:0')}"
    else:
        credentials = _credentials(certificates, mutual)
        stub.url = f"grpcs://{HOST}:{server.add_secure_port(f'{HOST}:0', credentials)}"
    server.start()
    try:
        yield stub
    finally:
        stub.closing.set()
        server.stop(None).wait()


@contextlib.contextmanager
def http_server(certificates: Certificates | None = None, *, mutual: bool = False) -> Iterator[Stub]:
    stub = Stub("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            stub.requests.append((self.path, body))
            stub.connections.add(self.client_address)
            stub.headers.append({name.lower(): value for name, value in self.headers.items()})
            found = stub.answers.get(self.path, NOT_TENSORFLOW_SERVING)
            if callable(found):
                found = found(body)
            if found is SILENCE:
                stub.closing.wait()
            else:
                self.send(found)

        do_POST = do_GET  # noqa: N815

        def send(self, answer: HttpAnswer) -> None:
            body = answer.body.encode() if isinstance(answer.body, str) else answer.body
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            half = len(body) // 2 if answer.pause else len(body)
            self.wfile.write(body[:half])
            if answer.pause:
                stub.closing.wait()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    stub.url = f"http://{HOST}:{server.server_port}"
    if certificates is not None:
        server.socket = _context(certificates, mutual).wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # handshakes fail as they should
        stub.url = f"https://{HOST}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        stub.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _credentials(certificates: Certificates, mutual: bool) -> grpc.ServerCredentials:
    pair = (certificates.server.key.read_bytes(), certificates.server.certificate.read_bytes())
    return grpc.ssl_server_credentials(
        [pair], certificates.authority.read_bytes() if mutual else None, mutual
    )


def _context(certificates: Certificates, mutual: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.authority))
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
    return context


NOT_TENSORFLOW_SERVING = HttpAnswer(
    "<!DOCTYPE HTML><html><head><title>404 Not Found</title>\n<style>h1 { color: red }</style></head>"
    "<body><h1>Not Found</h1></body></html>",
    404,
    "text/html",
)


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield taken.getsockname()[1]


@contextlib.contextmanager
def raw_server(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where `behave` is given each connection, which is then closed."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                behave(self.request)

    with socketserver.ThreadingTCPServer((HOST, 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
