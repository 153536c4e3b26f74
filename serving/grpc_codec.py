"""TensorFlow Serving's messages from and to what the core works on."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from numpy.typing import NDArray
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from serving import errors
from serving.example_signatures import Classification
from serving.inference import METADATA_FIELD, Call, ModelSpec, Reader
from serving.servable import SignatureInfo
from serving.states import VersionStatus
from wire import wire_format
from wire.errors import StatusError
from wire.tensors import encode, to_array

Array = NDArray[Any]


# The fields of a PredictResponse, and those of an entry in the map of its outputs.
_OUTPUTS = 1
_KEY, _VALUE = 1, 2


class Tensors(Mapping[str, Array]):
    """The inputs of a PredictRequest, each decoded when it is looked at: once their names are found right."""

    def __init__(self, protos: Mapping[str, Any]) -> None:
        self._protos = dict(protos)

    def __getitem__(self, alias: str) -> Array:
        if alias not in self._protos:
            raise KeyError(alias)
        try:
            return to_array(self._protos[alias])
        except StatusError as error:
            parsing = errors.tensor_parsing(alias)
            raise StatusError(parsing.code, f"{parsing.message}: {error.message}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._protos)

    def __len__(self) -> int:
        return len(self._protos)

    @property
    def size(self) -> int:
        """The bytes of the messages, without decoding any."""
        return sum(proto.ByteSize() for proto in self._protos.values())


def reader(inputs: Mapping[str, Array]) -> Reader:
    """A reader of inputs that are there."""

    async def read(_: SignatureInfo) -> Mapping[str, Array]:
        return inputs

    return read


def model_spec(request: Any) -> ModelSpec:
    """What a request's `model_spec` asks for; StatusError where it has none."""
    if not request.HasField("model_spec"):
        raise errors.missing_model_spec()
    spec = request.model_spec
    choice = spec.WhichOneof("version_choice")
    return ModelSpec(
        name=spec.name,
        # A wrapper without a value is version 0; only without a wrapper the latest is meant.
        version=spec.version.value if choice == "version" else None,
        label=spec.version_label if choice == "version_label" else None,
        signature_name=spec.signature_name,
    )


def serialized_examples(message: Any) -> list[bytes]:
    """The examples of an Input, each with the context before it, so that its own features win."""
    if message.WhichOneof("kind") == "example_list_with_context":
        given = message.example_list_with_context
        context = given.context.SerializeToString()
        return [context + example.SerializeToString() for example in given.examples]
    return [example.SerializeToString() for example in message.example_list.examples]


def predict_answer(call: Call, outputs: Mapping[str, Array], *, as_content: bool) -> bytes:
    """A PredictResponse in wire format, written without making a message."""
    parts: list[bytes] = []
    for alias, array in outputs.items():
        head, elements = encode(array, as_content=as_content)
        parts += (_output_head(alias, head, len(elements)), elements)
    parts.append(_answered_by(call.spec.name, call.version or 0, call.signature_name))
    return b"".join(parts)


@functools.lru_cache(maxsize=1024)
def _output_head(alias: str, tensor: bytes, size: int) -> bytes:
    """What comes before the last `size` bytes of an output, whose tensor begins so, in a PredictResponse."""
    key = wire_format.field(_KEY, alias.encode())
    value = wire_format.head(_VALUE, len(tensor) + size) + tensor
    return wire_format.head(_OUTPUTS, len(key) + len(value) + size) + key + value


@functools.lru_cache(maxsize=1024)
def _answered_by(name: str, version: int, signature_name: str) -> bytes:
    """A PredictResponse that has its ModelSpec only, in wire format."""
    response = predict_pb2.PredictResponse()
    answered_by(response.model_spec, Call(ModelSpec(name), version=version, signature_name=signature_name))
    serialized: bytes = response.SerializeToString()
    return serialized


def classify_response(call: Call, classification: Classification) -> Any:
    """A ClassificationResponse."""
    response = classification_pb2.ClassificationResponse()
    answered_by(response.model_spec, call)
    _fill_classes(response.result, classification)
    return response


def regress_response(call: Call, values: Array) -> Any:
    """A RegressionResponse."""
    response = regression_pb2.RegressionResponse()
    answered_by(response.model_spec, call)
    _fill_values(response.result, values)
    return response


def multi_inference_response(calls: Iterable[Call], results: Iterable[Classification | Array]) -> Any:
    """A MultiInferenceResponse, one result for each call in order."""
    response = inference_pb2.MultiInferenceResponse()
    for call, result in zip(calls, results, strict=True):
        added = response.results.add()
        answered_by(added.model_spec, call)
        if isinstance(result, Classification):
            _fill_classes(added.classification_result, result)
        else:
            _fill_values(added.regression_result, result)
    return response


def metadata_response(call: Call, signatures: Any) -> Any:
    """A GetModelMetadataResponse of a SignatureDefMap; its model_spec names no signature."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = call.spec.name
    response.model_spec.version.value = call.version or 0
    response.metadata[METADATA_FIELD].Pack(signatures)
    return response


def status_response(statuses: Iterable[VersionStatus]) -> Any:
    """A GetModelStatusResponse."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for status in statuses:
        added = response.model_version_status.add(version=status.version, state=int(status.state))
        # Present even when it is OK, which has no fields.
        added.status.SetInParent()
        added.status.error_code = int(status.code)
        added.status.error_message = status.message
    return response


def answered_by(spec: Any, call: Call) -> None:
    """Fill a ModelSpec with the version and signature that answered a call."""
    spec.name = call.spec.name
    spec.version.value = call.version or 0
    spec.signature_name = call.signature_name


def _fill_classes(result: Any, classification: Classification) -> None:
    classes, scores = classification.classes, classification.scores
    shape = next(array.shape for array in (classes, scores) if array is not None)
    # Always a result, also one of no examples.
    result.SetInParent()
    labels = [[""] * shape[1]] * shape[0] if classes is None else _texts(classes)
    numbers = [[0.0] * shape[1]] * shape[0] if scores is None else scores.tolist()
    for row, row_scores in zip(labels, numbers, strict=True):
        added = result.classifications.add()
        for label, score in zip(row, row_scores, strict=True):
            added.classes.add(label=label, score=score)


def _texts(classes: Array) -> list[list[str]]:
    return [[label.decode(errors="replace") for label in row] for row in classes.tolist()]


def _fill_values(result: Any, values: Array) -> None:
    result.SetInParent()
    for value in values.tolist():
        result.regressions.add(value=value)
