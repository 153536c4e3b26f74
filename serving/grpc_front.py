"""The gRPC transport: PredictionService and ModelService, each method decoding, asking the core, encoding."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

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

from serving import errors, grpc_codec, grpc_methods
from serving.admission import Admission, Admitted
from serving.answered import Answered, Caller, Watcher
from serving.config_files import model_configs
from serving.grpc_codec import Array, Tensors
from serving.grpc_methods import Handle, Methods, path
from serving.grpc_stream import Stream
from serving.inference import Call, Inference, ModelSpec, Task
from serving.metrics import Metrics
from serving.patience import Patience
from serving.predict_layouts import Layouts
from serving.served import RELOADS_AT_ONCE
from wire.errors import Code, StatusError

_log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 2**31 - 1
PREDICTION_SERVICE = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name
MODEL_SERVICE = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name

# An answer of fewer bytes is not waited for: it takes hardly any memory.
LARGE_ANSWER_BYTES = 16 * 1024
# A client has so long as for its message to take so many bytes more of one.
TAKEN_BYTES = 2**20
# When a client may try again: gRPC's own words for it, which its retries follow, and HTTP's.
RETRY = (("grpc-retry-pushback-ms", "1000"), ("retry-after", "1"))


@dataclass(slots=True)
class Received:
    """A request, its message, and its call: none before the message has told whom it asks."""

    stream: Stream
    body: bytes = b""
    call: Call | None = None

    def caller(self) -> Caller:
        """Where it came from."""
        return Caller(self.stream.metadata, self.stream.peer)

    def parsed(self, kind: Any) -> Any:
        """The message, of this kind; StatusError where it is none."""
        return grpc_methods.parsed(kind, self.body)

    def called(self, spec: ModelSpec) -> Call:
        """The call that the message makes."""
        self.call = call = Call(spec, self.stream.deadline, transport="grpc")
        return call


Answer = Callable[[Received], Awaitable[bytes]]


class GrpcFront:
    """Answers the methods of both services through the core."""

    def __init__(
        self,
        inference: Inference,
        metrics: Metrics,
        admission: Admission,
        *,
        as_content: bool = False,
        patience: Patience,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self._inference = inference
        self._metrics = metrics
        self._admission = admission
        self._as_content = as_content
        self._patience = patience
        self._watchers = watchers
        self._layouts = Layouts()
        self._reloads = ThreadPoolExecutor(RELOADS_AT_ONCE, thread_name_prefix="reload")

    def methods(self) -> Methods:
        """The methods of both services. Messages are parsed here: a bad one is an answer, not a fault."""
        prediction = {
            "Predict": self._predict,
            "Classify": self._classify,
            "Regress": self._regress,
            "MultiInference": self._multi_inference,
            "GetModelMetadata": self._metadata,
        }
        model = {"GetModelStatus": self._status, "HandleReloadConfigRequest": self._reload}
        return {
            path(service, api): self._method(api, answer)
            for service, answers in ((PREDICTION_SERVICE, prediction), (MODEL_SERVICE, model))
            for api, answer in answers.items()
        }

    def _method(self, api: str, answer: Answer) -> Handle:
        async def serve(stream: Stream) -> None:
            try:
                await self._answer(api, Received(stream), answer)
            except StatusError as error:
                stream.refuse(error, RETRY if error.code == Code.UNAVAILABLE else ())

        return serve

    async def _answer(self, api: str, received: Received, answer: Answer) -> None:
        """Answer and count a request; StatusError for whatever went wrong."""
        started, code, failure = time.monotonic(), Code.CANCELLED, None
        try:
            with self._admission.request("grpc") as admitted:
                received.body = await grpc_methods.only_message(received.stream, admitted, self._patience)
                response = await answer(received)
                # It may be large, and an answer wait for long.
                received.body = b""
                await self._send(received.stream, response, admitted)
            code = Code.OK
        except StatusError as error:
            code, failure = error.code, error
            raise
        except Exception as error:
            _log.exception("%s failed", api)
            code = Code.INTERNAL
            failure = StatusError(code, f"{type(error).__name__} in the server; see its log")
            raise failure from error
        finally:
            call = received.call or Call(ModelSpec(""))
            answered = Answered("grpc", api, call, started, time.monotonic(), code, failure)
            self._metrics.answered(answered)
            for watch in self._watchers:
                watch(answered, received.caller())

    async def _send(self, stream: Stream, response: bytes, admitted: Admitted) -> None:
        """Send an answer; while a large one waits for its client, the request is under way."""
        stream.send(response)
        stream.finish()
        if len(response) >= LARGE_ANSWER_BYTES:
            admitted.keep(len(response))
            unsent = len(response)
            try:
                while unsent:
                    unsent = max(0, unsent - TAKEN_BYTES)
                    await self._patience.wait(stream.sent(unsent))
            except TimeoutError:
                # There is nobody who could be told.
                stream.give_up()
                raise asyncio.CancelledError from None

    async def _predict(self, received: Received) -> bytes:
        layout = self._layouts.find(received.body)
        if layout is not None:
            spec, outputs = layout.spec, layout.output_filter
            inputs: Mapping[str, Array] = {layout.alias: layout.tensor(received.body)}
        else:
            request = received.parsed(predict_pb2.PredictRequest)
            spec, outputs = grpc_codec.model_spec(request), tuple(request.output_filter)
            inputs = Tensors(request.inputs)
        call = received.called(spec)
        answer = await self._inference.predict(call, grpc_codec.reader(inputs), outputs)
        if layout is None:
            self._layouts.learn(received.body, spec, inputs, outputs)
        return _of_size(grpc_codec.predict_answer(call, answer, as_content=self._as_content))

    async def _classify(self, received: Received) -> bytes:
        request = received.parsed(classification_pb2.ClassificationRequest)
        call = received.called(grpc_codec.model_spec(request))
        examples = grpc_codec.serialized_examples(request.input)
        return _serialized(grpc_codec.classify_response(call, await self._inference.classify(call, examples)))

    async def _regress(self, received: Received) -> bytes:
        request = received.parsed(regression_pb2.RegressionRequest)
        call = received.called(grpc_codec.model_spec(request))
        examples = grpc_codec.serialized_examples(request.input)
        return _serialized(grpc_codec.regress_response(call, await self._inference.regress(call, examples)))

    async def _multi_inference(self, received: Received) -> bytes:
        request = received.parsed(inference_pb2.MultiInferenceRequest)
        tasks = [
            Task(Call(_spec_of_task(task), received.stream.deadline, transport="grpc"), task.method_name)
            for task in request.tasks
        ]
        if tasks:
            received.call = tasks[0].call
        examples = grpc_codec.serialized_examples(request.input)
        results = await self._inference.multi_inference(tasks, examples)
        return _serialized(grpc_codec.multi_inference_response([task.call for task in tasks], results))

    async def _metadata(self, received: Received) -> bytes:
        request = received.parsed(get_model_metadata_pb2.GetModelMetadataRequest)
        call = received.called(grpc_codec.model_spec(request))
        signatures = self._inference.metadata(call, tuple(request.metadata_field))
        return _serialized(grpc_codec.metadata_response(call, signatures))

    async def _status(self, received: Received) -> bytes:
        request = received.parsed(get_model_status_pb2.GetModelStatusRequest)
        call = received.called(grpc_codec.model_spec(request))
        return _serialized(grpc_codec.status_response(self._inference.status(call.spec)))

    async def _reload(self, received: Received) -> bytes:
        request = received.parsed(model_management_pb2.ReloadConfigRequest)
        registry = self._metrics.registry
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
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._reloads, self._inference.lifecycle.reload, configs)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        for name, metric in names.items():
            increase = registry.first_value(metric) - before[name]
            response.metric.add(name=name, int64_value_increase=increase)
        return _serialized(response)


def _spec_of_task(task: Any) -> ModelSpec:
    return grpc_codec.model_spec(task) if task.HasField("model_spec") else ModelSpec("")


def _serialized(response: Any) -> bytes:
    try:
        serialized: bytes = response.SerializeToString()
    except Exception as error:
        raise StatusError(Code.RESOURCE_EXHAUSTED, f"The answer does not fit a message: {error}") from error
    return serialized


def _of_size(answer: bytes) -> bytes:
    if len(answer) > MAX_MESSAGE_BYTES:
        message = f"The answer has {len(answer)} bytes; a message has at most {MAX_MESSAGE_BYTES}"
        raise StatusError(Code.RESOURCE_EXHAUSTED, message)
    return answer
