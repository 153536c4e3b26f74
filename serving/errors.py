"""What the server answers when it cannot answer: a function for each message of the contract.

Each returns a `wire.errors.StatusError` for the caller to raise. Clients branch on its code; the fixed words
of its message are TensorFlow Serving's own. Sets of names are sorted and joined by commas without spaces.
"""

from collections.abc import Iterable

from wire.errors import Code, StatusError

PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"


class Refusal(StatusError):  # noqa: N818 - named by what it is: the error is the status.
    """A request is turned away that could be answered at another time; `reason` is a word for metrics."""

    def __init__(self, reason: str, code: Code, message: str) -> None:
        super().__init__(code, message)
        self.reason = reason


def invalid_argument(message: str) -> StatusError:
    """An INVALID_ARGUMENT with a text of the caller's own."""
    return StatusError(Code.INVALID_ARGUMENT, message)


def failed_precondition(message: str) -> StatusError:
    """A FAILED_PRECONDITION with a text of the caller's own."""
    return StatusError(Code.FAILED_PRECONDITION, message)


# Which model, which version


def missing_model_spec() -> StatusError:
    """The request says of no model anything."""
    return invalid_argument("Missing ModelSpec")


def no_model_name() -> StatusError:
    """The request's model has an empty name."""
    return invalid_argument("ModelSpec has no name specified.")


def servable_not_found(name: str, version: int | None = None) -> StatusError:
    """No such model, or no such version of it that is available now; None asked for the latest."""
    asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return StatusError(Code.NOT_FOUND, f"Servable not found for request: {asked}")


def unknown_label(label: str) -> StatusError:
    """No version of the model has this label, or the model is unknown."""
    return invalid_argument(f"Unrecognized servable version label: {label}")


def status_not_found(name: str, version: int | None = None) -> StatusError:
    """GetModelStatus has never seen this model, or this version of it."""
    if version is None:
        return StatusError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
    return StatusError(Code.NOT_FOUND, f"Could not find version {version} of model {name}")


# Which signature, which tensors


def unknown_signature(signature: str) -> StatusError:
    """Predict over gRPC: the model has no such signature."""
    return failed_precondition(f'Serving signature key "{signature}" not found.')


def unknown_signature_in_rest(signature: str) -> StatusError:
    """Predict over REST: the model has no such signature."""
    return invalid_argument(f'Serving signature name: "{signature}" not found in signature def')


def unknown_example_signature(signature: str) -> StatusError:
    """Classify and Regress: the model has no such signature."""
    return invalid_argument(f"No signature was found with the name: {signature}")


def foreign_predict_method(method: str) -> StatusError:
    """Predict with --enable_signature_method_name_check: the signature is of none of the known methods."""
    known = f"{PREDICT_METHOD}, {CLASSIFY_METHOD}, {REGRESS_METHOD}"
    return StatusError(
        Code.INTERNAL, f"Expected prediction signature method_name to be one of {{{known}}}. Was: {method}"
    )


def foreign_method(kind: str, expected: str, method: str) -> StatusError:
    """Classify or Regress (`kind`) with --enable_signature_method_name_check: it is another method's."""
    return invalid_argument(f"Expected {kind} signature method_name to be {expected}. Was: {method}")


def input_count(sent: Iterable[str], expected: Iterable[str]) -> StatusError:
    """More inputs than the signature has, or fewer and it has no defaults for the rest."""
    have, want = set(sent), set(expected)
    return invalid_argument(
        f"input size does not match signature: {len(have)}!={len(want)} len({{{_joined(have)}}}) != "
        f"len({{{_joined(want)}}}). Sent extra: {{{_joined(have - want)}}}. "
        f"Missing but required: {{{_joined(want - have)}}}."
    )


def missing_input(alias: str, feed: str, sent: Iterable[str], defaults: Iterable[str]) -> StatusError:
    """The number of inputs is right, but this one, fed to tensor `feed`, is not among them."""
    return invalid_argument(
        f"Signature input alias: {alias}(feed name: {feed}) not found in request and no default value "
        f"provided. Inputs expected to be in the request {{{_joined(sent)}}}, or default input alias set: "
        f"{{{_joined(defaults)}}}"
    )


