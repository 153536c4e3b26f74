"""Cases as the bytes that each kind of server takes, and its answers as arrays."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.serving import open_inference
from benchmarks.serving.cases import Array, Case, Example
from clients import grpc_encoding
from clients.exchange import Answer, ModelSpec
from wire import json_tensors

JSON = {"Content-Type": "application/json"}
FRAME_PREFIX = 5


@dataclass(frozen=True)
class Request:
    """A request's path (over gRPC the method's full name), its body, and whether an answer to it is right."""

    path: str
    body: bytes = field(repr=False)
    right: Callable[[bytes], bool] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def framed(self) -> bytes:
        """The body as a gRPC message in its frame, not compressed."""
        return framed(self.body)


Encoder = Callable[[Case, Example], Request]


def framed(message: bytes) -> bytes:
    """A gRPC message as it stands in the stream."""
    return b"\0" + len(message).to_bytes(FRAME_PREFIX - 1, "big") + message


def predict_grpc(case: Case, example: Example) -> Request:
    """TensorFlow Serving's Predict."""
    exchange = grpc_encoding.predict(ModelSpec(case.model, signature=case.signature), example.inputs)
    return Request(
        exchange.path,
        exchange.body,
        lambda answer: example.agrees(exchange.decode(Answer(answer)).arrays[example.output_name]),
    )


def predict_rest(case: Case, example: Example) -> Request:
    """TensorFlow Serving's predict over REST, in rows; KServe's first protocol is the same."""
    return Request(
        f"/v1/models/{case.model}:predict",
        json_tensors.predict_body(
            example.inputs,
            form=json_tensors.RequestForm.ROW,
            signature_name="" if case.default else case.signature,
        ),
        lambda answer: example.agrees(_floats(json.loads(answer)["predictions"])),
        JSON,
    )


def arrays_rest(case: Case, example: Example) -> Request:
    """The tensors by name, to the path of the model's name; a list comes back."""
    body = b",".join(b'"%s":%s' % (name.encode(), _rows(array)) for name, array in example.inputs.items())
    return Request(
        f"/{case.model}",
        b"{" + body + b"}",
        lambda answer: example.agrees(_floats(json.loads(answer))),
        JSON,
    )


def open_inference_rest(case: Case, example: Example) -> Request:
    """The Open Inference Protocol ("v2") over REST."""
    return Request(
        f"/v2/models/{case.model}/infer",
        open_inference.json_request(example.inputs),
        lambda answer: example.agrees(open_inference.json_output(answer)),
        JSON,
    )


def open_inference_grpc(case: Case, example: Example) -> Request:
    """The Open Inference Protocol ("v2") over gRPC, with raw contents."""
    return Request(
        open_inference.METHOD,
        open_inference.message(case.model, example.inputs),
        lambda answer: example.agrees(open_inference.output(answer)),
    )


def echo_grpc(case: Case, example: Example) -> Request:
    """The request of Predict, which must come back as it is."""
    request = predict_grpc(case, example)
    return Request(request.path, request.body, lambda answer: answer == request.body)


def echo_rest(case: Case, example: Example) -> Request:
    """The request of predict over REST, which must come back as the same JSON."""
    request = predict_rest(case, example)
    document = json.loads(request.body)
    return Request(request.path, request.body, lambda answer: json.loads(answer) == document, JSON)


def _rows(array: Array) -> bytes:
    return json.dumps(array.tolist(), separators=(",", ":")).encode()


def _floats(rows: object) -> Array:
    return np.asarray(rows, np.float32)
