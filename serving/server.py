"""The server as a whole: what it is made of, the order in which it starts, and how it stops."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Protocol

from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from serving import (
    announce,
    config_files,
    configured,
    grpc_limits,
    grpc_services,
    loading,
    memory,
    ports,
    rest_front,
    tls,
)
from serving.admission import Admission
from serving.auth import Tokens, guarded
from serving.batching import Batcher
from serving.batching_parameters import BatchingParameters
from serving.config_files import Monitoring
from serving.connections import ConnectionLimits, Connections
from serving.events import Events
from serving.exposition import Registry
from serving.grpc_connection import TOO_MANY_CONNECTIONS, GrpcConnection
from serving.grpc_front import MODEL_SERVICE, PREDICTION_SERVICE, GrpcFront
from serving.grpc_methods import ANY_OTHER, Methods, unknown
from serving.health import Health
from serving.http_connection import Connection
from serving.inference import Inference
from serving.lifecycle import Lifecycle
from serving.metrics import Metrics
from serving.observation import Observation
from serving.options import ServerOptions
from serving.patience import Patience
from serving.rest_body import BodyLimits
from serving.rest_front import ReadPage, RestFront, RestOptions
from serving.served import Served

_log = logging.getLogger(__name__)

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"]
REFLECTION = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]
SERVICES = (PREDICTION_SERVICE, MODEL_SERVICE, HEALTH.full_name, REFLECTION.full_name)
# What answers are given to reach their clients once the last request has been answered.
LAST_ANSWERS_SECONDS = 0.5
# What the request log and the traces are each given to be written and sent at the end.
LAST_RECORDS_SECONDS = 2.0


class Owner(Served, Protocol):
    """What owns the versions: it is started, and stopped at the end."""

    def start(self) -> None:
        """Begin; returns at once."""

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until requests can be answered, or it is known why not."""

    def stop(self, grace: float | None = 30.0) -> None:
        """Free everything."""


