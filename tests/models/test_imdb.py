from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import words
from models.imdb import MODEL
from models.model import InputError, RaggedArray

VOCABULARY = {"the": 1, "film": 2, "good": 3, "don't": 4, "br": 5, "rare": 9_997, "last": 9_996, "café": 6}
TOKENS = st.lists(st.integers(0, 9_999), min_size=1, max_size=40).filter(any)


def tokens_of(text: str) -> list[int]:
    return words.encode([text], VOCABULARY)[0].tolist()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The good film", [1, 4, 6, 5]),
        ("don't, DON'T!", [1, 7, 7]),
        ("the\tfilm\r\n(good)", [1, 4, 5, 6]),
        ("film<br /><br />good", [1, 5, 8, 8, 6]),
        ("rare last unheard-of", [1, 2, 9_999, 2, 2]),
        ("café CAFÉ", [1, 9, 2]),
        ("the\x85film", [1, 2]),
    ],
)
def test_texts_become_keras_tokens(text: str, tokens: list[int]) -> None:
    assert tokens_of(text) == tokens


@given(st.lists(TOKENS, min_size=1, max_size=6))
def test_multi_hot_equals_a_naive_loop(rows: list[list[int]]) -> None:
    expected = np.zeros((len(rows), 10_000), np.float32)
    for row, tokens in enumerate(rows):
        for token in tokens:
            if token != 0:
                expected[row, token] = 1
    hot = MODEL.preprocess(rows, None)["multi_hot"]
    assert hot.dtype == np.float32
    np.testing.assert_array_equal(hot, expected)


@given(st.lists(TOKENS, min_size=1, max_size=6))
def test_distinct_tokens_are_the_ones_of_multi_hot(rows: list[list[int]]) -> None:
    ragged = words.distinct(words.reviews(rows))  # type: ignore[arg-type]
    assert [row.tolist() for row in ragged] == [sorted({*row} - {0}) for row in rows]


@pytest.mark.parametrize(
    "form",
    [
        lambda rows: rows,
        lambda rows: [np.array(row) for row in rows],
        lambda rows: np.array([*rows, None], dtype=object)[:-1],
        lambda rows: RaggedArray.of([np.array(row) for row in rows]),
        lambda rows: words.padded(RaggedArray.of([np.array(row) for row in rows])),
        lambda rows: [tuple(row) for row in rows],
        lambda rows: [np.array(row, np.uint16) for row in rows],
    ],
)
def test_preprocess_takes_other_forms_of_the_same_tokens(form: Any) -> None:
    rows = [[1, 5, 9_999], [1, 7], [3, 3, 3, 3]]
    expected = MODEL.preprocess(rows, None)["multi_hot"]
    np.testing.assert_array_equal(MODEL.preprocess(form(rows), None)["multi_hot"], expected)


@pytest.mark.parametrize("one", ["a film", [1, 2], (1, 2), np.array([1, 2])])
def test_one_review_alone_is_a_batch_of_one(one: Any) -> None:
    assert MODEL.is_one(one)
    assert MODEL.preprocess(one, VOCABULARY)["multi_hot"].shape == (1, 10_000)


