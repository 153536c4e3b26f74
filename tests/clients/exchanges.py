"""Answers of TensorFlow Serving, the same ones over gRPC and over REST.

The JSON is laid out as TensorFlow Serving lays it out; a single output has no name in it.
"""

import json
from collections.abc import Collection
from typing import Any

import grpc
import numpy as np

from tests.clients.stubs import GrpcError, HttpAnswer, Stub
from wire import messages, tensors

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
HTTP_CODES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
SIGNATURES = {
    "mnist": {"serving_default": ({"pixels": (1, (-1, 784))}, {"probabilities": (1, (-1, 10))})},
    "imdb": {
        "serving_default": ({"multi_hot": (1, (-1, 10000))}, {"probability": (1, (-1, 1))}),
        "text": ({"text": (7, (-1,))}, {"probability": (1, (-1, 1))}),
        "token_ids": ({"tokens": (3, (-1, -1))}, {"probability": (1, (-1, 1))}),
    },
    "line": {"serving_default": ({"x": (1, (-1,))}, {"y": (1, (-1,))})},
    "pair": {
        "serving_default": (
            {"x": (1, (-1,)), "count": (3, ())},
            {"y": (1, (-1,)), "name": (7, (-1,)), "raw_bytes": (7, (-1,))},
        )
    },
}


def is_grpc(stub: Stub) -> bool:
    return stub.url.startswith("grpc")


def predict_path(stub: Stub, place: str) -> str:
    """Where predict is: `place` as in an URL, such as "mnist" or "mnist/versions/3"."""
    return PREDICT if is_grpc(stub) else f"/v1/models/{place}:predict"


def answer_outputs(
    stub: Stub, place: str, outputs: dict[str, Any], text: str, *, version: int = 3, as_content: bool = False
) -> None:
    """Answer predict with outputs: `text` is what REST says in the place of the value of "outputs"."""
    if is_grpc(stub):
        response = messages.PredictResponse()
        response.model_spec.name = place.partition("/")[0]
        response.model_spec.version.value = version
        for name, value in outputs.items():
            tensors.fill(response.outputs[name], np.asarray(value), as_content=as_content)
        stub.answers[PREDICT] = response
    else:
        stub.answers[predict_path(stub, place)] = HttpAnswer('{\n    "outputs": ' + text + "\n}")


def answer_error(stub: Stub, paths: tuple[str, str], code: grpc.StatusCode, message: str) -> None:
    """Answer with an error, at the gRPC method or the URL's path."""
    if is_grpc(stub):
        stub.answers[paths[0]] = GrpcError(code, message)
    else:
        body = json.dumps({"error": message}, indent=4)
        stub.answers[paths[1]] = HttpAnswer(body, HTTP_CODES[code])


def answer_metadata(stub: Stub, model: str, *, version: int = 3, without: Collection[str] = ()) -> None:
    """Answer with the signatures of a model, or with all but some."""
    signatures = {name: tensors for name, tensors in SIGNATURES[model].items() if name not in without}
    if not is_grpc(stub):
        stub.answers[f"/v1/models/{model}/metadata"] = HttpAnswer(metadata_json(model, version, signatures))
        return
    signature_map = messages.SignatureDefMap()
    for name, (inputs, outputs) in signatures.items():
        signature = signature_map.signature_def[name]
        signature.method_name = "tensorflow/serving/predict"
        for infos, field in ((inputs, signature.inputs), (outputs, signature.outputs)):
            for tensor, (dtype, shape) in infos.items():
                field[tensor].name = f"{tensor}:0"
                field[tensor].dtype = dtype
                field[tensor].tensor_shape.SetInParent()
                for size in shape:
                    field[tensor].tensor_shape.dim.add(size=size)
    response = messages.GetModelMetadataResponse()
    response.model_spec.name = model
    response.model_spec.version.value = version
    response.metadata["signature_def"].type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    response.metadata["signature_def"].value = signature_map.SerializeToString()
    stub.answers[METADATA] = response


def metadata_json(model: str, version: int, signatures: dict[str, Any]) -> str:
    """Metadata with all the oddities: `signature_def` twice, sizes and the version as strings."""

    def infos(tensors: dict[str, tuple[int, tuple[int, ...]]]) -> dict[str, Any]:
        return {
            name: {
                "dtype": messages.DataType.Name(dtype),
                "tensor_shape": {
                    "dim": [{"size": str(size), "name": ""} for size in shape],
                    "unknown_rank": False,
                },
                "name": f"{name}:0",
            }
            for name, (dtype, shape) in tensors.items()
        }

    described = {
        name: {
            "inputs": infos(inputs),
            "outputs": infos(outputs),
            "method_name": "tensorflow/serving/predict",
            "defaults": {},
        }
        for name, (inputs, outputs) in signatures.items()
    }
    document = {
        "model_spec": {"name": model, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": described}},
    }
    return json.dumps(document, indent=1)


STATES = {"START": 10, "LOADING": 20, "AVAILABLE": 30, "UNLOADING": 40, "END": 50}


def answer_status(stub: Stub, place: str, versions: list[tuple[int, str, str, str]]) -> None:
    """Answer with versions: number, state, name of the code, message."""
    if not is_grpc(stub):
        entries = [
            {"version": str(v), "state": s, "status": {"error_code": c, "error_message": m}}
            for v, s, c, m in versions
        ]
        body = json.dumps({"model_version_status": entries}, indent=1)
        stub.answers[f"/v1/models/{place}"] = HttpAnswer(body)
        return
    response = messages.GetModelStatusResponse()
    for version, state, code, message in versions:
        entry = response.model_version_status.add(version=version, state=STATES[state])
        entry.status.error_code = getattr(grpc.StatusCode, code).value[0]
        entry.status.error_message = message
    stub.answers[STATUS] = response
