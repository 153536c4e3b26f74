"""A loaded SavedModel: its signatures, the checks of a request against them, and the run."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving import errors
from serving.session import Call, Session, open_session
from wire import dtypes
from wire.errors import Code, StatusError
from wire.tensors import TensorInfo, tensor_info, to_array

Array = NDArray[Any]

DEFAULT_SIGNATURE = "serving_default"
DEFAULT_TAGS = ("serve",)


@dataclass(frozen=True)
class SignatureInfo:
    """A signature: its tensors by alias, its method name, and defaults of inputs that may be left out."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    method_name: str
    defaults: Mapping[str, Array] = field(default_factory=dict)


class Request(NamedTuple):
    """A checked request: the signature's name, every input by alias, and the outputs that are asked for."""

    signature_name: str
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]


class _Plain(NamedTuple):
    """Requests that an earlier one was like: by which signature they run, and of what types."""

    signature_name: str
    dtypes: Mapping[str, np.dtype[Any]]
    outputs: tuple[str, ...]

    def request(self, inputs: Mapping[str, Array]) -> Request | None:
        """A request of just these inputs, each of its type; None where it needs a closer look."""
        if inputs.keys() != self.dtypes.keys():
            return None
        found = {}
        for alias, dtype in self.dtypes.items():
            array = inputs[alias]
            if array.dtype != dtype:
                return None
            found[alias] = array
        return Request(self.signature_name, found, self.outputs)


class Servable:
    """One loaded version of a model. Thread-safe.

    `batching` is whatever the batcher was given for this version at its load.
    """

    # Requests with ever new output filters must not make the table of calls grow without bound.
    MAX_CALLS = 64

    def __init__(self, session: Session, *, path: Path | None = None, batching: Any = None) -> None:
        self.path = path
        self.batching = batching
        self.signatures: Mapping[str, SignatureInfo] = {
            name: _signature(definition) for name, definition in session.signature_defs.items()
        }
        self._session = session
        self._calls: dict[tuple[str, tuple[str, ...]], Call] = {}
        self._plain: dict[tuple[str, ...], _Plain] = {}
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._running = 0
        self._closed = False

    @property
    def signature_def_map(self) -> Any:
        """All signatures as a `tensorflow.serving.SignatureDefMap` message, as GetModelMetadata answers."""
        from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap

        message = SignatureDefMap()
        for name, definition in self._session.signature_defs.items():
            message.signature_def[name].CopyFrom(definition)
        return message

    def check(self, signature_name: str, inputs: Mapping[str, Array], outputs: Sequence[str] = ()) -> Request:
        """Check a request against the signature, in the contract's order, without running anything.

        An empty name is `serving_default`, empty `outputs` are all. Inputs left out get the signature's
        defaults. StatusError: FAILED_PRECONDITION for an unknown signature, else INVALID_ARGUMENT.
        """
        asked = (signature_name, *outputs)
        plain = self._plain.get(asked)
        request = plain.request(inputs) if plain is not None else None
        if request is not None:
            return request
        name = signature_name or DEFAULT_SIGNATURE
        signature = self.signatures.get(name)
        if signature is None:
            raise errors.unknown_signature(name)
        complete = _complete(signature, inputs)
        wanted = _wanted(signature, outputs)
        request = Request(name, _typed(signature, complete), wanted)
        if plain is None and complete is inputs:
            self._remember(asked, request)
        return request

    def _remember(self, asked: tuple[str, ...], request: Request) -> None:
        dtypes = {alias: array.dtype for alias, array in request.inputs.items()}
        if any(dtype.kind == "O" for dtype in dtypes.values()):
            return
        with self._lock:
            if len(self._plain) >= self.MAX_CALLS:
                self._plain.clear()
            self._plain[asked] = _Plain(request.signature_name, dtypes, request.outputs)

    def execute(self, request: Request, timeout: float | None = None) -> dict[str, Array]:
        """Run a checked request; blocks for at most `timeout` seconds. StatusError by TensorFlow's code."""
        signature = self.signatures[request.signature_name]
        self._enter()
        try:
            call = self._call(request.signature_name, request.outputs)
            results = call([request.inputs[alias] for alias in signature.inputs], timeout)
        except StatusError as error:
            raise _explained(error, signature, request.inputs) from error
        finally:
            self._leave()
        return dict(zip(request.outputs, results, strict=True))

    def expected_seconds(self, requests: Sequence[Request]) -> float | None:
        """How long checked requests of one signature and the same outputs take at most, run together.

        Going by the last such run; None where that cannot be told: before the first, of texts, whose size
        says little, and of what may loop or wait.
        """
        call = self._calls.get((requests[0].signature_name, requests[0].outputs))
        arrays = [array for request in requests for array in request.inputs.values()]
        if call is None or any(array.dtype.kind == "O" for array in arrays):
            return None
        return call.expected_seconds(sum(array.nbytes for array in arrays))

    def run(
        self,
        signature_name: str,
        inputs: Mapping[str, Array],
        outputs: Sequence[str] = (),
        timeout: float | None = None,
    ) -> dict[str, Array]:
        """Check and run a request: the outputs by alias, all of them when none is named.

        Blocks for at most `timeout` seconds (None: as long as it takes). StatusError, with the contract's
        codes and texts.
        """
        return self.execute(self.check(signature_name, inputs, outputs), timeout)

    def close(self) -> None:
        """Free the model's memory, after the runs under way have ended; no other begins."""
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: self._running == 0)
            self._calls.clear()
        self._session.close()

    def _enter(self) -> None:
        # A caller that was cancelled lets go of its handle while its run is still under way in a thread, so
        # that handles alone do not tell when the session may be destroyed.
        with self._lock:
            if self._closed:
                raise StatusError(Code.UNAVAILABLE, "The model has been unloaded")
            self._running += 1

    def _leave(self) -> None:
        with self._idle:
            self._running -= 1
            if self._closed:
                self._idle.notify_all()

    def _call(self, name: str, outputs: tuple[str, ...]) -> Call:
        key = (name, outputs)
        call = self._calls.get(key)
        if call is None:
            signature = self.signatures[name]
            call = self._session.call(
                [info.name for info in signature.inputs.values()],
                [signature.outputs[alias].name for alias in outputs],
            )
            with self._lock:
                if len(self._calls) >= self.MAX_CALLS:
                    self._calls.clear()
                self._calls[key] = call
        return call


