"""The figures: loss and accuracy by epoch as in Chollet's book, and those of calibration. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from training.report.axes import BOTTOM, HEIGHT, TOP, Frame, around, figure, frame, line, ticks
from training.report.markup import Markup, element, join
from training.report.measures import Bin, interval
from training.report.tables import score

X_TICKS, Y_TICKS = 8, 6
FEW = 10
"""A bin of fewer examples says next to nothing, and is drawn pale."""


@dataclass(frozen=True)
class Curve:
    """One measure by epoch, from 1, and what the published network reached of it on the test split."""

    measure: str
    training: Sequence[float]
    validation: Sequence[float]
    best_epoch: int
    test: float


def curve(given: Curve) -> Markup:
    """Draw training as dots, validation as a line, the best epoch, and the test split as a diamond at it."""
    last = len(given.training)
    area = Frame(0.5, max(last, 1) + 0.5, *around([*given.training, *given.validation, given.test], Y_TICKS))
    x_ticks = [tick for tick in ticks(1, max(last, 2), X_TICKS, least_step=1) if tick <= last]
    best = area.x(given.best_epoch)
    return figure(
        _in_words(given),
        frame(area, x_ticks, ticks(area.y_low, area.y_high, Y_TICKS + 1), "epoch", given.measure),
        line(best, TOP, best, HEIGHT - BOTTOM, "best"),
        _path(area, given.training, "training-line"),
        _path(area, given.validation, "validation-line"),
        _dots(area, "training", given.training),
        _dots(area, "validation", given.validation),
        _test(best, area, given.test),
    )


def _test(x: float, area: Frame, test: float) -> Markup:
    if not math.isfinite(test):
        return Markup()
    return diamond(x, area.y(test), element("title", f"test split: {test:.4f}"))


def reliability(bins: Sequence[Bin], labels: int) -> Markup:
    """Draw the share that is right over the confidence, with its 95% interval."""
    low = _lowest(labels)
    area = Frame(low, 1.0, 0.0, 1.0)
    return figure(
        "Share of right answers by confidence: "
        + "; ".join(f"{part.confidence:.2f}: {part.accuracy:.2f} of {part.count}" for part in bins),
        frame(area, ticks(low, 1, 6), ticks(0, 1, 6), "confidence", "share that is right"),
        *(_bar(area, part) for part in bins),
        line(area.x(low), area.y(low), area.x(1), area.y(1), "diagonal"),
    )


def histogram(bins: Sequence[Bin], labels: int) -> Markup:
    """Draw the share of the examples in each bin of confidence."""
    low, total = _lowest(labels), sum(part.count for part in bins)
    shares = [part.count / total for part in bins]
    area = Frame(low, 1.0, 0.0, around([0.0, *shares])[1])
    return figure(
        "Share of the examples by confidence: "
        + "; ".join(
            f"{part.low:.2f} to {part.high:.2f}: {share:.1%}"
            for part, share in zip(bins, shares, strict=True)
        ),
        frame(
            area, ticks(low, 1, 6), ticks(0, area.y_high, Y_TICKS + 1), "confidence", "share of the examples"
        ),
        *(_column(area, part, share) for part, share in zip(bins, shares, strict=True)),
    )


def _lowest(labels: int) -> float:
    """Return where the axis of confidence begins: the highest of n probabilities is 1 / n or more."""
    return math.floor(10 / labels) / 10


def _column(area: Frame, part: Bin, share: float) -> Markup:
    said = f"confidence {part.low:.2f} to {part.high:.2f}: {part.count:,} examples, {share:.1%}"
    return element("g", element("title", said), _box(area, part, share))


def _box(area: Frame, part: Bin, height: float) -> Markup:
    left, right, top = area.x(part.low) + 1, area.x(part.high) - 1, area.y(height)
    return element("rect", x=left, y=top, width=right - left, height=area.y(0) - top, class_="bar")


def _bar(area: Frame, part: Bin) -> Markup:
    left, right = area.x(part.low) + 1, area.x(part.high) - 1
    middle = (left + right) / 2
    lowest, highest = interval(part.right, part.count)
    said = f"confidence {part.confidence:.3f}, right {part.accuracy:.3f}, {part.count:,} examples"
    return element(
        "g",
        element("title", said),
        _box(area, part, part.accuracy),
        line(middle, area.y(lowest), middle, area.y(highest), "whisker"),
        line(left, area.y(part.confidence), right, area.y(part.confidence), "claimed"),
        class_="few" if part.count < FEW else None,
    )


def _path(area: Frame, values: Sequence[float], class_: str) -> Markup:
    """Join the values of neighbouring epochs; what is not finite leaves a gap."""
    places = [(area.x(epoch), area.y(value)) for epoch, value in enumerate(values, start=1)]
    return join(
        line(*start, *end, class_) for start, end in pairwise(places) if math.isfinite(start[1] + end[1])
    )


def _dots(area: Frame, name: str, values: Sequence[float]) -> Markup:
    return join(
        element(
            "circle",
            element("title", f"{name}, epoch {epoch}: {value:.4f}"),
            cx=area.x(epoch),
            cy=area.y(value),
            r=4 if name == "training" else 3,
            class_=f"{name}-dot",
        )
        for epoch, value in enumerate(values, start=1)
        if math.isfinite(value)
    )


def diamond(x: float, y: float, *children: Markup) -> Markup:
    """Draw the mark of the published network on the test split around a point."""
    points = f"{x:.1f},{y - 6:.1f} {x + 6:.1f},{y:.1f} {x:.1f},{y + 6:.1f} {x - 6:.1f},{y:.1f}"
    return element("polygon", *children, points=points, class_="test-mark")


def _in_words(given: Curve) -> str:
    parts = [
        f"{name} from {score(values[0])} at epoch 1 to {score(values[-1])} at epoch {len(values)}"
        for name, values in (("training", given.training), ("validation", given.validation))
        if values
    ]
    best = given.best_epoch
    at_best = f"{score(given.validation[best - 1])} in validation" if given.validation else "the last"
    parts += [f"best epoch {best}, {at_best}", f"test {score(given.test)}"]
    return f"{given.measure} by epoch: {'; '.join(parts)}"
