"""OpenTelemetry traces: a span for each request, and in it decode, queue, run and encode.

Spans are made once a request has been answered, from the times that were noted anyway. So nothing is done
while it runs, and nothing of OpenTelemetry is imported unless traces are wanted.
"""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from serving.answered import Answered, Caller
from serving.options import OptionsError
from wire.errors import Code, http_status

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_log = logging.getLogger(__name__)

FLAG = "--otlp_endpoint"
INSTALL = "pip install 'kedge[tracing]'"
SERVICE_NAME = "kedge"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
# Names that a client made up are cut off here.
LONGEST_NAME = 256
# By OpenTelemetry's conventions other codes are no errors of the server's.
_FAULTS = frozenset(
    (
        Code.UNKNOWN,
        Code.DEADLINE_EXCEEDED,
        Code.UNIMPLEMENTED,
        Code.INTERNAL,
        Code.UNAVAILABLE,
        Code.DATA_LOSS,
    )
)


class Traces:
    """A watcher of the fronts that turns requests into spans of a provider."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("kedge.serving")
        self._propagator = TraceContextTextMapPropagator()

    def __call__(self, request: Answered, caller: Caller) -> None:
        """Make the spans of a request, under the caller's where its `traceparent` names one."""
        from opentelemetry import trace

        offset = time.time() - time.monotonic()
        span = self._tracer.start_span(
            request.api.lower() or "request",
            context=self._parent(caller.headers()),
            kind=trace.SpanKind.SERVER,
            attributes=_attributes(request),
            start_time=_nanoseconds(request.started + offset),
        )
        if span.is_recording():
            if request.code in _FAULTS:
                message = request.error.message if request.error else ""
                span.set_status(trace.StatusCode.ERROR, message)
            self._stages(trace.set_span_in_context(span), request, offset)
        span.end(_nanoseconds(request.ended + offset))

    def close(self, seconds: float) -> None:
        """Send what is left, for so many seconds at most; blocks."""
        self._provider.force_flush(int(seconds * 1000))
        self._provider.shutdown()

    def _parent(self, headers: Mapping[str, str]) -> "Context":
        from opentelemetry.context import Context

        if "traceparent" not in headers:
            return Context()
        return self._propagator.extract(headers, context=Context())

    def _stages(self, parent: "Context", request: Answered, offset: float) -> None:
        def stage(name: str, begin: float, end: float, **attributes: int) -> None:
            if begin and end:
                span: Span = self._tracer.start_span(
                    name,
                    context=parent,
                    attributes={f"kedge.batch.{key}": value for key, value in attributes.items()},
                    start_time=_nanoseconds(begin + offset),
                )
                span.end(_nanoseconds(end + offset))

        timings = [timing for timing in request.call.timings if timing.queued]
        if not timings:
            return
        stage("decode", request.started, timings[0].queued)
        for timing in timings:
            stage("queue", timing.queued, timing.started or request.ended)
            # A run that went on after its request had been given up has no end.
            end = timing.ended or request.ended
            stage("run", timing.started, end, requests=timing.requests, rows=timing.rows)
        if request.code == Code.OK:
            stage("encode", max(timing.ended for timing in timings), request.ended)


def open_traces(endpoint: str, environment: Mapping[str, str]) -> Traces | None:
    """What sends traces by OTLP over gRPC to --otlp_endpoint, or to where OTEL_* says; None for none.

    OptionsError: the flag is given without what it needs. Where only the environment asks for traces, that is
    a line of the log: it may be set for all programs alike.
    """
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if not endpoint and not _wanted_by(environment):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        if endpoint:
            raise OptionsError(f"{FLAG} needs OpenTelemetry, which is not installed: {INSTALL}") from error
        _log.warning("no traces, though the environment has OTEL_EXPORTER_OTLP_ENDPOINT: %s", INSTALL)
        return None
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=endpoint or None)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traces(provider)


def _wanted_by(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_TRACES_EXPORTER", "otlp").lower() == "none":
        return False
    if not any(environment.get(name) for name in ENDPOINTS):
        return False
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), "grpc")
    if protocol != "grpc":
        _log.warning("no traces: OTEL_EXPORTER_OTLP_PROTOCOL is %s; this server sends grpc only", protocol)
    return protocol == "grpc"


def _resource() -> Any:
    from opentelemetry.sdk.resources import SERVICE_NAME as KEY
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    return Resource.create({KEY: SERVICE_NAME}).merge(OTELResourceDetector().detect())


def _attributes(request: Answered) -> dict[str, str | int]:
    call = request.call
    found: dict[str, str | int] = {
        "kedge.transport": request.transport,
        "kedge.model.name": call.spec.name[:LONGEST_NAME],
        "kedge.model.signature": call.signature_name,
    }
    if call.version is not None:
        found["kedge.model.version"] = call.version
    if request.transport == "grpc":
        found |= {"rpc.system": "grpc", "rpc.method": request.api, "rpc.grpc.status_code": int(request.code)}
    else:
        found["http.response.status_code"] = http_status(request.code)
    if request.code != Code.OK:
        found["error.type"] = request.code.name
    return found


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
