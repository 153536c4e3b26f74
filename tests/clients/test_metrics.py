"""What a client counts for Prometheus, and the trace that its requests belong to."""

import sys
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from clients import ClientMetrics, OptionError, Retry, Unreachable
from tests.clients import exchanges
from tests.clients.conftest import Connecting
from tests.clients.stubs import Stub

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def answered(stub: Stub) -> Stub:
    exchanges.answer_status(stub, "mnist", [(1, "AVAILABLE", "OK", "")])
    return stub


def test_requests_are_counted_by_what_was_asked_and_answered(stub: Stub, connecting: Connecting) -> None:
    registry = CollectorRegistry()
    metrics = ClientMetrics(registry)
    protocol = stub.url.partition(":")[0]
    with connecting(answered(stub).url, metrics=metrics) as client:
        client.status("mnist")
        client.status("mnist")
    asked = {"protocol": protocol, "method": "status"}
    assert registry.get_sample_value("kedge_client_requests_total", {**asked, "code": "OK"}) == 2
    assert registry.get_sample_value("kedge_client_request_seconds_count", asked) == 2
    seconds = registry.get_sample_value("kedge_client_request_seconds_sum", asked)
    assert seconds is not None
    assert 0 < seconds < 20
    sent = sum(len(body) for _, body in stub.requests)
    assert registry.get_sample_value("kedge_client_request_bytes_sum", asked) == sent


def test_every_try_and_every_retry_is_counted(stub: Stub, connecting: Connecting) -> None:
    registry = CollectorRegistry()
    paths = (exchanges.STATUS, "/v1/models/mnist")
    exchanges.answer_error(stub, paths, grpc.StatusCode.UNAVAILABLE, "busy")
    options: dict[str, Any] = {"metrics": ClientMetrics(registry), "retry": Retry(attempts=3, first=0)}
    with connecting(stub.url, **options) as client, pytest.raises(Unreachable):
        client.status("mnist")
    asked = {"protocol": stub.url.partition(":")[0], "method": "status"}
    assert registry.get_sample_value("kedge_client_requests_total", {**asked, "code": "UNAVAILABLE"}) == 3
    assert registry.get_sample_value("kedge_client_retries_total", asked) == 2


def test_clients_share_metrics(stub: Stub, connecting: Connecting) -> None:
    registry = CollectorRegistry()
    metrics = ClientMetrics(registry)
    for _ in range(2):
        with connecting(answered(stub).url, metrics=metrics) as client:
            client.status("mnist")
    asked = {"protocol": stub.url.partition(":")[0], "method": "status", "code": "OK"}
    assert registry.get_sample_value("kedge_client_requests_total", asked) == 2


def test_traceparent_of_a_call_reaches_the_server(stub: Stub, connecting: Connecting) -> None:
    with connecting(answered(stub).url) as client:
        client.status("mnist", traceparent=TRACE)
        client.status("mnist")
    assert stub.headers[0]["traceparent"] == TRACE
    assert "traceparent" not in stub.headers[1]


@pytest.mark.parametrize(
    "value", ["", "00-00-00-00", TRACE.upper(), TRACE + "\r\n", "00-" + "0" * 32 + TRACE[35:]]
)
def test_traceparent_that_is_none_is_refused(stub: Stub, connecting: Connecting, value: str) -> None:
    with connecting(stub.url) as client, pytest.raises(OptionError, match="is no traceparent"):
        client.status("mnist", traceparent=value)
    assert stub.requests == []


def test_trace_of_opentelemetry_reaches_the_server(stub: Stub, connecting: Connecting) -> None:
    trace = pytest.importorskip("opentelemetry.trace")
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)), connecting(answered(stub).url) as client:
        client.status("mnist")
    assert stub.headers[0]["traceparent"] == f"00-{0xABC:032x}-{0xDEF:016x}-01"


def test_program_without_opentelemetry_sends_no_trace(
    stub: Stub, connecting: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "opentelemetry":
            monkeypatch.delitem(sys.modules, name)
    with connecting(answered(stub).url) as client:
        client.status("mnist")
    assert "traceparent" not in stub.headers[0]
    assert "opentelemetry.propagate" not in sys.modules
