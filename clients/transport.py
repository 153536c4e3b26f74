"""How the bytes of an exchange travel: the one part of a client that waits."""

import ssl
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from clients import rest_encoding
from clients.address import Address
from clients.exchange import Answer, Exchange
from wire.errors import Code, StatusError

if TYPE_CHECKING:
    import httpx

GRPC_OPTIONS: tuple[tuple[str, int], ...] = (
    # gRPC's own limit for answers is 4 MiB, and a batch of images is larger; -1 is none.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A server that vanishes without a word is noticed during a long call. A server of gRPC's defaults
    # puts up with two pings without data, which is all that a client of gRPC's defaults sends.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # After a failed connection the next try is soon: a server that starts is met within its first seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Otherwise clients of one process share connections, and how long they back off.
    ("grpc.use_local_subchannel_pool", 1),
)


class Deadline:
    """A moment `seconds` from now by which a whole answer must be there."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds that are left, or StatusError (DEADLINE_EXCEEDED) if there are none."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise StatusError(Code.DEADLINE_EXCEEDED, "")
        return seconds


class Transport(Protocol):
    """Carries exchanges to one server. Threads may share it."""

    def send(self, exchange: Exchange[Any], deadline: Deadline) -> Answer:
        """The answer, or StatusError for an answer that is not OK and for none."""

    def close(self) -> None:
        """Close the connections."""


class GrpcTransport:
    """One gRPC channel."""

    def __init__(self, address: Address) -> None:
        import grpc

        proxy = ("grpc.enable_http_proxy", int(not address.is_loopback))
        self._channel = grpc.insecure_channel(address.authority, options=[*GRPC_OPTIONS, proxy])

    def send(self, exchange: Exchange[Any], deadline: Deadline) -> Answer:
        """Call the method with the bytes as they are."""
        import grpc

        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(exchange.path)
        try:
            body = call(exchange.body, timeout=deadline.left())
        except grpc.RpcError as error:
            raise StatusError(Code(error.code().value[0]), error.details() or "") from error
        return Answer(body)

    def close(self) -> None:
        """Close the channel; calls that are under way are cancelled."""
        self._channel.close()


class RestTransport:
    """A pool of HTTP connections, which are used again; `transport` takes the place of httpx's own."""

    def __init__(self, address: Address, transport: "httpx.BaseTransport | None" = None) -> None:
        import httpx

        # Loading the authorities' certificates takes longer than a prediction, and http needs none: an empty
        # context trusts nobody.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx.Client(verify=context, trust_env=not address.is_loopback, transport=transport)
        self._url = str(address)

    def send(self, exchange: Exchange[Any], deadline: Deadline) -> Answer:
        """Send the request and read the whole answer, however slowly it comes, within the deadline."""
        import httpx

        headers = {"Content-Type": "application/json"} if exchange.body else None
        request = self._client.build_request(
            exchange.method,
            self._url + exchange.path,
            content=exchange.body or None,
            headers=headers,
            extensions={"timeout": _TimeLeft(deadline)},
        )
        try:
            response = self._client.send(request, stream=True)
            try:
                body = _read(response.iter_bytes(), deadline)
            finally:
                response.close()
        except httpx.TimeoutException as error:
            raise StatusError(Code.DEADLINE_EXCEEDED, "") from error
        except httpx.DecodingError as error:
            raise StatusError(Code.UNKNOWN, f"the answer's compression is damaged: {error}") from error
        except httpx.TransportError as error:
            _raise_unavailable(error)
        rest_encoding.check(response.status_code, response.reason_phrase, body)
        return Answer(body, response.headers)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class _TimeLeft(dict[str, float]):
    """httpx's timeouts, of which each phase of a request (connect, write, read) asks its own.

    httpx counts each phase anew; here each is given what is left of the whole.
    """

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def get(self, key: str, default: Any = None) -> float:
        """The seconds left, whatever the phase."""
        return self._deadline.left()


def _read(chunks: Iterable[bytes], deadline: Deadline) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        deadline.left()
    return bytes(body)


def _raise_unavailable(error: "httpx.TransportError") -> NoReturn:
    raise StatusError(Code.UNAVAILABLE, str(error) or type(error).__name__) from error
