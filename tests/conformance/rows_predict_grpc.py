"""Predict over gRPC: messages, resolution, the error table, encodings."""

from __future__ import annotations

from .table import PREDICTION, Grpc, floats, outputs, predict, spec, tensor

CALL = f"{PREDICTION}/Predict"
DEFAULT = "serving_default"
ONE = floats(1)
LONG = 10_000_000
"""Steps of the model `slow` that take far longer than any deadline here."""


def _ok(
    row_id: str, rule: str, request: str | tuple[str | bytes, ...], answer: str, **options: object
) -> Grpc:
    return Grpc(id=row_id, rule=rule, call=CALL, request=request, answer=answer, **options)


def _no(row_id: str, rule: str, request: str, code: str, *words: str, **options: object) -> Grpc:
    return Grpc(id=row_id, rule=rule, call=CALL, request=request, code=code, words=words, **options)


V1 = outputs(spec(version=1, signature=DEFAULT), y=floats(2.5))
V2 = outputs(spec(version=2, signature=DEFAULT), y=floats(3.5))

MESSAGES = (
    _ok("latest-when-the-version-wrapper-is-absent", "1.2", predict(spec(), x=ONE), V2),
    _ok("version-wrapper-names-a-version", "1.2", predict(spec(version=1), x=ONE), V1),
    _no(
        "trap1-empty-version-wrapper-asks-for-version-0",
        "1.2",
        predict('name: "half_plus_two" version {}', x=ONE),
        "NOT_FOUND",
        "Servable not found for request: Specific(half_plus_two, 0)",
    ),
    _ok(
        "label-after-version-wins",
        "1.2",
        (predict(spec(version=1), x=ONE), "model_spec { version_label: 'canary' }"),
        V2,
    ),
    _ok(
        "version-after-label-wins",
        "1.2",
        (predict(spec(label="canary"), x=ONE), "model_spec { version { value: 1 } }"),
        V1,
    ),
    _ok(
        "client-id-and-request-options-have-no-effect",
        "1.2",
        (predict(spec(), x=ONE), b"\x32\x02me", b"\x3a\x00", b"\x2a\x00"),
        V2,
    ),
    _ok("unknown-fields-are-ignored", "1.2", (predict(spec(), x=ONE), b"\xaa\x06\x03new"), V2),
    _ok(
        "map-key-sent-twice-the-last-wins",
        "1.2",
        (predict(spec(), x=floats(7)), predict(spec(), x=ONE)),
        V2,
    ),
)

RESOLUTION = (
    _no("no-model-spec", "1.3", "", "INVALID_ARGUMENT", "Missing ModelSpec"),
    _no("empty-model-spec", "1.3", "model_spec {}", "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    _no(
        "no-name-wins-over-a-bad-label",
        "1.3",
        "model_spec { version_label: 'nope' }",
        "INVALID_ARGUMENT",
        "ModelSpec has no name specified.",
    ),
    _no(
        "version-wins-over-signature",
        "1.3",
        predict(spec(version=7, signature="nope")),
        "NOT_FOUND",
        "Specific(half_plus_two, 7)",
    ),
    _no(
        "signature-wins-over-inputs",
        "1.3",
        predict(spec(signature="nope"), bad=ONE),
        "FAILED_PRECONDITION",
        'Serving signature key "nope" not found.',
    ),
    _no(
        "inputs-win-over-output-filter",
        "1.3",
        predict(spec(), only=["nope"]),
        "INVALID_ARGUMENT",
        "input size does not match signature: 0!=1",
    ),
    _ok("label-is-resolved", "1.3", predict(spec(label="stable"), x=ONE), V1),
    _ok("label-on-the-newest", "1.3", predict(spec(label="canary"), x=ONE), V2),
    _ok("signature-by-name", "1.3", predict(spec(signature=DEFAULT), x=ONE), V2),
    _ok("empty-signature-is-the-default-one", "1.3", predict(spec(signature=""), x=ONE), V2),
    _ok(
        "answer-names-the-signature-asked-for",
        "1.3",
        predict(spec("sums", signature="sum"), a=ONE, b=tensor("INT32", [1], [2])),
        outputs(spec("sums", version=1, signature="sum"), sum=floats(3)),
    ),
    _ok(
        "name-with-a-slash",
        "1.3",
        predict(spec("a/b"), x=ONE),
        outputs(spec("a/b", version=1, signature=DEFAULT), y=floats(4.5)),
    ),
    _no(
        "names-are-case-sensitive",
        "1.3",
        predict(spec("Half_plus_two"), x=ONE),
        "NOT_FOUND",
        "Servable not found for request: Latest(Half_plus_two)",
    ),
    _ok(
        "leading-zeros-of-a-version-directory",
        "4.2",
        predict(spec("padded", version=123), x=ONE),
        outputs(spec("padded", version=123, signature=DEFAULT), y=floats(2.5)),
    ),
    _ok(
        "a-predict-on-a-classify-signature-runs",
        "1.3",
        predict(spec("examples", signature="predicts"), inputs=tensor("STRING", [1], [""])),
        outputs(spec("examples", version=1, signature="predicts"), y=tensor("FLOAT", [1, 1], [0.0])),
    ),
)

