"""How the bytes of an exchange travel, blocking the caller's thread."""

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from clients import grpc_channel, http_connection, rest_encoding
from clients.address import Address
from clients.deadline import Deadline
from clients.exchange import Answer, Exchange
from clients.options import Headers, Settings

if TYPE_CHECKING:
    import grpc
    import httpx


class Transport(Protocol):
    """Carries exchanges to one server. Threads may share it."""

    def send(self, exchange: Exchange[Any], deadline: Deadline, headers: Headers) -> Answer:
        """The answer, or StatusError for an answer that is not OK and for none."""

    def close(self) -> None:
        """Close the connections."""


class GrpcTransport:
    """One gRPC channel."""

    def __init__(self, address: Address, settings: Settings) -> None:
        import grpc

        self._channel = grpc_channel.open_channel(
            address, settings, grpc.insecure_channel, grpc.secure_channel
        )

    def send(self, exchange: Exchange[Any], deadline: Deadline, headers: Headers) -> Answer:
        """Call the method with the bytes as they are."""
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(exchange.path)
        with grpc_channel.failures():
            return Answer(call(exchange.body, timeout=deadline.left(), metadata=tuple(headers.items())))

    def close(self) -> None:
        """Close the channel; calls that are under way are cancelled."""
        self._channel.close()


class RestTransport:
    """A pool of HTTP connections, which are used again; `transport` takes the place of httpx's own."""

    def __init__(
        self, address: Address, settings: Settings, transport: "httpx.BaseTransport | None" = None
    ) -> None:
        import httpx

        self._address, self._settings = address, settings
        make = functools.partial(httpx.Client, transport=transport)
        self._client = http_connection.open_client(address, settings, make)

    def send(self, exchange: Exchange[Any], deadline: Deadline, headers: Headers) -> Answer:
        """Send the request and read the whole answer, however slowly it comes, within the deadline."""
        options = http_connection.request_options(self._address, self._settings, exchange, deadline, headers)
        with http_connection.failures():
            response = self._client.send(self._client.build_request(**options), stream=True)
            try:
                body = _read(response.iter_bytes(), deadline)
            finally:
                response.close()
        rest_encoding.check(response.status_code, response.reason_phrase, response.headers, body)
        return Answer(body, response.headers)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _read(chunks: Iterable[bytes], deadline: Deadline) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        deadline.left()
    return bytes(body)