class ModelServer:
    """Serves models by TensorFlow Serving's network API. Made and used on one running event loop.

    `grpc_port` and `rest_port` are 0 for what is off, and before `start`.
    """

    def __init__(self, options: ServerOptions, follow: "Follow | None" = None) -> None:
        """`follow` makes what owns the versions where that is not this process.

        StatusError: a file that an option names cannot be read or is not valid.
        """
        self.grpc_port = 0
        self.rest_port = 0
        self._options = options
        self._monitoring = _monitoring(options)
        self._admission = Admission(
            max_requests=options.max_requests_in_flight,
            max_bytes=options.max_request_bytes_in_flight or memory.for_bodies(options.workers),
        )
        self._grpc_limits = grpc_limits.of(options)
        self._tls = tls.read(Path(options.ssl_config_file)) if options.ssl_config_file else None
        self._tokens = (
            Tokens(Path(options.auth_tokens_file), self._admission.turned_away)
            if options.auth_tokens_file
            else None
        )
        self._metrics = Metrics(Registry())
        self._observation = Observation(options, self._metrics)
        self._batcher = Batcher(
            _batching(options), per_model=options.enable_per_model_batching_parameters, observer=self._metrics
        )
        self._events = Events(self._metrics, self._observation.requests)
        self._lifecycle: Owner = (follow or _lifecycle)(options, self._events)
        self._metrics_page: ReadPage | None = None
        self._health = Health(self._lifecycle, name_services=options.enable_grpc_healthcheck_service)
        self._events.health = self._health
        self._inference = Inference(
            self._lifecycle,
            self._batcher,
            self._metrics,
            check_method_names=options.enable_signature_method_name_check,
            recorder=self._observation.requests,
        )
        self._metrics.watch(self._admission, _build(), self._inference.under_way)
        self._started = contextlib.AsyncExitStack()
        # When what is left is cut off; a time of `time.monotonic`.
        self._stopped_by = 0.0

    async def start(self) -> None:
        """Load what is configured, then open the ports: gRPC, then REST.

        Waits until every configured model has an available version, or it is known why it has none yet.
        ports.StartError: a port cannot be had; that is told before anything is loaded.
        """
        # Of workers it is their supervisor that does.
        if self._options.workers == 1:
            announce.left_out(self._options)
        with contextlib.ExitStack() as unused:
            grpc_socket = ports.bound_socket(self._options, "port", unused)
            rest_socket = ports.bound_socket(self._options, "rest_api_port", unused)
            try:
                await self._load()
                self._start_grpc(grpc_socket)
                if rest_socket is not None:
                    self._start_rest(rest_socket)
            except BaseException:
                await self.stop(0)
                raise
            unused.pop_all()

    async def stop(self, grace: float | None = None) -> bool:
        """Turn new requests away, answer those under way, close the ports, free the models.

        Readiness is false from the first moment. After `grace` seconds (--shutdown_grace_seconds unless
        given) what is left is cut off; False when there was any: a model may still run in its thread then.
        """
        deadline = time.monotonic() + (self._options.shutdown_grace_seconds if grace is None else grace)
        self._admission.draining = True
        await self._health.leave()
        drained = await self._admission.drain(max(0.0, deadline - time.monotonic()))
        if not drained:
            _log.warning("the time to stop is over: %s requests are cut off", self._admission.in_flight)
        self._stopped_by = deadline
        await self._started.aclose()
        self._batcher.close()
        await self._record()
        freeing = asyncio.to_thread(self._lifecycle.stop)
        try:
            await asyncio.wait_for(
                freeing, max(LAST_ANSWERS_SECONDS if drained else 0, deadline - time.monotonic())
            )
        except TimeoutError:
            return False
        return drained

    def page(self) -> bytes:
        """The metrics of this process; to be called on the event loop."""
        return self._metrics.registry.page()

    def show_page(self, read: ReadPage) -> None:
        """Show this metrics page, and not the own one; to be called before `start`."""
        self._metrics_page = read

    async def _load(self) -> None:
        self._lifecycle.start()
        # In short turns, so that being told to stop does not have to wait for a long load.
        while not await asyncio.to_thread(self._lifecycle.settle, 0.2):
            continue
        await self._health.refresh()
        following = asyncio.create_task(self._health.follow())
        self._started.callback(following.cancel)

    async def _record(self) -> None:
        """Have the request log and the traces written and sent, one after the other."""
        closing = asyncio.to_thread(self._observation.close, LAST_RECORDS_SECONDS)
        try:
            await asyncio.wait_for(closing, 2 * LAST_RECORDS_SECONDS)
        except TimeoutError:
            _log.warning("the request log and the traces may be incomplete: they could not be ended in time")

    def _start_grpc(self, bound: socket.socket | None) -> None:
        options = self._options
        limits = self._grpc_limits
        of_connections = ConnectionLimits(
            most=limits.connections,
            handshake=limits.greeting,
            refusal=TOO_MANY_CONNECTIONS,
            tls=tls.context(self._tls, tls.GRPC) if self._tls else None,
        )
        methods = self._methods()
        listening = []
        if bound is not None:
            listening.append(ports.listen(bound, "port"))
            self.grpc_port = bound.getsockname()[1]
        if options.grpc_socket_path:
            path = Path(options.grpc_socket_path)
            listening.append(self._started.enter_context(ports.listening_path(path)))
        for each in listening:
            connections = Connections(
                lambda: GrpcConnection(methods, limits), each, self._admission, of_connections
            )
            self._started.push_async_callback(self._close, connections)

    async def _close(self, connections: Connections) -> None:
        await connections.close(LAST_ANSWERS_SECONDS, self._stopped_by - time.monotonic())

    def _methods(self) -> Methods:
        """The methods of all services."""
        options = self._options
        patience = Patience(options.grpc_read_timeout_seconds)
        front = GrpcFront(
            self._inference,
            self._metrics,
            self._admission,
            as_content=options.enable_serialization_as_tensor_content,
            patience=patience,
            watchers=self._observation.watchers,
        )
        reflecting = reflection.aio.ReflectionServicer(SERVICES)
        methods = {
            **front.methods(),
            **grpc_services.methods(HEALTH, self._health.servicer, patience),
            **grpc_services.methods(REFLECTION, reflecting, patience),
            ANY_OTHER: unknown,
        }
        return guarded(methods, self._tokens) if self._tokens else methods

    def _start_rest(self, bound: socket.socket) -> None:
        options = self._options
        front = RestFront(
            self._inference,
            self._metrics,
            self._admission,
            _rest_options(options, self._monitoring, self._tokens),
            watchers=self._observation.watchers,
            read_page=self._metrics_page,
        )
        idle, listening = options.rest_api_idle_timeout_seconds, ports.listen(bound, "rest_api_port")
        limits = ConnectionLimits(
            most=options.rest_api_max_connections,
            handshake=idle,
            tls=tls.context(self._tls, tls.REST) if self._tls and options.rest_api_ssl else None,
            refusal=rest_front.TOO_MANY_CONNECTIONS,
        )
        connections = Connections(lambda: Connection(front.handle, idle), listening, self._admission, limits)
        self._started.push_async_callback(self._close, connections)
        self.rest_port = bound.getsockname()[1]


# Makes what owns the versions.
Follow = Callable[[ServerOptions, Events], Owner]


def _lifecycle(options: ServerOptions, events: Events) -> Lifecycle:
    return configured.lifecycle(options, loading.loader(options, events), events, events.requests.trust)


def _monitoring(options: ServerOptions) -> Monitoring:
    """On unless a file says otherwise, which TensorFlow Serving's metrics are not."""
    if not options.monitoring_config_file:
        return Monitoring(enable=True)
    return config_files.read_monitoring(Path(options.monitoring_config_file))


def _batching(options: ServerOptions) -> BatchingParameters | None:
    if not options.enable_batching:
        return None
    if not options.batching_parameters_file:
        return BatchingParameters()
    return config_files.read_batching(Path(options.batching_parameters_file))


def _rest_options(options: ServerOptions, monitoring: Monitoring, tokens: Tokens | None) -> RestOptions:
    milliseconds = options.rest_api_timeout_in_ms
    return RestOptions(
        timeout=milliseconds / 1000 if milliseconds > 0 else None,
        cors=options.rest_api_enable_cors_support,
        metrics_path=monitoring.path if monitoring.enable else "",
        body=BodyLimits(
            most=options.rest_api_max_body_bytes,
            most_inflated=options.rest_api_max_inflated_bytes,
            patience=options.rest_api_idle_timeout_seconds,
        ),
        tokens=tokens,
        open_metrics=options.auth_open_metrics,
    )


def _build() -> dict[str, str]:
    """The versions that the server is made of."""
    names = {"version": "kedge", "tensorflow": "tensorflow", "http2": "ngh2"}
    found = {}
    for label, distribution in names.items():
        try:
            found[label] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            found[label] = ""
    return found
