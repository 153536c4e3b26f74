"""The kinds of row: a rule of the contract, what is sent, and what must come back.

gRPC messages are written in protobuf's text form, so that the tables import nothing and a row shows what is
on the wire. Error messages are matched on the fixed words of the contract's templates only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PREDICTION = "tensorflow.serving.PredictionService"
MODEL = "tensorflow.serving.ModelService"
ANY: Any = object()
"""What a row's `json` is when the body is not compared as a whole."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A rule's request and answer.

    `rule` is the contract's section. `server` names the flags the server runs with (servers.FLAGS); only
    "plain" is asked of a --target. `real` is False where TensorFlow Serving is known to answer otherwise,
    which only an addition or a mend of the contract's section 9 may do, and `confirmed` where the contract
    marks the rule as unconfirmed; neither is asked of a --target, and `note` says why. `ours` is False for
    TensorFlow Serving's own answer where kedge has another: only a --target is asked.
    """

    id: str
    rule: str
    server: str = "plain"
    ours: bool = True
    real: bool = True
    confirmed: bool = True
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Grpc(Row):
    """One gRPC call.

    A `request` of several parts is serialized part by part, one after the other, as a client in another
    language might write it; bytes are sent as they are. `words` are in the error's message, in this order.
    `answer` is the whole response, `printed` are pieces of its one-line text form.
    """

    call: str
    request: str | bytes | tuple[str | bytes, ...] = ""
    code: str = "OK"
    words: Sequence[str] = ()
    answer: str | None = None
    printed: Sequence[str] = ()
    not_printed: Sequence[str] = ()
    message_bytes: int | None = None
    timeout: float = 20


@dataclass(frozen=True, kw_only=True)
class Rest(Row):
    """One HTTP request. `error` are words of the value of `error`, `text` pieces of the body as it stands."""

    method: str = "POST"
    path: str = ""
    body: str | bytes = b""
    headers: Mapping[str, str] | None = None
    status: int = 200
    error: Sequence[str] = ()
    json: Any = ANY
    text: Sequence[str] = ()
    not_text: Sequence[str] = ()
    content_type: str | None = "application/json"
    answer_headers: Mapping[str, str | None] | None = None


@dataclass(frozen=True, kw_only=True)
class Raw(Row):
    """Bytes on the REST port's socket, where no HTTP library would send them; the answers' status codes."""

    sent: bytes
    statuses: Sequence[int]
    text: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Counted(Row):
    """A metric's sample by how much it grows through some calls; None if it must not be there at all."""

    calls: Sequence[Grpc | Rest | Together]
    sample: str
    grows: int | None


@dataclass(frozen=True, kw_only=True)
class Together(Row):
    """Calls that are sent at once; each has its own answer.

    `any_of` asks for that of one call only. `lead` is how long before the others the first is sent, in
    seconds: nothing tells a client that a request is being run.
    """

    calls: Sequence[Grpc | Rest]
    any_of: bool = False
    lead: float = 0


@dataclass(frozen=True, kw_only=True)
class First(Row):
    """The first answer that a starting server gives at all."""

    call: Grpc


@dataclass(frozen=True, kw_only=True)
class Ends(Row):
    """Arguments with which the server ends by itself; what it prints, and whether it ends well.

    `{store}` is the plain server's store, with `file` in it as `given.config`; `{taken}` a port in use.
    """

    arguments: Sequence[str]
    printed: Sequence[str]
    well: bool = False
    file: str = ""


def tensor(dtype: str, shape: Sequence[int], values: Sequence[Any] = ()) -> str:
    """A TensorProto with its values in the typed field of its dtype; `dtype` without `DT_`."""
    dims = " ".join(f"dim {{ size: {size} }}" for size in shape)
    filled = " ".join(f"{TYPED[dtype]}: {_text(value)}" for value in values)
    return f"dtype: DT_{dtype} tensor_shape {{ {dims} }} {filled}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return '"' + "".join(f"\\{byte:03o}" for byte in value) + '"'
    return json.dumps(value) if isinstance(value, str) else repr(value)


def floats(*values: float) -> str:
    """A float32 tensor of rank 1."""
    return tensor("FLOAT", [len(values)], values)


def spec(
    name: str = "half_plus_two",
    *,
    version: int | None = None,
    label: str | None = None,
    signature: str | None = None,
) -> str:
    """A ModelSpec's fields."""
    parts = [f"name: {_text(name)}"]
    parts += [] if version is None else [f"version {{ value: {version} }}"]
    parts += [] if label is None else [f"version_label: {_text(label)}"]
    parts += [] if signature is None else [f"signature_name: {_text(signature)}"]
    return " ".join(parts)


def predict(model: str, /, *, only: Sequence[str] = (), **inputs: str) -> str:
    """A PredictRequest of a ModelSpec's fields and inputs, each a TensorProto's fields."""
    filters = " ".join(f"output_filter: {_text(name)}" for name in only)
    return f"model_spec {{ {model} }} {_map('inputs', inputs)} {filters}"


def outputs(model: str, /, **values: str) -> str:
    """A PredictResponse of a ModelSpec's fields and outputs."""
    return f"model_spec {{ {model} }} {_map('outputs', values)}"


def _map(field: str, entries: Mapping[str, str]) -> str:
    return " ".join(f"{field} {{ key: {_text(key)} value {{ {value} }} }}" for key, value in entries.items())


def feature(name: str, kind: str, *values: Any) -> str:
    """One entry of an Example's features; `kind` is float, int64 or bytes."""
    listed = " ".join(f"value: {_text(value)}" for value in values)
    return f"feature {{ key: {_text(name)} value {{ {kind}_list {{ {listed} }} }} }}"


def examples(*each: str, context: str | None = None) -> str:
    """An Input of Examples, each the entries of its features."""
    listed = " ".join(f"examples {{ features {{ {one} }} }}" for one in each)
    if context is None:
        return f"input {{ example_list {{ {listed} }} }}"
    return f"input {{ example_list_with_context {{ {listed} context {{ features {{ {context} }} }} }} }}"


def x(*values: float) -> str:
    """An Input of Examples with the float feature `x`."""
    return examples(*(feature("x", "float", value) for value in values))


TYPED = {
    "FLOAT": "float_val",
    "DOUBLE": "double_val",
    "HALF": "half_val",
    "BFLOAT16": "half_val",
    "INT8": "int_val",
    "INT16": "int_val",
    "INT32": "int_val",
    "UINT8": "int_val",
    "UINT16": "int_val",
    "INT64": "int64_val",
    "UINT32": "uint32_val",
    "UINT64": "uint64_val",
    "BOOL": "bool_val",
    "STRING": "string_val",
    "COMPLEX64": "scomplex_val",
    "COMPLEX128": "dcomplex_val",
}
