from typing import Any

import numpy as np
import pytest

from models.mnist import MODEL
from models.model import InputError, RaggedArray


def image(value: float = 0, dtype: str = "uint8") -> np.ndarray:
    return np.full((28, 28), value, dtype)


def with_value(value: float) -> np.ndarray:
    """Three floating images, of which the one in row 1 has that value somewhere."""
    images = np.full((3, 28, 28), 7, np.float32)
    images[1, 3, 5] = value
    return images


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (4, 28, 28), dtype=np.uint8)


def test_preprocess_divides_by_255_row_by_row(rows: np.ndarray) -> None:
    pixels = MODEL.preprocess(rows, None)["pixels"]
    assert (pixels.dtype, pixels.shape) == (np.float32, (4, 784))
    np.testing.assert_allclose(pixels[2, 28 * 3 + 5], rows[2, 3, 5] / 255, rtol=1e-6)
    assert MODEL.preprocess(image(255), None)["pixels"].max() == 1


@pytest.mark.parametrize("form", [list, tuple, lambda rows: rows.astype(np.float64), np.asfortranarray])
def test_preprocess_takes_other_forms_of_the_same_images(rows: np.ndarray, form: Any) -> None:
    expected = MODEL.preprocess(rows, None)["pixels"]
    np.testing.assert_array_equal(MODEL.preprocess(form(rows), None)["pixels"], expected)


