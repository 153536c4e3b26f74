"""What a report shows of the surest mistakes."""

import io

import numpy as np
import pytest
from PIL import Image

from models.model import Examples, RaggedArray, Splits
from training.report import exhibits
from training.report.exhibits import Picture, Text, Value, Word, exhibit
from training.report.measures import predictions
from training.report.mistakes import most_confident, show
from training.report.word_weights import BATCH_SIZE, word_weights


def splits_of(inputs: object, vocabulary: dict[str, int] | None = None) -> Splits:
    examples = Examples(inputs, np.zeros(len(inputs), np.int64))  # type: ignore[arg-type]
    return Splits(examples, examples, vocabulary)


def unused(_: RaggedArray) -> np.ndarray:
    raise AssertionError("only texts are asked about")


class Bag:
    """A network that adds up the log-odds of the tokens that occur, and remembers its batches."""

    def __init__(self, **log_odds: float) -> None:
        self.log_odds = {int(token[1:]): value for token, value in log_odds.items()}
        self.batches: list[int] = []

    def __call__(self, rows: RaggedArray) -> np.ndarray:
        self.batches.append(len(rows))
        sums = [
            sum(self.log_odds.get(token, 0) for token in set(rows[row].tolist())) for row in range(len(rows))
        ]
        second = 1 / (1 + np.exp(-np.array(sums)))
        return np.stack([1 - second, second], axis=1)


def test_mistakes_come_with_the_surest_first_and_equal_ones_in_order() -> None:
    outputs = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]])
    predicted = predictions(outputs, np.array([1, 1, 1, 0, 1]))
    assert most_confident(predicted, 10) == [1, 3, 4, 0]
    assert most_confident(predicted, 2) == [1, 3]


def test_mistake_tells_both_labels_and_their_probabilities() -> None:
    predicted = predictions(np.array([[0.7, 0.2, 0.1]]), np.array([2]))
    (mistake,) = show(("a", "b", "c"), predicted, splits_of(np.array([[1.5, 2]])), unused)
    assert (mistake.truth, mistake.found) == ("c", "a")
    assert (mistake.confidence, mistake.truth_probability) == pytest.approx((0.7, 0.1))
    assert mistake.exhibit == Value("[1.5, 2. ]")


def test_weight_of_a_word_is_what_it_adds_to_the_log_odds() -> None:
    tokens = np.array([1, 5, 7, 5, 9, 0, 0])
    weights = word_weights(tokens, 1, Bag(_5=2.0, _7=-0.5))
    assert weights == pytest.approx({5: 2.0, 7: -0.5, 9: 0.0})
    assert word_weights(tokens, 0, Bag(_5=2.0, _7=-0.5)) == pytest.approx({5: -2.0, 7: 0.5, 9: 0.0})


def test_words_are_left_out_in_batches() -> None:
    bag = Bag()
    assert len(word_weights(np.arange(3, 3 + BATCH_SIZE + 10), 0, bag)) == BATCH_SIZE + 10
    assert bag.batches == [1, BATCH_SIZE, 10]


def test_only_word_of_a_text_weighs_nothing_as_nothing_would_be_left_to_ask_about() -> None:
    assert word_weights(np.array([5, 5, 0]), 1, Bag(_5=2.0)) == {5: 0.0}


def test_text_is_decoded_with_the_weights_of_its_words() -> None:
    splits = splits_of(RaggedArray.of([np.array([1, 4, 5, 2], np.int32)]), {"dull": 1, "film": 2})
    shown = exhibit(splits, 0, 1, Bag(_4=1.0))
    assert isinstance(shown, Text)
    assert [word.text for word in shown.words] == ["dull", "film", "?"]
    assert shown.heaviest[0] == shown.words[0]
    assert shown.words[0].weight == pytest.approx(1.0)


def test_excerpt_is_the_stretch_with_the_words_that_decide() -> None:
    light = [Word(f"w{place}", 0.01) for place in range(300)]
    light[200:202] = [Word("awful", 3.0), Word("great", -2.0)]
    shown = exhibits.excerpt(tuple(light), size=20)
    assert {"awful", "great"} <= {word.text for word in shown.words}
    assert (len(shown.words), shown.length) == (20, 300)
    assert shown.words[0] == light[shown.first]
    assert [word.text for word in shown.heaviest[:2]] == ["awful", "great"]


def test_picture_is_the_image_itself_as_png() -> None:
    images = np.zeros((1, 28, 28), np.uint8)
    images[0, 3, 4] = 200
    shown = exhibit(splits_of(images), 0, 0, unused)
    assert isinstance(shown, Picture)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown.png))), images[0])
    assert shown.dark


def test_large_picture_in_colours_is_scaled_down() -> None:
    images = np.full((1, 300, 600, 3), 220, np.uint8)
    shown = exhibit(splits_of(images), 0, 0, unused)
    assert isinstance(shown, Picture)
    assert (shown.width, shown.height, shown.dark) == (96, 48, False)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (np.array([[1.25, -2]], np.float32), "[ 1.25, -2. ]"),
        (RaggedArray.of([np.array([1, 5, 7])]), "[1, 5, 7]"),
        (np.array(["a\n b"], object), "a b"),
    ],
)
def test_other_input_is_one_line(inputs: object, text: str) -> None:
    assert exhibit(splits_of(inputs), 0, 0, unused) == Value(text)


def test_input_of_many_values_is_cut() -> None:
    shown = exhibit(splits_of(np.ones((1, 100, 100))), 0, 0, unused)
    assert isinstance(shown, Value)
    assert len(shown.text) <= exhibits.LONGEST_VALUE
