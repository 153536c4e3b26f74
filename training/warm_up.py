"""Warm-up requests: what a server runs when it loads a version, before it answers anyone.

TensorFlow Serving replays `assets.extra/tf_serving_warmup_requests`, a TFRecord file of PredictionLog
messages, and refuses the version if one of them fails; so each is tried here before it is published.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models import words
from models.model import Array, Inputs, Model, RaggedArray, Splits, Vocabulary
from wire import messages, tensors

FILE = "tf_serving_warmup_requests"
BATCH_SIZES = (1, 4, 16)

Request = tuple[str, Mapping[str, Array]]
"""A signature's name and the tensors that it is asked with."""
Answer = tuple[str, Mapping[str, Array]]
"""A signature's name and the tensors that it answered."""


def write(path: Path, model: Model, entries: Mapping[str, Any], splits: Splits) -> list[Answer]:
    """Write requests of several sizes, from the test split, and return the answers to them, in order.

    `entries` are the functions that are saved, by name: they answer from the network in memory. Raises
    tf.errors.OpError where one refuses a request.
    """
    answers: list[Answer] = []
    with tf.io.TFRecordWriter(str(path)) as writer:
        for size in BATCH_SIZES:
            for signature, tensors_ in requests(model, splits.test.inputs[:size], splits.vocabulary):
                if signature in entries:
                    outputs = entries[signature](
                        *(tf.constant(tensors_[spec.name]) for spec in _inputs(model, signature))
                    )
                    answers.append((signature, {name: value.numpy() for name, value in outputs.items()}))
                    writer.write(prediction_log(model.name, signature, tensors_).SerializeToString())
    return answers


def requests(model: Model, inputs: Inputs, vocabulary: Vocabulary | None) -> Iterator[Request]:
    """Ask about raw inputs in every way there is: preprocessed, as they are, and in the bytes of a file."""
    yield "serving_default", model.preprocess(inputs, vocabulary)
    known = {"serving_default"}
    for signature, request in (model.raw_request(form) for form in _forms(inputs, vocabulary)):
        known.add(signature)
        yield signature, request
    encoded = _encoded(inputs)
    for signature in model.signature_specs.keys() - known:
        specs = _inputs(model, signature)
        if encoded is not None and [spec.dtype for spec in specs] == ["string"]:
            yield signature, {specs[0].name: encoded}


def prediction_log(name: str, signature: str, inputs: Mapping[str, Array]) -> messages.PredictionLog:
    """Return the record that replays one Predict request."""
    log = messages.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, array in inputs.items():
        tensors.fill(request.inputs[key], array, as_content=True)
    return log


def _inputs(model: Model, signature: str) -> tuple[Any, ...]:
    return model.signature_specs[signature].inputs


def _forms(inputs: Inputs, vocabulary: Vocabulary | None) -> Iterator[Inputs]:
    """Give raw inputs as they are, and reviews of token ids as texts too."""
    yield inputs
    if isinstance(inputs, RaggedArray) and vocabulary is not None:
        texts = [" ".join(words.decode(inputs[row], vocabulary)) for row in range(len(inputs))]
        if with_words := [text for text in texts if words.split(text)]:
            yield with_words


def _encoded(inputs: Inputs) -> Array | None:
    """Return images as PNG files, object [N] of bytes; None where the inputs are no images."""
    if not (isinstance(inputs, np.ndarray) and inputs.dtype == np.uint8 and inputs.ndim in (3, 4)):
        return None
    from PIL import Image

    files = np.empty(len(inputs), np.object_)
    for row, image in enumerate(inputs):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "png")
        files[row] = stream.getvalue()
    return files
