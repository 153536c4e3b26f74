"""The Open Inference Protocol ("v2") that MLServer and KServe speak: its JSON, and its gRPC messages.

The messages are declared here with the fields that are used, under the protocol's names and numbers.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from benchmarks.serving.cases import Array

METHOD = "/inference.GRPCInferenceService/ModelInfer"
_FIELD = descriptor_pb2.FieldDescriptorProto
_TENSOR = (("name", 1, "string"), ("datatype", 2, "string"), ("shape", 3, "int64*"))


def json_request(inputs: Mapping[str, Array]) -> bytes:
    """The body of an inference request: float32 tensors, row by row."""
    tensors = [
        {"name": name, "shape": list(array.shape), "datatype": "FP32", "data": _short(array)}
        for name, array in inputs.items()
    ]
    return json.dumps({"inputs": tensors}, separators=(",", ":")).encode()


def json_output(answer: bytes) -> Array:
    """The first output of an answer, float32."""
    output = json.loads(answer)["outputs"][0]
    return np.asarray(output["data"], np.float32).reshape(output["shape"])


def message(model: str, inputs: Mapping[str, Array]) -> bytes:
    """A ModelInferRequest: float32 tensors in raw contents."""
    request = _REQUEST(model_name=model)
    for name, array in inputs.items():
        request.inputs.add(name=name, datatype="FP32", shape=array.shape)
        request.raw_input_contents.append(np.ascontiguousarray(array, "<f4").tobytes())
    serialized: bytes = request.SerializeToString()
    return serialized


def output(answer: bytes) -> Array:
    """The first output of a ModelInferResponse, float32, whether its contents are raw or not."""
    response = _RESPONSE.FromString(answer)
    tensor = response.outputs[0]
    if response.raw_output_contents:
        values = np.frombuffer(response.raw_output_contents[0], "<f4")
    else:
        values = np.asarray(tensor.contents.fp32_contents, np.float32)
    return values.reshape(tuple(tensor.shape))


def _short(array: Array) -> list[float]:
    """The values with the shortest digits that read back as the same float32."""
    return [float(str(value)) for value in array.ravel()]


def _add(
    file: descriptor_pb2.FileDescriptorProto, name: str, fields: tuple[tuple[str, int, str], ...]
) -> None:
    types = {
        "string": _FIELD.TYPE_STRING,
        "int64": _FIELD.TYPE_INT64,
        "float": _FIELD.TYPE_FLOAT,
        "bytes": _FIELD.TYPE_BYTES,
    }
    message_type = file.message_type.add(name=name)
    for field_name, number, kind in fields:
        label = _FIELD.LABEL_REPEATED if kind.endswith("*") else _FIELD.LABEL_OPTIONAL
        declared = message_type.field.add(name=field_name, number=number, label=label)
        plain = kind.rstrip("*")
        if plain in types:
            declared.type = types[plain]
        else:
            declared.type, declared.type_name = _FIELD.TYPE_MESSAGE, f".inference.{plain}"


def _messages() -> tuple[Any, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="inference.proto", package="inference", syntax="proto3")
    _add(file, "Contents", (("fp32_contents", 6, "float*"),))
    _add(file, "InputTensor", _TENSOR)
    _add(file, "OutputTensor", (*_TENSOR, ("contents", 5, "Contents")))
    _add(
        file,
        "ModelInferRequest",
        (("model_name", 1, "string"), ("inputs", 5, "InputTensor*"), ("raw_input_contents", 7, "bytes*")),
    )
    _add(file, "ModelInferResponse", (("outputs", 5, "OutputTensor*"), ("raw_output_contents", 6, "bytes*")))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = ("inference.ModelInferRequest", "inference.ModelInferResponse")
    request, response = (message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names)
    return request, response


_REQUEST, _RESPONSE = _messages()
