"""Raw inputs to a model of the catalogue: in which form they go to the server, and what the answer means."""

import math
from dataclasses import replace

import numpy as np

from clients import batches, peer, signatures
from clients.errors import Refused, UnexpectedAnswer
from clients.exchange import SERVING_DEFAULT, Flow, ModelSpec
from clients.peer import Peer
from clients.raw_inputs import has_text
from clients.results import Outputs, Prediction, Predictions
from models.model import Arrays, InputError, Inputs, Model, Vocabulary
from wire.errors import Code

WORTH_ASKING = 16 << 10
"""From how many bytes a row of `serving_default` on it is worth asking whether the server takes less."""


def predict_rows(
    server: Peer, spec: ModelSpec, model: Model, rows: Inputs, vocabulary: Vocabulary | None = None
) -> Flow[Predictions]:
    """Send raw inputs, preprocessed here or by the server, and read the answer.

    Where the form was chosen by what the server told earlier, and it refuses, it is asked anew, once.
    """
    told_earlier = server.remembered(spec) is not None
    name, arrays = yield from _request(server, spec, model, rows, vocabulary)
    try:
        return (yield from _send(server, replace(spec, signature=name), model, arrays))
    except Refused:
        if spec.signature is not None or name == SERVING_DEFAULT or not told_earlier:
            raise
        now, arrays = yield from _request(server, spec, model, rows, vocabulary)
        if now == name:
            raise
    return (yield from _send(server, replace(spec, signature=now), model, arrays))


def _request(
    server: Peer, spec: ModelSpec, model: Model, rows: Inputs, vocabulary: Vocabulary | None
) -> Flow[tuple[str, Arrays]]:
    """Choose the signature and make its tensors.

    Every server takes preprocessed tensors (`serving_default`). What is much smaller goes as it is where the
    server takes that, and so do texts, because the server has the vocabulary of its weights.
    """
    text = has_text(rows)
    large = _row_bytes(model) >= WORTH_ASKING
    if spec.signature == SERVING_DEFAULT or not (spec.signature or text or large):
        return SERVING_DEFAULT, model.preprocess(rows, vocabulary)
    name, arrays = model.raw_request(rows)
    if name == spec.signature:
        return name, arrays
    if spec.signature is not None:
        raise InputError(
            f"these inputs of {model.name} go to the signature {SERVING_DEFAULT} or {name}; "
            f"{spec.signature} was asked for"
        )
    if text and vocabulary is None:
        return (yield from _text_request(server, spec, name, arrays))
    smaller = text or sum(array.nbytes for array in arrays.values()) < _row_bytes(model) * _rows(arrays)
    if smaller and (yield from _is_served(server, spec, name)):
        return name, arrays
    return SERVING_DEFAULT, model.preprocess(rows, vocabulary)


def _text_request(server: Peer, spec: ModelSpec, name: str, arrays: Arrays) -> Flow[tuple[str, Arrays]]:
    told = yield from peer.served(server, spec)
    if name in told.signatures:
        return name, arrays
    raise InputError(
        f"{spec} on this server takes no text: it has the signatures {', '.join(told.signatures)} and not "
        f"{name}; send token ids, or give the vocabulary"
    )


def _is_served(server: Peer, spec: ModelSpec, name: str) -> Flow[bool]:
    """Whether the server has the signature; no, where it does not tell."""
    try:
        told = yield from peer.served(server, spec)
    except (Refused, UnexpectedAnswer):
        return False
    return name in told.signatures


def _send(server: Peer, spec: ModelSpec, model: Model, arrays: Arrays) -> Flow[Predictions]:
    signature = signatures.declared(model.signature_specs[spec.signature or SERVING_DEFAULT])
    slices = batches.cuts(arrays, server.batching, server.encoding.GROWTH)
    answers = yield from peer.send(server, spec, arrays, signature, slices)
    predictions = Predictions()
    for rows, answer in zip(slices, answers, strict=True):
        predictions += _read(spec, model, answer, len(range(*rows.indices(_rows(arrays)))))
    return predictions


def _read(spec: ModelSpec, model: Model, outputs: Outputs, count: int) -> list[Prediction]:
    try:
        readings = model.read(outputs.arrays)
    except InputError as error:
        raise _not_the_model(spec, str(error)) from error
    if len(readings) != count:
        raise _not_the_model(spec, f"{len(readings)} rows came for {count} inputs")
    return [
        Prediction(reading.label, reading.probability, reading.probabilities, model.name, outputs.version)
        for reading in readings
    ]


def _rows(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))


def _row_bytes(model: Model) -> int:
    """The bytes of one row of the tensors of `serving_default`; 0 where they are not of a fixed size."""
    total = 0
    for spec in model.signature_specs[SERVING_DEFAULT].inputs:
        sizes = [size for size in spec.shape[1:] if size is not None]
        if spec.dtype == "string" or len(sizes) + 1 < len(spec.shape):
            return 0
        total += math.prod(sizes) * np.dtype(spec.dtype).itemsize
    return total


def _not_the_model(spec: ModelSpec, reason: str) -> UnexpectedAnswer:
    message = f"the server's answer is not one of the model {spec.name}: {reason}; is it another model there?"
    return UnexpectedAnswer(message, Code.UNKNOWN)
