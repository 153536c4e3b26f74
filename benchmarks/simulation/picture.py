"""The fleet's simulation as a picture: load and replicas over the time, and how late the answers are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.simulation.fleet import TICK, Tick

COLOURS = ("#1f6f8b", "#5aa469", "#d1853b", "#a23b52", "#777777")


def draw(fleets: Mapping[str, Sequence[Tick]], path: Path) -> None:
    """Write the picture, PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(4, 1, figsize=(8, 8), sharex=True, layout="constrained")
    load, replicas, late, lost = axes
    for colour, (name, ticks) in zip(COLOURS, fleets.items(), strict=False):
        times = [tick.time for tick in ticks] + [ticks[-1].time + TICK]
        replicas.stairs([tick.replicas for tick in ticks], times, color=colour, linewidth=1.6, label=name)
        late.stairs([tick.p99 * 1e3 for tick in ticks], times, color=colour, linewidth=1.6, baseline=None)
        share = [tick.refused / (tick.rate * TICK) * 100 for tick in ticks]
        lost.stairs(share, times, color=colour, linewidth=1.6)
    load.stairs([tick.rate for tick in ticks], times, color="#333333", linewidth=1.6)
    load.set_ylabel("requests/s")
    replicas.set_ylabel("replicas that answer")
    replicas.legend(fontsize=7, loc="upper left", framealpha=0.9)
    late.set_ylabel("p99, ms")
    late.set_yscale("log")
    lost.set_ylabel("turned away, %")
    lost.set_xlabel("seconds")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(bottom=None if axis is late else 0)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
