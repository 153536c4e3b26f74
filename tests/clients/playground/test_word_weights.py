"""A review is cut as its tokens are, and a word weighs what the log-odds lose without it."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clients.playground import word_weights
from models import words

TEXTS = st.text(st.characters(codec="utf-8"))


@given(TEXTS)
@example("It's GOOD,good <br />Ünïcode\x1ffilm\t!")
def test_pieces_are_the_review_and_its_words_are_those_that_the_model_sees(review: str) -> None:
    parts = word_weights.pieces(review)
    assert "".join(part.text for part in parts) == review
    assert [part.key for part in parts if part.key is not None] == words.split(review)


def test_word_is_left_out_everywhere_whatever_its_capitals() -> None:
    parts = word_weights.pieces("Good, very good film. GOOD!")
    assert word_weights.different(parts) == [b"good", b"very", b"film"]
    assert words.split(word_weights.without(parts, b"good")) == [b"very", b"film"]


def test_weight_is_the_loss_of_log_odds() -> None:
    found = word_weights.weights([b"good", b"the", b"bad"], 0.8, [0.5, 0.8, 0.9])
    assert found[b"good"] == pytest.approx(math.log(4))
    assert found[b"the"] == 0
    assert found[b"bad"] == pytest.approx(math.log(4) - math.log(9))


def test_weight_is_finite_where_float32_rounds_to_certainty() -> None:
    (weight,) = word_weights.weights([b"good"], 1.0, [0.0]).values()
    assert math.isfinite(weight)
    assert weight > 30
