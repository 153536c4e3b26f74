"""Traces of real requests, read back from memory or as a collector gets them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving import tracing
from serving.answered import Answered, Caller
from serving.inference import Call, ModelSpec
from serving.options import OptionsError
from serving.timing import Timing
from tests.serving.servers import Question, serving
from wire.errors import Code, StatusError

ROOT = Path(__file__).resolve().parents[2]
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"
NOT_SAMPLED = f"00-{TRACE_ID}-b7ad6b7169203331-00"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(exporter: InMemorySpanExporter) -> Iterator[tracing.Traces]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    made = tracing.Traces(provider)
    yield made
    made.close(1)


def _caller(**headers: str) -> Caller:
    return Caller(lambda: headers, lambda: "")


def _answered(
    code: Code = Code.OK, error: StatusError | None = None, timings: list[Timing] | None = None
) -> Answered:
    call = Call(ModelSpec("m"), version=7, signature_name="s", timings=timings or [])
    return Answered("grpc", "Predict", call, 100.0, 104.0, code, error)


def _span(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    [span] = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


def _seconds(span: ReadableSpan, root: ReadableSpan) -> tuple[float, float]:
    """When a span began and ended, after the root's beginning."""
    assert span.start_time
    assert span.end_time
    assert root.start_time
    return (
        round((span.start_time - root.start_time) / 1e9, 3),
        round((span.end_time - root.start_time) / 1e9, 3),
    )


def test_request_has_a_span_for_each_stage_under_it(
    traces: tracing.Traces, exporter: InMemorySpanExporter
) -> None:
    timing = Timing(queued=101.0, started=102.0, ended=103.0, requests=2, rows=5)
    traces(_answered(timings=[timing]), _caller())
    root = _span(exporter, "predict")
    assert root.attributes == {
        "kedge.transport": "grpc",
        "kedge.model.name": "m",
        "kedge.model.version": 7,
        "kedge.model.signature": "s",
        "rpc.system": "grpc",
        "rpc.method": "Predict",
        "rpc.grpc.status_code": 0,
    }
    stages = ("decode", "queue", "run", "encode")
    assert [_seconds(_span(exporter, name), root) for name in stages] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert all(_span(exporter, name).parent == root.context for name in stages)
    assert _span(exporter, "run").attributes == {"kedge.batch.requests": 2, "kedge.batch.rows": 5}


def test_request_that_waited_in_vain_ends_in_its_queue(
    traces: tracing.Traces, exporter: InMemorySpanExporter
) -> None:
    error = StatusError(Code.UNAVAILABLE, "full")
    traces(_answered(Code.UNAVAILABLE, error, [Timing(queued=101.0)]), _caller())
    assert [span.name for span in exporter.get_finished_spans()] == ["decode", "queue", "predict"]
    root = _span(exporter, "predict")
    assert (root.status.status_code.name, root.status.description) == ("ERROR", "full")
    assert root.attributes is not None
    assert root.attributes["error.type"] == "UNAVAILABLE"


def test_clients_fault_is_no_error_of_the_servers(
    traces: tracing.Traces, exporter: InMemorySpanExporter
) -> None:
    traces(_answered(Code.NOT_FOUND, StatusError(Code.NOT_FOUND, "no")), _caller())
    assert _span(exporter, "predict").status.status_code.name == "UNSET"


def test_span_is_its_callers_child(traces: tracing.Traces, exporter: InMemorySpanExporter) -> None:
    traces(_answered(), _caller(traceparent=PARENT, tracestate="a=b"))
    span = _span(exporter, "predict")
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE_ID
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert span.context.trace_state.to_header() == "a=b"


@pytest.mark.parametrize(("header", "spans"), [(NOT_SAMPLED, 0), ("no traceparent", 1)])
def test_callers_decision_is_followed_where_there_is_one(
    traces: tracing.Traces, exporter: InMemorySpanExporter, header: str, spans: int
) -> None:
    traces(_answered(timings=[]), _caller(traceparent=header))
    assert len(exporter.get_finished_spans()) == spans


class Collector:
    """An OTLP collector's gRPC service, which keeps what it gets."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[Any] = asyncio.Queue()

    def handler(self) -> grpc.GenericRpcHandler:
        service = "opentelemetry.proto.collector.trace.v1.TraceService"

        async def export(request: Any, _: Any) -> Any:
            await self.requests.put(request)
            return trace_service_pb2.ExportTraceServiceResponse()

        method = grpc.unary_unary_rpc_method_handler(
            export,
            trace_service_pb2.ExportTraceServiceRequest.FromString,
            trace_service_pb2.ExportTraceServiceResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(service, {"Export": method})

    async def spans(self) -> dict[str, list[Any]]:
        """The spans of the next export by name."""
        found: dict[str, list[Any]] = {}
        request = await asyncio.wait_for(self.requests.get(), 20)
        for resource in request.resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            assert names["service.name"] == "kedge"
            for scope in resource.scope_spans:
                for span in scope.spans:
                    found.setdefault(span.name, []).append(span)
        return found


@pytest.fixture
async def collector() -> AsyncIterator[tuple[Collector, str]]:
    """A collector and its URL."""
    made, server = Collector(), grpc.aio.server()
    server.add_generic_rpc_handlers((made.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield made, f"http://127.0.0.1:{port}"
    await server.stop(0)


@pytest.mark.parametrize("by", ["flag", "environment"])
async def test_requests_of_both_transports_reach_a_collector_under_their_callers_trace(
    half_plus_two: Path, collector: tuple[Collector, str], by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, url = collector
    flags = [f"--model_store_root={half_plus_two.parents[1]}"]
    if by == "flag":
        flags.append(f"--otlp_endpoint={url}")
    else:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    async with serving(*flags) as endpoint:
        question = Question(inputs={"x": np.array([1], np.float32)})
        call = endpoint.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        await call(question.request().SerializeToString(), metadata=(("traceparent", PARENT),), timeout=20)
        await endpoint.rest("POST", question.path, question.body(), Traceparent=PARENT)
    # The server sends what is left when it stops.
    spans = await kept.spans()
    assert {name: len(found) for name, found in spans.items()} == dict.fromkeys(
        ("predict", "decode", "queue", "run", "encode"), 2
    )
    assert {span.trace_id.hex() for found in spans.values() for span in found} == {TRACE_ID}
    for span in spans["predict"]:
        attributes = {each.key: each.value for each in span.attributes}
        assert attributes["kedge.model.name"].string_value == "half_plus_two"
        assert attributes["kedge.model.version"].int_value == 1
        assert attributes["kedge.model.signature"].string_value == "serving_default"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
    ],
)
def test_no_traces_where_the_environment_wants_none(environment: dict[str, str]) -> None:
    assert tracing.open_traces("", environment) is None


def test_opentelemetry_that_is_missing_is_one_line_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(
        OptionsError, match=r"--otlp_endpoint needs .*pip install 'kedge\[tracing\]'"
    ) as found:
        tracing.open_traces("http://localhost:4317", {})
    assert found.value.exit_code == 2
    assert tracing.open_traces("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"}) is None


def test_server_without_traces_imports_nothing_of_opentelemetry() -> None:
    program = """
import asyncio, sys
from serving import options, quiet
given = options.parse(["--model_store_root=/nowhere"])
quiet.wake_tensorflow(given)
from serving import server
async def made():
    server.ModelServer(given)
asyncio.run(made())
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
