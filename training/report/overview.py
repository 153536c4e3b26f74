"""The head of the page: which version this is, and how good, beside the one now served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from training.report.baseline import Baseline
from training.report.evidence import Evidence
from training.report.markup import Child, Markup, element, join
from training.report.measures import calibration_error, interval, label_scores, mean_f1
from training.report.tables import MINUS, percent, plural, points, score
from training.result import JobResult

INVISIBLE = 0.00005
"""A smaller difference vanishes in the digits that are shown."""


@dataclass(frozen=True)
class Comparison:
    """What the version now served reached, or why that is not to be compared."""

    name: str
    accuracy: float | None
    loss: float | None
    reason: str


def header(result: JobResult, evidence: Evidence, refused: str | None) -> Markup:
    """Return the title, what is out of the ordinary, and the numbers that matter most."""
    state = f"Version {result.version}" if refused is None else "Not published"
    return element(
        "header",
        element("p", "kedge · training report", class_="eyebrow"),
        element("h1", evidence.model.title),
        element(
            "p",
            element("strong", state),
            " of ",
            element("code", result.name),
            " · ",
            element("time", _readable(result.created), datetime=result.created),
            class_="byline",
        ),
        _banners(result, refused),
        element("dl", _tiles(result, evidence), class_="tiles"),
    )


def compare(result: JobResult, baseline: Baseline | None) -> Comparison:
    """Hold a version against the one now served, if both were tested on the same data."""
    if baseline is None:
        return Comparison("", None, None, "there is no earlier version")
    name, before = title(baseline), baseline.document
    if before.get("sample") is not result.sample:
        return Comparison(name, None, None, f"{name} was trained on {_data(before)} data: not comparable")
    if before.get("sha256") != dict(result.sha256):
        return Comparison(name, None, None, f"{name} was tested on other files: not comparable")
    if result.sample and before.get("source") != result.source:  # another seed makes another sample
        return Comparison(name, None, None, f"{name} was tested on another sample: not comparable")
    return Comparison(name, _number(before, "accuracy"), _number(before, "loss"), "")


def title(baseline: Baseline) -> str:
    """Name the version that another is held against."""
    return f"version {baseline.version}"


def _banners(result: JobResult, refused: str | None) -> Markup:
    shown = []
    if result.sample:
        said = "Trained and tested on synthetic sample data: its numbers say nothing of real data."
        shown.append(element("p", element("strong", "Sample. "), said, class_="banner sample"))
    if refused is not None:
        shown.append(element("p", element("strong", "Refused. "), refused, class_="banner refused"))
    return join(shown)


def _tiles(result: JobResult, evidence: Evidence) -> list[Markup]:
    other = compare(result, evidence.baseline)
    right, count = int(evidence.counts.trace()), int(evidence.counts.sum())
    low, high = interval(right, count)
    error = calibration_error(evidence.bins)
    trained = plural(int(evidence.trained.sum()), "training example")
    return [
        _tile(
            "Accuracy",
            percent(result.accuracy),
            f"{right:,} of {count:,} test examples right; 95% interval {percent(low)} to {percent(high)}",
            _source(result, evidence),
            _against(other, result.accuracy, other.accuracy, more_is_better=True),
        ),
        _tile(
            "Loss",
            score(result.loss),
            f"{evidence.model.recipe.loss.replace('_', ' ')}, the mean of the test split",
            _against(other, result.loss, other.loss, more_is_better=False) if other.loss else None,
        ),
        _tile("Mean F1", score(mean_f1(label_scores(evidence.counts))), _hardest(evidence)),
        _tile("Calibration error", percent(error), _trust(evidence)),
        _tile(
            "Fitted for",
            plural(result.epochs, "epoch"),
            f"{trained}; the job took {sum(result.seconds.values()):.1f} s",
        ),
    ]


def _tile(name: str, value: str, *notes: Child) -> Markup:
    shown = [element("dd", note, class_="note") for note in notes if note]
    return element("div", element("dt", name), element("dd", value, class_="value"), shown)


def _against(other: Comparison, now: float, before: float | None, *, more_is_better: bool) -> Markup | None:
    if before is None:
        return element("span", other.reason, class_="delta") if other.reason and other.name else None
    difference = now - before
    better = (difference > 0) == more_is_better
    said = points(difference) if more_is_better else f"{difference:+.4f}".replace("-", MINUS)
    if abs(difference) < INVISIBLE:
        return element("span", f"the same as {other.name}", class_="delta")
    word = "better" if better else "worse"
    return element("span", f"{said} against {other.name}: {word}", class_=f"delta {word}")


def _source(result: JobResult, evidence: Evidence) -> Markup | None:
    source = evidence.model.source_accuracy
    if source is None or result.sample:
        return None
    return element("span", f"the recipe's source states {percent(source)}")


def _hardest(evidence: Evidence) -> str:
    labels = evidence.model.labels
    scores = zip(label_scores(evidence.counts), labels, strict=True)
    known = [(each.f1, label) for each, label in scores if each.support]
    worst, label = min(known)
    return f"over {plural(len(labels), 'label')}; lowest {score(worst)} for {label}"


def _trust(evidence: Evidence) -> str:
    total = sum(part.count for part in evidence.bins)
    gap = sum(part.count * part.confidence - part.right for part in evidence.bins) / total
    word = "above" if gap > 0 else "below"
    return f"its confidence is on average {100 * abs(gap):.2f} points {word} the share that is right"


def _data(document: Mapping[str, Any]) -> str:
    return "sample" if document.get("sample") is True else "real"


def _number(document: Mapping[str, Any], key: str) -> float | None:
    value = document.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _readable(created: str) -> str:
    try:
        return f"{datetime.fromisoformat(created):%-d %B %Y, %H:%M} UTC"
    except ValueError:
        return created


def contents(names: Sequence[tuple[str, str]]) -> Markup:
    """Return links to the parts of the page."""
    links = [element("li", element("a", title, href=f"#{name}")) for name, title in names]
    return element("nav", element("ul", links), aria_label="Parts of this report")
