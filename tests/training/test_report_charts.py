"""The figures of a report."""

import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.report.axes import around, ticks
from training.report.charts import Curve, curve, histogram, reliability
from training.report.measures import Bin

BINS = [Bin(0.5, 0.55, 4, 0.52, 3), Bin(0.95, 1.0, 96, 0.99, 90)]


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 (our own)


def of_class(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [node for node in svg.iter() if node.get("class") == name]


def test_curve_marks_the_best_epoch_where_its_validation_is() -> None:
    svg = parse(curve(Curve("loss", [0.9, 0.5, 0.3], [0.8, 0.4, 0.6], 2, 0.45)))
    (best,) = of_class(svg, "best")
    dots = of_class(svg, "validation-dot")
    assert best.get("x1") == best.get("x2") == dots[1].get("cx")
    assert float(dots[1].get("cy", 0)) == max(
        float(dot.get("cy", 0)) for dot in dots
    )  # lowest is furthest down
    assert len(of_class(svg, "training-dot")) == 3
    assert "best epoch 2, 0.4000 in validation" in svg.get("aria-label", "")
    assert len(of_class(svg, "test-mark")) == 1


def test_curve_without_validation_has_training_alone() -> None:
    svg = parse(curve(Curve("accuracy", [0.5], [], 1, 0.6)))
    assert not of_class(svg, "validation-dot")
    assert not of_class(svg, "validation-line")


def test_fit_that_diverged_is_drawn_up_to_there() -> None:
    """A refused network's report is where it is looked into."""
    drawn = curve(Curve("loss", [0.5, math.nan, math.inf], [], 3, math.nan))
    svg = parse(drawn)
    assert len(of_class(svg, "training-dot")) == 1
    assert not of_class(svg, "test-mark")
    assert not any(math.isnan(float(node.get("y1", 0))) for node in svg.iter())


def test_reliability_bar_is_as_high_as_the_share_that_is_right() -> None:
    svg = parse(reliability(BINS, 2))
    few, many = (float(bar.get("height", 0)) for bar in of_class(svg, "bar"))
    assert few / many == pytest.approx((3 / 4) / (90 / 96), rel=1e-3)
    assert len(of_class(svg, "few")) == 1


def test_histogram_column_is_as_high_as_the_share_of_the_examples() -> None:
    few, many = (float(bar.get("height", 0)) for bar in of_class(parse(histogram(BINS, 2)), "bar"))
    assert few / many == pytest.approx(4 / 96, rel=1e-2)


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.integers(2, 10))
def test_ticks_are_evenly_apart_within_the_range_and_not_too_many(low: float, span: float, most: int) -> None:
    marks = ticks(low, low + span, most)
    assert len(marks) <= most
    assert all(low - 1e-6 * span <= mark <= low + span + 1e-6 * span for mark in marks)
    steps = {round((after - before) / span, 6) for before, after in pairwise(marks)}
    assert len(steps) <= 2  # but for rounding one


def test_ticks_of_epochs_are_whole() -> None:
    assert ticks(1, 3, 8, least_step=1) == [1, 2, 3]
    assert ticks(1, 20, 8, least_step=1) == [5, 10, 15, 20]


@given(st.lists(st.floats(-1e3, 1e3) | st.just(math.nan), max_size=8))
def test_edges_hold_all_finite_values(values: list[float]) -> None:
    low, high = around(values)
    assert low < high
    assert all(low - 1e-6 <= value <= high + 1e-6 for value in values if math.isfinite(value))
