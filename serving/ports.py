"""Opening the server's ports, and saying in one line why one cannot be opened."""

import contextlib
import dataclasses
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc

from serving import tls
from serving.config_files import Tls
from serving.options import ServerOptions

FREE = -1
FLAGS = ("port", "rest_api_port")
# How long a gRPC client may take for TLS and HTTP/2's greeting.
HANDSHAKE_SECONDS = 30
# How often a gRPC connection on which nothing comes is asked for a sign of life, and how long that may take.
PING_SECONDS = 60
PONG_SECONDS = 20


class StartError(Exception):
    """The server cannot be started; the message says which option is to blame and what to do."""

    exit_code = 2


def grpc_options(options: ServerOptions) -> list[tuple[str, str | int]]:
    """The arguments of the gRPC server: its limits, a port of its own, and the user's.

    A client that has gone without a word, or never said one, is found by pings and by the handshake's time.
    """
    connections = options.grpc_max_connections
    return [
        ("grpc.max_receive_message_length", options.grpc_max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", int(options.workers > 1)),
        ("grpc.max_concurrent_streams", options.grpc_max_concurrent_streams),
        *([("grpc.max_allowed_incoming_connections", connections)] if connections > 0 else []),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
        ("grpc.keepalive_time_ms", PING_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", PONG_SECONDS * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        # gRPC's own 5 minutes would hang up on clients that ask more often.
        ("grpc.http2.min_ping_interval_without_data_ms", 1000),
        *_arguments(options.grpc_channel_arguments),
    ]


def open_grpc(server: grpc.aio.Server, options: ServerOptions, certificate: Tls | None = None) -> int:
    """Have the gRPC server listen, with TLS where there is a certificate; its port, 0 for a UNIX socket.

    StartError.
    """
    credentials = tls.credentials(certificate) if certificate else None
    port = 0
    if options.port:
        number = 0 if options.port == FREE else options.port
        address = f"{options.bind_address}:{number}"
        port = _add(server, address, credentials, f"--port={options.port}")
    if options.grpc_socket_path:
        address = f"unix:{Path(options.grpc_socket_path).absolute()}"
        _add(server, address, credentials, f"--grpc_socket_path={options.grpc_socket_path}")
    return port


def bound_rest_socket(options: ServerOptions) -> socket.socket | None:
    """A socket with the REST port, on which nobody listens yet; None where REST is off. StartError."""
    if not options.rest_api_port:
        return None
    return _bound(options, "rest_api_port", shared=options.workers > 1)


def check(options: ServerOptions) -> None:
    """StartError when a port cannot be had: told at once, and not only when the models have loaded."""
    for flag in FLAGS:
        if getattr(options, flag) > 0:
            _bound(options, flag).close()


@contextlib.contextmanager
def reserved(options: ServerOptions) -> Iterator[ServerOptions]:
    """The options with the numbers of both ports, which workers can have inside the block, and only they.

    StartError: a port cannot be had.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise StartError("--workers: this system cannot share a port among processes; leave it out")
    check(options)
    with contextlib.ExitStack() as held:
        numbers = {}
        for flag in FLAGS:
            if getattr(options, flag):
                bound = held.enter_context(_bound(options, flag, shared=True))
                numbers[flag] = bound.getsockname()[1]
        yield dataclasses.replace(options, **numbers)


def _bound(options: ServerOptions, flag: str, *, shared: bool = False) -> socket.socket:
    given = getattr(options, flag)
    number = 0 if given == FREE else given
    host = options.bind_address.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind((host, number))
    except (OSError, OverflowError) as error:
        listening.close()
        raise _cannot(
            f"--{flag}={given}", options.bind_address, str(getattr(error, "strerror", error))
        ) from error
    return listening


def _add(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None, flag: str) -> int:
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise _cannot(flag, address, "it is in use, or no address of this machine") from error


def _cannot(flag: str, address: str, reason: str) -> StartError:
    return StartError(f"cannot listen on {address} for {flag}: {reason}; free it, or give another")


def _arguments(text: str) -> Sequence[tuple[str, str | int]]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    return [(name, int(value) if value.lstrip("-").isdigit() else value) for name, _, value in pairs]
