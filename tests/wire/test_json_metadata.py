"""Status and metadata in JSON: zero fields present, 64-bit numbers as strings, `signature_def` doubled."""

import json
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from wire import messages
from wire.errors import Code, StatusError
from wire.json_tensors import metadata_json, read_metadata, read_status, status_json

STATUS = """
model_version_status { version: 2 state: AVAILABLE status {} }
model_version_status { version: 1 state: END status { error_code: NOT_FOUND error_message: "gone" } }
"""
METADATA = """
model_spec { name: "m" version { value: 123 } }
"""
SIGNATURES = """
signature_def { key: "serving_default" value {
  inputs { key: "x" value { name: "x:0" dtype: DT_FLOAT tensor_shape { dim { size: -1 } } } }
  outputs { key: "y" value { name: "y:0" dtype: DT_FLOAT tensor_shape {} } }
  method_name: "tensorflow/serving/predict"
} }
"""
POOLS = {
    "wire": (messages.GetModelStatusResponse, messages.GetModelMetadataResponse, messages.SignatureDefMap),
    "tensorflow": (
        get_model_status_pb2.GetModelStatusResponse,
        get_model_metadata_pb2.GetModelMetadataResponse,
        get_model_metadata_pb2.SignatureDefMap,
    ),
}


def metadata(pool: str) -> Any:
    _, response_class, signatures_class = POOLS[pool]
    response = text_format.Parse(METADATA, response_class())
    response.metadata["signature_def"].Pack(text_format.Parse(SIGNATURES, signatures_class()))
    return response


@pytest.mark.parametrize("pool", POOLS)
def test_status_json_has_string_versions_and_zero_fields(pool: str) -> None:
    body = status_json(text_format.Parse(STATUS, POOLS[pool][0]()))
    assert json.loads(body) == {
        "model_version_status": [
            {"version": "2", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}},
            {"version": "1", "state": "END", "status": {"error_code": "NOT_FOUND", "error_message": "gone"}},
        ]
    }


@pytest.mark.parametrize("pool", POOLS)
def test_metadata_json_is_the_contracts(pool: str) -> None:
    x_shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert json.loads(metadata_json(metadata(pool))) == {
        "model_spec": {"name": "m", "signature_name": "", "version": "123"},
        "metadata": {
            "signature_def": {
                "signature_def": {
                    "serving_default": {
                        "inputs": {"x": {"dtype": "DT_FLOAT", "tensor_shape": x_shape, "name": "x:0"}},
                        "outputs": {
                            "y": {
                                "dtype": "DT_FLOAT",
                                "tensor_shape": {"dim": [], "unknown_rank": False},
                                "name": "y:0",
                            }
                        },
                        "method_name": "tensorflow/serving/predict",
                        "defaults": {},
                    }
                }
            }
        },
    }


def test_read_status_and_metadata_give_the_messages_back() -> None:
    status = text_format.Parse(STATUS, messages.GetModelStatusResponse())
    assert read_status(status_json(status)) == status
    read = read_metadata(metadata_json(metadata("wire")))
    assert read.SerializeToString(deterministic=True) == metadata("wire").SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (read_status, b"<html>"),
        (read_status, b"[]"),
        (read_status, b'{"model_version_status": 1}'),
        (read_metadata, b'{"model_spec": {}}'),
        (read_metadata, b'{"model_spec": {"version": "x"}, "metadata": {"signature_def": {}}}'),
    ],
)
def test_read_of_another_body_says_so(read: Any, body: bytes) -> None:
    with pytest.raises(StatusError, match=r"^the server's answer cannot be read: ") as caught:
        read(body)
    assert caught.value.code is Code.INTERNAL
