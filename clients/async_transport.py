"""How the bytes of an exchange travel, on an event loop.

Connections belong to the loop that made them: they are opened by the first request, so that a client can be
made outside of any loop.
"""

from typing import TYPE_CHECKING, Any, Protocol

from clients import grpc_channel, http_connection, rest_encoding
from clients.address import Address
from clients.deadline import Deadline
from clients.exchange import Answer, Exchange
from clients.options import Headers, Settings

if TYPE_CHECKING:
    import grpc.aio


class AsyncTransport(Protocol):
    """Carries exchanges to one server, any number at a time."""

    async def send(self, exchange: Exchange[Any], deadline: Deadline, headers: Headers) -> Answer:
        """The answer, or StatusError for an answer that is not OK and for none."""

    async def close(self) -> None:
        """Close the connections."""


class AsyncGrpcTransport:
    """One gRPC channel."""

    def __init__(self, address: Address, settings: Settings) -> None:
        self._address, self._settings = address, settings
        self._channel: grpc.aio.Channel | None = None

    async def send(self, exchange: Exchange[Any], deadline: Deadline, headers: Headers) -> Answer:
        """Call the method with the bytes as they are."""
        if self._channel is None:
            self._channel = self._open()
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(exchange.path)
        with grpc_channel.failures():
            body = await call(exchange.body, timeout=deadline.left(), metadata=tuple(headers.items()))
            return Answer(body)

    async def close(self) -> None:
        """Close the channel; calls that are under way are cancelled."""
        if self._channel is not None:
            await self._channel.close()

    def _open(self) -> "grpc.aio.Channel":
        import grpc.aio

        return grpc_channel.open_channel(
            self._address, self._settings, grpc.aio.insecure_channel, grpc.aio.secure_channel
        )


class AsyncRestTransport:
    """A pool of HTTP connections, which are used again."""

    def __init__(self, address: Address, settings: Settings) -> None:
        import httpx

        self._address, self._settings = address, settings
        self._client = http_connection.open_client(address, settings, httpx.AsyncClient)

    async def send(self, exchange: Exchange[Any], deadline: Deadline, headers: Headers) -> Answer:
        """Send the request and read the whole answer, however slowly it comes, within the deadline."""
        options = http_connection.request_options(self._address, self._settings, exchange, deadline, headers)
        with http_connection.failures():
            response = await self._client.send(self._client.build_request(**options), stream=True)
            try:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    deadline.left()
            finally:
                await response.aclose()
        rest_encoding.check(response.status_code, response.reason_phrase, response.headers, bytes(body))
        return Answer(bytes(body), response.headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
