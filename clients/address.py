"""Where a server is: the URLs that clients take."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from clients.errors import UrlError
from wire.errors import Code

GRPC_PORT = 8500
EXPECTED = "expected grpc://HOST:8500 or http://HOST:8501"


@dataclass(frozen=True)
class Address:
    """A server's address: `scheme` grpc or http, and for http the path in front of `/v1`, or ""."""

    scheme: str
    host: str
    port: int | None
    path: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """The host, in brackets if it is an IPv6 address, and the port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, where no proxy of the environment leads."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse(url: str) -> Address:
    """Read an URL with one of the schemes grpc and http, or raise UrlError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refusal(url, str(error)) from None
    if "://" not in url:
        raise _refusal(url, "it has no scheme")
    if parts.scheme not in ("grpc", "http"):
        raise _refusal(url, f"the scheme {parts.scheme} is not supported")
    if not parts.hostname:
        raise _refusal(url, "it has no host")
    if parts.query or parts.fragment or parts.username is not None:
        raise _refusal(url, "it has more than a host, a port and a path")
    path = parts.path.rstrip("/")
    if parts.scheme == "grpc":
        if path:
            raise _refusal(url, f"a gRPC address has no path, and this one has {path}")
        port = GRPC_PORT if port is None else port
    return Address(parts.scheme, parts.hostname, port, path)


def parse_as(scheme: str, url: str) -> Address:
    """Read an URL of that scheme, which may be left out: "localhost:8500" is a gRPC target."""
    address = parse(url if "://" in url else f"{scheme}://{url}")
    if address.scheme != scheme:
        raise _refusal(url, f"this client speaks {scheme}, not {address.scheme}; connect() takes both")
    return address


def _refusal(url: str, reason: str) -> UrlError:
    return UrlError(f"{url!r} is not the address of a server: {reason}; {EXPECTED}", Code.INVALID_ARGUMENT)
