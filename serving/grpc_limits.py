"""What a connection to the gRPC port may do, from the server's flags and --grpc_channel_arguments."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from serving.options import OptionsError, ServerOptions

_log = logging.getLogger(__name__)

FLAG = "--grpc_channel_arguments"
MOST = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class GrpcLimits:
    """Sizes in bytes, times in seconds; `age` None is any.

    A client that has gone without a word is found by pings: when nothing came for `ping` seconds it is asked
    for a sign of life, which it has `pong` seconds to give. `greeting` is what it has for HTTP/2's beginning.
    After `age` a connection takes no new calls, and those under way have `age_grace` to end.
    """

    connections: int = 4096
    streams: int = 1024
    message: int = MOST
    headers: int = 16 * 1024
    greeting: float = 30.0
    ping: float = 60.0
    pong: float = 20.0
    age: float | None = None
    age_grace: float | None = None


# Those of gRPC's own arguments that mean something here, and what one of their units is of ours.
_ARGUMENTS: Mapping[str, tuple[str, float]] = {
    "grpc.max_allowed_incoming_connections": ("connections", 1),
    "grpc.max_concurrent_streams": ("streams", 1),
    "grpc.max_receive_message_length": ("message", 1),
    "grpc.max_metadata_size": ("headers", 1),
    "grpc.server_handshake_timeout_ms": ("greeting", 1e-3),
    "grpc.keepalive_time_ms": ("ping", 1e-3),
    "grpc.keepalive_timeout_ms": ("pong", 1e-3),
    "grpc.max_connection_age_ms": ("age", 1e-3),
    "grpc.max_connection_age_grace_ms": ("age_grace", 1e-3),
}


def of(options: ServerOptions) -> GrpcLimits:
    """The limits that the flags set; an argument that has no effect on this server is a warning.

    OptionsError: a number is larger than HTTP/2 has.
    """
    found: dict[str, Any] = {}
    for name, value in _pairs(options.grpc_channel_arguments):
        field, unit = _ARGUMENTS.get(name, ("", 1))
        if not field or value is None or value <= 0:
            _log.warning("%s: %s has no effect on this server", FLAG, name)
            continue
        found[field] = value * unit
    limits = GrpcLimits(
        connections=options.grpc_max_connections,
        streams=options.grpc_max_concurrent_streams,
        message=options.grpc_max_message_bytes,
    )
    limits = replace(limits, **found)
    if max(limits.streams, limits.headers) > MOST:
        raise OptionsError(f"--grpc_max_concurrent_streams and {FLAG}: HTTP/2's numbers go up to {MOST}")
    return limits


def _pairs(text: str) -> list[tuple[str, int | None]]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    return [(name.strip(), _number(name.strip(), value.strip())) for name, _, value in pairs]


def _number(name: str, text: str) -> int | None:
    if (name, text) == ("grpc.max_receive_message_length", "-1"):
        return MOST
    return int(text) if text.lstrip("-").isdecimal() else None
