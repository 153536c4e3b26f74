"""The gRPC transport: PredictionService and ModelService, each method decoding, asking the core, encoding."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2,
    predict_pb2,
    prediction_service_pb2,
    regression_pb2,
)

from serving import errors, grpc_codec
from serving.admission import Admission
from serving.answered import Answered, Caller, Watcher
from serving.config_files import model_configs
from serving.inference import Call, Inference, ModelSpec, Task
from serving.metrics import Metrics
from wire.errors import Code, StatusError

_log = logging.getLogger(__name__)

MAX_ERROR_BYTES = 1024
TRUNCATED = "...TRUNCATED"
PREDICTION_SERVICE = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name
MODEL_SERVICE = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(slots=True)
class Received:
    """A request's message, when it must be answered (a time of `time.monotonic`, or None), and its call."""

    message: Any
    deadline: float | None
    context: Any
    call: Call = field(default_factory=lambda: Call(ModelSpec("")))

    def caller(self) -> Caller:
        """Where it came from."""
        return Caller(lambda: dict(self.context.invocation_metadata() or ()), self.context.peer)

    def called(self) -> Call:
        """The call that the message's model_spec makes; StatusError where it has none."""
        self.call = Call(grpc_codec.model_spec(self.message), self.deadline, transport="grpc")
        return self.call


Answer = Callable[[Received], Awaitable[Any]]


class GrpcFront:
    """Answers the methods of both services through the core."""

    def __init__(
        self,
        inference: Inference,
        metrics: Metrics,
        admission: Admission,
        *,
        as_content: bool = False,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self._inference = inference
        self._metrics = metrics
        self._admission = admission
        self._as_content = as_content
        self._watchers = watchers

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """What a grpc.aio server is given. Messages are parsed here: a bad one is an answer, not a fault."""
        prediction = {
            "Predict": self._method("Predict", predict_pb2.PredictRequest, self._predict),
            "Classify": self._method("Classify", classification_pb2.ClassificationRequest, self._classify),
            "Regress": self._method("Regress", regression_pb2.RegressionRequest, self._regress),
            "MultiInference": self._method(
                "MultiInference", inference_pb2.MultiInferenceRequest, self._multi_inference
            ),
            "GetModelMetadata": self._method(
                "GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest, self._metadata
            ),
        }
        model = {
            "GetModelStatus": self._method(
                "GetModelStatus", get_model_status_pb2.GetModelStatusRequest, self._status
            ),
            "HandleReloadConfigRequest": self._method(
                "HandleReloadConfigRequest", model_management_pb2.ReloadConfigRequest, self._reload
            ),
        }
        return [
            grpc.method_handlers_generic_handler(PREDICTION_SERVICE, prediction),
            grpc.method_handlers_generic_handler(MODEL_SERVICE, model),
        ]

    def _method(self, api: str, kind: Any, answer: Answer) -> "grpc.RpcMethodHandler[bytes, bytes]":
        async def serve(body: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
            received = Received(kind(), _deadline(context), context)
            try:
                return await self._answered(api, received, body, answer)
            except StatusError as error:
                await context.abort(_STATUS_CODES[int(error.code)], truncated(error.message))
                raise

        return grpc.unary_unary_rpc_method_handler(serve)

    async def _answered(self, api: str, received: Received, body: bytes, answer: Answer) -> bytes:
        """Answer and count a request; StatusError for whatever went wrong."""
        started, code, failure = time.monotonic(), Code.CANCELLED, None
        try:
            with self._admission.request("grpc"):
                _parse(received.message, body)
                response = _serialized(await answer(received))
            code = Code.OK
            return response
        except StatusError as error:
            code, failure = error.code, error
            raise
        except Exception as error:
            _log.exception("%s failed", api)
            code = Code.INTERNAL
            failure = StatusError(code, f"{type(error).__name__} in the server; see its log")
            raise failure from error
        finally:
            answered = Answered("grpc", api, received.call, started, time.monotonic(), code, failure)
            self._metrics.answered(answered)
            for watch in self._watchers:
                watch(answered, received.caller())

    async def _predict(self, received: Received) -> Any:
        request, call = received.message, received.called()
        read = grpc_codec.tensor_reader(request.inputs)
        outputs = await self._inference.predict(call, read, tuple(request.output_filter))
        return grpc_codec.predict_response(call, outputs, as_content=self._as_content)

    async def _classify(self, received: Received) -> Any:
        call = received.called()
        examples = grpc_codec.serialized_examples(received.message.input)
        return grpc_codec.classify_response(call, await self._inference.classify(call, examples))

    async def _regress(self, received: Received) -> Any:
        call = received.called()
        examples = grpc_codec.serialized_examples(received.message.input)
        return grpc_codec.regress_response(call, await self._inference.regress(call, examples))

    async def _multi_inference(self, received: Received) -> Any:
        request = received.message
        tasks = [
            Task(Call(_spec_of_task(task), received.deadline, transport="grpc"), task.method_name)
            for task in request.tasks
        ]
        if tasks:
            received.call = tasks[0].call
        examples = grpc_codec.serialized_examples(request.input)
        results = await self._inference.multi_inference(tasks, examples)
        return grpc_codec.multi_inference_response([task.call for task in tasks], results)

    async def _metadata(self, received: Received) -> Any:
        call = received.called()
        signatures = self._inference.metadata(call, tuple(received.message.metadata_field))
        return grpc_codec.metadata_response(call, signatures)

    async def _status(self, received: Received) -> Any:
        call = received.called()
        return grpc_codec.status_response(self._inference.status(call.spec))

    async def _reload(self, received: Received) -> Any:
        request, registry = received.message, self._metrics.registry
        if request.config.WhichOneof("config") != "model_config_list":
            raise errors.invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        configs = model_configs(request.config)
        if self._inference.recorder is not None:
            self._inference.recorder.check(configs)
        names = {name: name.replace("/", ":") for name in request.metric_names}
        before = {name: registry.first_value(metric) for name, metric in names.items()}
        await asyncio.to_thread(self._inference.lifecycle.reload, configs)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        for name, metric in names.items():
            increase = registry.first_value(metric) - before[name]
            response.metric.add(name=name, int64_value_increase=increase)
        return response


def truncated(message: str) -> str:
    """An error's text as gRPC's trailers take it: at most 1024 bytes, and a mark where some are missing."""
    text = message.encode(errors="replace")
    if len(text) <= MAX_ERROR_BYTES:
        return text.decode()
    return text[:MAX_ERROR_BYTES].decode(errors="ignore") + TRUNCATED


def _spec_of_task(task: Any) -> ModelSpec:
    return grpc_codec.model_spec(task) if task.HasField("model_spec") else ModelSpec("")


def _deadline(context: Any) -> float | None:
    remaining = context.time_remaining()
    return None if remaining is None else time.monotonic() + remaining


def _parse(message: Any, body: bytes) -> None:
    try:
        message.MergeFromString(body)
    except DecodeError as error:
        raise StatusError(Code.INTERNAL, "Unable to parse request") from error


def _serialized(response: Any) -> bytes:
    try:
        serialized: bytes = response.SerializeToString()
    except Exception as error:
        raise StatusError(Code.RESOURCE_EXHAUSTED, f"The answer does not fit a message: {error}") from error
    return serialized
