"""What came of a load: as a table, as JSON, as a figure."""

import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from clients.load import Plan, Tally
from clients.terminal import Paint

PERCENTS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)
BUSY = 0.9
"""From what share of a processor on this client is likely the limit, and not the server."""


@dataclass(frozen=True)
class Report:
    """A load and its outcome; `processor` is the share of one that this client used."""

    url: str
    model: str
    version: int | None
    signature: str
    rows: int
    request_bytes: int
    plan: Plan
    tally: Tally
    processor: float


def document(report: Report) -> dict[str, Any]:
    """The report as JSON has it; times in milliseconds."""
    tally, plan = report.tally, report.plan
    return {
        "url": report.url,
        "model": report.model,
        "version": report.version,
        "signature": report.signature,
        "rows_per_request": report.rows,
        "request_bytes": report.request_bytes,
        "loop": "closed" if plan.rate is None else "open",
        "concurrency": plan.concurrency,
        "rate": plan.rate,
        "warmup_seconds": plan.warmup,
        "seconds": tally.seconds,
        "answered": tally.answered,
        "answers_per_second": tally.throughput,
        "rows_per_second": tally.throughput * report.rows,
        "errors": dict(tally.errors),
        "unsent": tally.unsent,
        "latency_ms": {"mean": tally.latencies.mean * 1e3, **_percentiles(tally)},
        "own_delay_ms_p99": tally.lateness.percentile(99) * 1e3,
        "client_processor_share": report.processor,
    }


def lines(report: Report, paint: Paint) -> Iterator[str]:
    """The report for people."""
    tally, plan = report.tally, report.plan
    version = "" if report.version is None else f" version {report.version}"
    loop = "closed loop" if plan.rate is None else f"open loop, {plan.rate:g} requests a second due"
    yield paint(f"{report.model}{version}, signature {report.signature}, at {report.url}", bold=True)
    request = f"a request has {report.rows} rows and {report.request_bytes:,} bytes"
    yield f"{loop}; at most {plan.concurrency} under way; {request}"
    yield ""
    yield f"{'answers':<10}{tally.answered:>12,}{tally.throughput:>12,.1f} a second"
    yield f"{'rows':<10}{tally.answered * report.rows:>12,}{tally.throughput * report.rows:>12,.1f} a second"
    for name, count in tally.errors.most_common():
        yield paint(f"{name:<22}", fg="red") + f"{count:,}"
    if tally.unsent:
        yield paint(f"{'not sent in time':<22}", fg="red") + f"{tally.unsent:,}"
    yield ""
    yield f"{'latency':<10}{tally.latencies.mean * 1e3:>12.3f} ms mean"
    for name, milliseconds in _percentiles(tally).items():
        yield f"{'':<10}{milliseconds:>12.3f} ms {name}"
    yield from _warnings(report, paint)


def require_matplotlib() -> None:
    """UsageError where a figure cannot be drawn, before anything is measured for it."""
    if importlib.util.find_spec("matplotlib") is None:
        raise click.UsageError("--plot needs matplotlib: pip install matplotlib")


def plot(report: Report, path: Path) -> None:
    """Draw the latency at each percentile into a PNG file; the higher percentiles get the more room."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    nines = np.linspace(0, min(4.0, math.log10(max(10, len(report.tally.latencies)))), 200)
    percents = 100 * (1 - 10.0**-nines)
    axes.plot(nines, [report.tally.latencies.percentile(percent) * 1e3 for percent in percents])
    axes.set_xticks([0, 0.301, 1, 2, 3, 4], ["0", "50", "90", "99", "99.9", "99.99"])
    axes.set_xlabel("percentile")
    axes.set_ylabel("latency, ms")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.set_title(f"{report.model} at {report.url}: {report.tally.throughput:,.0f} answers a second")
    figure.savefig(path, format="png", dpi=120)


def _percentiles(tally: Tally) -> dict[str, float]:
    times = {f"p{percent:g}": tally.latencies.percentile(percent) * 1e3 for percent in PERCENTS}
    return {**times, "max": tally.latencies.longest * 1e3}


def _warnings(report: Report, paint: Paint) -> Iterator[str]:
    own = report.tally.lateness.percentile(99)
    if report.processor >= BUSY:
        share = f"{report.processor:.0%}"
        yield ""
        yield paint(
            f"this client used {share} of a processor: it may be the limit, not the server", fg="yellow"
        )
    if own > report.tally.latencies.percentile(50) / 2:
        yield ""
        yield paint(f"this client itself sent up to {own * 1e3:.1f} ms late (p99)", fg="yellow")
