"""The one core that both transports call, on plain arrays: which version answers, the checks, the run.

A transport makes a `Call`, gives the core a function that reads its tensors, and encodes what comes back.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from serving import errors, example_signatures
from serving.batching import Batcher
from serving.config_files import ModelConfig
from serving.example_signatures import Classification
from serving.handles import Handle
from serving.servable import DEFAULT_SIGNATURE, SignatureInfo
from serving.served import Served
from serving.states import VersionStatus
from serving.timing import Timing
from wire.errors import Code, StatusError

Array = NDArray[Any]
Outputs = Mapping[str, Array]
# Gives the inputs by alias once the signature is known, so that a fault in its name is told first.
Reader = Callable[[SignatureInfo], Awaitable[Mapping[str, Array]]]
Unknown = Callable[[str], StatusError]
# Of a part of a MultiInference.
Result = Classification | Array

METADATA_FIELD = "signature_def"
_KNOWN_METHODS = (errors.PREDICT_METHOD, errors.CLASSIFY_METHOD, errors.REGRESS_METHOD)


class ModelSpec(NamedTuple):
    """Which model a request asks for: its latest version, or the version or the label that is named."""

    name: str
    version: int | None = None
    label: str | None = None
    signature_name: str = ""


@dataclass(slots=True)
class Call:
    """One request for a model.

    `deadline` is a time of `time.monotonic`, None for none. `version` and `signature_name` are filled in as
    they are resolved, so that they are known of a call that fails later, too; `timings` as its runs begin.
    `transport` is "grpc" or "rest".
    """

    spec: ModelSpec
    deadline: float | None = None
    version: int | None = None
    signature_name: str = ""
    transport: str = ""
    timings: list[Timing] = field(default_factory=list)


@dataclass(frozen=True)
class Task:
    """One part of a MultiInference request, and the method that it wants."""

    call: Call
    method: str


class RunObserver(Protocol):
    """Is told on the event loop of runs that went well."""

    def ran(self, model: str, api: str, seconds: float) -> None:
        """The model has run for a request of this API ("Predict", "Classify", "Regress")."""

    def examples_counted(self, model: str, examples: int) -> None:
        """A MultiInference request had this many examples."""


class Recorder(Protocol):
    """Is told on the event loop of requests that were answered well, with what was asked and answered.

    It neither blocks nor changes what it is given.
    """

    def check(self, configs: Sequence[ModelConfig]) -> None:
        """StatusError: a configuration that came by request would have requests logged where it may not."""

    def predicted(
        self,
        call: Call,
        inputs: Mapping[str, Array],
        output_filter: Sequence[str],
        outputs: Mapping[str, Array],
    ) -> None:
        """A Predict was answered."""

    def examined(
        self, api: str, tasks: Sequence[Task], examples: Sequence[bytes], results: Sequence[Result]
    ) -> None:
        """A Classify, Regress or MultiInference (`api`) was answered."""


class Inference:
    """Answers calls on the versions of a lifecycle, through a batcher. All methods run on the event loop."""

    def __init__(
        self,
        lifecycle: Served,
        batcher: Batcher,
        observer: RunObserver,
        *,
        check_method_names: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        self.lifecycle = lifecycle
        self._batcher = batcher
        self._observer = observer
        self.recorder = recorder
        self._check_method_names = check_method_names
        # The runs that wait for a thread or have one, each with its call.
        self.under_way: dict[Timing, Call] = {}

    async def predict(
        self,
        call: Call,
        read: Reader,
        outputs: Sequence[str] = (),
        *,
        unknown: Unknown = errors.unknown_signature,
    ) -> Outputs:
        """Run a signature on what `read` gives: the outputs by alias, all of them when none is named.

        StatusError with the contract's code and text; `unknown` makes that of an unknown signature.
        """
        with self._hold(call) as handle:
            signature = _signature(call, handle, unknown)
            if self._check_method_names and signature.method_name not in _KNOWN_METHODS:
                raise errors.foreign_predict_method(signature.method_name)
            inputs = await read(signature)
            answer = await self._run(handle, call, "Predict", inputs, outputs)
        if self.recorder is not None:
            self.recorder.predicted(call, inputs, outputs, answer)
        return answer

    async def classify(self, call: Call, examples: Sequence[bytes]) -> Classification:
        """Classify serialized tf.Examples; StatusError, INVALID_ARGUMENT: the signature does not fit."""
        with self._hold(call) as handle:
            result = await self._classify(handle, call, examples)
        if self.recorder is not None:
            self.recorder.examined("Classify", [Task(call, errors.CLASSIFY_METHOD)], examples, [result])
        return result

    async def regress(self, call: Call, examples: Sequence[bytes]) -> Array:
        """A float32 value, [N], for each serialized tf.Example; StatusError as `classify`."""
        with self._hold(call) as handle:
            result = await self._regress(handle, call, examples)
        if self.recorder is not None:
            self.recorder.examined("Regress", [Task(call, errors.REGRESS_METHOD)], examples, [result])
        return result

    async def multi_inference(self, tasks: Sequence[Task], examples: Sequence[bytes]) -> list[Result]:
        """Classify and regress the same examples by several signatures of one version, in the tasks' order.

        The first task says which version. StatusError; the tasks run side by side and all must succeed.
        """
        if not tasks:
            raise errors.no_model_name()
        with self._hold(tasks[0].call) as handle:
            _check_tasks(tasks, handle)
            if examples:
                self._observer.examples_counted(handle.name, len(examples))
            runs = []
            for task in tasks:
                task.call.version, task.call.timings = handle.version, tasks[0].call.timings
                by_method = self._classify if task.method == errors.CLASSIFY_METHOD else self._regress
                runs.append(by_method(handle, task.call, examples, api="MultiInference"))
            results: list[Result] = list(await asyncio.gather(*runs))
        if self.recorder is not None:
            self.recorder.examined("MultiInference", tasks, examples, results)
        return results

    def metadata(self, call: Call, fields: Sequence[str]) -> Any:
        """All signatures of a version as a SignatureDefMap message; StatusError."""
        if not fields:
            raise errors.invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for name in fields:
            if name != METADATA_FIELD:
                raise errors.invalid_argument(f"Metadata field {name} is not supported")
        with self._hold(call) as handle:
            return handle.servable.signature_def_map

    def status(self, spec: ModelSpec) -> list[VersionStatus]:
        """The states of a model's versions, newest first, or of the one named. Labels are not looked at."""
        return self.lifecycle.status(spec.name, spec.version)

    def _hold(self, call: Call) -> Handle:
        spec = call.spec
        handle = self.lifecycle.handle(spec.name, spec.version, spec.label)
        call.version = handle.version
        return handle

    async def _classify(
        self, handle: Handle, call: Call, examples: Sequence[bytes], api: str = "Classify"
    ) -> Classification:
        signature = _signature(call, handle, errors.unknown_example_signature)
        wanted = example_signatures.classify_outputs(signature, check_method=self._check_method_names)
        outputs = await self._run(handle, call, api, _serialized(examples), wanted)
        return example_signatures.classification(outputs, len(examples))

    async def _regress(
        self, handle: Handle, call: Call, examples: Sequence[bytes], api: str = "Regress"
    ) -> Array:
        signature = _signature(call, handle, errors.unknown_example_signature)
        wanted = example_signatures.regress_outputs(signature, check_method=self._check_method_names)
        outputs = await self._run(handle, call, api, _serialized(examples), wanted)
        return example_signatures.regression(outputs, len(examples))

    async def _run(
        self, handle: Handle, call: Call, api: str, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> Outputs:
        started, timing = time.monotonic(), Timing()
        call.timings.append(timing)
        self.under_way[timing] = call
        try:
            answer = await self._batcher.run(
                handle.servable, call.signature_name, inputs, outputs,
                deadline=call.deadline, model=handle.name, version=str(handle.version), timing=timing,
            )  # fmt: skip
        finally:
            del self.under_way[timing]
        self._observer.ran(handle.name, api, time.monotonic() - started)
        return answer


def _signature(call: Call, handle: Handle, unknown: Unknown) -> SignatureInfo:
    name = call.spec.signature_name or DEFAULT_SIGNATURE
    signature = handle.servable.signatures.get(name)
    if signature is None:
        raise unknown(name)
    call.signature_name = name
    return signature


def _serialized(examples: Sequence[bytes]) -> dict[str, Array]:
    if not examples:
        raise errors.invalid_argument("Input is empty.")
    array = np.empty(len(examples), object)
    array[:] = examples
    return {example_signatures.INPUT: array}


def _check_tasks(tasks: Sequence[Task], handle: Handle) -> None:
    names = []
    for task in tasks:
        spec = task.call.spec
        if not spec.name:
            raise errors.invalid_argument("Found ModelSpec with an empty model name.")
        if spec.name != handle.name:
            raise errors.invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        name = spec.signature_name or DEFAULT_SIGNATURE
        if name in names:
            raise errors.invalid_argument(f"Duplicate evaluation of signature: {name}")
        if name not in handle.servable.signatures:
            raise errors.invalid_argument(f"Requested signature not found in model graph: {name}")
        if task.method not in (errors.CLASSIFY_METHOD, errors.REGRESS_METHOD):
            raise StatusError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method}")
        names.append(name)
