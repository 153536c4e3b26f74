"""Sends a row's request, in tensorflow-serving-api's own messages or raw HTTP, and checks the answer.

A check raises AssertionError with what was expected and what came.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import text_format
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from .rows_metrics import PAGE
from .table import ANY, MODEL, PREDICTION, Counted, Grpc, Raw, Rest, Together

REFLECTION = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
MESSAGES: Mapping[str, tuple[Any, Any]] = {
    f"{PREDICTION}/Predict": (predict_pb2.PredictRequest, predict_pb2.PredictResponse),
    f"{PREDICTION}/Classify": (
        classification_pb2.ClassificationRequest,
        classification_pb2.ClassificationResponse,
    ),
    f"{PREDICTION}/Regress": (regression_pb2.RegressionRequest, regression_pb2.RegressionResponse),
    f"{PREDICTION}/MultiInference": (
        inference_pb2.MultiInferenceRequest,
        inference_pb2.MultiInferenceResponse,
    ),
    f"{PREDICTION}/GetModelMetadata": (
        get_model_metadata_pb2.GetModelMetadataRequest,
        get_model_metadata_pb2.GetModelMetadataResponse,
    ),
    f"{MODEL}/GetModelStatus": (
        get_model_status_pb2.GetModelStatusRequest,
        get_model_status_pb2.GetModelStatusResponse,
    ),
    f"{MODEL}/HandleReloadConfigRequest": (
        model_management_pb2.ReloadConfigRequest,
        model_management_pb2.ReloadConfigResponse,
    ),
    "grpc.health.v1.Health/Check": (health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse),
    REFLECTION: (reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse),
}
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass(frozen=True)
class Server:
    """Where a server listens, `host:port` each, with one open channel to it; its process when it is ours."""

    grpc_address: str
    rest_address: str
    channel: grpc.Channel = field(repr=False)
    pid: int | None = None


@contextlib.contextmanager
def talking(grpc_address: str, rest_address: str, pid: int | None = None) -> Iterator[Server]:
    """A server's addresses with a channel that is open as long as the context."""
    with grpc.insecure_channel(grpc_address, options=UNLIMITED) as channel:
        yield Server(grpc_address, rest_address, channel, pid)


# gRPC


@dataclass(frozen=True)
class GrpcAnswer:
    """The code's name, the error's message, and the response's bytes when the code is OK."""

    code: str
    message: str
    response: bytes


def serialized(row: Grpc) -> bytes:
    """The request's bytes."""
    parts = (row.request,) if isinstance(row.request, str | bytes) else row.request
    request, _ = MESSAGES.get(row.call, (None, None))
    return b"".join(
        part if isinstance(part, bytes) else text_format.Parse(part, request()).SerializeToString()
        for part in parts
        if part
    )


def call(server: Server, row: Grpc) -> GrpcAnswer:
    """Send a gRPC row."""
    return call_bytes(server, row.call, serialized(row), row.timeout)


def begin(server: Server, row: Grpc) -> Callable[[], None]:
    """Send a gRPC row now, before whatever is sent next on the same channel; gives what waits and checks."""
    sent = server.channel.unary_unary(f"/{row.call}").future(serialized(row), timeout=row.timeout)

    def finish() -> None:
        error = sent.exception()
        if error is None:
            return check_grpc(row, GrpcAnswer("OK", "", sent.result()))
        return check_grpc(row, GrpcAnswer(error.code().name, error.details() or "", b""))

    return finish


def call_bytes(server: Server, method: str, request: bytes, timeout: float) -> GrpcAnswer:
    """Send bytes to a method."""
    try:
        if method == REFLECTION:
            stream = server.channel.stream_stream(f"/{method}")
            return GrpcAnswer("OK", "", next(iter(stream(iter([request]), timeout=timeout))))
        return GrpcAnswer("OK", "", server.channel.unary_unary(f"/{method}")(request, timeout=timeout))
    except grpc.RpcError as error:
        return GrpcAnswer(error.code().name, error.details() or "", b"")


def check_grpc(row: Grpc, answer: GrpcAnswer) -> None:
    """The answer is the row's."""
    if answer.code != row.code:
        raise AssertionError(f"expected {row.code} {row.words}, got {answer.code}: {answer.message}")
    _in_order(row.words, answer.message)
    if row.message_bytes is not None and len(answer.message.encode()) != row.message_bytes:
        raise AssertionError(f"expected {row.message_bytes} bytes, got {len(answer.message.encode())}")
    if answer.code == "OK":
        _check_response(row, MESSAGES[row.call][1].FromString(answer.response))


def _check_response(row: Grpc, response: Any) -> None:
    printed = text_format.MessageToString(response, as_one_line=True)
    if row.answer is not None:
        expected = text_format.Parse(row.answer, type(response)())
        if _canonical(expected) != _canonical(response):
            wanted = text_format.MessageToString(expected, as_one_line=True)
            raise AssertionError(f"expected the answer\n  {wanted}\ngot\n  {printed}")
    for piece in row.printed:
        if piece not in printed:
            raise AssertionError(f"expected {piece!r} in\n  {printed[:2000]}")
    for piece in row.not_printed:
        if piece in printed:
            raise AssertionError(f"did not expect {piece!r} in\n  {printed[:2000]}")


def _canonical(response: Any) -> bytes:
    """Bytes that are equal for equal messages, NaN included; a scalar's empty shape may be left out."""
    for value in getattr(response, "outputs", {}).values():
        value.tensor_shape.SetInParent()
    return response.SerializeToString(deterministic=True)


# REST


