"""MNIST: which digit is on a 28x28 grey image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from models import checks, digits, images
from models.model import (
    Array,
    Arrays,
    DataFile,
    Dataset,
    Entries,
    Examples,
    InputError,
    Inputs,
    Model,
    RaggedArray,
    Reading,
    Recipe,
    Signature,
    Splits,
    TensorSpec,
    Vocabulary,
)

if TYPE_CHECKING:
    import keras

LABELS = tuple("0123456789")
PIXELS = images.SIDE**2
DATA = "mnist.npz"


def preprocess(inputs: Inputs, vocabulary: Vocabulary | None = None) -> dict[str, Array]:  # noqa: ARG001
    """Turn images into `pixels` float32 [N, 784]: grey value / 255, row by row."""
    checked = _checked(inputs)
    pixels = checked.astype(np.float32)
    pixels /= images.WHITE  # in place: 60,000 images are 188 MB
    return {"pixels": pixels.reshape(len(checked), PIXELS)}


def raw_request(inputs: Inputs) -> tuple[str, dict[str, Array]]:
    """Return the signature `uint8_images` and its `image` uint8 [N, 28, 28]."""
    return "uint8_images", {"image": images.whole_greys(_checked(inputs))}


def is_one(inputs: Any) -> bool:
    """Tell whether this is one image and not several."""
    return isinstance(inputs, np.ndarray) and inputs.ndim == 2  # noqa: PLR2004


def read(outputs: Arrays) -> list[Reading]:
    """Read `probabilities` [N, 10]."""
    rows = checks.output(outputs, "probabilities", len(LABELS))
    best = rows.argmax(axis=1)
    return [
        Reading(LABELS[top], row[top], dict(zip(LABELS, row, strict=True)))
        for top, row in zip(best.tolist(), rows.tolist(), strict=True)
    ]


def show(instance: Any, vocabulary: Vocabulary | None = None) -> str:  # noqa: ARG001
    """Draw an image as text."""
    return images.text_art(instance)


def build(hidden: tuple[int, ...]) -> keras.Model:
    """Build the network: `pixels` float32 [N, 784] → probabilities float32 [N, 10]."""
    import keras

    from models.network import dense

    entry = keras.Input(shape=(PIXELS,), dtype="float32", name="pixels")
    return dense(entry, hidden, outputs=("probabilities", len(LABELS)), activation="softmax")


def signatures(network: keras.Model, vocabulary: Vocabulary | None = None) -> Entries:  # noqa: ARG001
    """Make `image_bytes` and `uint8_images`, which do the preprocessing in the graph.

    A picture of `image_bytes` that is not 28x28 is scaled to it as it is: nothing is cut, moved or inverted.
    """
    import tensorflow as tf

    side = images.SIDE

    def answer(grey: Any) -> dict[str, Any]:
        return {"probabilities": network(tf.reshape(tf.cast(grey, tf.float32) / 255.0, [-1, PIXELS]))}

    def decode(data: Any) -> Any:
        # Takes PNG as well; the weights of the colours are those of Pillow's conversion to grey, to the bit.
        colours = tf.cast(tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"), tf.int32)
        weighted = tf.reduce_sum(colours * [19595, 38470, 7471], axis=-1, keepdims=True)
        grey = tf.bitwise.right_shift(weighted + 0x8000, 16)
        sized = tf.cast(tf.round(tf.image.resize(grey, [side, side], method="area")), tf.uint8)
        return tf.ensure_shape(sized[:, :, 0], [side, side])

    def decode_all(data: Any) -> Any:
        return tf.map_fn(decode, data, fn_output_signature=tf.TensorSpec([side, side], tf.uint8))

    functions = {
        "image_bytes": tf.function(
            lambda data: answer(decode_all(data)),
            input_signature=[tf.TensorSpec([None], tf.string, name="image")],
        ),
        "uint8_images": tf.function(
            answer, input_signature=[tf.TensorSpec([None, side, side], tf.uint8, name="image")]
        ),
    }
    return Entries(functions)


def read_dataset(contents: Mapping[str, Any]) -> Splits:
    """Check the arrays of mnist.npz: x_* uint8 [N, 28, 28], y_* whole numbers 0..9 [N]."""
    return Splits(train=_examples(contents, "train"), test=_examples(contents, "test"))


def _checked(inputs: Inputs) -> Array:
    if isinstance(inputs, RaggedArray):
        raise InputError(f"the images are ragged; {images.EXPECTED}")
    return images.check(inputs)


def _examples(contents: Mapping[str, Any], split: str) -> Examples:
    pixels = checks.member(contents, DATA, f"x_{split}")
    if isinstance(pixels, RaggedArray) or pixels.dtype != np.uint8 or pixels.ndim != 3:  # noqa: PLR2004
        raise InputError(f"x_{split} of {DATA} is {checks.describe(pixels)}; expected uint8 [N, 28, 28]")
    return Examples(images.check(pixels), checks.labels(contents, DATA, f"y_{split}", len(LABELS)))


MODEL = Model(
    name="mnist",
    title="MNIST: handwritten digits",
    labels=LABELS,
    signature_specs={
        "serving_default": Signature(
            inputs=(TensorSpec("pixels", "float32", (None, PIXELS)),),
            outputs=(TensorSpec("probabilities", "float32", (None, len(LABELS))),),
        ),
        "image_bytes": Signature(
            inputs=(TensorSpec("image", "string", (None,)),),
            outputs=(TensorSpec("probabilities", "float32", (None, len(LABELS))),),
        ),
        "uint8_images": Signature(
            inputs=(TensorSpec("image", "uint8", (None, images.SIDE, images.SIDE)),),
            outputs=(TensorSpec("probabilities", "float32", (None, len(LABELS))),),
        ),
    },
    preprocess=preprocess,
    raw_request=raw_request,
    is_one=is_one,
    read=read,
    read_argument=images.read_file,
    read_bytes=images.decode,
    show=show,
    dataset=Dataset(
        files=(
            DataFile(
                name=DATA,
                url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
                checksum="sha256:731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
            ),
        ),
        read=read_dataset,
        sample=digits.sample,
    ),
    recipe=Recipe(
        hidden=(512,),
        loss="sparse_categorical_crossentropy",
        optimizer="rmsprop",
        epochs=5,
        batch_size=128,
        min_accuracy=0.97,
        sample_min_accuracy=0.7,
    ),
    source_accuracy=0.9785,
    build=build,
    signatures=signatures,
)
