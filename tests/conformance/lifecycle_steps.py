"""What a lifecycle row is made of: changes to a store and to the config, and answers that are waited for.

`{store}` in a text is the store's directory. A step that waits polls until its call's answer is as its row
says; no step sleeps for a fixed time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .table import MODEL, PREDICTION, Grpc, Rest, Row, floats, predict, spec

Kind = Literal["good", "slow", "scalar", "broken", "file", "empty", "warmed"]


@dataclass(frozen=True)
class Publish:
    """Rename a version into place: y = x / 2 + `adds`.

    "broken" is a directory whose saved_model.pb is no model, "file" no directory, "empty" an empty one, and
    "warmed" has a warm-up file of `records` (text PredictionLogs, or bytes as they are) or of `file`; "slow"
    and "scalar" are those of the plain server's models. `batching` is the version's batching_params.pbtxt.
    """

    model: str
    version: str
    adds: float = 0
    kind: Kind = "good"
    records: Sequence[str | bytes] = ()
    file: bytes | None = None
    batching: str | None = None


@dataclass(frozen=True)
class Remove:
    """Take a path under the store away."""

    path: str


@dataclass(frozen=True)
class Mend:
    """Replace a broken version's contents under the same name, in place, with a good model."""

    model: str
    version: str


@dataclass(frozen=True)
class Rewrite:
    """Replace the server's model config file."""

    text: str


@dataclass(frozen=True)
class Now:
    """The call answers so at once."""

    call: Grpc | Rest


@dataclass(frozen=True)
class Until:
    """The call answers so in the end."""

    call: Grpc | Rest


@dataclass(frozen=True)
class Begin:
    """Send a call and go on without its answer."""

    call: Grpc


@dataclass(frozen=True)
class Finish:
    """The call that was begun answers as it should."""


@dataclass(frozen=True)
class Terminate:
    """SIGTERM; no row comes after it on this server."""


@dataclass(frozen=True)
class Throughout:
    """During all of the steps the call, sent again and again, never answers otherwise."""

    call: Grpc
    steps: Sequence[Step]


Step = Publish | Remove | Mend | Rewrite | Now | Until | Begin | Finish | Terminate | Throughout


@dataclass(frozen=True, kw_only=True)
class Scenario(Row):
    """A rule that takes several steps to see. `server` is "lifecycle" or "polled"."""

    steps: Sequence[Step]
    server: str = "lifecycle"


def config(name: str, policy: str = "", labels: Mapping[str, int] | None = None, path: str = "") -> str:
    """One model's entry of a model_config_list."""
    entries = " ".join(f'version_labels {{ key: "{key}" value: {v} }}' for key, v in (labels or {}).items())
    chosen = f"model_version_policy {{ {policy} }}" if policy else ""
    base = path or f"{{store}}/{name}"
    return f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" {chosen} {entries} }}'


def config_list(*configs: str) -> str:
    """A ModelServerConfig."""
    return f"model_config_list {{ {' '.join(configs)} }}"


def reload(
    *configs: str, code: str = "OK", words: Sequence[str] = (), more: str = "", answer: str | None = None
) -> Now:
    """HandleReloadConfigRequest with a list of these models."""
    request = f"config {{ {config_list(*configs)} }} {more}"
    return Now(
        Grpc(
            id="",
            rule="4.6",
            call=f"{MODEL}/HandleReloadConfigRequest",
            request=request,
            code=code,
            words=words,
            answer=answer,
            timeout=30,
        )
    )


def gives(model: str, value: float, *, version: int | None = None, label: str | None = None) -> Grpc:
    """Predict of x = 2 answers with 1 + what the version adds; the answer's version is not looked at."""
    request = predict(spec(model, version=version, label=label), x=floats(2))
    return Grpc(
        id="", rule="4", call=f"{PREDICTION}/Predict", request=request, printed=(f"float_val: {value}",)
    )


def gone(model: str, *, version: int | None = None, label: str | None = None) -> Grpc:
    """Predict finds no such version now."""
    words = ("Servable not found for request: ",)
    request = predict(spec(model, version=version, label=label), x=floats(2))
    return Grpc(id="", rule="4", call=f"{PREDICTION}/Predict", request=request, code="NOT_FOUND", words=words)


def never_seen(model: str, version: int) -> Grpc:
    """GetModelStatus does not know the version."""
    return Grpc(
        id="",
        rule="1.8",
        call=f"{MODEL}/GetModelStatus",
        request=f"model_spec {{ {spec(model, version=version)} }}",
        code="NOT_FOUND",
        words=(f"Could not find version {version} of model {model}",),
    )


def no_label(model: str, label: str) -> Grpc:
    """Predict by a label that the model has not."""
    request = predict(spec(model, label=label), x=floats(2))
    words = (f"Unrecognized servable version label: {label}",)
    return Grpc(
        id="", rule="4.5", call=f"{PREDICTION}/Predict", request=request, code="INVALID_ARGUMENT", words=words
    )


def states(model: str, *each: str) -> Grpc:
    """GetModelStatus answers with exactly these, each such as "2 AVAILABLE"; failures are not looked at."""
    listed = " ".join(
        f"model_version_status {{ version: {version} state: {state} status {{ }} }}"
        for version, state in (one.split() for one in each)
    )
    return Grpc(
        id="",
        rule="1.8",
        call=f"{MODEL}/GetModelStatus",
        request=f"model_spec {{ {spec(model)} }}",
        answer=listed,
    )


def failed(model: str, version: int, *printed: str) -> Grpc:
    """The version's load has ended with an error that says this."""
    return Grpc(
        id="",
        rule="1.8",
        call=f"{MODEL}/GetModelStatus",
        request=f"model_spec {{ {spec(model, version=version)} }}",
        printed=("state: END", "error_code: ", "error_message: ", *printed),
    )
