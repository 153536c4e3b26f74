"""The tokeniser of batch jobs finds the words that `models.words` finds, and their tokens."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import words
from models.imdb import MODEL
from models.model import InputError
from models.tokenizer import Numbers, tokenizer

LENGTHS = {"x" * length: length for length in range(1, 21)}
VOCABULARY = {
    **LENGTHS,
    **{f"sixteen'bytes{number:03}": number + 30 for number in range(9_000)},
    "don't": 9_040, "café": 9_041, "same": 9_042, "rank": 9_042, "rare": 9_997, "last": 9_996, "\0": 9_050,
}  # fmt: skip
NULS = ["x\0", "x" * 8 + "\0", "\0" * 8, "\0" * 16]
OTHERS = [
    "DON'T",
    "don't",
    "Café",
    "É",
    "same",
    "rank",
    "rare",
    "last",
    "sixteen'bytes123",
    "sixteen'bytes1234",
]
PARTS = st.sampled_from([*LENGTHS, *NULS, *OTHERS, "<br />", "\u00a0", "\x85", "\t", "?"])
FIND = tokenizer(VOCABULARY)
TEXTS = st.one_of(st.text(max_size=60), st.lists(PARTS, max_size=12).map(" ".join))


def in_order(rows: Numbers, tokens: Numbers) -> tuple[Numbers, Numbers]:
    order = np.lexsort((tokens, rows))
    return rows[order], tokens[order]


@given(st.lists(TEXTS.filter(words.split), min_size=1, max_size=6))
def test_tokens_are_those_of_the_rule(texts: list[str]) -> None:
    expected = words.occurrences(words.encode(texts, VOCABULARY))
    np.testing.assert_array_equal(in_order(*FIND(texts)), expected)


def test_every_word_of_a_vocabulary_is_known() -> None:
    texts = [f"{word} {word.upper() if word.isascii() else word}" for word in VOCABULARY]
    _, tokens = in_order(*FIND(texts))
    ranks = np.array([*VOCABULARY.values()])
    expected = np.where(ranks + words.OFFSET < words.DICTIONARY, ranks + words.OFFSET, words.UNKNOWN)
    np.testing.assert_array_equal(tokens.reshape(-1, 2)[:, 1], expected)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["good", " \n"], r"review 1 is empty: ' \\n' has no word in it"),
        (["", "good"], "review 0 is empty: '' has no word in it"),
        (["?!"], "review 0 is empty"),
        (["a", "\ud800"], "review 1 is no valid Unicode text"),
        (["a", b"b"], "review 1 is a bytes"),
    ],
)
def test_texts_without_words_are_refused(texts: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FIND(texts)


@pytest.mark.parametrize("vocabulary", [VOCABULARY, None])
@pytest.mark.parametrize("hidden", [(16, 16), ()])
def test_the_function_for_batch_jobs_gives_the_answers_of_the_dense_network(
    vocabulary: Mapping[str, int] | None, hidden: tuple[int, ...]
) -> None:
    keras.utils.set_random_seed(3)
    network = MODEL.build(hidden)
    assert MODEL.signatures is not None
    assert MODEL.bulk_request is not None
    bulk, request = MODEL.signatures(network, vocabulary).bulk, MODEL.bulk_request(vocabulary)
    rows: list[Any] = [[1, 5, 5, 9_999], [0, 7, 0, 7], [2]]
    texts = ["x xx don't don't", "same café"] if vocabulary else []
    for inputs in filter(len, (rows, words.padded(words.reviews(rows)), texts)):  # type: ignore[arg-type]
        expected = network(MODEL.preprocess(inputs, vocabulary)["multi_hot"]).numpy()
        np.testing.assert_allclose(bulk(*request(inputs))["probability"], expected, atol=1e-6)


def test_texts_for_batch_jobs_need_the_vocabulary() -> None:
    assert MODEL.bulk_request is not None
    with pytest.raises(InputError, match="came without a vocabulary"):
        MODEL.bulk_request(None)(["a film"])
