"""Opening the server's ports, and saying in one line why one cannot be opened."""

import contextlib
import dataclasses
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from serving.options import ServerOptions

FREE = -1
FLAGS = ("port", "rest_api_port")


class StartError(Exception):
    """The server cannot be started; the message says which option is to blame and what to do."""

    exit_code = 2


def bound_grpc_sockets(options: ServerOptions) -> list[socket.socket]:
    """Sockets with the gRPC port and the UNIX socket's path, on which nobody listens yet. StartError."""
    bound = [_bound(options, "port", shared=options.workers > 1)] if options.port else []
    if options.grpc_socket_path:
        try:
            bound.append(_bound_path(Path(options.grpc_socket_path)))
        except BaseException:
            for each in bound:
                each.close()
            raise
    return bound


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


def _bound_path(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_abandoned(path)
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise _cannot(f"--grpc_socket_path={path}", f"unix:{path}", str(error.strerror or error)) from error
    return listening


def _remove_abandoned(path: Path) -> None:
    """Remove a socket that a server has left behind, and no other file; OSError where one listens on it."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _cannot(flag: str, address: str, reason: str) -> StartError:
    return StartError(f"cannot listen on {address} for {flag}: {reason}; free it, or give another")
