"""The figures as a table and as JSON."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.serving.cases import CASES
from benchmarks.serving.measure import Measured, Run
from benchmarks.serving.servers import CONTROLS

PROTOCOLS = {"grpc": "gRPC", "rest": "REST"}
FIGURES: Mapping[str, Callable[[Run], float]] = {
    "rate": lambda run: run.load.rate,
    "p50": lambda run: run.load.p50,
    "p99": lambda run: run.load.p99,
    "cpu": lambda run: run.cpu_per_answer,
}
HEADER = (
    f"{'server':<14}{'c':>3} {'req/s':>8} {'(range)':>15} {'of ctl':>7}{'p50 ms':>9}{'of ctl':>7}"
    f"{'p99 ms':>9}{'of ctl':>7}{'cpu µs':>9}{'of ctl':>7}{'errors':>7}"
)


@dataclass(frozen=True)
class Footprint:
    """A server's start to its first answers in seconds, and its memory in bytes when measured and after."""

    server: str
    workers: int
    start_seconds: float
    memory: Mapping[str, int]


def document(
    machine: Mapping[str, Any],
    measured: Sequence[Measured],
    footprints: Sequence[Footprint],
    skipped: Mapping[str, str],
    goals: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """All figures; times in seconds, memory in bytes."""
    return {
        "machine": machine,
        "measured": [_figures(each) for each in measured],
        "footprints": [vars(each) for each in footprints],
        "skipped": dict(skipped),
        "goals": list(goals),
    }


def _figures(measured: Measured) -> dict[str, Any]:
    figures: dict[str, Any] = dict(vars(measured.point))
    for side, runs in (("server", measured.runs), ("control", measured.control)):
        figures[side] = {name: [of(run) for run in runs] for name, of in FIGURES.items()}
        figures[side]["errors"] = sum(run.load.errors for run in runs)
    figures["ratio"] = {name: measured.ratio(of) for name, of in FIGURES.items() if _known(measured, of)}
    return figures


def table(measured: Iterable[Measured]) -> Iterator[str]:
    """A block of lines for each protocol and case: the control, then the servers by concurrency."""
    found = list(measured)
    for protocol, told in PROTOCOLS.items():
        for case in CASES:
            rows = [m for m in found if (m.point.protocol, m.point.case) == (protocol, case.name)]
            if rows:
                yield f"\n{told} · {case.title}"
                yield HEADER
                yield from _rows(protocol, rows)


def _rows(protocol: str, rows: Sequence[Measured]) -> Iterator[str]:
    for concurrency in sorted({row.point.concurrency for row in rows}):
        same = [row for row in rows if row.point.concurrency == concurrency]
        pooled = [run for row in same for run in row.control]
        yield _line(CONTROLS[protocol].name, concurrency, pooled, None)
        for row in sorted(same, key=lambda row: -row.median(FIGURES["rate"])):
            yield _line(title(row.point.server, row.point.workers), concurrency, row.runs, row)


def title(server: str, workers: int) -> str:
    """How a server is called in a table."""
    return server if workers == 1 else f"{server} x{workers}"


def _line(name: str, concurrency: int, runs: Sequence[Run], row: Measured | None) -> str:
    rates = sorted(run.load.rate for run in runs)
    spread = f"({rates[0]:.0f}-{rates[-1]:.0f})"
    values = {figure: statistics.median(map(of, runs)) for figure, of in FIGURES.items()}
    ratios = {figure: _ratio(row, of) for figure, of in FIGURES.items()}
    return (
        f"{name:<14}{concurrency:>3} {values['rate']:>8.0f} {spread:>15} {ratios['rate']:>7}"
        f"{values['p50'] * 1e3:>9.2f}{ratios['p50']:>7}{values['p99'] * 1e3:>9.2f}{ratios['p99']:>7}"
        f"{values['cpu'] * 1e6:>9.0f}{ratios['cpu']:>7}{sum(run.load.errors for run in runs):>7}"
    )


def _ratio(row: Measured | None, of: Callable[[Run], float]) -> str:
    return f"{row.ratio(of):.2f}" if row is not None and _known(row, of) else "-"


def _known(measured: Measured, of: Callable[[Run], float]) -> bool:
    return bool(measured.control) and measured.median(of, control=True) > 0


def footprint_table(footprints: Iterable[Footprint]) -> Iterator[str]:
    """A line for each server: its start-up time and memory."""
    yield f"\n{'server':<14}{'first answers s':>16}{'RSS MB':>9}{'PSS MB':>9}"
    for each in footprints:
        yield (
            f"{title(each.server, each.workers):<14}{each.start_seconds:>16.2f}"
            f"{each.memory['rss'] / 1e6:>9.0f}{each.memory['pss'] / 1e6:>9.0f}"
        )