ERRORS = (
    _no(
        "unknown-model",
        "1.4",
        predict(spec("nope"), x=ONE),
        "NOT_FOUND",
        "Servable not found for request: Latest(nope)",
    ),
    _no(
        "unknown-model-with-version",
        "1.4",
        predict(spec("nope", version=3), x=ONE),
        "NOT_FOUND",
        "Servable not found for request: Specific(nope, 3)",
    ),
    _no(
        "trap2-unknown-version",
        "1.4",
        predict(spec(version=99), x=ONE),
        "NOT_FOUND",
        "Servable not found for request: Specific(half_plus_two, 99)",
    ),
    _no(
        "negative-version",
        "1.4",
        predict(spec(version=-1), x=ONE),
        "NOT_FOUND",
        "Servable not found for request: Specific(half_plus_two, -1)",
    ),
    _no(
        "trap2-unknown-label",
        "1.4",
        predict(spec(label="nope"), x=ONE),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: nope",
    ),
    _no(
        "label-of-an-unknown-model",
        "1.4",
        predict(spec("nope", label="stable"), x=ONE),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: stable",
    ),
    _no(
        "label-on-a-version-that-is-not-there",
        "1.4",
        predict(spec(label="dangling"), x=ONE),
        "NOT_FOUND",
        "Servable not found for request: Specific(half_plus_two, 9)",
    ),
    _no(
        "trap3-unknown-signature-in-predict",
        "1.4",
        predict(spec(signature="nope"), x=ONE),
        "FAILED_PRECONDITION",
        'Serving signature key "nope" not found.',
    ),
    _no(
        "too-few-inputs",
        "1.4",
        predict(spec("sums"), a=ONE),
        "INVALID_ARGUMENT",
        "input size does not match signature: 1!=2 len({a}) != len({a,b}).",
        "Sent extra: {}.",
        "Missing but required: {b}.",
    ),
    _no(
        "trap8-extra-input",
        "1.4",
        predict(spec(), z=ONE, x=ONE, k=ONE),
        "INVALID_ARGUMENT",
        "input size does not match signature: 3!=1 len({k,x,z}) != len({x}).",
        "Sent extra: {k,z}.",
        "Missing but required: {}.",
    ),
    _no(
        "right-number-wrong-name",
        "1.4",
        predict(spec(), z=ONE),
        "INVALID_ARGUMENT",
        "Signature input alias: x(feed name: ",
        ") not found in request and no default value provided.",
        "Inputs expected to be in the request {",
        "z",
        "or default input alias set: ",
    ),
    _ok(
        "default-fills-a-missing-input",
        "1.4",
        predict(spec("sums", signature="defaulted"), a=ONE),
        outputs(spec("sums", version=1, signature="defaulted"), sum=floats(11)),
    ),
    _ok(
        "input-wins-over-its-default",
        "1.4",
        predict(spec("sums", signature="defaulted"), a=ONE, b=tensor("INT32", [1], [1])),
        outputs(spec("sums", version=1, signature="defaulted"), sum=floats(2)),
    ),
    _no(
        "too-few-inputs-with-defaults-and-a-foreign-name",
        "1.4",
        predict(spec("sums", signature="defaulted"), z=ONE),
        "INVALID_ARGUMENT",
        note="which of the two texts answers depends on whether `a`, without default, is missed first",
    ),
    _no(
        "unparsable-tensor-too-little-content",
        "1.4",
        predict(spec(), x="dtype: DT_FLOAT tensor_shape { dim { size: 2 } } tensor_content: '\\000\\000'"),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    _no(
        "unparsable-tensor-no-dtype",
        "1.4",
        predict(spec(), x="tensor_shape { dim { size: 1 } } float_val: 1"),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    _no(
        "unparsable-tensor-negative-dimension",
        "1.4",
        predict(spec(), x="dtype: DT_FLOAT tensor_shape { dim { size: -1 } } float_val: 1"),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    _no(
        "unparsable-tensor-unknown-rank",
        "1.4",
        predict(spec(), x="dtype: DT_FLOAT tensor_shape { unknown_rank: true } float_val: 1"),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    _no(
        "wrong-dtype",
        "1.4",
        predict(spec(), x=tensor("DOUBLE", [1], [1.0])),
        "INVALID_ARGUMENT",
        "float",
        "double",
        confirmed=False,
        note="the text is the runtime's: which of the two dtypes it names first is not fixed",
    ),
    _no(
        "wrong-shape",
        "1.4",
        predict(spec("matrix"), x=tensor("FLOAT", [1, 4], [1.0] * 4)),
        "INVALID_ARGUMENT",
        confirmed=False,
        note="the code and the text are the failing op's own",
    ),
    _ok(
        "declared-shape-is-not-checked-in-grpc",
        "1.4",
        predict(spec(), x=tensor("FLOAT", [1, 2], [1.0, 2.0])),
        outputs(spec(version=2, signature=DEFAULT), y=tensor("FLOAT", [1, 2], [3.5, 4.0])),
    ),
    _ok(
        "empty-batch",
        "1.4",
        predict(spec(), x=tensor("FLOAT", [0])),
        outputs(spec(version=2, signature=DEFAULT), y=tensor("FLOAT", [0])),
    ),
    _ok(
        "signature-without-inputs",
        "1.4",
        predict(spec("sums", signature="constant")),
        outputs(spec("sums", version=1, signature="constant"), c=floats(7, 8)),
    ),
    _ok(
        "output-filter-limits-the-answer",
        "1.4",
        predict(spec("sums"), only=["product"], a=floats(2), b=tensor("INT32", [1], [5])),
        outputs(spec("sums", version=1, signature=DEFAULT), product=floats(10)),
    ),
    _ok(
        "output-filter-limits-what-is-computed",
        "1.4",
        predict(spec("sums"), only=["sum"], a=floats(2, 3), b=tensor("INT32", [2], [5, 6])),
        outputs(spec("sums", version=1, signature=DEFAULT), sum=floats(7, 9)),
    ),
    _no(
        "unknown-output-filter",
        "1.4",
        predict(spec("sums"), only=["nope"], a=ONE, b=tensor("INT32", [1], [1])),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: nope Outputs expected to be in the set {",
    ),
    _no(
        "output-filter-twice",
        "1.4",
        predict(spec("sums"), only=["sum", "sum"], a=ONE, b=tensor("INT32", [1], [1])),
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: sum",
    ),
    _ok(
        "foreign-method-name-runs-when-the-check-is-off",
        "1.4",
        predict(spec("sums", signature="foreign"), x=ONE),
        outputs(spec("sums", version=1, signature="foreign"), y=floats(2)),
    ),
    _no(
        "foreign-method-name-with-the-check-on",
        "1.4",
        predict(spec("sums", signature="foreign"), x=ONE),
        "INTERNAL",
        "Expected prediction signature method_name to be one of {",
        "tensorflow/serving/predict",
        "tensorflow/serving/classify",
        "tensorflow/serving/regress",
        "Was: somebody/elses/method",
        server="flags",
    ),
    _ok(
        "classify-signature-passes-predicts-method-name-check",
        "1.4",
        predict(spec("examples", signature="scores_only"), inputs=tensor("STRING", [1], [""])),
        outputs(
            spec("examples", version=1, signature="scores_only"),
            scores="dtype: DT_FLOAT tensor_shape { dim { size: 1 } dim { size: 2 } }"
            " tensor_content: '\\000\\000\\200\\077\\000\\000\\000\\000'",
        ),
        server="flags",
    ),
    _no(
        "deadline-passes-during-the-run",
        "1.4",
        predict(spec("slow"), x=tensor("INT64", [1], [LONG])),
        "DEADLINE_EXCEEDED",
        timeout=0.4,
    ),
    Grpc(
        id="trap24-error-text-is-cut-at-1024-bytes",
        rule="1.4",
        call=CALL,
        request=predict(spec("matrix", signature="checked"), x=tensor("FLOAT", [1, 3], [200.0] * 3)),
        code="INVALID_ARGUMENT",
        words=("too large too large", "...TRUNCATED"),
        message_bytes=1024 + len("...TRUNCATED"),
    ),
    _no(
        "long-unknown-model-name-is-cut",
        "1.4",
        predict(spec("m" * 4000), x=ONE),
        "NOT_FOUND",
        "Servable not found for request: Latest(mmm",
        "...TRUNCATED",
        message_bytes=1024 + len("...TRUNCATED"),
    ),
)

ENCODINGS = (
    _ok(
        "tensor-content-in-typed-fields-out",
        "1.3",
        predict(
            spec(),
            x="dtype: DT_FLOAT tensor_shape { dim { size: 2 } }"
            " tensor_content: '\\000\\000\\200\\077\\000\\000\\000\\100'",
        ),
        outputs(spec(version=2, signature=DEFAULT), y=floats(3.5, 4)),
    ),
    _ok(
        "short-typed-list-repeats-its-last-value",
        "1.3",
        predict(spec(), x=tensor("FLOAT", [3], [1.0, 3.0])),
        outputs(spec(version=2, signature=DEFAULT), y=floats(3.5, 4.5, 4.5)),
        confirmed=False,
    ),
    _ok(
        "empty-typed-list-gives-zeros",
        "1.3",
        predict(spec(), x=tensor("FLOAT", [2])),
        outputs(spec(version=2, signature=DEFAULT), y=floats(3, 3)),
        confirmed=False,
    ),
    _ok(
        "empty-string-list-gives-empty-strings",
        "1.3",
        predict(spec("echo", signature="string"), x=tensor("STRING", [2])),
        outputs(spec("echo", version=1, signature="string"), y=tensor("STRING", [2], ["", ""])),
        confirmed=False,
    ),
    _ok(
        "tensor-content-out-with-the-flag",
        "1.3",
        predict(spec(), x=floats(1, 3)),
        outputs(
            spec(version=2, signature=DEFAULT),
            y="dtype: DT_FLOAT tensor_shape { dim { size: 2 } }"
            " tensor_content: '\\000\\000\\140\\100\\000\\000\\220\\100'",
        ),
        server="flags",
    ),
    _ok(
        "scalar-in-scalar-out",
        "1.3",
        predict(spec("scalar"), x=tensor("FLOAT", [], [4.0])),
        outputs(spec("scalar", version=1, signature=DEFAULT), y=tensor("FLOAT", [], [8.0])),
    ),
    _ok(
        "scalar-string",
        "1.3",
        predict(spec("echo", signature="string"), x=tensor("STRING", [], ["alone"])),
        outputs(spec("echo", version=1, signature="string"), y=tensor("STRING", [], ["alone"])),
    ),
    _ok(
        "no-version-of-a-tf2-saved-model",
        "1.3",
        predict(spec("module"), x=ONE),
        outputs(spec("module", version=1, signature=DEFAULT), y=floats(2)),
    ),
)


def _echoes() -> tuple[Grpc, ...]:
    """Each dtype comes back as it went, in the typed field of its own."""
    values: dict[str, tuple[str, list[object]]] = {
        "float32": ("FLOAT", [1.5, -0.0, float("inf"), float("nan")]),
        "float64": ("DOUBLE", [1e300, -2.5]),
        "float16": ("HALF", [0x3C00, 0xC000]),
        "bfloat16": ("BFLOAT16", [0x3F80, 0xC000]),
        "int8": ("INT8", [-128, 127]),
        "int16": ("INT16", [-32768, 32767]),
        "int32": ("INT32", [-(2**31), 2**31 - 1]),
        "int64": ("INT64", [-(2**63), 2**63 - 1]),
        "uint8": ("UINT8", [0, 255]),
        "uint16": ("UINT16", [0, 65535]),
        "uint32": ("UINT32", [0, 2**32 - 1]),
        "uint64": ("UINT64", [0, 2**64 - 1]),
        "bool": ("BOOL", [True, False]),
        "string": ("STRING", ["a", b"\x00\xff"]),
    }
    rows = []
    for signature, (dtype, sent) in values.items():
        value = tensor(dtype, [len(sent)], sent)
        answer = outputs(spec("echo", version=1, signature=signature), y=value)
        rows.append(
            _ok(f"echo-{signature}", "1.3", predict(spec("echo", signature=signature), x=value), answer)
        )
    for signature, dtype in (("complex64", "COMPLEX64"), ("complex128", "COMPLEX128")):
        value = tensor(dtype, [1], [1.5, -2.0])  # real and imaginary part
        answer = outputs(spec("echo", version=1, signature=signature), y=value)
        rows.append(
            _ok(f"echo-{signature}", "1.3", predict(spec("echo", signature=signature), x=value), answer)
        )
    return tuple(rows)


ROWS = MESSAGES + RESOLUTION + ERRORS + ENCODINGS + _echoes()
