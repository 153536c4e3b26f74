"""The commands that ask a server: `kedge predict`, `kedge status` and `kedge metadata`.

Results go to standard output; with --json they are one JSON document and nothing else.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, BinaryIO, TypeVar

import click
import orjson

from clients import sources, tables, tensor_text
from clients.client import Client, connect
from clients.options import TIMEOUT
from clients.results import Metadata, Prediction, SignatureInfo, VersionStatus
from clients.sources import Source
from models import catalogue
from models.model import Model

CHUNK = 64
"""How many inputs one request carries."""
PICTURED = 10
"""Up to how many inputs are drawn on a terminal."""
DEFAULT_URL = "grpc://localhost:8500"
HIGHEST_VERSION = 2**63 - 1

Command = TypeVar("Command", bound=Callable[..., Any])
Answers = Iterator[list[tuple[Source, Prediction]]]


def server_options(command: Command) -> Command:
    """Add the options that all commands have: the server, how long to wait for it, and JSON."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            default=TIMEOUT,
            show_default=True,
            metavar="SECONDS",
            help="How long an answer may take.",
        ),
        click.option(
            "--url",
            default=DEFAULT_URL,
            show_default=True,
            help="The server: grpc://HOST:8500 or http://HOST:8501.",
        ),
    ):
        command = option(command)
    return command


def version_option(command: Command) -> Command:
    """Add --version."""
    kind = click.IntRange(min=0, max=HIGHEST_VERSION)
    return click.option("--version", type=kind, metavar="N", help="Ask this version, not the latest.")(
        command
    )


def label_option(command: Command) -> Command:
    """Add --label."""
    return click.option("--label", help="Ask the version that has this label.")(command)


@click.command()
@click.argument("model")
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="FILE",
    help="Read a file of inputs: reviews one a line.",
)
@version_option
@label_option
@click.option("--signature", help="Ask this signature of the model, not the usual one.")
@server_options
def predict(
    *,
    model: str,
    inputs: tuple[str, ...],
    files: tuple[str, ...],
    version: int | None,
    label: str | None,
    signature: str | None,
    url: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Ask a server about images or reviews.

    An INPUT is a PNG, JPEG or .npy file for mnist, a text for imdb, and - for standard input: an image or
    .npy file, or texts one a line.
    """
    _one_of_version_and_label(version, label)
    if not inputs and not files:
        raise click.UsageError("nothing to ask about: give an INPUT, --file FILE, or - for standard input")
    described = catalogue.find(model)
    with connect(url, timeout=timeout) as client:
        read = sources.read(described, inputs, files, sys.stdin.buffer)
        answers = _ask(client, described, read, version=version, label=label, signature=signature)
        if as_json:
            _write_predictions(answers, described)
        else:
            _print_predictions(answers, described, terminal=sys.stdout.isatty())


@click.command()
@click.argument("model", required=False)
@version_option
@server_options
def status(*, model: str | None, version: int | None, url: str, timeout: float, as_json: bool) -> None:
    """Show the versions that a server has, and their states.

    Without MODEL those of all models: of kedge's catalogue where the server does not list its models.
    """
    if model is None and version is not None:
        raise click.UsageError("--version is a version of a model: give the MODEL too")
    with connect(url, timeout=timeout) as client:
        found = client.statuses() if model is None else {model: client.status(model, version)}
    if as_json:
        models = {name: [_status_document(one) for one in statuses] for name, statuses in found.items()}
        _write_json({"url": str(client.address), "models": models})
    elif found:
        _print(tables.statuses(found))
    else:
        names = ", ".join(catalogue.names())
        click.echo(f"{client.address} answers, and knows none of the models {names}", err=True)


@click.command()
@click.argument("model")
@version_option
@label_option
@server_options
def metadata(
    *, model: str, version: int | None, label: str | None, url: str, timeout: float, as_json: bool
) -> None:
    """Show the signatures of a model on a server: the tensors that they take and give."""
    _one_of_version_and_label(version, label)
    with connect(url, timeout=timeout) as client:
        answer = client.metadata(model, version=version, label=label)
    if as_json:
        _write_json(_metadata_document(answer))
    else:
        _print(tables.metadata(answer))


def _one_of_version_and_label(version: int | None, label: str | None) -> None:
    if version is not None and label is not None:
        raise click.UsageError(
            f"--version {version} and --label {label} were both given: expected one at most"
        )


def _ask(client: Client, model: Model, read: Iterator[Source], **spec: Any) -> Answers:
    """Send the inputs in chunks, so that neither their number nor a request's size is bounded by memory."""
    for chunk in sources.chunks(read, CHUNK):
        answers = client.predict_many(model.name, [source.instance for source in chunk], **spec)
        yield list(zip(chunk, answers, strict=True))


def _print_predictions(answers: Answers, model: Model, *, terminal: bool) -> None:
    lines = tables.PredictionLines(model, terminal=terminal)
    for number, chunk in enumerate(answers):
        if number == 0:
            click.echo(lines.header())
        pictured = terminal and number == 0 and len(chunk) <= PICTURED
        for source, prediction in chunk:
            if pictured and not isinstance(source.instance, str):
                click.echo(model.show(source.instance))
            click.echo(lines.row(prediction, source.name))


def _write_predictions(answers: Answers, model: Model) -> None:
    """Write one document a row at a time; nothing is written before the first answer.

    When a later request fails the document stays unfinished, as it is.
    """
    out = sys.stdout.buffer
    before = b'{"model":' + orjson.dumps(model.name) + b',"predictions":['
    for chunk in answers:
        for source, prediction in chunk:
            out.write(before + orjson.dumps(_prediction_document(source, prediction)))
            before = b",\n"
    out.write(b"]}\n")
    out.flush()


def _prediction_document(source: Source, prediction: Prediction) -> dict[str, Any]:
    return {
        "input": source.name,
        "label": prediction.label,
        "probability": prediction.probability,
        "probabilities": dict(prediction.probabilities),
        "version": prediction.version,
    }


def _status_document(status: VersionStatus) -> dict[str, Any]:
    return {**asdict(status), "code": status.code.name}


def _metadata_document(answer: Metadata) -> dict[str, Any]:
    signatures = {name: _signature_document(signature) for name, signature in answer.signatures.items()}
    return {"name": answer.name, "version": answer.version, "signatures": signatures}


def _signature_document(signature: SignatureInfo) -> dict[str, Any]:
    return {
        direction: {
            name: {"dtype": tensor_text.dtype(info), "shape": info.shape} for name, info in infos.items()
        }
        for direction, infos in (("inputs", signature.inputs), ("outputs", signature.outputs))
    }


def _write_json(document: dict[str, Any]) -> None:
    out: BinaryIO = sys.stdout.buffer
    out.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    out.flush()


def _print(lines: Sequence[str] | Iterator[str]) -> None:
    for line in lines:
        click.echo(line)
