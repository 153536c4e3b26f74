"""Opening the server's ports, and saying in one line why one cannot be opened."""

import contextlib
import dataclasses
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc

from serving.config_files import read_tls
from serving.options import ServerOptions

FREE = -1
FLAGS = ("port", "rest_api_port")
MAX_MESSAGE_BYTES = 2**31 - 1


class StartError(Exception):
    """The server cannot be started; the message says which option is to blame and what to do."""

    exit_code = 2


def grpc_options(options: ServerOptions) -> list[tuple[str, str | int]]:
    """The arguments of the gRPC server: no limit of messages, a port of its own, and the user's."""
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", int(options.workers > 1)),
        *_arguments(options.grpc_channel_arguments),
    ]


def open_grpc(server: grpc.aio.Server, options: ServerOptions) -> int:
    """Have the gRPC server listen, with TLS where a file says so; its port, 0 with a UNIX socket alone.

    StartError, or StatusError for a broken --ssl_config_file.
    """
    credentials = _credentials(options)
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
        raise _cannot(flag, address, "it is in use, or the certificate is not valid") from error


def _cannot(flag: str, address: str, reason: str) -> StartError:
    return StartError(f"cannot listen on {address} for {flag}: {reason}; free it, or give another")


def _credentials(options: ServerOptions) -> grpc.ServerCredentials | None:
    if not options.ssl_config_file:
        return None
    tls = read_tls(Path(options.ssl_config_file))
    authorities = tls.custom_ca.encode() or None
    if tls.client_verify and authorities is None:
        raise StartError("--ssl_config_file: client_verify needs custom_ca, the authority of the clients")
    return grpc.ssl_server_credentials(
        [(tls.server_key.encode(), tls.server_cert.encode())], authorities, tls.client_verify
    )


def _arguments(text: str) -> Sequence[tuple[str, str | int]]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    return [(name, int(value) if value.lstrip("-").isdigit() else value) for name, _, value in pairs]
