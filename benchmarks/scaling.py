"""Writes the figures of docs/scaling.md anew: python -m benchmarks.scaling

They come from `benchmarks/figures`, where `benchmarks.serving --json` and `benchmarks.simulation --json` put
what they measured, and from the assumptions below. Written is what is between `<!-- figures: NAME -->` and
`<!-- end -->`.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import figures
from benchmarks.serving.figures import Figures, Row

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "scaling.md"
SERVING, SIMULATION = (ROOT / "benchmarks" / "figures" / f"{name}.json" for name in ("serving", "simulation"))
RATES = (1_000, 100_000, 10_000_000)
# How much of what a replica can do it is meant to do: the rest is for bursts, and for replicas that are lost.
USED = 0.6
# TensorFlow Serving's own part of a request, as its authors published it: 100,000 requests/s on a core,
# without gRPC and without TensorFlow.
TENSORFLOW_SERVING_SECONDS = 1 / 100_000
# Assumed, not measured here: gRPC in C++ with the kernel's part of a request of a few kilobytes.
GRPC_SECONDS = 40e-6
# Assumed: the rows that TensorFlow Serving finds for a batch under load; our batching.config allows 128.
BATCH = 32
# The production overlay's replica of TensorFlow Serving.
REPLICA_CORES = 4
MOST_REPLICAS = 12
# Assumed: on demand, about what the large clouds list for a core of a general-purpose machine.
DOLLARS_PER_CORE_HOUR = 0.04
HOURS = 730


@dataclass(frozen=True)
class Server:
    """What a request costs: seconds of a core, requests/s of a full replica and the cores it asks for."""

    name: str
    core_seconds: float
    replica_rate: float
    replica_cores: float

    def replicas(self, rate: float) -> int:
        """The replicas that answer a rate, at least 2."""
        return max(2, math.ceil(rate / (self.replica_rate * USED)))


def main() -> None:
    """Rewrite the document."""
    measured, simulated = figures.read(SERVING), json.loads(SIMULATION.read_bytes())
    blocks: Mapping[str, Callable[[], Iterator[str]]] = {
        "costs": lambda: costs(measured, simulated),
        "fleets": lambda: fleets(measured, simulated),
        "network": lambda: network(measured),
        "check": lambda: check(simulated),
        "burst": lambda: burst(simulated),
    }
    text = DOCUMENT.read_text()
    for name, lines in blocks.items():
        pattern = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{DOCUMENT} has no place for the figures {name}")
        written = "\n".join(lines())
        text = pattern.sub(lambda found, written=written: f"{found[1]}{written}\n{found[2]}", text)  # type: ignore[misc]
    DOCUMENT.write_text(text)


def servers(measured: Figures, simulated: Mapping[str, Any]) -> list[Server]:
    """The embedded server as measured, and TensorFlow Serving as computed."""
    row = _row(measured, "grpc", "mnist", 64)
    core_seconds, rate = row.subject.median("cpu"), row.subject.median("rate")
    serving = TENSORFLOW_SERVING_SECONDS + GRPC_SECONDS + _run_seconds(simulated, BATCH) / BATCH
    return [
        Server("embedded, a process a replica", core_seconds, rate, math.ceil(core_seconds * rate * 2) / 2),
        Server("TensorFlow Serving, 4 cores a replica", serving, REPLICA_CORES / serving, REPLICA_CORES),
    ]


def costs(measured: Figures, simulated: Mapping[str, Any]) -> Iterator[str]:
    """What a request takes of a core."""
    yield "| | microseconds of a core | where from |"
    yield "|---|---|---|"
    for protocol, concurrency in (("grpc", 64), ("rest", 64)):
        row = _row(measured, protocol, "mnist", concurrency)
        told, rate = {"grpc": "gRPC", "rest": "REST"}[protocol], row.subject.median("rate")
        yield (
            f"| embedded server, {told}, one MNIST image, all of it | {row.subject.median('cpu') * 1e6:.0f} "
            f"| measured: {rate:,.0f} requests/s of one process, {row.ratio('rate'):.2f} of the control |"
        )
    for rows in (1, BATCH, 128):
        each = _run_seconds(simulated, rows) / rows * 1e6
        yield f"| TensorFlow's run, a row in a batch of {rows} | {each:.0f} | measured: its histogram |"
    yield f"| TensorFlow Serving's own part | {TENSORFLOW_SERVING_SECONDS * 1e6:.0f} | published [1] |"
    yield f"| gRPC in C++, with the kernel's part | {GRPC_SECONDS * 1e6:.0f} | assumed |"


def fleets(measured: Figures, simulated: Mapping[str, Any]) -> Iterator[str]:
    """What rates take."""
    yield "| requests/s | server | replicas | cores | network in | dollars a month |"
    yield "|---|---|---|---|---|---|"
    size = measured.alone["request_bytes"]["grpc"]["mnist"]
    for rate in RATES:
        for server in servers(measured, simulated):
            replicas = server.replicas(rate)
            cores = replicas * server.replica_cores
            yield (
                f"| {rate:,} | {server.name} | {replicas:,} | {cores:,.0f} | {_bits(rate * size)} "
                f"| {_rounded(cores * HOURS * DOLLARS_PER_CORE_HOUR)} |"
            )


def network(measured: Figures) -> Iterator[str]:
    """The bytes of requests, and what a million of them a second is."""
    yield "| request | gRPC, bytes | REST, bytes | 1,000,000/s over gRPC |"
    yield "|---|---|---|---|"
    sizes = measured.alone["request_bytes"]
    for case, grpc in sizes["grpc"].items():
        yield f"| `{case}` | {grpc:,} | {sizes['rest'][case]:,} | {_bits(1e6 * grpc)} |"


def check(simulated: Mapping[str, Any]) -> Iterator[str]:
    """The simulation beside the measured run."""
    yield "| arrivals | requests/s | p50 measured | simulated | p99 measured | simulated | within a fifth |"
    yield "|---|---|---|---|---|---|---|"
    for run in simulated["check"]:
        cells = [
            f"{value[place] * 1e3:.2f} ms"
            for place in (0, 1)
            for value in (run["measured"], run["simulated"])
        ]
        near = "yes" if run["near"] else "no"
        yield f"| {run['arrivals']} | {run['rate']:.0f} | {' | '.join(cells)} | {near} |"


def burst(simulated: Mapping[str, Any]) -> Iterator[str]:
    """What the load that grows to the fourfold does to each fleet."""
    yield "| | turned away in the burst | until p99 is under 50 ms | most replicas |"
    yield "|---|---|---|---|"
    for name, ticks in simulated["fleet"].items():
        high = max(tick["rate"] for tick in ticks)
        during = [tick for tick in ticks if tick["rate"] == high]
        lost = sum(tick["refused"] for tick in during) / sum(tick["rate"] * 15 for tick in during)
        well = [tick["p99"] < 0.05 and not tick["refused"] for tick in during]
        first = next((place for place in range(len(well)) if all(well[place:])), None)
        told = "not in 210 s" if first is None else f"{first * 15} s"
        yield f"| {name} | {lost:.0%} | {told} | {max(tick['replicas'] for tick in ticks)} |"


def _row(measured: Figures, protocol: str, case: str, concurrency: int) -> Row:
    found = measured.find(server="kedge", workers=1, protocol=protocol, case=case, concurrency=concurrency)
    if not found:
        raise SystemExit(f"{SERVING} has no figures of kedge, {protocol} {case} at {concurrency}: make bench")
    return found[0]


def _run_seconds(simulated: Mapping[str, Any], rows: int) -> float:
    profile = simulated["profile"]
    return float(np.interp(rows, profile["sizes"], profile["seconds"]))


def _bits(bytes_per_second: float) -> str:
    bits = bytes_per_second * 8
    return f"{bits / 1e9:,.1f} Gbit/s" if bits >= 1e9 else f"{bits / 1e6:,.0f} Mbit/s"


def _rounded(value: float) -> str:
    """Two digits: more would pretend."""
    digits = max(0, int(math.log10(value)) - 1)
    return f"{round(value / 10**digits) * 10**digits:,}"


if __name__ == "__main__":
    main()
