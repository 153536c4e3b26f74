import numpy as np
import pytest

from models.model import Examples, InputError, RaggedArray


@pytest.fixture
def ragged() -> RaggedArray:
    return RaggedArray.of([np.array([1, 2, 3]), np.array([], np.int64), np.array([4])])


def test_index_gives_a_row(ragged: RaggedArray) -> None:
    assert [ragged[row].tolist() for row in range(len(ragged))] == [[1, 2, 3], [], [4]]
    assert ragged[-1].tolist() == [4]


def test_index_outside_is_an_error(ragged: RaggedArray) -> None:
    with pytest.raises(IndexError):
        ragged[3]


@pytest.mark.parametrize("cut", [slice(1), slice(1, None), slice(0, 0), slice(2, 1), slice(None), slice(9)])
def test_slice_gives_the_rows_that_a_list_gives(ragged: RaggedArray, cut: slice) -> None:
    rows = [[1, 2, 3], [], [4]]
    assert [row.tolist() for row in ragged[cut]] == rows[cut]


def test_slice_in_steps_is_refused(ragged: RaggedArray) -> None:
    with pytest.raises(InputError, match="in steps of 2; expected 1"):
        ragged[::2]


@pytest.mark.parametrize(
    ("values", "splits", "message"),
    [
        ([1.5], [0, 1], "ragged values are float64"),
        ([[1]], [0, 1], r"ragged values are int64\[1, 1\]"),
        ([1], [0.0, 1.0], "row splits are float64"),
        ([1], [], "row splits are float64"),
        ([1, 2], [0, 1], "do not rise from 0 to the number of values, 2"),
        ([1, 2], [0, 2, 1, 2], "do not rise"),
        ([1, 2], [1, 2], "do not rise"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(values: list[float], splits: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RaggedArray(np.array(values), np.array(splits))


def test_examples_without_a_label_each_are_refused(ragged: RaggedArray) -> None:
    with pytest.raises(InputError, match="3 inputs came with 2 labels"):
        Examples(ragged, np.array([0, 1]))