def load(
    path: Path, *, tags: Sequence[str] = DEFAULT_TAGS, session_config: Any = None, batching: Any = None
) -> Servable:
    """Load a SavedModel's meta graph with these tags; StatusError says why it cannot be loaded."""
    session = open_session(path, tags, session_config)
    try:
        return Servable(session, path=path, batching=batching)
    except BaseException:
        session.close()
        raise


def _signature(definition: Any) -> SignatureInfo:
    return SignatureInfo(
        inputs={alias: tensor_info(info) for alias, info in sorted(definition.inputs.items())},
        outputs={alias: tensor_info(info) for alias, info in sorted(definition.outputs.items())},
        method_name=definition.method_name,
        defaults={alias: to_array(proto) for alias, proto in definition.defaults.items()},
    )


def _complete(signature: SignatureInfo, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """The inputs with the signature's defaults for those left out."""
    sent, expected, defaults = inputs.keys(), signature.inputs.keys(), signature.defaults
    if sent == expected:
        return inputs
    if len(sent) > len(expected) or (len(sent) < len(expected) and not defaults):
        raise errors.input_count(sent, expected)
    for alias in sorted(expected - sent):
        if alias not in defaults:
            raise errors.missing_input(alias, signature.inputs[alias].name, sent, defaults)
    foreign = sent - expected
    if foreign:
        raise errors.foreign_input(min(foreign), sent, sent & expected)
    return {alias: inputs[alias] if alias in inputs else defaults[alias] for alias in expected}


def _wanted(signature: SignatureInfo, outputs: Sequence[str]) -> tuple[str, ...]:
    if not outputs:
        return tuple(signature.outputs)
    for place, alias in enumerate(outputs):
        if alias not in signature.outputs:
            raise errors.unknown_output(alias, signature.outputs)
        if alias in outputs[:place]:
            raise errors.duplicate_output(alias)
    return tuple(outputs)


def _typed(signature: SignatureInfo, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """The inputs as the runtime takes them: strings as objects, everything else of the signature's type."""
    typed = {}
    for index, (alias, info) in enumerate(signature.inputs.items()):
        array = np.asarray(inputs[alias])
        received = dtypes.of_numpy(array.dtype)
        # The type of a TensorFlow 1 variable that is fed: a reference, numbered 100 higher.
        if received.number != info.dtype % 100:
            expected = _dtype_name(info.dtype % 100)
            raise errors.input_dtype(alias, index, expected, received.short_name, _shape_text(array.shape))
        typed[alias] = array.astype(object) if array.dtype.kind in "SU" else array
    return typed


def _explained(error: StatusError, signature: SignatureInfo, inputs: Mapping[str, Array]) -> StatusError:
    """A failed run told by the input whose shape is not the signature's, where there is one.

    Shapes are not looked at before the run: TensorFlow Serving runs whatever the graph takes.
    """
    if error.code in (Code.DEADLINE_EXCEEDED, Code.CANCELLED):
        return error
    for alias, info in signature.inputs.items():
        shape = inputs[alias].shape
        if info.shape is not None and not _fits(shape, info.shape):
            found = errors.input_shape(
                alias, _dtype_name(info.dtype), _shape_text(info.shape), _shape_text(shape)
            )
            return errors.invalid_argument(f"{found.message}: {error.message}")
    return error


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        size is None or have == size for have, size in zip(shape, expected, strict=True)
    )


def _shape_text(shape: Sequence[int | None]) -> str:
    return f"[{','.join('?' if size is None else str(size) for size in shape)}]"


def _dtype_name(number: int) -> str:
    found = dtypes.BY_NUMBER.get(number)
    return found.short_name if found else f"data type {number}"
