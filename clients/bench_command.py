"""The command `kedge bench`: how fast a server answers, and how late under load."""

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

import click
import orjson

from clients import load, load_input, load_report, terminal
from clients.address import Address, parse
from clients.async_transport import AsyncGrpcTransport, AsyncRestTransport, AsyncTransport
from clients.batches import Batching
from clients.deadline import Deadline
from clients.errors import Refused
from clients.exchange import SERVING_DEFAULT, Encoding, Exchange, ModelSpec
from clients.load import Plan, Tally
from clients.load_http import LoadHttpTransport
from clients.load_report import Report
from clients.options import Settings
from clients.results import Metadata, Outputs, SignatureInfo
from clients.server_options import (
    Server,
    json_option,
    label_option,
    model_argument,
    one_of_version_and_label,
    server_options,
    version_option,
)
from models import catalogue
from models.model import Arrays
from wire.errors import Code

POSITIVE = click.FloatRange(min=0, min_open=True)
NOTHING_ANSWERED = 6


@click.command()
@model_argument()
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="N",
    help="Requests under way at most.",
)
@click.option(
    "--duration",
    type=POSITIVE,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to measure.",
)
@click.option(
    "--warmup",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to ask before measuring.",
)
@click.option(
    "--rate",
    type=POSITIVE,
    metavar="R",
    help="Requests due a second (open loop); without it each follows an answer.",
)
@click.option(
    "--rows", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Rows in a request."
)
@click.option(
    "--input",
    "words",
    multiple=True,
    metavar="INPUT",
    help="Ask about this input, as kedge predict; without it about made-up values.",
)
@click.option("--signature", help="Ask this signature, not serving_default.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Draw the latencies into a PNG file (needs matplotlib).",
)
@version_option
@label_option
@json_option
@server_options
def bench(
    *,
    model: str,
    concurrency: int,
    duration: float,
    warmup: float,
    rate: float | None,
    rows: int,
    words: tuple[str, ...],
    signature: str | None,
    plot: Path | None,
    version: int | None,
    label: str | None,
    as_json: bool,
    server: Server,
) -> None:
    """Put load on a server, and show how fast it answers.

    Any model over either protocol. In an open loop (--rate) latencies count from when a request was due.
    """
    one_of_version_and_label(version, label)
    if plot is not None:
        load_report.require_matplotlib()
    spec, arrays, told = _prepare(server, ModelSpec(model, version, label, signature), words, rows)
    plan = Plan(concurrency, duration, warmup, rate)
    exchange = _encode(server, spec, arrays, told)
    before = time.process_time()
    tally = asyncio.run(_run(server, exchange, plan))
    share = (time.process_time() - before) / (tally.seconds + warmup)
    report = Report(
        server.url, model, told.version, spec.signature or "", rows, len(exchange.body), plan, tally, share
    )
    if plot is not None:
        load_report.plot(report, plot)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(load_report.document(report), option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()
    else:
        for line in load_report.lines(report, terminal.painter(sys.stdout)):
            click.echo(line)
    if not tally.answered:
        click.get_current_context().exit(NOTHING_ANSWERED)


def _prepare(
    server: Server, spec: ModelSpec, words: tuple[str, ...], rows: int
) -> tuple[ModelSpec, Arrays, Metadata]:
    """Make the tensors, and ask once, unsplit as under load: what the server refuses is told before it."""
    with server.connect(batching=Batching(rows=rows, message_bytes=sys.maxsize)) as client:
        told = client.metadata(spec.name, version=spec.version, label=spec.label)
        if words:
            name, arrays = load_input.of_words(catalogue.find(spec.name), words, spec.signature, rows)
        else:
            name = spec.signature or SERVING_DEFAULT
            arrays = load_input.of_signature(_signature(told, name), rows)
        client.predict(spec.name, arrays, signature=name, version=spec.version, label=spec.label)
    return replace(spec, signature=name), arrays, told


def _signature(told: Metadata, name: str) -> SignatureInfo:
    if name not in told.signatures:
        message = f"{told.name} has the signatures {', '.join(told.signatures)}; {name} was asked for"
        raise Refused(message, Code.FAILED_PRECONDITION)
    return told.signatures[name]


def _encode(server: Server, spec: ModelSpec, arrays: Arrays, told: Metadata) -> Exchange[Outputs]:
    """The request, once: the load is on the server, not on this client's encoding."""
    encoding: Encoding
    if parse(server.url).protocol == "grpc":
        from clients import grpc_encoding as encoding
    else:
        from clients import rest_encoding as encoding
    return encoding.predict(spec, arrays, _signature(told, spec.signature or SERVING_DEFAULT))


def _transport(address: Address, settings: Settings) -> AsyncTransport:
    if address.protocol == "grpc":
        return AsyncGrpcTransport(address, settings)
    if settings.proxy is not None:
        return AsyncRestTransport(address, settings)
    return LoadHttpTransport(address, settings)


async def _run(server: Server, exchange: Exchange[Outputs], plan: Plan) -> Tally:
    address, settings = parse(server.url), Settings(**server.options)
    transport = _transport(address, settings)
    headers = settings.headers()

    async def send() -> object:
        return await transport.send(exchange, Deadline(settings.timeout), headers)

    try:
        return await load.run(send, plan)
    finally:
        await transport.close()
