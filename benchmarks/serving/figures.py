"""What was measured, as it is kept in a JSON file: times in seconds, memory in bytes.

A later run replaces what it measures anew and leaves the rest, so that one server can be measured again.
Figures of different runs are compared as ratios to the control that each had beside it.
"""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

FIGURES = ("rate", "p50", "p99", "cpu")


@dataclass(frozen=True)
class Series:
    """The loads of one server at one point: answers a second, percentiles, processor time of an answer.

    `others` is how many cores other programs used meanwhile.
    """

    rate: Sequence[float]
    p50: Sequence[float]
    p99: Sequence[float]
    cpu: Sequence[float]
    errors: int = 0
    others: Sequence[float] = ()

    def median(self, figure: str) -> float:
        """The median of a figure."""
        values: Sequence[float] = getattr(self, figure)
        return statistics.median(values)

    def __add__(self, other: "Series") -> "Series":
        """Both together."""
        values = {figure: [*getattr(self, figure), *getattr(other, figure)] for figure in FIGURES}
        return Series(errors=self.errors + other.errors, others=[*self.others, *other.others], **values)


@dataclass(frozen=True)
class Row:
    """A server in so many processes at one point, and the control that took turns with it."""

    server: str
    workers: int
    protocol: str
    case: str
    concurrency: int
    subject: Series
    control: Series

    @property
    def title(self) -> str:
        """How the server is called in a table."""
        return title(self.server, self.workers)

    @property
    def point(self) -> tuple[str, int, str, str, int]:
        """What was measured."""
        return self.server, self.workers, self.protocol, self.case, self.concurrency

    def ratio(self, figure: str) -> float:
        """The median as a multiple of the control's; NaN where the control's is too small to be seen."""
        control = self.control.median(figure)
        return self.subject.median(figure) / control if control else float("nan")


@dataclass(frozen=True)
class Footprint:
    """A server's seconds from start to first answers, and its memory (`rss`, `pss`) after the loads."""

    server: str
    workers: int
    start_seconds: float
    memory: Mapping[str, int]


@dataclass(frozen=True)
class Figures:
    """All figures. `alone` are those of no server beside another, by name; `skipped` says why by server."""

    machine: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Row] = ()
    footprints: Sequence[Footprint] = ()
    alone: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    def find(self, **wanted: object) -> list[Row]:
        """The rows with these fields."""
        return [
            row for row in self.rows if all(getattr(row, name) == value for name, value in wanted.items())
        ]

    def updated(self, newer: "Figures") -> "Figures":
        """These, with what a later run measured in their place."""
        rows = {row.point: row for row in (*self.rows, *newer.rows)}
        prints = {(each.server, each.workers): each for each in (*self.footprints, *newer.footprints)}
        measured = {title(*key) for key in prints}
        skipped = {**self.skipped, **newer.skipped}
        return replace(
            newer,
            rows=list(rows.values()),
            footprints=list(prints.values()),
            alone={**self.alone, **newer.alone},
            skipped={name: why for name, why in skipped.items() if name not in measured},
        )


def title(server: str, workers: int) -> str:
    """How a server is called in a table."""
    return server if workers == 1 else f"{server} x{workers}"


def pooled(series: Iterable[Series]) -> Series:
    """Several series as one."""
    total = Series((), (), (), ())
    for each in series:
        total += each
    return total


def read(path: Path) -> Figures:
    """Read a file; an empty one where there is none."""
    if not path.exists():
        return Figures()
    document = json.loads(path.read_bytes())
    rows = [
        Row(**{**row, "subject": Series(**row["subject"]), "control": Series(**row["control"])})
        for row in document["rows"]
    ]
    prints = [Footprint(**each) for each in document["footprints"]]
    return Figures(document["machine"], rows, prints, document["alone"], document["skipped"])


def write(path: Path, figures: Figures) -> None:
    """Write a file, with a line for each row."""
    lines = {
        name: ",\n  ".join(json.dumps(_short(asdict(each))) for each in getattr(figures, name))
        for name in ("rows", "footprints")
    }
    rest = {
        name: json.dumps(_short(dict(getattr(figures, name)))) for name in ("machine", "alone", "skipped")
    }
    path.write_text(
        f'{{\n "machine": {rest["machine"]},\n "rows": [\n  {lines["rows"]}\n ],\n'
        f' "footprints": [\n  {lines["footprints"]}\n ],\n'
        f' "alone": {rest["alone"]},\n "skipped": {rest["skipped"]}\n}}\n'
    )


def _short(value: Any) -> Any:
    """The value with five significant digits, which is more than is known."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {key: _short(each) for key, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list | tuple) else value
