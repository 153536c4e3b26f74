"""Simulates the embedded server and a fleet of it, and checks the simulation against a measured run.

    python -m benchmarks.simulation check --json FILE                      measures and simulates the server
    python -m benchmarks.simulation fleet --json FILE --plot PICTURE.png   the autoscaler, from these figures

The check sends MNIST images over gRPC in an open loop, at random times and in bursts; the times at which they
were really sent are the simulation's arrivals. It exits with 1 where p50 or p99 is off by more than a fifth.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.serving import preparation
from benchmarks.serving.measure import Setting, started
from benchmarks.serving.servers import OURS, ROOT
from benchmarks.simulation import arrivals, calibration, fleet, picture, pod
from benchmarks.simulation.arrivals import Times
from benchmarks.simulation.fleet import Scaling, Tick
from benchmarks.simulation.pod import Profile

KINDS: Mapping[str, Callable[[float, float, np.random.Generator], Times]] = {
    "random": lambda rate, seconds, random: arrivals.poisson(rate, 0, seconds, random),
    "bursts": arrivals.bursty,
}
LOADS = (0.3, 0.5)
PERCENTS = (50, 99)
NEAR = 0.2
FILE = click.Path(dir_okay=False, path_type=Path)
DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.group(help=__doc__)
def main() -> None:
    """Nothing without a command."""


@main.command()
@click.option("--seconds", type=click.FloatRange(min=1), default=6.0, show_default=True, help="Of each run.")
@click.option(
    "--repeat", type=click.IntRange(min=1), default=2, show_default=True, help="The quietest counts."
)
@click.option("--data-dir", type=DIRECTORY, envvar="KEDGE_DATA_DIR", help="The real data.")
@click.option("--sample", is_flag=True, help="Models of the built-in sample, not of the real data.")
@click.option("--cache", type=DIRECTORY, default=ROOT / ".bench", help="Models, logs.")
@click.option("--json", "file", type=FILE, help="Keep the figures here.")
def check(
    *, seconds: float, repeat: int, data_dir: Path | None, sample: bool, cache: Path, file: Path | None
) -> None:
    """Measure the server, and hold the simulation against it."""
    store, examples = preparation.prepare(cache.resolve(), data_dir, sample=sample)
    setting = Setting(store, cache.resolve(), examples, seconds, 1)
    runs, random = [], np.random.default_rng(0)
    with started(OURS, 1, setting) as server:
        example = examples["mnist"]
        profile = partial(calibration.profile, server, example, 1.5)
        measured, _ = calibration.quietest(server, repeat, profile)
        capacity, _ = pod.closed_loop(measured, 64)
        for kind, times in KINDS.items():
            for load in LOADS:
                due = times(load * capacity, seconds, random)
                replay = partial(calibration.replayed, server, example, due)
                (sent, took), others = calibration.quietest(server, repeat, replay)
                simulated, _ = pod.open_loop(measured, sent.tolist())
                runs.append({**_compared(kind, sent, took, simulated), "others": others})
    click.echo(
        f"capacity {capacity:.0f} requests/s, of which the loop takes {measured.receive * 2e6:.0f} µs each"
    )
    _show_check(runs)
    _keep(file, {"profile": asdict(measured), "capacity": capacity, "check": runs})
    sys.exit(0 if all(run["near"] for run in runs) else 1)


def _compared(kind: str, sent: Times, took: Times, simulated: Times) -> dict[str, Any]:
    values = {
        name: np.percentile(of, PERCENTS).tolist()
        for name, of in (("measured", took), ("simulated", simulated))
    }
    near = all(abs(ours / theirs - 1) <= NEAR for ours, theirs in zip(*values.values(), strict=True))
    return {"arrivals": kind, "rate": len(sent) / float(sent[-1] - sent[0]), **values, "near": near}


def _show_check(runs: list[dict[str, Any]]) -> None:
    click.echo(f"{'arrivals':<10}{'req/s':>7}{'p50 ms':>9}{'simulated':>11}{'p99 ms':>9}{'simulated':>11}")
    for run in runs:
        (p50, p99), (s50, s99) = run["measured"], run["simulated"]
        told = "within a fifth" if run["near"] else "OFF by more than a fifth"
        click.echo(
            f"{run['arrivals']:<10}{run['rate']:>7.0f}{p50 * 1e3:>9.2f}{s50 * 1e3:>11.2f}"
            f"{p99 * 1e3:>9.2f}{s99 * 1e3:>11.2f}"
            f"  {told}; others used {run['others']:.2f} cores"
        )


@main.command("fleet")
@click.option(
    "--json", "file", type=FILE, required=True, help="The figures of the check; the fleet's are added."
)
@click.option("--plot", "path", type=FILE, help="Draw the fleet, PNG.")
def show_fleet(*, file: Path, path: Path | None) -> None:
    """Simulate the autoscaler: load that grows to the fourfold within a moment."""
    kept = json.loads(file.read_bytes())
    profile, capacity = Profile(**kept["profile"]), kept["capacity"]
    steady = 3 * 0.4 * capacity
    rates = [steady] * 4 + [4 * steady] * 14 + [steady] * 4
    found = {name: fleet.run(profile, scaling, rates) for name, scaling in _scalings().items()}
    for name, ticks in found.items():
        _show_fleet(name, ticks)
    _keep(file, {**kept, "fleet": {name: [asdict(tick) for tick in ticks] for name, ticks in found.items()}})
    if path is not None:
        picture.draw(found, path)


def _scalings() -> dict[str, Scaling]:
    """The production overlay's replicas and target with the embedded server, and what changes the outcome."""
    usual = Scaling(least=3, most=24, target=0.7, cores=1.0, start=30.0)
    return {
        "1 core requested, target 70 %, ready after 30 s": usual,
        "target 50 %": replace(usual, target=0.5),
        "a node is started first: ready after 120 s": replace(usual, start=120.0),
        "300 connections that stay": replace(usual, connections=300),
        "4 cores requested for one process": replace(usual, cores=4.0),
    }


def _show_fleet(name: str, ticks: list[Tick]) -> None:
    click.echo(f"\n{name}")
    click.echo(f"{'s':>5}{'req/s':>8}{'replicas':>10}{'used':>7}{'p50 ms':>10}{'p99 ms':>10}{'refused':>9}")
    for tick in ticks:
        click.echo(
            f"{tick.time:>5.0f}{tick.rate:>8.0f}{tick.replicas:>10}{tick.utilisation:>7.0%}"
            f"{tick.p50 * 1e3:>10.1f}{tick.p99 * 1e3:>10.1f}{tick.refused:>9}"
        )


def _keep(file: Path | None, figures: dict[str, Any]) -> None:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(_short(figures), indent=1) + "\n")


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    main()
