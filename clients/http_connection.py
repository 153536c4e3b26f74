"""How HTTP is spoken, and what its errors say; the same for a blocking and an asynchronous client."""

import contextlib
import ssl
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from clients.address import Address, refusal
from clients.deadline import Deadline
from clients.errors import OptionError
from clients.exchange import Exchange
from clients.options import Headers, Settings, Tls, read_pem, unusable_proxy
from clients.retry import Failure
from wire.errors import Code

C = TypeVar("C")

IDLE = 30.0
"""For how many seconds a connection without requests is kept."""


def open_client(address: Address, settings: Settings, make: Callable[..., C]) -> C:
    """Make one of httpx's clients. Nothing is sent yet."""
    import httpx

    try:
        httpx.URL(str(address))
    except (httpx.InvalidURL, UnicodeError) as error:
        raise refusal(str(address), str(error).rstrip(".")) from error
    context = tls_context(address, settings.tls)
    try:
        return make(
            verify=context,
            proxy=settings.proxy,
            # The environment's proxy would lead away from this machine.
            trust_env=not address.is_loopback,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=IDLE),
        )
    # httpx imports what SOCKS needs only where a proxy speaks it.
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        raise unusable_proxy(settings) from error


def request_options(
    address: Address, settings: Settings, exchange: Exchange[Any], deadline: Deadline, headers: Headers
) -> dict[str, Any]:
    """The keyword arguments of httpx's `build_request`."""
    content = {"content-type": "application/json"} if exchange.body else {}
    extensions: dict[str, Any] = {"timeout": _TimeLeft(deadline)}
    if settings.tls is not None and settings.tls.server_name is not None:
        extensions["sni_hostname"] = settings.tls.server_name
    return {
        "method": exchange.method,
        "url": str(address) + exchange.path,
        "content": exchange.body or None,
        "headers": {**content, **headers},
        "extensions": extensions,
    }


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Raise Failure in the place of httpx's errors."""
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise Failure(Code.DEADLINE_EXCEEDED, "") from error
    except httpx.DecodingError as error:
        raise Failure(Code.UNKNOWN, f"the answer's compression is damaged: {error}") from error
    # A server that refuses the client's certificate says so after the handshake, which httpx lets through.
    except (httpx.TransportError, OSError) as error:
        raise Failure(Code.UNAVAILABLE, str(error) or type(error).__name__) from error


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


def tls_context(address: Address, tls: Tls | None) -> ssl.SSLContext:
    """Whom to trust, and the client's certificate; OptionError where they cannot be read."""
    import httpx

    if not address.secure:
        # Loading the authorities' certificates takes longer than a prediction, and http needs none: an empty
        # context trusts nobody.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls = tls or Tls()
    try:
        context = httpx.create_ssl_context() if tls.ca is None else _trusting(tls.ca)
        if tls.certificate is not None and tls.key is not None:
            read_pem(tls.certificate, "certificate")
            read_pem(tls.key, "client's key")
            context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:
        whose = "SSL_CERT_FILE or SSL_CERT_DIR" if tls == Tls() else repr(tls)
        reason = getattr(error, "reason", None) or error.strerror or error
        raise OptionError(f"the certificates of {whose} cannot be used: {reason}") from error
    return context


def _trusting(ca: Any) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=read_pem(ca, "file of authorities").decode("ascii", "replace"))
