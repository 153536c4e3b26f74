"""What the page is told: a server's answers about a drawing and a review, as JSON documents."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from clients.client import Client
from clients.errors import Refused
from clients.playground import code, word_weights
from clients.results import Prediction
from models import catalogue, images
from models.model import InputError
from wire.errors import Code

DIGITS, REVIEWS = "mnist", "imdb"
MODELS = (DIGITS, REVIEWS)
POSITIVE = "positive"
LONGEST = 20_000
"""Characters of a review."""
MOST_WORDS = 400
"""Of a long review only so many different words are left out, the first ones."""
MAX_PIXELS = 4_000_000
"""Of a drawing: the page sends 280x280."""


def status(client: Client) -> dict[str, Any]:
    """The versions of both models, the newest first; none where the server has no such model."""
    return {"models": {model: _versions(client, model) for model in MODELS}}


def digit(
    servers: Mapping[str, Client], protocol: str, picture: bytes, version: int | None
) -> dict[str, Any]:
    """Ask which digit a PNG or JPEG picture shows; `pixels` are the 784 grey values that the model sees."""
    image = images.decode(picture, "the drawing", max_pixels=MAX_PIXELS)
    if image.ndim != 2:  # noqa: PLR2004
        raise InputError(f"the drawing is an array of {len(image)} images; expected one PNG or JPEG picture")
    start = time.perf_counter()
    (answer,) = servers[protocol].predict_many(DIGITS, image[np.newaxis], version=version)
    return {
        **_document(answer, start),
        "rows": 1,
        "pixels": image.ravel().tolist(),
        "code": {
            "curl": code.curl(servers, DIGITS, image[np.newaxis], version),
            "python": code.python(servers[protocol], DIGITS, code.of_picture(image), version),
        },
    }


def review(servers: Mapping[str, Client], protocol: str, text: str, version: int | None) -> dict[str, Any]:
    """Ask for a review's sentiment with all its words, and with each of them left out, in one batch.

    `pieces` are the review cut into words and what is between them, with each word's weight: what it adds to
    the log-odds of "positive", or null for what is no word and for words beyond the first `MOST_WORDS`.
    """
    if len(text) > LONGEST:
        raise InputError(f"the review has {len(text):,} characters; expected up to {LONGEST:,}")
    parts = word_weights.pieces(text)
    different = word_weights.different(parts)
    # What is left of a review of one word is no review.
    asked = different[:MOST_WORDS] if len(different) > 1 else []
    rows = [text, *(word_weights.without(parts, key) for key in asked)]
    start = time.perf_counter()
    answers = servers[protocol].predict_many(REVIEWS, rows, version=version)
    document = _document(answers[0], start)
    whole, *left_out = (answer.probabilities[POSITIVE] for answer in answers)
    weights = word_weights.weights(asked, whole, left_out)
    return {
        **document,
        "rows": len(rows),
        "words": len(different),
        "weighed": len(asked),
        "pieces": [[part.text, None if part.key is None else weights.get(part.key)] for part in parts],
        "code": {
            "curl": code.curl(servers, REVIEWS, [text], version),
            "python": code.python(servers[protocol], REVIEWS, code.of_text(text), version),
        },
    }


def limits() -> dict[str, int]:
    """What a review may be."""
    return {"characters": LONGEST, "words": MOST_WORDS}


def labels() -> dict[str, tuple[str, ...]]:
    """The labels of each model."""
    return {model: catalogue.find(model).labels for model in MODELS}


def _versions(client: Client, model: str) -> list[dict[str, Any]]:
    try:
        found = client.status(model)
    except Refused as error:
        if error.code is Code.NOT_FOUND:
            return []
        raise
    return [{"version": one.version, "state": one.state} for one in found]


def _document(answer: Prediction, start: float) -> dict[str, Any]:
    return {
        "label": answer.label,
        "probability": answer.probability,
        "probabilities": dict(answer.probabilities),
        "version": answer.version,
        "milliseconds": (time.perf_counter() - start) * 1e3,
    }
