"""The command `kedge`: one entry for the jobs, the server and the clients.

This is the only module that knows all packages. Each is imported when one of its commands runs, so that
asking a server does not wait for TensorFlow, and `kedge --help` waits for nothing.

Exit codes: 0 done, 1 a fault in the program, 2 wrong usage, 3 data missing or damaged, or that cannot be
written, 4 the quality gate refused the model, 5 the server cannot be reached or did not answer in time, 6 the
server refused the request, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import importlib
import io
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from models.model import Model
    from training.data import LoadedData
    from training.result import JobResult

# Where each command is, and the line that `kedge --help` shows without importing it.
COMMANDS = {
    "demo": ("kedge:demo", "Train both models, serve them, ask them over gRPC and REST; then stop."),
    "train": ("training.command_line:train", "Train a model and publish it as a version of the model store."),
    "data": ("training.data_command:command", "Fetch, verify and show the data sets."),
    "score": ("training.score_command:score", "Score the rows of a file, in a job that resumes and splits."),
    "serve": ("serving.command_line:serve", "Serve the model store over TensorFlow Serving's network API."),
    "predict": ("clients.command_line:predict", "Ask a server about images or reviews."),
    "status": ("clients.command_line:status", "Show the versions that a server has, and their states."),
    "metadata": ("clients.command_line:metadata", "Show the signatures of a model on a server."),
    "report": ("training.report.command_line:report", "Print the path of a version's report, or open it."),
    "bench": ("clients.bench_command:bench", "Put load on a server, and show how fast it answers."),
    "playground": (
        "clients.playground.command:playground",
        "Draw a digit, write a review: a page that asks a server.",
    ),
    "versions": ("serving.versions_command:command", "List published versions; promote, roll back, remove."),
    "completion": ("clients.completion:completion", "Print a shell's completion script."),
}
# The distributions that not every installation has, and the extra that brings them.
EXTRA_OF = {
    "tensorflow": "training",
    "keras": "training",
    "matplotlib": "training",
    "numba": "training",
    "PIL": "images",
    "tensorflow_serving": "serving",
    "httptools": "serving",
}
USAGE = 2
COLUMNS = 78
INTERRUPTED = 130
TERMINATED = 143


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
        _read_environment(command, f"KEDGE_{cmd_name}")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _read_environment(command: click.Command, prefix: str) -> None:
    """Have every option read KEDGE_<COMMAND>_<OPTION>, named as the option is and not as our parameter."""
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None:
            name = max(option.opts, key=len).lstrip("-")
            option.envvar = f"{prefix}_{name}".replace("-", "_").upper()
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            _read_environment(inner, f"{prefix}_{name}")


class OutputError(Exception):
    """Standard output takes no more: the disk is full, or its reader has gone."""

    exit_code = 3


class _StandardOutput(io.FileIO):
    """Standard output, whose errors cannot be taken for another file's, nor another's for its."""

    def write(self, data: Any) -> int:
        """Write, or raise OutputError: once, for what follows is lost too, and Python flushes at its end."""
        try:
            # click writes nothing to see whether bytes are taken, and passes over the error.
            return super().write(data) if data else 0
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise OutputError(f"standard output cannot be written: {error.strerror}") from error


def _told_apart(stdout: TextIO) -> TextIO:
    """The same standard output, of which an error is an OutputError."""
    if not isinstance(stdout, io.TextIOWrapper):  # closed: Python gives None
        return stdout
    raw = _StandardOutput(stdout.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        raw if isinstance(stdout.buffer, io.RawIOBase) else io.BufferedWriter(raw),  # PYTHONUNBUFFERED
        encoding=stdout.encoding,
        errors=stdout.errors,
        line_buffering=stdout.line_buffering,
        write_through=stdout.write_through,
    )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kedge")
def root() -> None:
    """Train models as batch jobs, publish them as versions, serve them, ask them.

    Every option can be set through an environment variable: KEDGE_<COMMAND>_<OPTION>.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that tells how it went.

    SIGTERM unwinds as SIGINT does, so that what a command has begun is cleaned up; the server drains instead.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    sys.stdout = _told_apart(sys.stdout)
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    A command is done, too, when nobody reads its output any more (`kedge ... | head`).
    """
    exit_code = 0
    try:
        exit_code = _run(arguments)
        click.echo(nl=False)  # flushes what the command has left
    except OutputError as error:
        if not isinstance(error.__cause__, BrokenPipeError):
            click.echo(f"kedge: {error}", err=True)
            return error.exit_code
    return exit_code


def _run(arguments: Sequence[str] | None) -> int:
    """Run one command and return its exit code.

    An error that a person can cause is one line on standard error. Whatever is left is a fault in the
    program: its traceback is what a report of it needs.
    """
    try:
        outcome = root.main(arguments, prog_name="kedge", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("kedge: interrupted", err=True)
        return INTERRUPTED
    except ModuleNotFoundError as error:
        extra = EXTRA_OF.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        click.echo(f"kedge: this command needs {error.name}: pip install 'kedge[{extra}]'", err=True)
        return USAGE
    except OutputError:
        raise
    except Exception as error:
        exit_code = getattr(error, "exit_code", None)
        if exit_code is None:
            raise
        click.echo(f"kedge: {error}", err=True)
        return int(exit_code)
    return outcome if isinstance(outcome, int) else 0


@click.command(short_help="Train both models, serve them, ask them over gRPC and REST; then stop.")
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar=["KEDGE_DEMO_DATA_DIR", "KEDGE_DATA_DIR"],
    show_envvar=True,
    help="Where the data files are; else Keras's cache, else they are downloaded into it.",
)
@click.option("--sample", is_flag=True, help="Train on the small built-in sample.")
@click.option(
    "--model-store",
    type=click.Path(path_type=Path),
    default=Path("model_store"),
    show_default=True,
    help="Where the versions are published, as MODEL/VERSION.",
)
def demo(data_dir: Path | None, sample: bool, model_store: Path) -> None:
    """Show the whole path on this machine.

    Trains every model, publishes a version of each, serves them with the embedded server on free ports, asks
    it about test examples over gRPC and over REST, and stops it. Without real data it takes the built-in
    sample, and says so.
    """
    from models import catalogue
    from serving import embedded
    from training.quiet import import_tensorflow

    import_tensorflow()
    lessons = [_train(name, data_dir, sample, model_store) for name in catalogue.names()]
    click.echo("\nstarting the embedded server", err=True)
    with embedded.running([f"--model_store_root={model_store}"]) as server:
        urls = (f"grpc://127.0.0.1:{server.grpc_port}", f"http://127.0.0.1:{server.rest_port}")
        click.echo(f"serving on {' and '.join(urls)}\n", err=True)
        for lesson in lessons:
            _ask(lesson, urls)
    _report(lessons)
    click.echo(_next_steps(model_store))


@dataclass(frozen=True)
class Lesson:
    """A model that the demo has trained, with the test set that it was measured on."""

    model: Model
    result: JobResult
    data: LoadedData


def _train(name: str, data_dir: Path | None, sample: bool, model_store: Path) -> Lesson:
    from models import catalogue
    from training import data, job
    from training.errors import DataError
    from training.progress import to_stderr

    model, progress = catalogue.find(name), to_stderr()
    try:
        loaded = data.load(model.dataset, data_dir=data_dir, sample=sample, progress=progress)
    except DataError as error:
        if data_dir is not None:
            raise
        click.echo(f"{name}: using the built-in sample, for {error}", err=True)
        loaded = data.load(model.dataset, sample=True)
    options = job.JobOptions(model=model, model_store=model_store, data_dir=data_dir, sample=loaded.sample)
    return Lesson(model, job.train(options, progress), loaded)


def _ask(lesson: Lesson, urls: Sequence[str]) -> None:
    """Ask about a few test examples over each protocol, and show them with the answers."""
    import numpy as np

    import clients

    model, test = lesson.model, lesson.data.splits.test
    # The first example of each of the first labels: not three times the same digit.
    rows = [int(np.flatnonzero(test.labels == label)[0]) for label in range(min(3, len(model.labels)))]
    instances = [test.inputs[row] for row in rows]
    answers = {}
    for protocol, url in zip(("gRPC", "REST"), urls, strict=True):
        with clients.connect(url) as client:
            answers[protocol] = client.predict(model.name, instances)
    click.echo(f"{model.title}, version {lesson.result.version}\n")
    for place, (row, instance) in enumerate(zip(rows, instances, strict=True)):
        for line in model.show(instance, lesson.data.splits.vocabulary).splitlines():
            if line.strip():
                click.echo(click.wrap_text(line) if len(line) > COLUMNS else line)
        click.echo(f"  true label      {model.labels[test.labels[row]]}")
        for protocol, predictions in answers.items():
            answer = predictions[place]
            click.echo(f"  asked by {protocol}   {answer.label}, probability {answer.probability:.4f}")
        click.echo()


def _report(lessons: Sequence[Lesson]) -> None:
    """Show the accuracies beside those of the recipes' source."""
    click.echo(f"{'':<8}{'accuracy':>10}{'source':>10}{'seconds':>10}")
    for lesson in lessons:
        source, result = lesson.model.source_accuracy, lesson.result
        click.echo(
            f"{lesson.model.name:<8}{result.accuracy:>10.4f}{source or '-':>10}"
            f"{sum(result.seconds.values()):>10.1f}"
            + ("  on the sample, which the source's does not compare with" if result.sample else "")
        )


def _next_steps(model_store: Path) -> str:
    command = "kedge" if shutil.which("kedge") else os.path.relpath(sys.argv[0])
    return f"""
To go on by hand, in one terminal and then in another:
  {command} serve --model_store_root={shlex.quote(str(model_store))}
  {command} predict imdb "one of the best films of the year"
  curl -d '{{"signature_name": "text", "instances": ["a dull film"]}}' \\
    http://localhost:8501/v1/models/imdb:predict
"""


if __name__ == "__main__":
    main()
