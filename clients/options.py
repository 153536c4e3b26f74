"""What a client can be told when it is made, beside the address."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TypedDict

from clients.address import Address, is_name
from clients.batches import Batching
from clients.deadline import checked_timeout
from clients.errors import OptionError
from clients.metrics import ClientMetrics
from clients.retry import Retry

TIMEOUT = 10.0
"""Seconds for a call with all its requests, where the caller says nothing."""

Headers = Mapping[str, str]
HEADER_NAME = re.compile(r"[0-9a-z_.-]+")
HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
OURS = {"connection", "content-length", "content-type", "host", "te", "transfer-encoding"}


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Whom a client of grpcs:// or https:// trusts, and who it says that it is; files are in PEM format.

    `ca` is the file of the authorities that the server's certificate must come from; without it those that
    are trusted in general. `certificate`, the chain, and `key` are the client's own for mutual TLS.
    `server_name` is the name that the server's certificate must have, where it is not the host of the URL.
    """

    ca: str | PathLike[str] | None = None
    certificate: str | PathLike[str] | None = None
    key: str | PathLike[str] | None = field(default=None, repr=False)
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise OptionError(
                "mutual TLS needs the client's certificate and its key; one came without the other"
            )
        if self.server_name is not None and not is_name(self.server_name):
            raise OptionError(f"no server is called {self.server_name!r}; expected a name of its certificate")


class Options(TypedDict, total=False):
    """The keyword arguments of every client.

    timeout: seconds for a whole call, where the call says nothing (10).
    tls: whom to trust, and the client's own certificate.
    token: a bearer token, or a function that gives the current one; only over TLS, or to this machine.
    metadata: what to send with each request: gRPC metadata, HTTP headers.
    proxy: the URL of an HTTP proxy; else the environment's (HTTPS_PROXY, NO_PROXY), none to this machine.
    retry: how often to try, and how long to wait between.
    batching: into how large requests many inputs are split, and how many of them are sent at a time.
    metrics: counters and histograms of the requests, for Prometheus.
    """

    timeout: float
    tls: Tls
    token: str | Callable[[], str]
    metadata: Mapping[str, str]
    proxy: str
    retry: Retry
    batching: Batching
    metrics: ClientMetrics


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of a client, whole and checked."""

    timeout: float = TIMEOUT
    tls: Tls | None = None
    token: str | Callable[[], str] | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str | None = field(default=None, repr=False)
    retry: Retry = field(default_factory=Retry)
    batching: Batching = field(default_factory=Batching)
    metrics: ClientMetrics | None = None

    def __post_init__(self) -> None:
        checked_timeout(self.timeout)
        check_headers(self.metadata)

    def check_for(self, address: Address) -> None:
        """OptionError if an option makes no sense for the address."""
        if self.tls is not None and not address.secure:
            raise OptionError(f"{address} does not use TLS; expected {address.scheme}s:// with these options")
        if self.token is not None and not address.secure and not address.is_loopback:
            raise OptionError(
                f"the token would cross the network in the clear to {address}; expected "
                f"{address.scheme}s://, or metadata={{'authorization': ...}} where something else encrypts"
            )

    def headers(self) -> dict[str, str]:
        """The headers of one call: names in small letters, as gRPC has them."""
        headers = {name.lower(): value for name, value in self.metadata.items()}
        if self.token is not None:
            token = self.token if isinstance(self.token, str) else self.token()
            headers["authorization"] = f"Bearer {token}"
        check_headers(headers)
        return headers


def check_headers(headers: Headers) -> None:
    """OptionError if a header cannot be sent over both protocols; the message shows no value."""
    for name, value in headers.items():
        if (
            not HEADER_NAME.fullmatch(name.lower())
            or name.lower() in OURS
            or name.lower().startswith("grpc-")
        ):
            raise OptionError(f"{name!r} cannot be sent as metadata; expected a name such as 'x-request-id'")
        if name.lower().endswith("-bin") or not HEADER_VALUE.fullmatch(value):
            raise OptionError(f"the value of {name!r} cannot be sent; expected printable ASCII, not -bin")


def unusable_proxy(settings: Settings) -> OptionError:
    """The error for a proxy that a client cannot go through; it shows no password."""
    if settings.proxy is None:
        return OptionError(
            "a proxy of the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY) cannot be used; "
            "expected http://HOST:PORT, there or as the option (--proxy, proxy=...) that goes before it"
        )
    shown = settings.proxy.rpartition("@")[2]
    return OptionError(f"the proxy {shown!r} cannot be used; expected http://HOST:PORT")


def read_pem(path: str | PathLike[str], what: str) -> bytes:
    """The contents of a PEM file, or OptionError."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise OptionError(f"cannot read the {what} {Path(path)}: {error.strerror or error}") from error
    if b"-----BEGIN " not in data:
        raise OptionError(f"the {what} {Path(path)} is not in PEM format")
    return data
