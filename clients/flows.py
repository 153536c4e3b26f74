"""What a client asks a server, in which order: flows of exchanges that know no connection."""

from collections.abc import Mapping, Sequence
from typing import Any

from clients import batches, peer
from clients.errors import Refused, UnexpectedAnswer
from clients.exchange import Flow, ModelSpec, ask
from clients.peer import Peer
from clients.raw_flows import predict_rows
from clients.raw_inputs import read_inputs, tensor
from clients.results import Predictions, SignatureInfo, VersionStatus
from models import catalogue
from models.model import Array, Arrays, Inputs, Vocabulary
from wire.errors import Code


def predict(server: Peer, spec: ModelSpec, inputs: Any, vocabulary: Vocabulary | None) -> Flow[Any]:
    """Predict: tensors by name give tensors by name, anything else is raw input and gives predictions."""
    if isinstance(inputs, Mapping):
        arrays = {name: tensor(name, value) for name, value in inputs.items()}
        return (yield from predict_tensors(server, spec, arrays))
    model = catalogue.find(spec.name)
    rows = read_inputs(model, inputs)
    predictions = yield from predict_rows(server, spec, model, rows, vocabulary)
    return predictions[0] if model.is_one(rows) else predictions


def predict_many(
    server: Peer, spec: ModelSpec, rows: Inputs, vocabulary: Vocabulary | None
) -> Flow[Predictions]:
    """Predict for raw inputs that are in memory."""
    return (yield from predict_rows(server, spec, catalogue.find(spec.name), rows, vocabulary))


def predict_tensors(server: Peer, spec: ModelSpec, arrays: Arrays) -> Flow[dict[str, Array]]:
    """Send tensors to a signature of any model, in several requests where they are many rows."""
    slices = batches.cuts(arrays, server.batching, server.encoding.GROWTH)
    signature = None
    if not server.encoding.NAMES_OUTPUTS:
        signature = yield from peer.served_signature(server, spec)
    elif len(slices) > 1:
        signature = yield from _told_signature(server, spec)
    if signature is None or not batches.takes_rows(signature):
        slices = [slice(None)]
    answers = yield from peer.send(server, spec, arrays, signature, slices)
    return dict(batches.join(answers))


def _told_signature(server: Peer, spec: ModelSpec) -> Flow[SignatureInfo | None]:
    """The signature where the server tells it: without it, tensors are sent in one piece."""
    try:
        return (yield from peer.served_signature(server, spec))
    except (Refused, UnexpectedAnswer):
        return None


def status(server: Peer, spec: ModelSpec) -> Flow[list[VersionStatus]]:
    """Ask for the states of a model's versions."""
    return (yield from ask(server.encoding.status(spec)))


def statuses(server: Peer) -> Flow[dict[str, list[VersionStatus]]]:
    """Ask for all models: those that the server lists, or else those of the catalogue that it knows."""
    names: Sequence[str] = catalogue.names()
    listing = server.encoding.models()
    if listing is not None:
        try:
            names = yield from ask(listing)
        except (Refused, UnexpectedAnswer):
            names = catalogue.names()
    found = {}
    for name in names:
        try:
            found[name] = yield from ask(server.encoding.status(ModelSpec(name)))
        except Refused as error:
            if error.code is not Code.NOT_FOUND:
                raise
    return found
