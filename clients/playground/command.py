"""The command `kedge playground`: the page, until it is told to stop."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import click

from clients.client import Client
from clients.playground.routes import Playground
from clients.playground.server import PageServer, serving
from clients.retry import Retry
from clients.server_options import Server, servers_options

PORT = 8600
LOOPBACK = "127.0.0.1"


@click.command()
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    default=PORT,
    show_default=True,
    metavar="N",
    help="Serve the page at this port; 0 takes a free one.",
)
@click.option(
    "--bind-address",
    default=LOOPBACK,
    show_default=True,
    metavar="ADDRESS",
    help="Serve it at this address; 0.0.0.0 is every one, for all who reach this machine.",
)
@click.option(
    "--allowed-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="Answer to this name too; else to addresses and localhost only.",
)
@servers_options
def playground(*, port: int, bind_address: str, names: tuple[str, ...], servers: dict[str, Server]) -> None:
    """Draw a digit, write a review: a page that asks a server.

    The address of the page goes to standard output.
    """
    with contextlib.ExitStack() as stack:
        clients: dict[str, Client] = {
            protocol: stack.enter_context(server.connect(retry=Retry(attempts=2)))
            for protocol, server in servers.items()
        }
        stopped = stack.enter_context(_told_to_stop())
        page = stack.enter_context(
            _bound(bind_address, port, Playground(clients, frozenset(name.lower() for name in names)))
        )
        click.echo(page.url)
        asked = " and ".join(str(client.address) for client in clients.values())
        click.echo(f"the playground asks {asked}; Ctrl-C ends it", err=True)
        stopped.wait()


@contextlib.contextmanager
def _bound(address: str, port: int, playground: Playground) -> Iterator[PageServer]:
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(serving(address, port, playground))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise click.UsageError(f"cannot serve at {address}, port {port}: {reason}") from error
        yield server


@contextlib.contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set: both are how a server is ended, and no failure."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
