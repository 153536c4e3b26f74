"""What a client asks a server, in which order: flows of exchanges that know no connection.

Raw inputs are read, checked and preprocessed here, with the description of their model; a model of the
catalogue needs nothing in this package.
"""

import os
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from clients import signatures
from clients.errors import Refused, UnexpectedAnswer
from clients.exchange import SERVING_DEFAULT, Encoding, Flow, ModelSpec
from clients.results import Metadata, Outputs, Prediction, SignatureInfo, VersionStatus
from models import catalogue
from models.model import Array, Arrays, InputError, Inputs, Model, RaggedArray, Vocabulary
from wire.errors import Code, StatusError


@dataclass(frozen=True)
class Peer:
    """The server as a flow sees it: its protocol, and the metadata that it has told, by model and version."""

    encoding: Encoding
    known: MutableMapping[ModelSpec, Metadata] = field(default_factory=dict)


def predict(peer: Peer, spec: ModelSpec, inputs: Any, vocabulary: Vocabulary | None) -> Flow[Any]:
    """Predict: tensors by name give tensors by name, anything else is raw input and gives predictions."""
    if isinstance(inputs, Mapping):
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        return dict((yield from predict_tensors(peer, spec, arrays)).arrays)
    model = catalogue.find(spec.name)
    rows = read_inputs(model, inputs)
    predictions = yield from predict_rows(peer, spec, model, rows, vocabulary)
    return predictions[0] if model.is_one(rows) else predictions


def predict_tensors(peer: Peer, spec: ModelSpec, arrays: Arrays) -> Flow[Outputs]:
    """Send tensors to a signature of any model."""
    signature = None
    if not peer.encoding.NAMES_OUTPUTS:
        signature = yield from _served_signature(peer, spec)
    return (yield from _send(peer, spec, arrays, signature))


def predict_rows(
    peer: Peer,
    spec: ModelSpec,
    model: Model,
    rows: Inputs,
    vocabulary: Vocabulary | None = None,
) -> Flow[list[Prediction]]:
    """Send raw inputs to a model of the catalogue, preprocessed here or by the server; read the answer."""
    name, arrays = yield from _request(peer, spec, model, rows, vocabulary)
    signature = signatures.declared(model.signature_specs[name])
    outputs = yield from _send(peer, replace(spec, signature=name), arrays, signature)
    count = len(next(iter(arrays.values())))
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


def status(peer: Peer, spec: ModelSpec) -> Flow[list[VersionStatus]]:
    """Ask for the states of a model's versions."""
    statuses: list[VersionStatus] = yield peer.encoding.status(spec)
    return statuses


def metadata(peer: Peer, spec: ModelSpec) -> Flow[Metadata]:
    """Ask for a version's signatures, and remember them."""
    answer: Metadata = yield peer.encoding.metadata(spec)
    peer.known[replace(spec, signature=None)] = answer
    return answer


def statuses(peer: Peer) -> Flow[dict[str, list[VersionStatus]]]:
    """Ask for all models: those that the server lists, or else those of the catalogue that it knows."""
    names: Sequence[str] = catalogue.names()
    listing = peer.encoding.models()
    if listing is not None:
        try:
            names = yield listing
        except (Refused, UnexpectedAnswer):
            names = catalogue.names()
    found = {}
    for name in names:
        try:
            found[name] = yield peer.encoding.status(ModelSpec(name))
        except Refused as error:
            if error.code is not Code.NOT_FOUND:
                raise
    return found


def read_inputs(model: Model, inputs: Any) -> Inputs:
    """Read what the caller gave: words as on the command line, paths and contents of files, or raw inputs."""
    if isinstance(inputs, (np.ndarray, RaggedArray)):
        return inputs
    if isinstance(inputs, (str, bytes, os.PathLike)):
        read: Inputs = _read(model, inputs)
        return read
    if not isinstance(inputs, Iterable):
        raise InputError(f"the inputs of {model.name} are {type(inputs).__name__}; expected raw inputs")
    elements = list(inputs)
    if not any(isinstance(element, (str, bytes, os.PathLike)) for element in elements):
        return elements
    return [row for element in elements for row in rows_of(model, _read(model, element))]


def rows_of(model: Model, inputs: Any) -> Iterable[Any]:
    """Raw inputs one by one, whether there is one or several."""
    return [inputs] if model.is_one(inputs) else inputs


def _read(model: Model, element: Any) -> Any:
    if isinstance(element, str):
        return model.read_argument(element)
    if isinstance(element, bytes):
        return model.read_bytes(element, "the input")
    if isinstance(element, os.PathLike):
        path = Path(element)
        try:
            return model.read_bytes(path.read_bytes(), str(path))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return element


def _request(
    peer: Peer,
    spec: ModelSpec,
    model: Model,
    rows: Inputs,
    vocabulary: Vocabulary | None,
) -> Flow[tuple[str, Arrays]]:
    """Choose the signature and make its tensors.

    Strings go to the server as they are where it takes them, because it has the vocabulary of its weights;
    all else is preprocessed here, which every server takes.
    """
    if spec.signature == SERVING_DEFAULT or (spec.signature is None and vocabulary is not None):
        return SERVING_DEFAULT, model.preprocess(rows, vocabulary)
    name, arrays = model.raw_request(rows)
    if spec.signature == name:
        return name, arrays
    if spec.signature is not None:
        raise InputError(
            f"these inputs of {model.name} go to the signature {SERVING_DEFAULT} or {name}; "
            f"{spec.signature} was asked for"
        )
    if not any(_is_text(array) for array in arrays.values()):
        return SERVING_DEFAULT, model.preprocess(rows, vocabulary)
    served = yield from _served(peer, spec)
    if name in served.signatures:
        return name, arrays
    raise InputError(
        f"{spec} on this server takes no text: it has the signatures {', '.join(served.signatures)} and not "
        f"{name}; send token ids, or give the vocabulary"
    )


def _send(peer: Peer, spec: ModelSpec, arrays: Arrays, signature: SignatureInfo | None) -> Flow[Outputs]:
    try:
        exchange = peer.encoding.predict(spec, arrays, signature)
    except StatusError as error:
        raise InputError(f"these inputs of {spec} cannot be sent: {error.message}") from error
    try:
        outputs: Outputs = yield exchange
    except (Refused, UnexpectedAnswer):
        # Another version may be served by now, with other signatures.
        peer.known.pop(replace(spec, signature=None), None)
        raise
    return outputs


def _served(peer: Peer, spec: ModelSpec) -> Flow[Metadata]:
    remembered = peer.known.get(replace(spec, signature=None))
    return remembered or (yield from metadata(peer, spec))


def _served_signature(peer: Peer, spec: ModelSpec) -> Flow[SignatureInfo]:
    served = yield from _served(peer, spec)
    name = spec.signature or SERVING_DEFAULT
    if name not in served.signatures:
        peer.known.pop(replace(spec, signature=None), None)
        message = f"{spec} has the signatures {', '.join(served.signatures)}; {name} was asked for"
        raise Refused(message, Code.FAILED_PRECONDITION)
    return served.signatures[name]


def _is_text(array: Array) -> bool:
    return array.dtype.kind in "OSU"


def _not_the_model(spec: ModelSpec, reason: str) -> UnexpectedAnswer:
    message = f"the server's answer is not one of the model {spec}: {reason}; is it another model there?"
    return UnexpectedAnswer(message, Code.UNKNOWN)
