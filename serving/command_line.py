"""`kedge serve`: TensorFlow Serving's flags, by their names, on our server."""

import functools
import sys
from collections.abc import Sequence

import click

from serving.options import FLAGS, Flag, ServerOptions, from_values, value_of
from wire.errors import StatusError

PREFIX = "KEDGE_SERVE"


class CannotStart(Exception):  # noqa: N818 - named by what a person is told.
    """A file that an option names cannot be read or is not valid; the message says which."""

    exit_code = 2


def _option(flag: Flag) -> click.Option:
    """A flag as click takes it. Its text is read afterwards, as the table of options says."""
    option = functools.partial(
        click.Option,
        [f"--{flag.name}"],
        type=str,
        metavar=flag.kind.__name__.upper(),
        help=_help(flag),
        envvar=f"{PREFIX}_{flag.name.upper()}",
        hidden=not flag.acts,
    )
    # A bare --flag sets a boolean.
    return option(is_flag=False, flag_value="true") if flag.kind is bool else option()


def _help(flag: Flag) -> str:
    default = str(flag.default).lower() if flag.kind is bool else flag.default
    return flag.help if flag.default in ("", None) else f"{flag.help}  [default: {default}]"


@click.command(
    "serve",
    params=[_option(flag) for flag in FLAGS],
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
    short_help="Serve the model store over TensorFlow Serving's network API.",
)
@click.argument("unknown", nargs=-1, type=click.UNPROCESSED)
def serve(unknown: tuple[str, ...], **texts: str | None) -> None:
    """Serve models over TensorFlow Serving's gRPC and REST API, until SIGTERM or SIGINT.

    The options are TensorFlow Serving's own, written --name=value. Those that have no effect here are taken
    all the same and not listed; an unknown one is told and left out, as TensorFlow Serving does. Each can be
    set as KEDGE_SERVE_NAME in the environment.
    """
    for argument in unknown:
        click.echo(f"unknown argument: {argument}", err=True)
    options = from_values(
        {flag.name: value_of(flag, text) for flag in FLAGS if (text := texts[flag.name]) is not None}
    )
    if options.version:
        click.echo(_versions())
        return
    _run(options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `serve` as a program of its own: `python -m serving`. An error of usage is one line, code 2."""
    try:
        serve.main(arguments, prog_name="python -m serving", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        exit_code = getattr(error, "exit_code", None)
        if exit_code is None:
            raise
        click.echo(f"kedge: {error}", err=True)
        sys.exit(exit_code)


def _run(options: ServerOptions) -> None:
    try:
        if options.workers > 1:
            from serving.fleet import supervisor

            supervisor.run(options)
        else:
            _run_alone(options)
    except StatusError as error:
        raise CannotStart(str(error)) from error


def _run_alone(options: ServerOptions) -> None:
    from serving import config_files, ports
    from serving.quiet import wake_tensorflow

    # What cannot be is told at once, and not after the seconds that TensorFlow's import takes.
    ports.check(options)
    config_files.models_from_options(options)
    wake_tensorflow(options)
    from serving import process

    process.run(options)


def _versions() -> str:
    from importlib import metadata

    return (
        f"TensorFlow ModelServer: kedge {metadata.version('kedge')}\n"
        f"TensorFlow Library: {metadata.version('tensorflow')}"
    )
