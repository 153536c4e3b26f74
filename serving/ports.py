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
# Connections that the kernel keeps until they are accepted.
BACKLOG = 1024
FLAGS = ("port", "rest_api_port")


class StartError(Exception):
    """The server cannot be started; the message says which option is to blame and what to do."""

    exit_code = 2


def bound_socket(options: ServerOptions, flag: str, closing: contextlib.ExitStack) -> socket.socket | None:
    """A socket with a flag's port, on which nobody listens yet; None where that is off. StartError.

    It is closed with `closing`.
    """
    if not getattr(options, flag):
        return None
    return closing.enter_context(_bound(options, flag, shared=options.workers > 1))


def listen(bound: socket.socket, flag: str) -> socket.socket:
    """Begin to listen on a bound socket. StartError: another one was faster."""
    host, port = bound.getsockname()[:2]
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        raise _cannot(f"--{flag}={port}", host, _reason(error)) from error
    return bound


@contextlib.contextmanager
def listening_path(path: Path) -> Iterator[socket.socket]:
    """A UNIX socket that listens at a path inside the block, and then removes it if it is its own still.

    StartError: another server listens there, or no socket can be made.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        try:
            _remove_abandoned(path)
            listening.bind(str(path))
            listening.listen(BACKLOG)
            own = path.stat()
        except OSError as error:
            raise _cannot(f"--grpc_socket_path={path}", f"unix:{path}", _reason(error)) from error
        try:
            yield listening
        finally:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == own.st_ino:
                    path.unlink()


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
        raise _cannot(f"--{flag}={given}", options.bind_address, _reason(error)) from error
    return listening


def _remove_abandoned(path: Path) -> None:
    """Remove a socket that a server has left behind, and no other file; OSError where one listens on it."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        # Who does not accept at once is there all the same.
        trial.setblocking(False)
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _cannot(flag: str, address: str, reason: str) -> StartError:
    return StartError(f"cannot listen on {address} for {flag}: {reason}; free it, or give another")
