"""The HTTP server of the page: the standard library's, with bounds on what it takes.

A request has a connection and a thread of its own. At most `CONNECTIONS` are open at a time, and `WORK`
requests that have come whole are answered at a time; one that has not after `PATIENCE` seconds is cut off.
"""

import contextlib
import io
import ipaddress
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from clients.playground import guard
from clients.playground.routes import Playground, Request, Response, Wrong, failure, respond

CONNECTIONS = 64
WORK = 8
PATIENCE = 10.0
MAX_BODY = 1 << 20
MAX_DISCARDED = 16 << 20
"""Of a body that is too long so much is read and dropped, for a browser to hear the answer at all."""
BLOCK = 64 << 10


class PageServer(ThreadingHTTPServer):
    """Answers requests until `shutdown`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, port: int, playground: Playground) -> None:
        if ipaddress.ip_address(address).version == 6:  # noqa: PLR2004
            self.address_family = socket.AF_INET6
        self.playground = playground
        self.work = threading.BoundedSemaphore(WORK)
        self._connections = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__((address, port), _Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}"

    def server_bind(self) -> None:
        """Bind, without asking the name service what this machine is called."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, or drop it where there are too many."""
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and free the connection's place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers who went away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def drain(self, seconds: float) -> None:
        """Wait for the requests that are being answered, but not for ever."""
        deadline = time.monotonic() + seconds
        for _ in range(WORK):
            self.work.acquire(timeout=max(0.0, deadline - time.monotonic()))


@contextlib.contextmanager
def serving(address: str, port: int, playground: Playground) -> Iterator[PageServer]:
    """Answer in a thread while the block runs; then finish what is under way."""
    with PageServer(address, port, playground) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.drain(PATIENCE)


class _Arriving(io.RawIOBase):
    """What comes on a connection within `PATIENCE` seconds in all, however it trickles."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + PATIENCE

    def readable(self) -> bool:
        """Say so, for it to be buffered."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is; raises TimeoutError where nothing comes in time."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(PATIENCE)


class _Handler(BaseHTTPRequestHandler):
    """Reads a request within the bounds, and writes the answer."""

    server: PageServer
    timeout = PATIENCE
    server_version, sys_version = "kedge", ""

    def setup(self) -> None:
        """Read with one deadline for the whole request: a connection has no second one."""
        super().setup()
        self.rfile = io.BufferedReader(_Arriving(self.connection))

    def do_GET(self) -> None:
        """Answer any method: `routes` tells which are allowed."""
        try:
            body = self._body()
        except Wrong as error:
            self._write(failure(error.status, str(error), error.headers))
        else:
            with self.server.work:
                self._write(self._answer(body))

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Tell of a request that is no HTTP, or of a method that nobody knows."""
        self._write(failure(code, message or HTTPStatus(code).phrase))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: what goes wrong is on the page."""

    def _answer(self, body: bytes) -> Response:
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            return respond(self.server.playground, Request(self.command, self.path, headers, body))
        except Exception:  # noqa: BLE001 - a fault of the program ends one answer, not the page
            traceback.print_exc()
            return failure(
                HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of the playground: its terminal shows it"
            )

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise Wrong(HTTPStatus.LENGTH_REQUIRED, "the body comes in chunks; expected a Content-Length")
        text = self.headers.get("Content-Length", "0")
        if not (text.isascii() and text.isdigit()):
            raise Wrong(HTTPStatus.BAD_REQUEST, f"the Content-Length is {text[:50]!r}; expected a number")
        length = int(text[:20])
        if length > MAX_BODY:
            self._discard(min(length, MAX_DISCARDED))
            raise Wrong(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the body has {length:,} bytes; expected up to {MAX_BODY:,}",
            )
        body = self.rfile.read(length)
        if len(body) < length:
            raise Wrong(HTTPStatus.BAD_REQUEST, f"the body ended after {len(body)} of {length} bytes")
        return body

    def _discard(self, length: int) -> None:
        while length > 0 and (block := self.rfile.read(min(BLOCK, length))):
            length -= len(block)

    def _write(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in {**guard.HEADERS, **response.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
