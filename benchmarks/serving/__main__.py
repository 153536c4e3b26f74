"""Compares model servers on this machine: requests/s, latency, processor time, memory and start-up.

    python -m benchmarks.serving                                 our server, gRPC and REST, all cases
    python -m benchmarks.serving --server all --plot serving.png with the peers, each installed once
    python -m benchmarks.serving --case mnist --protocol grpc --concurrency 64 --seconds 2 --repeat 1

Each server is started in turn, on free ports. Its answers are checked against the model's in process, before
and after each load. The control of the protocol takes turns with it: gRPC's answers a message with itself,
REST's parses the JSON with orjson and answers it, both without a model. Load comes from h2load and wrk
(Debian's nghttp2-client and wrk), one thread each, on the same machine.

The table has medians, and the range of the rates; `of ctl` is a figure as a multiple of the control's in the
same minute, `cpu` the processor time of the server's processes for each answer.
"""

import os
import platform
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks.serving import alone, figures, goals, plot, preparation, report
from benchmarks.serving.cases import BY_NAME
from benchmarks.serving.environments import NotInstalled
from benchmarks.serving.figures import Figures, Footprint, Row
from benchmarks.serving.measure import Question, Setting, controls, measure, started
from benchmarks.serving.processes import ServerFailed
from benchmarks.serving.servers import OURS, ROOT, SERVERS, Server

CONCURRENCIES = (1, 16, 64)
PROTOCOLS = ("grpc", "rest")
COUNT = click.IntRange(min=1)
FILE = click.Path(dir_okay=False, path_type=Path)
DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.command(help=__doc__)
@click.option("--server", "servers", type=click.Choice([*SERVERS, "all"]), multiple=True, default=[OURS.name])
@click.option("--case", "cases", type=click.Choice(list(BY_NAME)), multiple=True, default=list(BY_NAME))
@click.option("--protocol", "protocols", type=click.Choice(PROTOCOLS), multiple=True, default=PROTOCOLS)
@click.option("--concurrency", "concurrencies", type=COUNT, multiple=True, default=CONCURRENCIES)
@click.option("--workers", type=COUNT, multiple=True, default=[1], help="Processes of a server.")
@click.option("--seconds", type=click.FloatRange(min=1), default=3.0, show_default=True, help="Of one load.")
@click.option("--repeat", type=COUNT, default=3, show_default=True, help="Loads of each point.")
@click.option("--goals", "with_goals", is_flag=True, help="Measure all that the goals need, and show them.")
@click.option("--data-dir", type=DIRECTORY, envvar="KEDGE_DATA_DIR", help="The real data.")
@click.option("--sample", is_flag=True, help="Models of the built-in sample, not of the real data.")
@click.option("--cache", type=DIRECTORY, default=ROOT / ".bench", help="Models, peers, logs.")
@click.option("--json", "file", type=FILE, help="Keep the figures here, each point's newest.")
@click.option("--plot", "picture", type=FILE, help="Draw the figures, PNG.")
def main(
    *,
    servers: tuple[str, ...],
    cases: tuple[str, ...],
    protocols: tuple[str, ...],
    concurrencies: tuple[int, ...],
    workers: tuple[int, ...],
    seconds: float,
    repeat: int,
    with_goals: bool,
    data_dir: Path | None,
    sample: bool,
    cache: Path,
    file: Path | None,
    picture: Path | None,
) -> None:
    """Measure, print, and write the figures."""
    # Servers end in all cases: what stops the benchmark unwinds it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cache = cache.resolve()
    store, examples = preparation.prepare(cache, data_dir, sample=sample)
    setting = Setting(store, cache, examples, seconds, repeat)
    questions = [
        Question(protocol, BY_NAME[case], concurrency)
        for protocol in protocols
        for case in cases
        for concurrency in concurrencies
    ]
    found = figures.read(file) if file is not None else Figures()
    for name in SERVERS if "all" in servers else servers:
        for count in workers:
            found = _kept(found, _ask(SERVERS[name], count, questions, setting), file)
    if with_goals:
        found = _kept(found, Figures(_machine(), alone=alone.measured(setting)), file)
    for line in (*report.table(found), *(goals.table(found) if with_goals else ())):
        click.echo(line)
    if picture is not None:
        plot.draw(found, picture)


def _kept(found: Figures, newer: Figures, file: Path | None) -> Figures:
    """The figures with newer ones, written at once: the next server may be the one that ends the run."""
    updated = found.updated(newer)
    if file is not None:
        figures.write(file, updated)
    return updated


def _ask(server: Server, workers: int, questions: Sequence[Question], setting: Setting) -> Figures:
    """Ask a server those of the questions that it can answer."""
    title, rows = figures.title(server.name, workers), list[Row]()
    if workers > 1 and not server.workers_option:
        return Figures(_machine(), skipped={title: "it runs as one process"})
    try:
        with ExitStack() as stack:
            others = stack.enter_context(controls(setting))
            subject = stack.enter_context(started(server, workers, setting))
            for question in questions:
                if question.protocol in server.encoders and server.answers(question.case):
                    print(f"{title}: {question}", file=sys.stderr)
                    rows.append(measure(subject, others[question.protocol], question, setting))
            footprint = Footprint(server.name, workers, subject.seconds, subject.processes.memory())
            return Figures(_machine(), rows, [footprint])
    except (NotInstalled, ServerFailed) as error:
        return Figures(_machine(), rows, skipped={title: str(error)})


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "processor": models[0] if models else "",
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
