"""Where a server is: the URLs that clients take."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from clients.errors import UrlError
from wire.errors import Code

GRPC_PORT = 8500
SCHEMES = ("grpc", "grpcs", "http", "https")
EXPECTED = "expected grpc://HOST:8500 or http://HOST:8501, or with TLS grpcs:// or https://"


@dataclass(frozen=True)
class Address:
    """A server's address: `scheme` grpc, grpcs, http or https.

    `path`, over HTTP, is what stands in front of `/v1`, or "".
    """

    scheme: str
    host: str
    port: int | None
    path: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def protocol(self) -> str:
        """The protocol, grpc or http, with TLS or without."""
        return self.scheme.removesuffix("s")

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted with TLS."""
        return self.scheme.endswith("s")

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


def is_name(host: str) -> bool:
    """Whether a name service can be asked for it: each label has up to 63 bytes."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def parse(url: str) -> Address:
    """Read an URL with one of the schemes, or raise UrlError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise refusal(url, str(error)) from None
    if "://" not in url:
        raise refusal(url, "it has no scheme")
    if parts.scheme not in SCHEMES:
        raise refusal(url, f"the scheme {parts.scheme} is not supported")
    if not parts.hostname:
        raise refusal(url, "it has no host")
    if not is_name(parts.hostname):
        raise refusal(url, "its host is no name that can be looked up")
    if parts.query or parts.fragment or parts.username is not None:
        raise refusal(url, "it has more than a host, a port and a path")
    path = parts.path.rstrip("/")
    if parts.scheme in ("grpc", "grpcs"):
        if path:
            raise refusal(url, f"a gRPC address has no path, and this one has {path}")
        port = GRPC_PORT if port is None else port
    return Address(parts.scheme, parts.hostname, port, path)


def parse_as(protocol: str, url: str) -> Address:
    """Read an URL of that protocol, whose scheme may be left out: "localhost:8500" is a gRPC target."""
    address = parse(url if "://" in url else f"{protocol}://{url}")
    if address.protocol != protocol:
        raise refusal(url, f"this client speaks {protocol}, not {address.protocol}; connect() takes both")
    return address


def refusal(url: str, reason: str) -> UrlError:
    """The error for an URL that cannot be used."""
    return UrlError(f"{url!r} is not the address of a server: {reason}; {EXPECTED}", Code.INVALID_ARGUMENT)
