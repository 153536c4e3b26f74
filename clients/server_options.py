"""The options of all commands that ask a server: where it is, whom to trust, and how to be trusted."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from clients.address import parse
from clients.client import GrpcClient, RestClient, connect
from clients.deadline import LONGEST
from clients.options import TIMEOUT, Options, Tls

DEFAULT_URL = "grpc://localhost:8500"
HIGHEST_VERSION = 2**63 - 1
PEM = click.Path(exists=True, dir_okay=False, path_type=Path)

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Server:
    """A server as the command line names it."""

    url: str
    options: Options = field(repr=False)

    @property
    def timeout(self) -> float:
        """The seconds that an answer may take."""
        return self.options.get("timeout", TIMEOUT)

    def connect(self, **more: Any) -> GrpcClient | RestClient:
        """Make the client; `more` are further options of clients."""
        return connect(self.url, **{**self.options, **more})


URL_OPTION = click.option(
    "--url",
    default=DEFAULT_URL,
    show_default=True,
    help="The server: grpc://HOST:8500 or http://HOST:8501, with TLS grpcs:// or https://.",
)
URLS_OPTION = click.option(
    "--url",
    "urls",
    multiple=True,
    default=(DEFAULT_URL,),
    show_default=True,
    metavar="URL",
    help="The server: grpc://HOST:8500 or http://HOST:8501; once for each protocol to choose between.",
)
CONNECTION_OPTIONS = (
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True, max=LONGEST),
        default=TIMEOUT,
        show_default=True,
        metavar="SECONDS",
        help="How long an answer may take.",
    ),
    click.option("--ca", type=PEM, help="Trust the authorities of this PEM file, and no others."),
    click.option("--cert", type=PEM, help="The client's certificate, for mutual TLS (PEM)."),
    click.option("--key", type=PEM, help="The key of the client's certificate (PEM)."),
    click.option("--server-name", metavar="NAME", help="The name in the server's certificate, if not HOST."),
    click.option(
        "--token",
        help="A bearer token. It is hidden from other users in the environment: KEDGE_<COMMAND>_TOKEN.",
    ),
    click.option(
        "--header", "headers", multiple=True, metavar="NAME=VALUE", help="Send this with every request."
    ),
    click.option("--proxy", metavar="URL", help="Go through this HTTP proxy."),
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a server; the command gets them as `server`."""

    @functools.wraps(command)
    def with_server(*, url: str, **values: Any) -> Any:
        options = _options(**_taken(values))
        return command(server=Server(url, options), **values)

    return _with_options(with_server, URL_OPTION, *CONNECTION_OPTIONS)


def servers_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a server that may be asked over both protocols.

    The command gets `servers`, by protocol: grpc, http.
    """

    @functools.wraps(command)
    def with_servers(*, urls: tuple[str, ...], **values: Any) -> Any:
        options = _options(**_taken(values))
        return command(servers=_by_protocol([Server(url, options) for url in urls]), **values)

    return _with_options(with_servers, URLS_OPTION, *CONNECTION_OPTIONS)


def json_option(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def version_option(command: Command) -> Command:
    """Add --version."""
    kind = click.IntRange(min=0, max=HIGHEST_VERSION)
    return click.option("--version", type=kind, metavar="N", help="Ask this version, not the latest.")(
        command
    )


def label_option(command: Command) -> Command:
    """Add --label."""
    return click.option("--label", help="Ask the version that has this label.")(command)


def model_argument(*, required: bool = True) -> Callable[[Command], Command]:
    """Add MODEL, which a shell completes with the catalogue's."""
    return click.argument("model", required=required, shell_complete=_models)


def one_of_version_and_label(version: int | None, label: str | None) -> None:
    """Refuse both at once."""
    if version is not None and label is not None:
        raise click.UsageError(
            f"--version {version} and --label {label} were both given: expected one at most"
        )


def _with_options(command: Callable[..., Any], *options: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def _taken(values: dict[str, Any]) -> dict[str, Any]:
    """Take the connection's options from all that a command got."""
    names = ("timeout", "ca", "cert", "key", "server_name", "token", "headers", "proxy")
    return {name: values.pop(name) for name in names}


def _by_protocol(servers: Sequence[Server]) -> dict[str, Server]:
    found: dict[str, Server] = {}
    for server in servers:
        protocol = parse(server.url).protocol
        if protocol in found:
            raise click.UsageError(
                f"--url {found[protocol].url} and --url {server.url} speak the same protocol: "
                "expected at most one grpc:// and one http://"
            )
        found[protocol] = server
    return found


def _options(
    *,
    timeout: float,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    server_name: str | None,
    token: str | None,
    headers: tuple[str, ...],
    proxy: str | None,
) -> Options:
    options: Options = {"timeout": timeout, "metadata": dict(map(_header, headers))}
    if ca or cert or key or server_name:
        options["tls"] = Tls(ca=ca, certificate=cert, key=key, server_name=server_name)
    if token is not None:
        options["token"] = token
    if proxy is not None:
        options["proxy"] = proxy
    return options


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--header {text}: expected NAME=VALUE")
    return name, value


def _models(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    from models import catalogue

    return [name for name in catalogue.names() if name.startswith(incomplete)]
