"""Warm-up: the requests recorded beside a version are replayed before it becomes available."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from serving import errors
from serving.servable import Servable
from serving.session import status_of, tensorflow
from wire.errors import Code, StatusError
from wire.tensors import to_array

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000
APIS = {"predict_log": "Predict", "classify_log": "Classify", "regress_log": "Regress"}

# Is told of a run: the model's name in the record, the API, the seconds.
Ran = Callable[[str, str, float], None]


def replay(servable: Servable, directory: Path, iterations: int = 1, *, ran: Ran | None = None) -> int:
    """Run each record of a version's warm-up file `iterations` times, in order; the number of records.

    No file is no warm-up: 0. `ran` is told of each run that went well, but for those of MultiInference.
    StatusError, which fails the load: the file is not TFRecord (DATA_LOSS), a record is not a PredictionLog
    or fails (its own code), or there are too many of them.
    """
    path = directory / WARMUP_FILE
    if not path.is_file():
        return 0
    count = 0
    for record in _records(path):
        count += 1
        log = _parsed(record, count)
        for _ in range(max(1, iterations)):
            started = time.monotonic()
            _run(servable, log, count)
            _tell(ran, log, time.monotonic() - started)
        if count > MAX_RECORDS:
            raise errors.invalid_argument(
                f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {WARMUP_FILE}"
            )
    return count


def _records(path: Path) -> Iterator[bytes]:
    dataset = tensorflow().data.TFRecordDataset(str(path))
    try:
        yield from dataset.as_numpy_iterator()
    except StatusError:
        raise
    except Exception as error:
        status = status_of(error)
        message = f"{status.message}. Please verify your warmup data is in TFRecord format."
        raise StatusError(Code.DATA_LOSS, message) from error


def _parsed(record: bytes, number: int) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    try:
        return PredictionLog.FromString(record)
    except DecodeError as error:
        raise errors.invalid_argument(
            f"Failed to parse warmup record: number {number} of {WARMUP_FILE}, {len(record)} bytes"
        ) from error


def _tell(ran: Ran | None, log: Any, seconds: float) -> None:
    kind = log.WhichOneof("log_type")
    if ran is not None and kind in APIS:
        ran(getattr(log, kind).request.model_spec.name, APIS[kind], seconds)


def _run(servable: Servable, log: Any, number: int) -> None:
    kind = log.WhichOneof("log_type")
    try:
        match kind:
            case None:
                return
            case "predict_log":
                _predict(servable, log.predict_log.request)
            case "classify_log" | "regress_log":
                request = getattr(log, kind).request
                _examples(servable, request.model_spec.signature_name, request.input)
            case "multi_inference_log":
                request = log.multi_inference_log.request
                for task in request.tasks:
                    _examples(servable, task.model_spec.signature_name, request.input)
            case _:
                field = log.DESCRIPTOR.fields_by_name[kind].number
                raise StatusError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {field}")
    except StatusError as error:
        raise StatusError(error.code, f"{error.message} (warm-up record {number})") from error


def _predict(servable: Servable, request: Any) -> None:
    inputs = {alias: to_array(proto) for alias, proto in request.inputs.items()}
    servable.run(request.model_spec.signature_name, inputs, tuple(request.output_filter))


def _examples(servable: Servable, signature_name: str, given: Any) -> None:
    """Classify and Regress feed each example serialized, after the serialized context."""
    if given.WhichOneof("kind") == "example_list_with_context":
        context = given.example_list_with_context.context.SerializeToString()
        examples = given.example_list_with_context.examples
    else:
        context, examples = b"", given.example_list.examples
    if not examples:
        raise errors.invalid_argument("Input is empty.")
    serialized = np.array([context + each.SerializeToString() for each in examples], dtype=object)
    servable.run(signature_name, {"inputs": serialized})
