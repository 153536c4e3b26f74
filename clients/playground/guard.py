"""What keeps other sites out: the headers of every answer, and from where a request may come."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

HEADERS = {
    # The page is its own files and nothing else: no inline script or style, no other host, no frame.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}


def is_ours(host: str, names: Collection[str]) -> bool:
    """Whether a Host header names this server: an address, localhost, or one of `names`.

    A name of somebody else's that leads to this machine (DNS rebinding) would make its pages of one origin
    with ours. An address cannot be such a name.
    """
    name = _hostname(host)
    if name is None:
        return False
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_same_origin(origin: str | None, host: str) -> bool:
    """Whether a request comes from our page or from no page at all (a program sends no Origin)."""
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _hostname(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises ValueError where it is no number
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None
