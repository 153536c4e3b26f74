"""Exchanges over gRPC: serialised messages of TensorFlow Serving's services, without a channel."""

from typing import TypeVar

from google.protobuf.message import Message

from clients import predict_request, signatures
from clients.exchange import SERVING_DEFAULT, Answer, Exchange, ModelSpec
from clients.results import Metadata, Outputs, SignatureInfo, VersionStatus
from models.model import Arrays
from wire import messages, tensors

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
NAMES_OUTPUTS = True
GROWTH = 1.0

M = TypeVar("M", bound=Message)


def predict(
    spec: ModelSpec,
    inputs: Arrays,
    signature: SignatureInfo | None = None,  # noqa: ARG001 - an answer over gRPC names its tensors itself
) -> Exchange[Outputs]:
    """Predict: the outputs by name, with the version that computed them."""
    asked = messages.ModelSpec(signature_name=spec.signature or SERVING_DEFAULT)
    _fill(asked, spec)
    body = predict_request.serialize(asked, inputs)
    return Exchange("predict", "POST", PREDICT, body, _outputs)


def status(spec: ModelSpec) -> Exchange[list[VersionStatus]]:
    """GetModelStatus. A label has no effect: TensorFlow Serving answers with all versions."""
    request = messages.GetModelStatusRequest()
    _fill(request.model_spec, spec)
    return Exchange("status", "POST", STATUS, request.SerializeToString(), _statuses)


def metadata(spec: ModelSpec) -> Exchange[Metadata]:
    """GetModelMetadata, of its one field."""
    request = messages.GetModelMetadataRequest(metadata_field=[signatures.FIELD])
    _fill(request.model_spec, spec)
    return Exchange("metadata", "POST", METADATA, request.SerializeToString(), _metadata)


def models() -> None:
    """TensorFlow Serving has no method that lists its models."""


def _fill(message: messages.ModelSpec, spec: ModelSpec) -> None:
    message.name = spec.name
    if spec.version is not None:
        # Version 0 too is sent as a wrapper: assigning makes it present, and without it the latest is meant.
        message.version.value = spec.version
    elif spec.label is not None:
        message.version_label = spec.label


def _outputs(answer: Answer) -> Outputs:
    response = _parse(messages.PredictResponse, answer.body)
    arrays = {name: tensors.to_array(proto) for name, proto in response.outputs.items()}
    return Outputs(arrays, response.model_spec.version.value)


def _statuses(answer: Answer) -> list[VersionStatus]:
    return signatures.statuses(_parse(messages.GetModelStatusResponse, answer.body))


def _metadata(answer: Answer) -> Metadata:
    return signatures.metadata(_parse(messages.GetModelMetadataResponse, answer.body))


def _parse(kind: type[M], body: bytes) -> M:
    message = kind()
    message.ParseFromString(body)
    return message
