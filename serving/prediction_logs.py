"""Answered requests as TensorFlow Serving's PredictionLog messages, whichever transport they came by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from serving import grpc_codec
from serving.example_signatures import Classification
from serving.inference import Call, ModelSpec, Result, Task
from wire.tensors import fill

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A request that was chosen for the log, its answer, and when: seconds since 1970.

    A Predict has `inputs`, `output_filter` and `outputs`, the other kinds serialized `examples` and a result
    for each task. `prefix` says where it goes, `rate` is the share of requests that is chosen.
    """

    kind: str
    tasks: Sequence[Task]
    prefix: str
    rate: float
    seconds: int
    inputs: Mapping[str, Array] | None = None
    output_filter: Sequence[str] = ()
    outputs: Mapping[str, Array] | None = None
    examples: Sequence[bytes] = ()
    results: Sequence[Result] = ()

    @property
    def model(self) -> str:
        """The model's name."""
        return self.tasks[0].call.spec.name

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        examples = sum(map(len, self.examples))
        return examples + _size(self.inputs or {}) + _size(self.outputs or {})


def prediction_log(sample: Sample, tags: Sequence[str] = ()) -> PredictionLog:
    """The record: the request as it asked for the model, the answer, and which version gave it."""
    call, log = sample.tasks[0].call, PredictionLog()
    metadata = log.log_metadata
    grpc_codec.answered_by(metadata.model_spec, call)
    metadata.sampling_config.sampling_rate = sample.rate
    metadata.timestamp_secs = sample.seconds
    metadata.saved_model_tags.extend(tags)
    entry = getattr(log, sample.kind)
    if sample.kind == "predict_log":
        _fill_predict(entry, call, sample)
    else:
        _fill_examples(entry, sample)
    return log


def _fill_predict(entry: Any, call: Call, sample: Sample) -> None:
    _asked_for(entry.request.model_spec, call.spec)
    for alias, array in (sample.inputs or {}).items():
        fill(entry.request.inputs[alias], array, as_content=True)
    entry.request.output_filter.extend(sample.output_filter)
    entry.response.MergeFromString(grpc_codec.predict_answer(call, sample.outputs or {}, as_content=True))


def _fill_examples(entry: Any, sample: Sample) -> None:
    for example in sample.examples:
        entry.request.input.example_list.examples.add().MergeFromString(example)
    calls = [task.call for task in sample.tasks]
    if sample.kind == "multi_inference_log":
        for task in sample.tasks:
            added = entry.request.tasks.add(method_name=task.method)
            _asked_for(added.model_spec, task.call.spec)
        entry.response.CopyFrom(grpc_codec.multi_inference_response(calls, sample.results))
        return
    _asked_for(entry.request.model_spec, calls[0].spec)
    result = sample.results[0]
    if isinstance(result, Classification):
        entry.response.CopyFrom(grpc_codec.classify_response(calls[0], result))
    else:
        entry.response.CopyFrom(grpc_codec.regress_response(calls[0], result))


def _asked_for(message: Any, spec: ModelSpec) -> None:
    message.name = spec.name
    message.signature_name = spec.signature_name
    if spec.version is not None:
        message.version.value = spec.version
    elif spec.label is not None:
        message.version_label = spec.label


def _size(arrays: Mapping[str, Array]) -> int:
    if isinstance(arrays, grpc_codec.Tensors):
        return arrays.size
    return sum(
        sum(map(len, array.flat)) if array.dtype == object else array.nbytes for array in arrays.values()
    )