def foreign_input(alias: str, sent: Iterable[str], used: Iterable[str]) -> StatusError:
    """Defaults would fill what is missing, but `alias` is no input of the signature."""
    return invalid_argument(
        f"Inputs contains invalid name. Used request inputs: {{{_joined(used)}}}, "
        f"request input: {{{_joined(sent)}}}. Foreign: {alias}"
    )


def tensor_parsing(alias: str) -> StatusError:
    """The TensorProto of an input does not parse."""
    return invalid_argument(f"tensor parsing error: {alias}")


def input_dtype(alias: str, index: int, expected: str, received: str, shape: str) -> StatusError:
    """An input's elements are of another type than the signature's; `index` counts the inputs by name."""
    return invalid_argument(
        f"Expects arg[{index}] to be {expected} but {received} is provided: "
        f"input '{alias}' came as {received} {shape}"
    )


def input_shape(alias: str, dtype: str, expected: str, received: str) -> StatusError:
    """An input cannot have the signature's shape."""
    return invalid_argument(
        f"Input '{alias}' does not fit its signature: expected {dtype} of shape {expected}, "
        f"received shape {received}"
    )


def unknown_output(alias: str, expected: Iterable[str]) -> StatusError:
    """`output_filter` names what is no output of the signature."""
    return invalid_argument(
        f"output tensor alias not found in signature: {alias} "
        f"Outputs expected to be in the set {{{_joined(expected)}}}."
    )


def duplicate_output(alias: str) -> StatusError:
    """`output_filter` names an output twice."""
    return invalid_argument(f"duplicate output tensor alias: {alias}")


def timed_out() -> StatusError:
    """The deadline passed while the model ran."""
    return StatusError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification")


# Batching


def queue_full() -> StatusError:
    """As many requests wait for the model as may."""
    return Refusal(
        "queue",
        Code.UNAVAILABLE,
        "The batch scheduling queue to which this task was submitted is full; try again later",
    )


def timed_out_in_queue() -> StatusError:
    """The deadline passed while the request waited for its batch."""
    message = "Run() timeout exceeded while waiting in batching queue"
    return Refusal("deadline", Code.RESOURCE_EXHAUSTED, message)


def expired_in_queue() -> StatusError:
    """The deadline passed while the request waited for a thread, without TensorFlow Serving's batching."""
    return Refusal("deadline", Code.DEADLINE_EXCEEDED, "Timed out waiting for notification")


def draining() -> StatusError:
    """The server has been told to stop and takes no further requests."""
    return Refusal("draining", Code.UNAVAILABLE, "The server is shutting down")


def task_too_large(rows: int, limit: int) -> StatusError:
    """A request has more rows than a batch may."""
    return invalid_argument(f"Task size {rows} is larger than maximum input batch size {limit}")


# Configuration


def invalid_file(path: str, reason: str) -> StatusError:
    """A text-format configuration file does not parse."""
    return invalid_argument(f"Invalid protobuf file: '{path}': {reason}")


def file_not_found(path: str, reason: str) -> StatusError:
    """A configuration file cannot be read."""
    return StatusError(Code.NOT_FOUND, f"{path}: {reason}")


def did_not_become_available(failures: Iterable[tuple[str, int | None, StatusError]]) -> StatusError:
    """A reload named new models that are not available: name, version where one was found, and why each."""
    parts = [
        f"{{{{name: {name}{'' if version is None else f' version: {version}'}}} "
        f"due to error: {error.code.name}: {error.message}}}, "
        for name, version, error in failures
    ]
    return StatusError(Code.UNKNOWN, f"{len(parts)} model(s) did not become available: {{{''.join(parts)}}}")


def still_loading(names: Iterable[str], seconds: float) -> StatusError:
    """A reload has waited long enough for its new models; they are still being loaded."""
    return StatusError(Code.DEADLINE_EXCEEDED, f"Still loading after {seconds:g} s: {{{_joined(names)}}}")


def _joined(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
