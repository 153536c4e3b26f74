"""The asynchronous clients: what the blocking ones do, for programs that run an event loop."""

# ruff: noqa: ASYNC109 - the timeout is told to the server, which stops at it too; asyncio.timeout cannot do that

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from clients import calls, concurrent, flows, peer
from clients.address import Address, parse, parse_as
from clients.async_transport import AsyncGrpcTransport, AsyncRestTransport, AsyncTransport
from clients.calls import Call
from clients.deadline import Clock
from clients.exchange import Encoding, Exchange, Exchanges, Flow, ModelSpec, run_async
from clients.options import Options, Settings
from clients.results import Metadata, Prediction, Predictions, VersionStatus
from models.model import Array, Arrays, Inputs, Vocabulary
from wire.errors import Code, StatusError

T = TypeVar("T")


class AsyncClient:
    """What both asynchronous clients do; make an `AsyncGrpcClient` or an `AsyncRestClient`, or let
    `connect_async` choose.

    The methods are those of `clients.client.Client`, awaited; any number of tasks of one loop may share a
    client. It is an asynchronous context manager, and closes its connections at the end.
    """

    def __init__(
        self,
        address: Address,
        encoding: Encoding,
        transport: AsyncTransport,
        settings: Settings,
        *,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.address = address
        self.settings = settings
        self._peer = peer.Peer(encoding, settings.batching)
        self._transport = transport
        self._clock, self._sleep = clock, sleep
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.address)!r}, timeout={self.settings.timeout:g})"

    async def close(self) -> None:
        """Close the connections. A closed client cannot be used again."""
        self._closed = True
        await self._transport.close()

    @overload
    async def predict(
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
    async def predict(
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
    async def predict(
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
        """Ask a model: as `clients.client.Client.predict`.

        Files are read and inputs preprocessed on the event loop.
        """
        spec = ModelSpec(model, version, label, signature)
        flow = flows.predict(self._peer, spec, inputs, vocabulary)
        result: dict[str, Array] | Prediction | Predictions = await self._run(flow, timeout, traceparent)
        return result

    async def predict_many(
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
        """Ask a model of the catalogue about raw inputs that are in memory: no file is read for them."""
        spec = ModelSpec(model, version, label, signature)
        return await self._run(flows.predict_many(self._peer, spec, rows, vocabulary), timeout, traceparent)

    async def status(
        self,
        model: str,
        version: int | None = None,
        *,
        timeout: float | None = None,
        traceparent: str | None = None,
    ) -> list[VersionStatus]:
        """The states of a model's versions, the newest first; of one version where it is given."""
        return await self._run(flows.status(self._peer, ModelSpec(model, version)), timeout, traceparent)

    async def statuses(
        self, *, timeout: float | None = None, traceparent: str | None = None
    ) -> dict[str, list[VersionStatus]]:
        """The states of all models that the server lists.

        TensorFlow Serving lists none: then of the catalogue's models that it knows.
        """
        return await self._run(flows.statuses(self._peer), timeout, traceparent)

    async def metadata(
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
        return await self._run(peer.metadata(self._peer, spec), timeout, traceparent)

    async def _run(self, flow: Flow[T], timeout: float | None, traceparent: str | None) -> T:
        call = calls.begin(self.address, self.settings, self._clock, timeout, traceparent)
        limit = self.settings.batching.concurrency

        async def perform(exchanges: Exchanges) -> list[Any]:
            return await concurrent.in_tasks(exchanges, lambda exchange: self._perform(exchange, call), limit)

        return await run_async(flow, perform)

    async def _perform(self, exchange: Exchange[T], call: Call) -> T:
        failures = 0
        while True:
            if self._closed:
                raise RuntimeError(f"{self!r} is closed; make another")
            started = self._clock()
            try:
                answer = await self._transport.send(exchange, call.deadline, call.headers)
            except StatusError as error:
                failures += 1
                call.observe(exchange, error.code, started)
                await self._sleep(call.wait(exchange, failures, error))
            else:
                call.observe(exchange, Code.OK, started)
                return call.read(exchange, answer)


class AsyncGrpcClient(AsyncClient):
    """An asynchronous client of TensorFlow Serving's gRPC services."""

    def __init__(self, target: str = "localhost:8500", **options: Unpack[Options]) -> None:
        from clients import grpc_encoding

        address, settings = parse_as("grpc", target), Settings(**options)
        settings.check_for(address)
        super().__init__(address, grpc_encoding, AsyncGrpcTransport(address, settings), settings)


class AsyncRestClient(AsyncClient):
    """An asynchronous client of TensorFlow Serving's REST API."""

    def __init__(self, url: str = "http://localhost:8501", **options: Unpack[Options]) -> None:
        from clients import rest_encoding

        address, settings = parse_as("http", url), Settings(**options)
        settings.check_for(address)
        super().__init__(address, rest_encoding, AsyncRestTransport(address, settings), settings)


def connect_async(url: str, **options: Unpack[Options]) -> AsyncGrpcClient | AsyncRestClient:
    """Make the asynchronous client for an URL, as `clients.connect` the blocking one. Nothing is sent yet."""
    if parse(url).protocol == "grpc":
        return AsyncGrpcClient(url, **options)
    return AsyncRestClient(url, **options)
