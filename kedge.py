"""The command `kedge`: one entry for the jobs, the server and the clients.

This is the only module that knows all packages. Each is imported when one of its commands runs, so that
asking a server does not wait for TensorFlow, and `kedge --help` waits for nothing.

Exit codes: 0 done, 1 a fault in the program, 2 wrong usage, 3 data missing or damaged, 4 the quality gate
refused the model, 5 the server cannot be reached or did not answer in time, 6 the server refused the request,
130 interrupted, 143 terminated.
"""

import importlib
import os
import sys
from collections.abc import Sequence

import click

# Where each command is, and the line that `kedge --help` shows without importing it.
COMMANDS = {
    "demo": ("kedge:demo", "Train both models, serve them, ask them over gRPC and REST; then stop."),
    "train": ("training.command_line:train", "Train a model and publish it as a version of the model store."),
    "serve": ("serving.command_line:serve", "Serve the model store over TensorFlow Serving's network API."),
    "predict": ("clients.command_line:predict", "Ask a server about images or reviews."),
    "status": ("clients.command_line:status", "Show the versions that a server has, and their states."),
    "versions": ("serving.versions_command:command", "List published versions; promote, roll back, remove."),
    "metadata": ("clients.command_line:metadata", "Show the signatures of a model on a server."),
}
# The distributions that not every installation has, and the extra that brings them.
EXTRA_OF = {
    "tensorflow": "training",
    "keras": "training",
    "matplotlib": "training",
    "tensorflow_serving": "serving",
    "aiohttp": "serving",
}
USAGE = 2
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, or None where there is no such name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kedge")
def root() -> None:
    """Train models as batch jobs, publish them as versions, serve them, ask them.

    Every option can be set through an environment variable: KEDGE_<COMMAND>_<OPTION>.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that tells how it went."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    An error that a person can cause is one line on standard error. Whatever is left is a fault in the
    program: its traceback is what a report of it needs.
    """
    try:
        outcome = root.main(arguments, prog_name="kedge", standalone_mode=False, auto_envvar_prefix="KEDGE")
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("kedge: interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`kedge ... | head`); nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        extra = EXTRA_OF.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        click.echo(f"kedge: this command needs {error.name}: pip install 'kedge[{extra}]'", err=True)
        return USAGE
    except Exception as error:
        exit_code = getattr(error, "exit_code", None)
        if exit_code is None:
            raise
        click.echo(f"kedge: {error}", err=True)
        return int(exit_code)
    return outcome if isinstance(outcome, int) else 0


if __name__ == "__main__":
    main()
