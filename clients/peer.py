"""The server as the flows see it: its protocol, what it has told of its models, and how tensors go to it."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field, replace

from clients import batches
from clients.batches import Batching
from clients.errors import Refused, UnexpectedAnswer
from clients.exchange import SERVING_DEFAULT, Encoding, Exchange, Flow, ModelSpec, ask
from clients.results import Metadata, Outputs, SignatureInfo
from models.model import Arrays, InputError
from wire.errors import Code, StatusError


@dataclass(frozen=True)
class Peer:
    """A server: its protocol, how requests to it are cut, and the metadata that it has told.

    What is known of a model is forgotten when another version answers, and when the server refuses: another
    version may be served by now, with other signatures.
    """

    encoding: Encoding
    batching: Batching = field(default_factory=Batching)
    known: MutableMapping[ModelSpec, Metadata] = field(default_factory=dict)

    def remembered(self, spec: ModelSpec) -> Metadata | None:
        """What the server has told of this model, version or label."""
        return self.known.get(_any_signature(spec))

    def remember(self, spec: ModelSpec, told: Metadata) -> None:
        """Keep what the server has told."""
        self.known[_any_signature(spec)] = told

    def forget(self, spec: ModelSpec) -> None:
        """Drop what may be no longer so."""
        self.known.pop(_any_signature(spec), None)


def metadata(peer: Peer, spec: ModelSpec) -> Flow[Metadata]:
    """Ask for a version's signatures, and remember them."""
    told = yield from ask(peer.encoding.metadata(spec))
    peer.remember(spec, told)
    return told


def served(peer: Peer, spec: ModelSpec) -> Flow[Metadata]:
    """The signatures that the server has, asked for once."""
    return peer.remembered(spec) or (yield from metadata(peer, spec))


def served_signature(peer: Peer, spec: ModelSpec) -> Flow[SignatureInfo]:
    """The signature that the spec names, as the server has it."""
    told = yield from served(peer, spec)
    name = spec.signature or SERVING_DEFAULT
    if name not in told.signatures:
        peer.forget(spec)
        message = f"{spec} has the signatures {', '.join(told.signatures)}; {name} was asked for"
        raise Refused(message, Code.FAILED_PRECONDITION)
    return told.signatures[name]


def send(
    peer: Peer, spec: ModelSpec, arrays: Arrays, signature: SignatureInfo | None, slices: list[slice]
) -> Flow[list[Outputs]]:
    """Send the rows of each slice in a request of its own; the answers come in the same order."""
    try:
        answers: list[Outputs] = yield _requests(peer, spec, arrays, signature, slices)
    except (Refused, UnexpectedAnswer):
        peer.forget(spec)
        raise
    told = peer.remembered(spec)
    if told is not None and any(answer.version not in (None, told.version) for answer in answers):
        peer.forget(spec)
    return answers


def _requests(
    peer: Peer, spec: ModelSpec, arrays: Arrays, signature: SignatureInfo | None, slices: list[slice]
) -> Iterator[Exchange[Outputs]]:
    """Encode each request when it is its turn: together they may be larger than memory."""
    for part in batches.parts(arrays, slices):
        try:
            yield peer.encoding.predict(spec, part, signature)
        except StatusError as error:
            raise InputError(f"these inputs of {spec} cannot be sent: {error.message}") from error


def _any_signature(spec: ModelSpec) -> ModelSpec:
    return replace(spec, signature=None)
