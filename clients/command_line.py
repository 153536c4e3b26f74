"""The commands that ask a server: `kedge predict`, `kedge status` and `kedge metadata`.

Results go to standard output; with --json they are one JSON document and nothing else.
"""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click
import orjson

from clients import predictions, sources, tables, tensor_text, terminal
from clients.batches import Batching
from clients.client import Client
from clients.predictions import Answers
from clients.results import Metadata, SignatureInfo, VersionStatus
from clients.server_options import (
    Server,
    json_option,
    label_option,
    model_argument,
    one_of_version_and_label,
    server_options,
    version_option,
)
from clients.sources import Source
from clients.terminal import Progress
from models import catalogue
from models.model import Model

REQUEST = Batching(rows=64, concurrency=4)
CHUNK = REQUEST.rows * REQUEST.concurrency
"""How many inputs are in memory: those of the requests that are under way at a time."""


@click.command()
@model_argument()
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
@click.option(
    "--signature",
    help="Send the inputs to this signature: serving_default gets them preprocessed, others as they are.",
)
@click.option("--top", type=click.IntRange(min=1), metavar="K", help="Show the K most probable labels.")
@click.option("--jsonl", "as_lines", is_flag=True, help="Print a JSON document a line.")
@json_option
@server_options
def predict(
    *,
    model: str,
    inputs: tuple[str, ...],
    files: tuple[str, ...],
    version: int | None,
    label: str | None,
    signature: str | None,
    top: int | None,
    as_lines: bool,
    as_json: bool,
    server: Server,
) -> None:
    """Ask a server about images or reviews.

    An INPUT is a PNG, JPEG or .npy file for mnist, a text for imdb, and - for standard input: an image or
    .npy file, or texts one a line.
    """
    one_of_version_and_label(version, label)
    if as_lines and as_json:
        raise click.UsageError("--json and --jsonl were both given: expected one at most")
    if not inputs and not files:
        raise click.UsageError("nothing to ask about: give an INPUT, --file FILE, or - for standard input")
    described = catalogue.find(model)
    progress = Progress(sys.stdout, sys.stderr, sources.count(inputs, files))
    with server.connect(batching=REQUEST) as client:
        read = sources.read(described, inputs, files, sys.stdin.buffer)
        spec = {"version": version, "label": label, "signature": signature}
        answers = _ask(client, described, read, progress, spec)
        if as_lines:
            predictions.write_lines(answers, described, top)
        elif as_json:
            predictions.write_json(answers, described, top)
        else:
            predictions.print_table(answers, described, top or 1)


@click.command()
@model_argument(required=False)
@version_option
@json_option
@server_options
def status(*, model: str | None, version: int | None, as_json: bool, server: Server) -> None:
    """Show the versions that a server has, and their states.

    Without MODEL those of all models: of kedge's catalogue where the server does not list its models.
    """
    if model is None and version is not None:
        raise click.UsageError("--version is a version of a model: give the MODEL too")
    with server.connect() as client:
        found = client.statuses() if model is None else {model: client.status(model, version)}
    if as_json:
        models = {name: [_status_document(one) for one in statuses] for name, statuses in found.items()}
        _write_json({"url": str(client.address), "models": models})
    elif found:
        _print(tables.statuses(found, terminal.painter(sys.stdout)))
    else:
        names = ", ".join(catalogue.names())
        click.echo(f"{client.address} answers, and knows none of the models {names}", err=True)


@click.command()
@model_argument()
@version_option
@label_option
@json_option
@server_options
def metadata(*, model: str, version: int | None, label: str | None, as_json: bool, server: Server) -> None:
    """Show the signatures of a model on a server: the tensors that they take and give."""
    one_of_version_and_label(version, label)
    with server.connect() as client:
        answer = client.metadata(model, version=version, label=label)
    if as_json:
        _write_json(_metadata_document(answer))
    else:
        _print(tables.metadata(answer, terminal.painter(sys.stdout)))


def _ask(
    client: Client, model: Model, read: Iterator[Source], progress: Progress, spec: dict[str, Any]
) -> Answers:
    """Send the inputs in chunks, so that their number is not bounded by memory."""
    try:
        for chunk in sources.chunks(read, CHUNK):
            answers = client.predict_many(model.name, [source.instance for source in chunk], **spec)
            progress.add(len(chunk))
            yield list(zip(chunk, answers, strict=True))
    finally:
        progress.close()


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
    out = sys.stdout.buffer
    out.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    out.flush()


def _print(lines: Iterator[str]) -> None:
    for line in lines:
        click.echo(line)
