"""The figures as a picture: how much of the control's rate each server has, a panel for each case.

python -m benchmarks.serving.plot FIGURES.json PICTURE.png
"""

import sys
from pathlib import Path
from typing import Any

from benchmarks.serving import figures as kept
from benchmarks.serving.cases import BY_NAME
from benchmarks.serving.figures import Figures, Row
from benchmarks.serving.report import PROTOCOLS
from benchmarks.serving.servers import CONTROLS, OURS

OURS_COLOUR, PEER_COLOUR, CONTROL_COLOUR = "#1f6f8b", "#9aa5ab", "#d9dee0"
PANEL_INCHES = (4.6, 2.7)
COLUMNS = 3


def draw(figures: Figures, path: Path) -> None:
    """Write the picture, PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = _panels(figures)
    lines = -(-len(panels) // COLUMNS)
    figure, axes = pyplot.subplots(
        lines,
        min(COLUMNS, len(panels)),
        figsize=(PANEL_INCHES[0] * min(COLUMNS, len(panels)), PANEL_INCHES[1] * lines),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, rows in zip(axes.flat, panels, strict=False):
        _panel(axis, rows)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _panels(figures: Figures) -> list[list[Row]]:
    """The rows of each protocol and case, at the concurrency at which most servers were measured."""
    panels = []
    for protocol in PROTOCOLS:
        for case in BY_NAME:
            rows = figures.find(protocol=protocol, case=case)
            if rows:
                concurrencies = [row.concurrency for row in rows]
                usual = max(sorted(set(concurrencies)), key=lambda each: (concurrencies.count(each), each))
                panels.append([row for row in rows if row.concurrency == usual])
    return panels


def _panel(axis: Any, rows: list[Row]) -> None:
    first = rows[0]
    control = kept.pooled(row.control for row in rows)
    bars = [(CONTROLS[first.protocol].name, control, 1.0, CONTROL_COLOUR)]
    for row in sorted(rows, key=lambda row: -row.ratio("rate")):
        colour = OURS_COLOUR if row.server == OURS.name else PEER_COLOUR
        bars.append((row.title, row.subject, row.ratio("rate"), colour))
    for place, (_, series, ratio, colour) in enumerate(bars):
        axis.barh(place, ratio, color=colour, height=0.72)
        spread = [max(0.0, value / series.median("rate") * ratio) for value in series.rate]
        axis.plot((min(spread), max(spread)), (place, place), color="#333333", linewidth=1)
        late = series.median("p99") * 1e3
        told = f" {series.median('rate'):,.0f}/s · p99 {late:,.{0 if late >= 100 else 1}f} ms"
        axis.text(max(spread), place, told, va="center", fontsize=7)
    axis.set_yticks(range(len(bars)), [name for name, *_ in bars], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.75 * max(ratio for *_, ratio, _ in bars))
    axis.tick_params(axis="x", labelsize=7)
    axis.set_xlabel("of the control's requests/s", fontsize=7)
    case = BY_NAME[first.case]
    axis.set_title(f"{PROTOCOLS[first.protocol]}: {case.title}, {first.concurrency} at a time", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    draw(kept.read(Path(sys.argv[1])), Path(sys.argv[2]))
