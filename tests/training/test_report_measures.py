"""The measures of a report, against values worked out by hand, and properties that always hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from training.report.measures import (
    Bin,
    LabelScore,
    Predictions,
    calibration_error,
    confusion,
    interval,
    label_scores,
    mean_f1,
    predictions,
    reliability,
)


def test_outputs_of_two_columns_are_read_by_the_highest() -> None:
    read = predictions(np.array([[0.25, 0.75], [0.9, 0.1]], np.float32), np.array([1, 1]))
    assert read.found.tolist() == [1, 0]
    assert read.right.tolist() == [True, False]
    assert read.confidence.tolist() == pytest.approx([0.75, 0.9])
    assert read.of(read.truth).tolist() == pytest.approx([0.75, 0.1])


def test_outputs_of_one_column_are_of_the_second_label_found_from_a_half_on() -> None:
    read = predictions(np.array([[0.5], [0.49], [0.75]], np.float32), np.array([1, 0, 0]))
    assert read.found.tolist() == [1, 0, 1]
    assert read.confidence.tolist() == pytest.approx([0.5, 0.51, 0.75])


def test_outputs_that_are_not_numbers_are_no_answer() -> None:
    """A refused network that diverged has a report too."""
    read = predictions(np.full((2, 3), np.nan, np.float32), np.array([1, 2]))
    assert read.confidence.tolist() == [0, 0]
    assert calibration_error(reliability(read)) == 0


def test_confusion_counts_truth_by_row_and_found_by_column() -> None:
    given_ = predictions(np.eye(3)[[0, 1, 1, 2, 0]], np.array([0, 1, 2, 2, 2]))
    assert confusion(given_).tolist() == [[1, 0, 0], [0, 1, 0], [1, 1, 1]]


def test_scores_of_the_textbook_s_kind_by_hand() -> None:
    """Of a: 8 right, 2 missed, 4 taken for it wrongly; precision 8/12, recall 8/10, F1 16/22."""
    first, second = label_scores(np.array([[8, 2], [4, 6]]))
    assert first == LabelScore(precision=8 / 12, recall=0.8, f1=16 / 22, support=10)
    assert second == LabelScore(precision=6 / 8, recall=0.6, f1=12 / 18, support=10)
    assert mean_f1([first, second]) == pytest.approx((16 / 22 + 12 / 18) / 2)


def test_label_that_is_never_found_has_no_precision_and_one_that_never_occurs_no_recall() -> None:
    missed, never = label_scores(np.array([[0, 3], [0, 0]]))
    assert math.isnan(missed.precision)
    assert (missed.recall, missed.f1) == (0, 0)
    assert math.isnan(never.recall)
    assert mean_f1(label_scores(np.array([[3, 0], [0, 0]]))) == 1


def test_reliability_and_calibration_error_by_hand() -> None:
    """Two at 0.9, one right: off by 0.4; two at 0.6, both right: off by 0.4; the mean is 0.4."""
    outputs = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    bins = reliability(predictions(outputs, np.array([0, 1, 0, 0])), bins=10)
    assert [(part.low, part.high, part.count, part.right) for part in bins] == [
        (0.5, 0.6, 2, 2),
        (0.8, 0.9, 2, 1),
    ]
    assert [part.confidence for part in bins] == pytest.approx([0.6, 0.9])
    assert calibration_error(bins) == pytest.approx(0.4)


def test_calibration_error_weighs_bins_by_their_examples() -> None:
    assert calibration_error([Bin(0, 0.5, 3, 0.5, 3), Bin(0.5, 1, 1, 0.9, 1)]) == pytest.approx(
        (3 * 0.5 + 0.1) / 4
    )


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(9, 10, 0.5958, 0.9821), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (9785, 10000, 0.97547, 0.98116)],
)
def test_interval_is_wilson_s(right: int, count: int, low: float, high: float) -> None:
    """Values as statsmodels' proportion_confint(method="wilson") gives them."""
    assert interval(right, count) == pytest.approx((low, high), abs=5e-4)


def anything(labels: int) -> st.SearchStrategy[Predictions]:
    """Predictions of up to 40 examples."""

    def build(count: int) -> st.SearchStrategy[Predictions]:
        rows = arrays.arrays(np.float64, (count, labels), elements=st.floats(0.01, 1))
        truth = arrays.arrays(np.int64, count, elements=st.integers(0, labels - 1))
        return st.builds(
            lambda given_, true: predictions(given_ / given_.sum(axis=1, keepdims=True), true), rows, truth
        )

    return st.integers(1, 40).flatmap(build)


@given(st.integers(2, 5).flatmap(anything))
def test_measures_agree_with_each_other(predicted: Predictions) -> None:
    counts, count = confusion(predicted), len(predicted)
    assert counts.sum() == count
    assert counts.trace() == predicted.right.sum()
    for score in label_scores(counts):
        if score.support and not math.isnan(score.precision):
            assert min(score.precision, score.recall) - 1e-9 <= score.f1
            assert score.f1 <= max(score.precision, score.recall) + 1e-9
    bins = reliability(predicted)
    assert sum(part.count for part in bins) == count
    assert sum(part.right for part in bins) == predicted.right.sum()
    assert all(part.low - 1e-9 < part.confidence <= part.high + 1e-9 for part in bins)
    gap = abs(float(predicted.confidence.mean() - predicted.right.mean()))
    assert gap - 1e-9 <= calibration_error(bins) <= 1


@given(st.integers(1, 10_000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_interval_holds_the_share_and_stays_in_0_to_1(given_: tuple[int, int]) -> None:
    right, count = given_
    low, high = interval(right, count)
    assert 0 <= low <= right / count <= high <= 1
