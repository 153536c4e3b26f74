"""The headers and trailers of gRPC calls over HTTP/2.

Source of the rules: gRPC's PROTOCOL-HTTP2.md ("Requests", "Responses", "Timeout", "Status-Message").
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from wire.errors import StatusError

Header = tuple[bytes, bytes]

MAX_ERROR_BYTES = 1024
TRUNCATED = "...TRUNCATED"
CONTENT_TYPE = b"application/grpc"
# What messages may be compressed with; zlib tells the two apart by itself.
ENCODINGS = (b"gzip", b"deflate")
RESPONSE: tuple[Header, ...] = (
    (b":status", b"200"),
    (b"content-type", CONTENT_TYPE),
    (b"grpc-accept-encoding", b"identity,deflate,gzip"),
)
OK: tuple[Header, ...] = ((b"grpc-status", b"0"),)

_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
# All of printable ASCII but the percent sign stands for itself.
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def timeout_seconds(fields: Mapping[bytes, bytes]) -> float | None:
    """What a call's client allows it, in seconds; None where it says nothing, or nothing that is a time."""
    given = fields.get(b"grpc-timeout")
    found = _TIMEOUT.fullmatch(given) if given else None
    return int(found[1]) * _UNITS[found[2]] if found else None


def metadata(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """A call's metadata, the names in lower case; what is binary stays in base64."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in fields.items()
        if not name.startswith(b":")
    }


def status(error: StatusError, extra: Iterable[tuple[str, str]] = ()) -> list[Header]:
    """The trailers of a call that failed."""
    return [
        (b"grpc-status", b"%d" % int(error.code)),
        (b"grpc-message", quote(truncated(error.message), safe=_PLAIN).encode()),
        *((name.encode(), value.encode()) for name, value in extra),
    ]


def truncated(message: str) -> str:
    """An error as TensorFlow Serving tells it: 1024 bytes at most, and a mark where some are missing."""
    text = message.encode(errors="replace")
    if len(text) <= MAX_ERROR_BYTES:
        return text.decode()
    return text[:MAX_ERROR_BYTES].decode(errors="ignore") + TRUNCATED


def size(headers: Iterable[Header]) -> int:
    """The bytes that headers have, as RFC 9113 counts them (section 6.5.2)."""
    return sum(len(name) + len(value) + 32 for name, value in headers)


def no_call(fields: Mapping[bytes, bytes]) -> list[Header] | None:
    """HTTP's answer to a request that is no gRPC call; None for one that is."""
    if fields.get(b":method") != b"POST":
        return [(b":status", b"405"), (b"allow", b"POST")]
    kind = fields.get(b"content-type", b"")
    if kind != CONTENT_TYPE and not kind.startswith((CONTENT_TYPE + b"+", CONTENT_TYPE + b";")):
        return [(b":status", b"415"), (b"accept", CONTENT_TYPE)]
    return None
