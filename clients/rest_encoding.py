"""Exchanges over REST: URLs and JSON bodies of TensorFlow Serving's HTTP API, without a connection.

Requests are in the column format (`inputs`), which takes every tensor, scalars included.
"""

import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import numpy as np

from clients import signatures
from clients.exchange import SERVING_DEFAULT, Answer, Exchange, ModelSpec
from clients.results import Metadata, Outputs, SignatureInfo, VersionStatus
from clients.retry import Failure
from models.model import Arrays, InputError
from wire import json_tensors
from wire.errors import code_of_http

MODELS = "/v1/models"
VERSION_HEADER = "x-kedge-model-version"
"""Where kedge's server tells which version answered; TensorFlow Serving has no such header."""
NAMES_OUTPUTS = False
GROWTH = 6.0  # a byte is written as "false," at the longest, a float32 as 13 characters
OK, TOO_MANY, UNAVAILABLE = 200, 429, 503
LONGEST_PAGE = 4096
TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def predict(spec: ModelSpec, inputs: Arrays, signature: SignatureInfo | None) -> Exchange[Outputs]:
    """POST ...:predict. The answer tells no version; kedge's server has a header for it."""
    if signature is None:
        raise TypeError("an answer over REST does not name its tensors: expected the signature")
    # TensorFlow Serving would ignore an input that the signature has not, and answer all the same.
    if unknown := sorted(set(inputs) - set(signature.inputs)):
        raise InputError(
            f"the signature {spec.signature or SERVING_DEFAULT} of {spec.name} takes "
            f"{', '.join(sorted(signature.inputs))}; {', '.join(unknown)} came"
        )
    body = json_tensors.predict_body(
        {name: np.asarray(array) for name, array in inputs.items()},
        form=json_tensors.RequestForm.COLUMN,
        signature_name=spec.signature or SERVING_DEFAULT,
    )

    def decode(answer: Answer) -> Outputs:
        version = answer.headers.get(VERSION_HEADER)
        return Outputs(
            json_tensors.predict_outputs(answer.body, signature.outputs),
            spec.version if version is None else int(version),
        )

    return Exchange("predict", "POST", f"{_path(spec)}:predict", body, decode)


def status(spec: ModelSpec) -> Exchange[list[VersionStatus]]:
    """GET the model or one version of it. A label has no effect: TensorFlow Serving answers with all."""
    return Exchange("status", "GET", _path(spec), b"", _statuses)


def metadata(spec: ModelSpec) -> Exchange[Metadata]:
    """GET .../metadata."""
    return Exchange("metadata", "GET", f"{_path(spec)}/metadata", b"", _metadata)


def models() -> Exchange[list[str]]:
    """GET the list of models, which kedge's server has and TensorFlow Serving refuses (400)."""
    return Exchange("models", "GET", MODELS, b"", _models)


def check(status_code: int, reason: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raise Failure unless the status is 200, with the message that the body has.

    TensorFlow Serving answers {"error": "..."}; what stands before it, or in its place, answers as it likes.
    """
    if status_code == OK:
        return
    message = _error_message(body) or reason or "no reason given"
    after = retry_after(headers.get("retry-after")) if status_code in (TOO_MANY, UNAVAILABLE) else None
    if status_code == TOO_MANY and after is None:
        after = 0.0
    raise Failure(code_of_http(status_code), f"{message} (HTTP {status_code})", after)


def retry_after(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """The seconds that the header Retry-After asks to wait, in either of its forms, or None."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except ValueError:
        return None


def _path(spec: ModelSpec) -> str:
    path = f"{MODELS}/{quote(spec.name, safe='')}"
    if spec.label is not None:
        return f"{path}/labels/{quote(spec.label, safe='')}"
    if spec.version is None:
        return path
    if spec.version < 0:
        raise InputError(f"version {spec.version} is below 0: over REST it has no URL; gRPC can ask for it")
    return f"{path}/versions/{spec.version}"


def _error_message(body: bytes) -> str:
    message = json_tensors.error_message(body)
    if message is not None:
        return message
    text = TAG.sub(" ", body[:LONGEST_PAGE].decode(errors="replace"))
    return " ".join(text.split())[:200]


def _statuses(answer: Answer) -> list[VersionStatus]:
    return signatures.statuses(json_tensors.read_status(answer.body))


def _metadata(answer: Answer) -> Metadata:
    return signatures.metadata(json_tensors.read_metadata(answer.body))


def _models(answer: Answer) -> list[str]:
    document = json_tensors.parse_json(answer.body)
    return [str(model["name"]) for model in document["models"]]