@dataclass(frozen=True)
class RestAnswer:
    """A response as it came; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(server: Server, row: Rest) -> RestAnswer:
    """Send a REST row with no header but those of the row, Host and Content-Length."""
    body = row.body.encode() if isinstance(row.body, str) else row.body
    connection = http.client.HTTPConnection(server.rest_address, timeout=30)
    with contextlib.closing(connection):
        connection.putrequest(row.method, row.path, skip_accept_encoding=True)
        for name, value in (row.headers or {}).items():
            connection.putheader(name, value)
        if body or row.method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return RestAnswer(response.status, headers, response.read())


def check_rest(row: Rest, answer: RestAnswer) -> None:
    """The answer is the row's."""
    body = answer.body.decode("utf-8", "replace")
    if answer.status != row.status:
        raise AssertionError(f"expected {row.status} {row.error}, got {answer.status}: {body[:2000]}")
    _check_headers(row, answer.headers)
    if row.error:
        _in_order(row.error, json.loads(body)["error"])
    if row.json is None and body:
        raise AssertionError(f"expected an empty body, got {body[:2000]}")
    if row.json not in (ANY, None) and json.loads(body) != row.json:
        raise AssertionError(f"expected {row.json}, got {body[:2000]}")
    _check_text(row.text, row.not_text, body)


def _check_text(text: Sequence[str], not_text: Sequence[str], body: str) -> None:
    for piece in text:
        if piece not in body:
            raise AssertionError(f"expected {piece!r} in\n{body[:2000]}")
    for piece in not_text:
        if piece in body:
            raise AssertionError(f"did not expect {piece!r} in\n{body[:2000]}")


def _check_headers(row: Rest, headers: Mapping[str, str]) -> None:
    if row.content_type is not None:
        came = headers.get("content-type", "")
        # libevent's own error page is not the server's business to the letter.
        came = came.partition(";")[0] if row.content_type == "text/html" else came
        if came != row.content_type:
            raise AssertionError(f"expected Content-Type {row.content_type}, got {came!r}")
    for name, value in (row.answer_headers or {}).items():
        if headers.get(name.lower()) != value:
            raise AssertionError(f"expected {name}: {value}, got {headers.get(name.lower())}")


def _in_order(words: Sequence[str], text: str) -> None:
    start = 0
    for piece in words:
        found = text.find(piece, start)
        if found < 0:
            raise AssertionError(f"expected {piece!r}, in this order, in\n{text[:2000]}")
        start = found + len(piece)


# The other kinds


def check_raw(server: Server, row: Raw) -> None:
    """Send the bytes and read as many responses as the row expects."""
    host, _, port = server.rest_address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(row.sent)
        reader = connection.makefile("rb")
        responses = [_read_response(reader) for _ in row.statuses]
    statuses = [status for status, _ in responses]
    if statuses != list(row.statuses):
        raise AssertionError(f"expected {list(row.statuses)}, got {responses}")
    _in_order(row.text, responses[-1][1].decode("utf-8", "replace"))


def _read_response(reader: Any) -> tuple[int, bytes]:
    line = reader.readline()
    if not line:
        raise AssertionError("the connection was dropped without an answer")
    status = int(line.split()[1])
    headers = dict(_headers(reader))
    length = int(headers.get("content-length", 0))
    if (
        status != 100
        and "content-length" not in headers
        and "chunked" not in headers.get("transfer-encoding", "")
    ):
        return status, reader.read()
    return status, reader.read(length) if length else b""


def _headers(reader: Any) -> Iterator[tuple[str, str]]:
    while (line := reader.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        yield name.lower(), value.strip()


def check(server: Server, row: Grpc | Rest | Together) -> None:
    """Send a row and check its answer."""
    if isinstance(row, Together):
        check_together(server, row)
    elif isinstance(row, Grpc):
        check_grpc(row, call(server, row))
    else:
        check_rest(row, ask(server, row))


def check_together(server: Server, row: Together) -> None:
    """Send the calls at once and check each one's answer, or that one of them has its own."""
    with ThreadPoolExecutor(len(row.calls)) as threads:
        sent = [threads.submit(check, server, row.calls[0])]
        if row.lead:
            time.sleep(row.lead)
        sent += [threads.submit(check, server, each) for each in row.calls[1:]]
        failures = [failure for each in sent if (failure := each.exception()) is not None]
    if row.any_of and len(failures) < len(sent):
        return
    for failure in failures:
        raise failure


def check_counted(server: Server, row: Counted) -> None:
    """The sample grows through the calls by as much as the row says."""
    before = sample(server, row.sample)
    for each in row.calls:
        check(server, each)
    if row.grows is None:
        if sample(server, row.sample) is not None:
            raise AssertionError(f"did not expect {row.sample}")
        return
    expected = (before or 0) + row.grows

    # What is counted after the answer has been sent is not on the page at once.
    def reached() -> None:
        if (found := sample(server, row.sample)) is None or found < expected:
            raise AssertionError(f"expected {row.sample} {expected}, got {found}")

    if row.grows:
        eventually(reached, seconds=5)
    if (found := sample(server, row.sample) or 0) != expected:
        raise AssertionError(f"expected {row.sample} {expected}, got {found}")


def sample(server: Server, name: str) -> float | None:
    """A sample's value on the Prometheus page; None when it is not there."""
    page = ask(server, Rest(id="", rule="5", method="GET", path=PAGE)).body.decode()
    lines = (line for line in page.splitlines() if line.startswith(f"{name} "))
    return next((float(line[len(name) :]) for line in lines), None)


def eventually(check: Callable[[], None], *, seconds: float) -> None:
    """Repeat a check until it passes; its last failure when it has not in so many seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
