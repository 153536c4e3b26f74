"""The blocking clients: the flows of `clients.flows` over a gRPC channel or HTTP connections."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from clients import calls, concurrent, flows, peer
from clients.address import Address, parse, parse_as
from clients.calls import Call
from clients.deadline import Clock
from clients.exchange import Encoding, Exchange, Exchanges, Flow, ModelSpec, run
from clients.options import Options, Settings
from clients.results import Metadata, Prediction, Predictions, VersionStatus
from clients.transport import GrpcTransport, RestTransport, Transport
from models.model import Array, Arrays, Inputs, Vocabulary
from wire.errors import Code, StatusError

T = TypeVar("T")


class Client:
    """What both clients do; make a `GrpcClient` or a `RestClient`, or let `connect` choose.

    Threads may share a client. It is a context manager, and closes its connections at the end. Every call
    takes a `timeout` in seconds for the whole of it, with all requests and tries, and a `traceparent` where
    OpenTelemetry does not give one; it raises `clients.errors.ClientError`.
    """

    def __init__(
        self,
        address: Address,
        encoding: Encoding,
        transport: Transport,
        settings: Settings,
        *,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address = address
        self.settings = settings
        self._peer = peer.Peer(encoding, settings.batching)
        self._transport = transport
        self._clock, self._sleep = clock, sleep
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.address)!r}, timeout={self.settings.timeout:g})"

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
        traceparent: str | None = ...,
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
        traceparent: str | None = ...,
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
        traceparent: str | None = None,
    ) -> dict[str, Array] | Prediction | Predictions:
        """Ask a model.

        `inputs` as a mapping of names to arrays goes to the signature (`serving_default`) of any model as it
        is, and gives its outputs as a dict of arrays. Anything else is raw input for a model of the
        catalogue, one or a list: an image as an array, the path or the bytes of its file; a review as a text
        or as token ids. One gives a `Prediction`, several a list.

        Texts go to the server as they are, where the model has a signature for them; otherwise they need the
        `vocabulary`, words to ranks. What is large when preprocessed (token ids) goes in its smaller form
        where the model takes that. `signature` chooses the form: `serving_default` is the preprocessed one.

        Many rows are sent in several requests, which two versions may answer where the model changes
        meanwhile. The version asked is the latest, or `version`, or the one of `label`.

        Raises InputError for inputs that are not the model's, before anything is sent.
        """
        spec = ModelSpec(model, version, label, signature)
        flow = flows.predict(self._peer, spec, inputs, vocabulary)
        result: dict[str, Array] | Prediction | Predictions = self._run(flow, timeout, traceparent)
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
        traceparent: str | None = None,
    ) -> Predictions:
        """Ask a model of the catalogue about raw inputs that are in memory: no file is read for them.

        As `predict`, but a text is a review and never a path, and the answer is a list for one input too.
        """
        spec = ModelSpec(model, version, label, signature)
        return self._run(flows.predict_many(self._peer, spec, rows, vocabulary), timeout, traceparent)

    def status(
        self,
        model: str,
        version: int | None = None,
        *,
        timeout: float | None = None,
        traceparent: str | None = None,
    ) -> list[VersionStatus]:
        """The states of a model's versions, the newest first; of one version where it is given."""
        return self._run(flows.status(self._peer, ModelSpec(model, version)), timeout, traceparent)

    def statuses(
        self, *, timeout: float | None = None, traceparent: str | None = None
    ) -> dict[str, list[VersionStatus]]:
        """The states of all models that the server lists.

        TensorFlow Serving lists none: then of the catalogue's models that it knows.
        """
        return self._run(flows.statuses(self._peer), timeout, traceparent)

    def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
        traceparent: str | None = None,
    ) -> Metadata:
        """The signatures of a version, with their tensors."""
        spec = ModelSpec(model, version, label)
        return self._run(peer.metadata(self._peer, spec), timeout, traceparent)

    def _run(self, flow: Flow[T], timeout: float | None, traceparent: str | None) -> T:
        call = calls.begin(self.address, self.settings, self._clock, timeout, traceparent)
        limit = self.settings.batching.concurrency

        def perform(exchanges: Exchanges) -> list[Any]:
            return concurrent.in_threads(exchanges, lambda exchange: self._perform(exchange, call), limit)

        return run(flow, perform)

    def _perform(self, exchange: Exchange[T], call: Call) -> T:
        failures = 0
        while True:
            if self._closed:
                raise RuntimeError(f"{self!r} is closed; make another")
            started = self._clock()
            try:
                answer = self._transport.send(exchange, call.deadline, call.headers)
            except StatusError as error:
                failures += 1
                call.observe(exchange, error.code, started)
                self._sleep(call.wait(exchange, failures, error))
            else:
                call.observe(exchange, Code.OK, started)
                return call.read(exchange, answer)


class GrpcClient(Client):
    """A client of TensorFlow Serving's gRPC services, at a target such as "localhost:8500"."""

    def __init__(self, target: str = "localhost:8500", **options: Unpack[Options]) -> None:
        from clients import grpc_encoding

        address, settings = parse_as("grpc", target), Settings(**options)
        settings.check_for(address)
        super().__init__(address, grpc_encoding, GrpcTransport(address, settings), settings)


class RestClient(Client):
    """A client of TensorFlow Serving's REST API, at an URL such as "http://localhost:8501".

    Floats are exact, as over gRPC. Which version answered is told by kedge's server only.
    """

    def __init__(self, url: str = "http://localhost:8501", **options: Unpack[Options]) -> None:
        from clients import rest_encoding

        address, settings = parse_as("http", url), Settings(**options)
        settings.check_for(address)
        super().__init__(address, rest_encoding, RestTransport(address, settings), settings)


def connect(url: str, **options: Unpack[Options]) -> GrpcClient | RestClient:
    """Make the client for an URL: grpc://HOST:8500, http://HOST:8501, or grpcs:// and https:// with TLS.

    Nothing is sent yet. `clients.options.Options` says what the options are.
    """
    if parse(url).protocol == "grpc":
        return GrpcClient(url, **options)
    return RestClient(url, **options)
