"""Percentiles of many times, from counts of a fixed size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.histogram import Histogram

SECONDS = st.floats(min_value=1e-6, max_value=3600)


def histogram(times: list[float]) -> Histogram:
    made = Histogram()
    for seconds in times:
        made.record(seconds)
    return made


@given(times=st.lists(SECONDS, min_size=1, max_size=50), percent=st.floats(min_value=0, max_value=100))
def test_percentile_is_that_of_the_times_to_one_part_in_128(times: list[float], percent: float) -> None:
    exact = float(np.percentile(times, percent, method="inverted_cdf"))
    found = histogram(times).percentile(percent)
    assert exact - 1e-6 <= found <= exact * (1 + 1 / 128) + 1e-6


def test_count_mean_and_longest_are_exact() -> None:
    made = histogram([0.001, 0.002, 0.006])
    assert len(made) == 3
    assert made.mean == pytest.approx(0.003)
    assert made.longest == made.percentile(100) == 0.006


def test_percentiles_of_nothing_are_zero() -> None:
    assert Histogram().percentile(99) == Histogram().mean == 0


def test_times_out_of_range_are_counted_at_its_ends() -> None:
    made = histogram([-1.0, 1e9])
    assert len(made) == 2
    assert made.percentile(50) == 0
    assert made.longest == 1e9
