"""The blocking clients: the flows of `clients.flows` over a gRPC channel or HTTP connections."""

from types import TracebackType
from typing import Any, Self, TypeVar, overload

from google.protobuf.message import DecodeError

from clients import errors, flows
from clients.address import Address, parse, parse_as
from clients.exchange import Encoding, Exchange, Flow, ModelSpec, run
from clients.results import Metadata, Prediction, VersionStatus
from clients.transport import Deadline, GrpcTransport, RestTransport, Transport
from models import catalogue
from models.model import Array, Arrays, InputError, Inputs, Vocabulary
from wire.errors import StatusError

T = TypeVar("T")
TIMEOUT = 10.0
"""Seconds for a call with all its requests, where the caller says nothing."""


class Client:
    """What both clients do; make a `GrpcClient` or a `RestClient`, or let `connect` choose.

    Threads may share a client. It is a context manager, and closes its connections at the end. Every call
    takes a `timeout` in seconds for the whole of it, and raises `clients.errors.ClientError`.
    """

    def __init__(self, address: Address, encoding: Encoding, transport: Transport, timeout: float) -> None:
        self.address = address
        self.timeout = _checked(timeout)
        self._peer = flows.Peer(encoding)
        self._transport = transport
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.address)!r}, timeout={self.timeout:g})"

    def close(self) -> None:
        """Close the connections. A closed client cannot be used again."""
        self._closed = True
        self._transport.close()

    @overload
    def predict(
        self,
        model: str,
        inputs: Arrays,
        *,
        version: int | None = ...,
        label: str | None = ...,
        signature: str | None = ...,
        vocabulary: Vocabulary | None = ...,
        timeout: float | None = ...,
    ) -> dict[str, Array]: ...
    @overload
    def predict(
        self,
        model: str,
        inputs: Any,
        *,
        version: int | None = ...,
        label: str | None = ...,
        signature: str | None = ...,
        vocabulary: Vocabulary | None = ...,
        timeout: float | None = ...,
    ) -> Any: ...
    def predict(
        self,
        model: str,
        inputs: Any,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        vocabulary: Vocabulary | None = None,
        timeout: float | None = None,
    ) -> dict[str, Array] | Prediction | list[Prediction]:
        """Ask a model.

        `inputs` as a mapping of names to arrays goes to the signature (`serving_default`) of any model as it
        is, and gives its outputs as a dict of arrays. Anything else is raw input for a model of the
        catalogue, one or a list: an image as an array, the path or the bytes of its file; a review as a text
        or as token ids. One gives a `Prediction`, several a list.

        Texts go to the server as they are, where the model has a signature for them; otherwise they need the
        `vocabulary`, words to ranks. The version asked is the latest, or `version`, or the one of `label`.

        Raises InputError for inputs that are not the model's, before anything is sent.
        """
        spec = ModelSpec(model, version, label, signature)
        flow = flows.predict(self._peer, spec, inputs, vocabulary)
        result: dict[str, Array] | Prediction | list[Prediction] = self._run(flow, timeout)
        return result

    def predict_many(
        self,
        model: str,
        rows: Inputs,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        vocabulary: Vocabulary | None = None,
        timeout: float | None = None,
    ) -> list[Prediction]:
        """Ask a model of the catalogue about raw inputs that are in memory: no file is read for them.

        As `predict`, but a text is a review and never a path, and the answer is a list for one input too.
        """
        spec = ModelSpec(model, version, label, signature)
        described = catalogue.find(model)
        return self._run(flows.predict_rows(self._peer, spec, described, rows, vocabulary), timeout)

    def status(
        self, model: str, version: int | None = None, *, timeout: float | None = None
    ) -> list[VersionStatus]:
        """The states of a model's versions, the newest first; of one version where it is given."""
        return self._run(flows.status(self._peer, ModelSpec(model, version)), timeout)

    def statuses(self, *, timeout: float | None = None) -> dict[str, list[VersionStatus]]:
        """The states of all models that the server lists.

        TensorFlow Serving lists none: then of the catalogue's models that it knows.
        """
        return self._run(flows.statuses(self._peer), timeout)

    def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> Metadata:
        """The signatures of a version, with their tensors."""
        spec = ModelSpec(model, version, label)
        return self._run(flows.metadata(self._peer, spec), timeout)

    def _run(self, flow: Flow[T], timeout: float | None) -> T:
        deadline = Deadline(self.timeout if timeout is None else _checked(timeout))
        return run(flow, lambda exchange: self._perform(exchange, deadline))

    def _perform(self, exchange: Exchange[T], deadline: Deadline) -> T:
        if self._closed:
            raise RuntimeError(f"{self!r} is closed; make another")
        try:
            answer = self._transport.send(exchange, deadline)
        except StatusError as error:
            raise errors.of_status(error, str(self.address), deadline.seconds) from error
        try:
            return exchange.decode(answer)
        except (StatusError, DecodeError, ValueError, LookupError, TypeError) as error:
            raise errors.of_answer(error, str(self.address)) from error


class GrpcClient(Client):
    """A client of TensorFlow Serving's gRPC services, at a target such as "localhost:8500"."""

    def __init__(self, target: str = "localhost:8500", *, timeout: float = TIMEOUT) -> None:
        from clients import grpc_encoding

        address = parse_as("grpc", target)
        super().__init__(address, grpc_encoding, GrpcTransport(address), timeout)


class RestClient(Client):
    """A client of TensorFlow Serving's REST API, at an URL such as "http://localhost:8501".

    The answers do not tell which version gave them, and floats are exact: both ways are as over gRPC.
    """

    def __init__(self, url: str = "http://localhost:8501", *, timeout: float = TIMEOUT) -> None:
        from clients import rest_encoding

        address = parse_as("http", url)
        super().__init__(address, rest_encoding, RestTransport(address), timeout)


def connect(url: str, *, timeout: float = TIMEOUT) -> GrpcClient | RestClient:
    """Make the client for an URL: grpc://HOST:8500 or http://HOST:8501. Nothing is sent yet."""
    address = parse(url)
    if address.scheme == "grpc":
        return GrpcClient(url, timeout=timeout)
    return RestClient(url, timeout=timeout)


def _checked(timeout: float) -> float:
    if not 0 < timeout < float("inf"):
        raise InputError(f"the timeout is {timeout!r}; expected seconds above 0")
    return float(timeout)
