"""Counters, gauges and histograms, and the page that Prometheus reads, in TensorFlow Serving's form.

The names begin with a colon and keep no suffix that the Prometheus client would add, so these are our own:
plain numbers in a dictionary, changed on one thread at a time.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

# Label values come from requests as well: from here on further ones are counted together.
MAX_SERIES = 2000
OTHER = "(other)"

Labels = tuple[str, ...]


class Metric(Protocol):
    """One metric: its name, kind ("counter", "gauge", "histogram"), what it tells, and its series' lines.

    TensorFlow Serving's metrics have no `help_text`.
    """

    name: str
    kind: str
    help_text: str

    def lines(self) -> Iterator[str]:
        """The samples, a line each."""


class Values:
    """A number for each combination of label values: a counter or a gauge."""

    def __init__(self, kind: str, name: str, labels: Sequence[str] = (), help_text: str = "") -> None:
        self.kind = kind
        self.name = name
        self.help_text = help_text
        self.labels = tuple(labels)
        self._values: dict[Labels, float] = {}

    def add(self, *labels: str, amount: float = 1) -> None:
        """Add to a series."""
        key = _known(self._values, labels)
        self._values[key] = self._values.get(key, 0) + amount

    def set(self, value: float, *labels: str) -> None:
        """Set a series to a value."""
        self._values[_known(self._values, labels)] = value

    def value(self, *labels: str) -> float:
        """A series' value; 0 where there is none. Without labels given: that of the first series."""
        if labels or not self.labels:
            return self._values.get(labels, 0)
        return next(iter(self._values.values()), 0)

    def forget(self, given: Mapping[str, str]) -> None:
        """Drop the series that have all these label values."""
        _forget(self._values, self.labels, given)

    def lines(self) -> Iterator[str]:
        """The samples, a line each."""
        for labels, value in sorted(self._values.copy().items()):
            yield f"{self.name}{_braces(self.labels, labels)} {number(value)}"


@dataclass(slots=True)
class _Buckets:
    counts: list[int]
    total: float = 0.0


class Histogram:
    """How often values fall under each of the bounds, for each combination of label values."""

    kind = "histogram"

    def __init__(
        self, name: str, labels: Sequence[str], bounds: Sequence[float], help_text: str = ""
    ) -> None:
        self.name = name
        self.help_text = help_text
        self.labels = tuple(labels)
        self._bounds = tuple(bounds)
        self._texts = (*(f"{bound:.6g}" for bound in bounds), "+Inf")
        self._series: dict[Labels, _Buckets] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        series = self._series.get(labels)
        if series is None:
            key = _known(self._series, labels)
            series = self._series.setdefault(key, _Buckets([0] * len(self._texts)))
        series.counts[bisect_left(self._bounds, value)] += 1
        series.total += value

    def series(self) -> list[Labels]:
        """The label values of all series."""
        return list(self._series)

    def forget(self, given: Mapping[str, str]) -> None:
        """Drop the series that have all these label values."""
        _forget(self._series, self.labels, given)

    def count(self, *labels: str) -> int:
        """How many values a series has."""
        series = self._series.get(labels)
        return sum(series.counts) if series else 0

    def lines(self) -> Iterator[str]:
        """The samples, a line each."""
        names = (*self.labels, "le")
        for labels, series in sorted(self._series.copy().items(), key=lambda item: item[0]):
            count = 0
            for bound, inside in zip(self._texts, series.counts, strict=True):
                count += inside
                yield f"{self.name}_bucket{_braces(names, (*labels, bound))} {count}"
            yield f"{self.name}_sum{_braces(self.labels, labels)} {number(series.total)}"
            yield f"{self.name}_count{_braces(self.labels, labels)} {count}"


class Computed:
    """A metric whose series are asked for when the page is read."""

    def __init__(
        self,
        kind: str,
        name: str,
        labels: Sequence[str],
        read: Callable[[], Iterable[tuple[Labels, float]]],
        help_text: str = "",
    ) -> None:
        self.kind = kind
        self.name = name
        self.help_text = help_text
        self._labels = tuple(labels)
        self._read = read

    def lines(self) -> Iterator[str]:
        """The samples, a line each."""
        for labels, value in self._read():
            yield f"{self.name}{_braces(self._labels, labels)} {number(value)}"


class Registry:
    """The metrics of one page."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._before_reading: list[Callable[[], None]] = []

    def before_reading(self, call: Callable[[], None]) -> None:
        """Call this each time before the metrics are read."""
        self._before_reading.append(call)

    def counter(self, name: str, labels: Sequence[str] = (), help_text: str = "") -> Values:
        """Add a counter."""
        return self._add(Values("counter", name, labels, help_text))

    def gauge(self, name: str, labels: Sequence[str] = (), help_text: str = "") -> Values:
        """Add a gauge."""
        return self._add(Values("gauge", name, labels, help_text))

    def histogram(
        self, name: str, labels: Sequence[str], bounds: Sequence[float], help_text: str = ""
    ) -> Histogram:
        """Add a histogram with these finite bounds."""
        metric = Histogram(name, labels, bounds, help_text)
        self._metrics[name] = metric
        return metric

    def forget(self, **given: str) -> None:
        """Drop the series, of all metrics, that have all these label values."""
        for metric in list(self._metrics.values()):
            if isinstance(metric, Values | Histogram):
                metric.forget(given)

    def computed(self, metric: Computed) -> None:
        """Add a metric that is computed when the page is read."""
        self._metrics[metric.name] = metric

    def first_value(self, name: str) -> int:
        """The value of a counter's or gauge's first series; 0 for another name."""
        self._prepare()
        metric = self._metrics.get(name)
        return int(metric.value()) if isinstance(metric, Values) else 0

    def page(self) -> bytes:
        """All metrics by name, each with a TYPE line, also one without series; ours with a HELP line, too."""
        self._prepare()
        lines = []
        for name in sorted(self._metrics):
            metric = self._metrics[name]
            if metric.help_text:
                lines.append(f"# HELP {name} {metric.help_text}")
            lines.append(f"# TYPE {name} {metric.kind}")
            lines.extend(metric.lines())
        return "".join(f"{line}\n" for line in lines).encode(errors="replace")

    def _prepare(self) -> None:
        for call in self._before_reading:
            call()

    def _add(self, metric: Values) -> Values:
        self._metrics[metric.name] = metric
        return metric


def _known(series: dict[Labels, float] | dict[Labels, _Buckets], labels: Labels) -> Labels:
    if labels in series or len(series) < MAX_SERIES:
        return labels
    return (OTHER,) * len(labels)


def _forget(
    series: dict[Labels, float] | dict[Labels, _Buckets], names: Labels, given: Mapping[str, str]
) -> None:
    if not given.keys() <= set(names):
        return
    for labels in list(series):
        if given.items() <= dict(zip(names, labels, strict=True)).items():
            series.pop(labels, None)


def _braces(names: Labels, values: Labels) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    """A sample's value as the page has it: whole numbers without a point."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    return repr(value)
