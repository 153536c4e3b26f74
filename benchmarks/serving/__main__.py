"""Compares model servers on this machine: requests/s, latency, processor time, memory and start-up.

    python -m benchmarks.serving                                 our server, gRPC and REST, all cases
    python -m benchmarks.serving --server all --plot serving.png with the peers, each installed once
    python -m benchmarks.serving --case mnist --protocol grpc --concurrency 64 --seconds 2 --repeat 1

Each server is started in turn, on free ports. Its answers are checked against the model's in process, before
and after each load. The control of the protocol takes turns with it: gRPC's answers a message with itself,
REST's parses the JSON with orjson and answers it, both without a model. Load comes from h2load and wrk
(Debian's nghttp2-client and wrk), one thread each, on the same machine.
"""

import json
import os
import platform
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks.serving import preparation, report
from benchmarks.serving.cases import BY_NAME
from benchmarks.serving.environments import NotInstalled
from benchmarks.serving.measure import Measured, Question, Setting, Started, controls, measure, started
from benchmarks.serving.processes import ServerFailed
from benchmarks.serving.report import Footprint
from benchmarks.serving.servers import OURS, ROOT, SERVERS, Server

CONCURRENCIES = (1, 16, 64)


@click.command(help=__doc__)
@click.option(
    "--server", "servers", type=click.Choice([*SERVERS, "all"]), multiple=True, help="Default: kedge."
)
@click.option("--case", "cases", type=click.Choice(list(BY_NAME)), multiple=True, help="Default: all.")
@click.option(
    "--protocol", "protocols", type=click.Choice(["grpc", "rest"]), multiple=True, help="Default: both."
)
@click.option(
    "--concurrency", "concurrencies", type=click.IntRange(min=1), multiple=True, help="Default: 1 16 64."
)
@click.option(
    "--workers", type=click.IntRange(min=1), multiple=True, help="Processes of a server. Default: 1."
)
@click.option("--seconds", type=click.FloatRange(min=1), default=3.0, show_default=True, help="Of one load.")
@click.option(
    "--repeat", type=click.IntRange(min=1), default=3, show_default=True, help="Loads of each point."
)
@click.option(
    "--data-dir", type=click.Path(exists=True, file_okay=False, path_type=Path), envvar="KEDGE_DATA_DIR"
)
@click.option("--sample", is_flag=True, help="Models of the built-in sample, not of the real data.")
@click.option(
    "--cache", type=click.Path(path_type=Path), default=ROOT / ".bench", help="Models, peers, logs."
)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures."
)
def main(
    *,
    servers: tuple[str, ...],
    cases: tuple[str, ...],
    protocols: tuple[str, ...],
    concurrencies: tuple[int, ...],
    workers: tuple[int, ...],
    seconds: float,
    repeat: int,
    data_dir: Path | None,
    sample: bool,
    cache: Path,
    json_file: Path | None,
) -> None:
    """Measure, print, and write the figures."""
    # Servers end in all cases: what stops the benchmark unwinds it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = list(SERVERS) if "all" in servers else list(servers or (OURS.name,))
    store, examples = preparation.prepare(cache, data_dir, sample=sample)
    setting = Setting(store, cache, examples, seconds, repeat)
    questions = [
        Question(protocol, BY_NAME[case], concurrency)
        for protocol in protocols or ("grpc", "rest")
        for case in cases or BY_NAME
        for concurrency in concurrencies or CONCURRENCIES
    ]
    results = _Results()
    for name in chosen:
        for count in workers or (1,):
            results.add(SERVERS[name], count, questions, setting)
    for line in (*report.table(results.measured), *report.footprint_table(results.footprints)):
        click.echo(line)
    for name, why in results.skipped.items():
        click.echo(f"skipped {name}: {why}")
    if json_file is not None:
        document = report.document(_machine(), results.measured, results.footprints, results.skipped, [])
        json_file.write_text(json.dumps(document, indent=1) + "\n")


class _Results:
    """What was measured so far, and which servers were left out."""

    def __init__(self) -> None:
        self.measured: list[Measured] = []
        self.footprints: list[Footprint] = []
        self.skipped: dict[str, str] = {}

    def add(self, server: Server, workers: int, questions: Iterable[Question], setting: Setting) -> None:
        """Ask a server those of the questions that it can answer."""
        title = report.title(server.name, workers)
        if workers > 1 and not server.workers_option:
            self.skipped[title] = "it runs as one process only"
            return
        try:
            with ExitStack() as stack:
                others: Mapping[str, Started] = stack.enter_context(controls(setting))
                subject = stack.enter_context(started(server, workers, setting))
                for question in questions:
                    if question.protocol in server.encoders and server.answers(question.case):
                        _tell(f"{title}: {question}")
                        self.measured.append(measure(subject, others[question.protocol], question, setting))
                memory = subject.processes.memory()
                self.footprints.append(Footprint(server.name, workers, subject.seconds, memory))
        except (NotInstalled, ServerFailed) as error:
            self.skipped[title] = str(error)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


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