@pytest.mark.parametrize("several", [["a film"], [[1, 2]], np.array([[1, 2]]), np.array(["a"]), []])
def test_several_reviews_are_not_one(several: Any) -> None:
    assert not MODEL.is_one(several)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "there is no review; expected a text, a sequence of token ids 0..9999, or a list of either"),
        (np.zeros((0, 3), np.int32), "there is no review"),
        (RaggedArray.of([]), "there is no review"),
        ([[1], [2, 10_000]], "review 1 has the token 10000; expected 0..9999"),
        ([[1], [2], [-1]], "review 2 has the token -1; expected 0..9999"),
        ([[2**70]], "review 0 is"),
        (np.array([[1, 2**63]], np.uint64), "review 0 has the token 9223372036854775808"),
        ([[1], []], "review 1 is empty"),
        ([[1], [0, 0]], "review 1 is empty: it has no token but pads"),
        (np.array([[1, 2], [0, 0]]), "review 1 is empty"),
        ([[1], [2.0]], r"review 1 is float64\[1\]"),
        ([[1], [float("nan")]], "review 1 is float64"),
        ([1.5, 2.5], "review 0 is float64"),
        ([[True]], "review 0 is bool"),
        ([[1], [[2], [3]]], r"review 1 is int64\[2, 1\]"),
        ([[1], [[2], [3, 4]]], "review 1 is ragged"),
        ([[1], [None]], "review 1 is object"),
        ([[1], "a text"], "review 1 is a str"),
        ([[1], 5], "review 1 is a int"),
        (["a text", [1]], "review 1 is a list, and review 0 a text; expected all alike"),
        (["good", " \n"], r"review 1 is empty: ' \\n' has no word in it"),
        ("?!", "review 0 is empty"),
        ("", "review 0 is empty"),
        (["a", "\ud800"], "review 1 is no valid Unicode text"),
        ([b"bytes"], "review 0 is a bytes"),
        (b"bytes", "the reviews are bytes"),
        (None, "the reviews are NoneType"),
        (5, "the reviews are int"),
        (np.int64(5), "the reviews are int64"),
        (np.zeros((1, 1, 1), int), r"the reviews are int64\[1, 1, 1\]"),
        ({"text": 1}, "the reviews are dict"),
    ],
)
def test_preprocess_of_wrong_input_says_what_came(inputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MODEL.preprocess(inputs, VOCABULARY)
    with pytest.raises(InputError, match=message):
        MODEL.raw_request(inputs)


def test_texts_without_a_vocabulary_are_refused() -> None:
    with pytest.raises(InputError, match="came without a vocabulary"):
        MODEL.preprocess(["a film"], None)


def test_raw_request_of_texts_is_utf8() -> None:
    name, tensors = MODEL.raw_request(["a café"])
    assert (name, tensors["text"].tolist()) == ("text", ["a café".encode()])


def test_raw_request_of_tokens_is_padded_with_zeros() -> None:
    name, tensors = MODEL.raw_request([[1, 5, 6], [7]])
    assert (name, tensors["tokens"].tolist()) == ("token_ids", [[1, 5, 6], [7, 0, 0]])
    assert tensors["tokens"].dtype == np.int32


@pytest.mark.parametrize(
    ("value", "label", "probability"),
    [(0.5, "positive", 0.5), (0.25, "negative", 0.75), (1.0, "positive", 1)],
)
def test_read_takes_half_and_more_as_positive(value: float, label: str, probability: float) -> None:
    (reading,) = MODEL.read({"probability": np.array([[value]], np.float32)})
    assert (reading.label, reading.probability) == (label, probability)
    assert reading.probabilities == {"negative": 1 - value, "positive": value}


@pytest.mark.parametrize("shape", [(2,), (2, 2), ()])
def test_read_of_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected floating \[N, 1\]"):
        MODEL.read({"probability": np.zeros(shape)})


def test_read_bytes_gives_a_review_a_line() -> None:
    assert MODEL.read_bytes("\ufeffgood film\r\n\n café\n".encode(), "it") == ["good film", " café"]


@pytest.mark.parametrize(
    ("data", "message"), [(b"a\xff", "it is no UTF-8 text: .* at byte 1"), (b" \n", "it has no review")]
)
def test_read_bytes_of_something_else_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MODEL.read_bytes(data, "it")


def test_show_gives_the_first_words() -> None:
    assert MODEL.show("good " * 30) == "good " * 24 + "..."
    assert MODEL.show([1, 4, 6, 2, 0], VOCABULARY) == "the good ?"
    assert MODEL.show([1, 4, 6]) == "1 4 6"


def contents(**changes: Any) -> dict[str, Any]:
    ranks = RaggedArray.of([np.array([1, 9_996, 9_997]), np.array([5])])
    arrays = {name: changes.get(name, ranks) for name in ("x_train", "x_test")}
    labels = {name: changes.get(name, np.array([1, 0])) for name in ("y_train", "y_test")}
    return {"imdb.npz": arrays | labels, "imdb_word_index.json": changes.get("index", {"the": 1})}


def test_dataset_read_turns_ranks_into_keras_tokens() -> None:
    splits = MODEL.dataset.read(contents())
    assert [row.tolist() for row in splits.train.inputs] == [[1, 4, 9_999, 2], [1, 8]]
    assert splits.test.labels.tolist() == [1, 0]
    assert splits.vocabulary == {"the": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_train": np.array([[1], [2]])},
            r"x_train of imdb.npz is int64\[2, 1\]; expected lists",
        ),
        ({"x_test": RaggedArray.of([np.array([0]), np.array([1])])}, "x_test of imdb.npz has the rank 0"),
        ({"y_test": np.array([1, 2])}, "row 1 of y_test is 2; expected labels in 0..1"),
        ({"y_test": np.array([1])}, "2 inputs came with 1 labels"),
        ({"index": []}, "imdb_word_index.json is list"),
        ({"index": {"the": 0}}, "gives 'the' the rank 0"),
        ({"index": {"the": "1"}}, "gives 'the' the rank '1'"),
    ],
)
def test_dataset_read_of_damaged_contents_says_what_came(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MODEL.dataset.read(contents(**changes))


def test_sample_is_the_same_for_the_same_seed() -> None:
    first, again, other = (MODEL.dataset.sample(seed).train for seed in (1, 1, 2))
    assert isinstance(first.inputs, RaggedArray)
    assert isinstance(again.inputs, RaggedArray)
    assert isinstance(other.inputs, RaggedArray)
    np.testing.assert_array_equal(first.inputs.values, again.inputs.values)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.inputs.values, other.inputs.values)


def test_sample_has_the_form_of_the_real_data() -> None:
    splits = MODEL.dataset.sample(3)
    assert splits.vocabulary is not None
    assert sorted(splits.vocabulary.values()) == list(range(1, 10_501))
    hot = MODEL.preprocess(splits.test.inputs, None)["multi_hot"]
    assert hot.shape == (500, 10_000)
    assert hot[:, words.START].all()
    shown = MODEL.show(splits.train.inputs[0], splits.vocabulary).removesuffix(" ...").split()
    assert set(shown) <= {*splits.vocabulary, "?"}