def test_one_image_alone_is_a_batch_of_one(rows: np.ndarray) -> None:
    assert MODEL.is_one(rows[0])
    assert not MODEL.is_one(rows)
    assert not MODEL.is_one([rows[0]])
    assert MODEL.preprocess(rows[0], None)["pixels"].shape == (1, 784)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            np.zeros((28, 27), np.uint8),
            r"the images are uint8\[1, 28, 27\]; expected images of grey values",
        ),
        (np.zeros((2, 28, 28, 1), np.uint8), r"uint8\[2, 28, 28, 1\]"),
        (np.zeros(784, np.uint8), r"uint8\[784\]"),
        (np.uint8(3), "uint8"),
        (np.zeros((0, 28, 28), np.uint8), "the batch is empty"),
        ([], "the batch is empty"),
        (image(1, "int64"), r"the images are int64\[1, 28, 28\]"),
        (image(1, "bool"), "bool"),
        (image(1, "complex64"), "complex64"),
        (np.full((28, 28), None), "object"),
        ([image(), None], "image 1 is a NoneType"),
        ([image(), image()[:5]], r"image 1 is uint8\[5, 28\], and image 0 uint8\[28, 28\]"),
        ([image(), image(2, "float32")], r"image 1 is float32\[28, 28\]"),
        ([[0] * 28] * 28, "image 0 is a list"),
        ("digit.png", "the images are a str"),
        (None, "the images are a NoneType"),
        (RaggedArray.of([np.array([1])]), "the images are ragged"),
        (with_value(np.nan), "image 1 has a value that is not a finite number"),
        (with_value(np.inf), "image 1 has a value that is not a finite number"),
        (with_value(-1), "image 1 has values from -1 to 7"),
        (with_value(256), "image 1 has values from 7 to 256"),
        ([image(9.0, "f4"), image(0.5, "f4")], "image 1 has values in 0..1, as if divided by 255 already"),
    ],
)
def test_preprocess_of_wrong_input_says_what_came(inputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MODEL.preprocess(inputs, None)
    with pytest.raises(InputError, match=message):
        MODEL.raw_request(inputs)


def test_raw_request_gives_the_images_as_they_are(rows: np.ndarray) -> None:
    name, tensors = MODEL.raw_request(rows.astype(np.float32))
    assert name == "uint8_images"
    np.testing.assert_array_equal(tensors["image"], rows)
    assert tensors["image"].dtype == np.uint8


def test_raw_request_with_fractions_is_refused() -> None:
    with pytest.raises(InputError, match="image 1 has grey values that are not whole"):
        MODEL.raw_request(with_value(3.5))


def test_read_gives_the_most_probable_digit() -> None:
    probabilities = np.full((2, 10), 0.05, np.float32)
    probabilities[0, 3] = probabilities[1, 9] = 0.55
    first, second = MODEL.read({"probabilities": probabilities})
    assert (first.label, second.label) == ("3", "9")
    assert first.probability == first.probabilities["3"] == pytest.approx(0.55)
    assert list(first.probabilities) == list("0123456789")


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "the outputs are none; expected probabilities"),
        ({"scores": np.zeros((1, 10))}, "the outputs are scores; expected probabilities"),
        ({"probabilities": np.zeros((1, 9))}, r"float64\[1, 9\]; expected floating \[N, 10\]"),
        ({"probabilities": np.zeros(10)}, r"float64\[10\]"),
        ({"probabilities": np.zeros((1, 10), int)}, "int64"),
        ({"probabilities": np.full((1, 10), np.nan)}, "row 0 of probabilities"),
        ({"probabilities": np.full((1, 10), 1.5)}, "expected probabilities in 0..1"),
    ],
)
def test_read_of_wrong_outputs_says_what_came(outputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MODEL.read(outputs)


def contents(**changes: Any) -> dict[str, Any]:
    arrays: dict[str, Any] = {
        "x_train": np.zeros((3, 28, 28), np.uint8),
        "y_train": np.array([0, 9, 5], np.uint8),
        "x_test": np.ones((2, 28, 28), np.uint8),
        "y_test": np.array([1, 2], np.uint8),
    }
    arrays.update(changes)
    return {"mnist.npz": {name: array for name, array in arrays.items() if array is not None}}


def test_dataset_read_gives_the_splits() -> None:
    splits = MODEL.dataset.read(contents())
    assert splits.train.labels.tolist() == [0, 9, 5]
    assert splits.train.labels.dtype == np.int64
    assert len(splits.test) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None}, "mnist.npz has the arrays x_train, y_test, y_train; expected x_test"),
        ({"x_train": np.zeros((3, 784), np.uint8)}, r"x_train of mnist.npz is uint8\[3, 784\]"),
        ({"x_train": np.zeros((3, 28, 28), np.float32)}, r"x_train of mnist.npz is float32"),
        ({"x_train": np.zeros((0, 28, 28), np.uint8)}, "expected an array with something in it"),
        ({"y_train": np.array([0, 10, 5])}, r"row 1 of y_train is 10; expected labels in 0..9"),
        ({"y_train": np.array([0.0, 1, 5])}, "y_train of mnist.npz is float64"),
        ({"y_train": np.array([0, 1])}, "3 inputs came with 2 labels"),
    ],
)
def test_dataset_read_of_damaged_contents_says_what_came(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MODEL.dataset.read(contents(**changes))


def test_dataset_read_without_its_file_says_so() -> None:
    with pytest.raises(InputError, match=r"no arrays of mnist\.npz"):
        MODEL.dataset.read({})


def test_sample_is_the_same_for_the_same_seed() -> None:
    first, again, other = (MODEL.dataset.sample(seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)
    np.testing.assert_array_equal(first.test.labels, again.test.labels)
    assert (first.train.inputs != other.train.inputs).any()


def test_sample_has_the_form_of_the_real_data() -> None:
    splits = MODEL.dataset.sample(3)
    arrays = {"x_train": splits.train.inputs, "y_train": splits.train.labels}
    read = MODEL.dataset.read(contents(**arrays))
    assert (len(splits.train), len(splits.test)) == (2000, 500)
    assert np.bincount(read.train.labels).tolist() == [200] * 10


def test_show_draws_the_digit() -> None:
    lines = MODEL.show(MODEL.dataset.sample(1).train.inputs[0]).split("\n")
    assert len(lines) == 14
    assert max(map(len, lines)) <= 28
    assert any("#" in line for line in lines)
