"""Whether the network's probabilities can be trusted: the reliability diagram and the calibration error."""

from __future__ import annotations

from training.report.axes import legend, line
from training.report.charts import histogram, reliability
from training.report.evidence import Evidence
from training.report.markup import Markup, element
from training.report.measures import BINS, calibration_error
from training.report.tables import Row, percent, plural, score, section, table


def calibration(evidence: Evidence) -> Markup:
    """Return the diagram, how the examples are spread over it, and the calibration error."""
    labels, total = len(evidence.model.labels), sum(part.count for part in evidence.bins)
    said = (
        "Of the answers given with a confidence of 0.8, do 80% turn out right? Bars that end below the"
        " diagonal are too sure of themselves, bars above it too modest; pale ones hold fewer than ten"
        " examples."
        " The expected calibration error, the mean distance over"
        f" {plural(total, 'example')} in {BINS} bins of equal width, is"
        f" {percent(calibration_error(evidence.bins))}."
    )
    return section(
        "calibration",
        "Calibration",
        element("p", said, class_="lead"),
        element(
            "div",
            _figure("How often it is right", _reliability_legend(), reliability(evidence.bins, labels)),
            _figure("How sure it is", _histogram_legend(), histogram(evidence.bins, labels)),
            class_="pair",
        ),
        element("details", element("summary", "The numbers"), _numbers(evidence, total)),
    )


def _figure(title: str, explained: Markup, chart: Markup) -> Markup:
    return element("figure", element("figcaption", element("h3", title), explained), chart)


def _reliability_legend() -> Markup:
    return legend([
        ("share that is right, with its 95% interval", _bar()),
        ("mean confidence", line(1, 6, 17, 6, "claimed")),
    ])  # fmt: skip


def _histogram_legend() -> Markup:
    return legend([("share of the test examples", _bar())])


def _bar() -> Markup:
    return element("rect", x=2, y=1, width=14, height=10, class_="bar")


def _numbers(evidence: Evidence, total: int) -> Markup:
    rows = [
        Row([
            f"{part.low:.2f} to {part.high:.2f}",
            score(part.confidence),
            score(part.accuracy),
            f"{part.count:,}",
            percent(part.count / total, 1),
        ])
        for part in evidence.bins
    ]  # fmt: skip
    columns = ["confidence", "mean confidence", "share right", "examples", "of all"]
    return table("Reliability by confidence", columns, rows, "numbers")
