"""The figures as a table for people."""

import math
from collections.abc import Iterator, Sequence

from benchmarks.serving.cases import CASES
from benchmarks.serving.figures import FIGURES, Figures, Row, Series, pooled, title
from benchmarks.serving.servers import CONTROLS

PROTOCOLS = {"grpc": "gRPC", "rest": "REST"}
DISTURBED = 0.2
HEADER = (
    f"{'server':<14}{'c':>3} {'req/s':>8} {'(range)':>15} {'of ctl':>7}{'p50 ms':>9}{'of ctl':>7}"
    f"{'p99 ms':>9}{'of ctl':>7}{'cpu µs':>9}{'of ctl':>7}{'errors':>7}"
)


def table(figures: Figures) -> Iterator[str]:
    """A block of lines for each protocol and case: the control, then the servers, by concurrency."""
    for protocol, told in PROTOCOLS.items():
        for case in CASES:
            rows = figures.find(protocol=protocol, case=case.name)
            if rows:
                yield f"\n{told} · {case.title}"
                yield HEADER
                yield from _block(protocol, rows)
    yield from _footprints(figures)
    used = [cores for row in figures.rows for cores in (*row.subject.others, *row.control.others)]
    if used and max(used) > DISTURBED:
        disturbed = sum(cores > DISTURBED for cores in used) / len(used)
        yield f"\nother programs used more than {DISTURBED:g} cores in {disturbed:.0%} of the loads"
    for name, why in figures.skipped.items():
        yield f"left out: {name}: {why}"


def _block(protocol: str, rows: Sequence[Row]) -> Iterator[str]:
    for concurrency in sorted({row.concurrency for row in rows}):
        same = [row for row in rows if row.concurrency == concurrency]
        yield _line(CONTROLS[protocol].name, concurrency, pooled(row.control for row in same), None)
        for row in sorted(same, key=lambda row: -row.ratio("rate")):
            yield _line(row.title, concurrency, row.subject, row)


def _line(name: str, concurrency: int, series: Series, row: Row | None) -> str:
    value = {figure: series.median(figure) for figure in FIGURES}
    ratio = {figure: _ratio(row, figure) for figure in FIGURES}
    return (
        f"{name:<14}{concurrency:>3} {value['rate']:>8.0f} {_range(series.rate):>15} {ratio['rate']:>7}"
        f"{value['p50'] * 1e3:>9.2f}{ratio['p50']:>7}{value['p99'] * 1e3:>9.2f}{ratio['p99']:>7}"
        f"{value['cpu'] * 1e6:>9.0f}{ratio['cpu']:>7}{series.errors:>7}"
    )


def _range(values: Sequence[float]) -> str:
    return f"({min(values):.0f}-{max(values):.0f})"


def _ratio(row: Row | None, figure: str) -> str:
    return "-" if row is None or math.isnan(row.ratio(figure)) else f"{row.ratio(figure):.2f}"


def _footprints(figures: Figures) -> Iterator[str]:
    if figures.footprints:
        yield f"\n{'server':<14}{'first answers s':>16}{'RSS MB':>9}{'PSS MB':>9}"
    for each in figures.footprints:
        yield (
            f"{title(each.server, each.workers):<14}{each.start_seconds:>16.2f}"
            f"{each.memory['rss'] / 1e6:>9.0f}{each.memory['pss'] / 1e6:>9.0f}"
        )
