"""Classify, Regress and MultiInference over gRPC, and the first two over REST."""

from __future__ import annotations

from typing import Any

from .table import PREDICTION, Grpc, Rest, examples, feature, spec, x

MODEL = "examples"
SCORES = "serving_default"
METHOD = {"Classify": "classify", "Regress": "regress"}


def _call(method: str, row_id: str, model: str, given: str, rule: str = "1.5", **options: Any) -> Grpc:
    request = f"model_spec {{ {model} }} {given}"
    return Grpc(id=row_id, rule=rule, call=f"{PREDICTION}/{method}", request=request, **options)


def _refused(
    method: str, signature: str, *words: str, code: str = "INVALID_ARGUMENT", **options: Any
) -> Grpc:
    row_id = f"{method.lower()}-{signature.replace('_', '-')}"
    model = spec(MODEL, signature=signature)
    return _call(method, row_id, model, x(0.25), code=code, words=words, **options)


def _classes(*rows: str) -> str:
    return "result { " + " ".join(f"classifications {{ {row} }}" for row in rows) + " }"


def _scored(value: float) -> str:
    low, high = 1 - value, value
    return f'classes {{ label: "low" score: {low} }} classes {{ label: "high" score: {high} }}'


def _values(*values: float) -> str:
    return "result { " + " ".join(f"regressions {{ value: {value} }}" for value in values) + " }"


def _answered(signature: str, name: str = MODEL, version: int = 1) -> str:
    return f" model_spec {{ {spec(name, version=version, signature=signature)} }}"


CLASSIFY = (
    _call(
        "Classify",
        "classify-classes-and-scores",
        spec(MODEL),
        x(0.25, 1),
        answer=_classes(_scored(0.25), _scored(1)) + _answered(SCORES),
    ),
    _call(
        "Classify",
        "classify-without-classes-gives-empty-labels",
        spec(MODEL, signature="scores_only"),
        x(0.25),
        answer=_classes("classes { score: 0.75 } classes { score: 0.25 }") + _answered("scores_only"),
    ),
    _call(
        "Classify",
        "classify-without-scores-gives-zeros",
        spec(MODEL, signature="classes_only"),
        x(0.25),
        answer=_classes('classes { label: "low" } classes { label: "high" }') + _answered("classes_only"),
    ),
    _call(
        "Classify",
        "classify-resolves-a-label",
        spec(label="stable", signature="classify_x_to_y"),
        x(2),
        answer=_classes("classes { score: 3 }") + _answered("classify_x_to_y", "half_plus_two", 1),
    ),
    _call(
        "Classify",
        "classify-unknown-model",
        spec("nope"),
        x(1),
        code="NOT_FOUND",
        words=("Servable not found for request: Latest(nope)",),
    ),
    _call(
        "Classify",
        "classify-empty-name",
        "",
        x(1),
        code="INVALID_ARGUMENT",
        words=("ModelSpec has no name specified.",),
    ),
    Grpc(
        id="trap3-classify-unknown-signature",
        rule="1.5",
        call=f"{PREDICTION}/Classify",
        request=f"model_spec {{ {spec(MODEL, signature='nope')} }} {x(1)}",
        code="INVALID_ARGUMENT",
        words=("No signature was found with the name: nope",),
    ),
    _refused("Classify", "classify_two_inputs", "Expected one input Tensor."),
    _refused("Classify", "classify_three_outputs", "Expected one or two output Tensors, found 3"),
    _refused("Classify", "classify_input_key", "No classification inputs found in SignatureDef: "),
    _refused("Classify", "classify_output_keys"),
    _refused("Classify", "classify_flat_scores"),
    _refused("Classify", "classify_flat_classes"),
    _refused("Classify", "classify_int_scores"),
    _refused("Classify", "classify_float_classes"),
    _refused("Classify", "classify_unequal"),
    _call(
        "Classify",
        "classify-one-row-for-two-examples",
        spec(MODEL, signature="classify_one_row"),
        x(1, 2),
        code="INVALID_ARGUMENT",
    ),
    _call(
        "Classify",
        "classify-input-unset",
        spec(MODEL),
        "",
        code="INVALID_ARGUMENT",
        words=("Input is empty.",),
    ),
    _call(
        "Classify",
        "classify-empty-example-list",
        spec(MODEL),
        examples(),
        code="INVALID_ARGUMENT",
        words=("Input is empty.",),
    ),
    _call(
        "Classify",
        "classify-context-without-examples",
        spec(MODEL),
        examples(context=feature("x", "float", 1)),
        code="INVALID_ARGUMENT",
        words=("Input is empty.",),
    ),
    _call(
        "Classify",
        "classify-context-is-part-of-each-example",
        spec(MODEL, signature="given_label"),
        examples(
            feature("x", "float", 0.5), feature("x", "float", 2), context=feature("label", "bytes", "c")
        ),
        answer=_classes('classes { label: "c" score: 0.5 }', 'classes { label: "c" score: 2 }')
        + _answered("given_label"),
    ),
    _call(
        "Classify",
        "classify-example-wins-over-context",
        spec(MODEL, signature="given_label"),
        examples(
            feature("label", "bytes", "own") + feature("x", "float", 1),
            context=feature("label", "bytes", "c"),
        ),
        answer=_classes('classes { label: "own" score: 1 }') + _answered("given_label"),
        confirmed=False,
    ),
    _call(
        "Classify",
        "classify-example-without-features-uses-the-models-defaults",
        spec(MODEL),
        examples(""),
        answer=_classes('classes { label: "low" score: 1 } classes { label: "high" }') + _answered(SCORES),
    ),
    _call(
        "Classify",
        "trap11-int64-feature-where-the-model-parses-float",
        spec(MODEL),
        examples(feature("x", "int64", 1)),
        code="INVALID_ARGUMENT",
        words=("x",),
        confirmed=False,
        note="the code and the text are the parsing op's",
    ),
    _call(
        "Classify",
        "classify-method-name-is-not-checked",
        spec(MODEL, signature="regress"),
        x(1),
        code="INVALID_ARGUMENT",
        note="the shape of the signature decides: no output is `classes` or `scores`",
    ),
    _call(
        "Classify",
        "classify-method-name-with-the-check-on",
        spec(MODEL, signature="regress"),
        x(1),
        code="INVALID_ARGUMENT",
        words=(
            "Expected classification signature method_name to be tensorflow/serving/classify.",
            "Was: tensorflow/serving/regress",
        ),
        server="flags",
    ),
)

REGRESS = (
    _call(
        "Regress",
        "regress-column",
        spec(MODEL, signature="regress"),
        x(1, 2),
        answer=_values(2.5, 3) + _answered("regress"),
    ),
    _call(
        "Regress",
        "regress-flat",
        spec(MODEL, signature="regress_flat"),
        x(1, 2),
        answer=_values(2, 3) + _answered("regress_flat"),
    ),
    _call(
        "Regress",
        "regress-version",
        spec(version=1, signature="regress_x_to_y"),
        x(1),
        answer=_values(2.5) + _answered("regress_x_to_y", "half_plus_two", 1),
    ),
    _call(
        "Regress",
        "trap2-regress-unknown-label",
        spec(label="nope", signature="regress_x_to_y"),
        x(1),
        code="INVALID_ARGUMENT",
        words=("Unrecognized servable version label: nope",),
    ),
    _refused("Regress", "nope", "No signature was found with the name: nope"),
    _refused("Regress", "regress_two_inputs", "Expected one input Tensor."),
    _refused("Regress", "regress_two_outputs", "Expected one output Tensor."),
    _refused("Regress", "regress_input_key", "No regression inputs found in SignatureDef: "),
    _refused("Regress", "regress_output_key", "No regression outputs found in SignatureDef: "),
    _refused("Regress", "regress_wide"),
    _refused("Regress", "regress_int"),
    _call(
        "Regress",
        "regress-one-row-for-two-examples",
        spec(MODEL, signature="regress_one_row"),
        x(1, 2),
        code="INVALID_ARGUMENT",
    ),
    _call(
        "Regress",
        "regress-input-unset",
        spec(MODEL, signature="regress"),
        "input {}",
        code="INVALID_ARGUMENT",
        words=("Input is empty.",),
    ),
    _call(
        "Regress",
        "regress-method-name-with-the-check-on",
        spec(MODEL, signature="serving_default"),
        x(1),
        code="INVALID_ARGUMENT",
        words=(
            "Expected regression signature method_name to be tensorflow/serving/regress.",
            "Was: tensorflow/serving/classify",
        ),
        server="flags",
    ),
)


def _task(model: str, method: str = "") -> str:
    return f'tasks {{ model_spec {{ {model} }} method_name: "{method and "tensorflow/serving/" + method}" }}'


def _multi(
    row_id: str, tasks: str, given: str = x(2), code: str = "INVALID_ARGUMENT", **options: Any
) -> Grpc:
    request = f"{tasks} {given}"
    return Grpc(
        id=row_id, rule="1.6", call=f"{PREDICTION}/MultiInference", request=request, code=code, **options
    )


BOTH = _task(spec(signature="regress_x_to_y"), "regress") + _task(
    spec(signature="classify_x_to_y"), "classify"
)
_REGRESSED = "results { model_spec { %s } regression_result { regressions { value: %s } } }"
_CLASSIFIED = (
    "results { model_spec { %s } classification_result { classifications { classes { score: %s } } } }"
)

MULTI = (
    _multi(
        "multi-inference-answers-in-task-order",
        BOTH,
        code="OK",
        answer=_REGRESSED % (spec(version=2, signature="regress_x_to_y"), 4)
        + _CLASSIFIED % (spec(version=2, signature="classify_x_to_y"), 4),
    ),
    _multi(
        "trap-multi-inference-other-tasks-versions-are-ignored",
        _task(spec(version=1, signature="regress_x_to_y"), "regress")
        + _task(spec(version=77, signature="classify_x_to_y"), "classify"),
        code="OK",
        answer=_REGRESSED % (spec(version=1, signature="regress_x_to_y"), 3)
        + _CLASSIFIED % (spec(version=1, signature="classify_x_to_y"), 3),
    ),
    _multi("multi-inference-without-tasks", "", words=("ModelSpec has no name specified.",)),
    _multi("multi-inference-first-task-without-name", _task("", "regress"), words=("ModelSpec has no name",)),
    _multi(
        "multi-inference-later-task-without-name",
        _task(spec(signature="regress_x_to_y"), "regress") + _task("", "classify"),
        words=("Found ModelSpec with an empty model name.",),
    ),
    _multi(
        "multi-inference-of-two-models",
        _task(spec(signature="regress_x_to_y"), "regress") + _task(spec(MODEL), "classify"),
        words=("All ModelSpecs in a MultiInferenceRequest must access the same model name.",),
    ),
    _multi(
        "multi-inference-of-one-signature-twice",
        _task(spec(signature="regress_x_to_y"), "regress") * 2,
        words=("Duplicate evaluation of signature: regress_x_to_y",),
    ),
    _multi(
        "multi-inference-unknown-signature",
        _task(spec(signature="nope"), "regress"),
        words=("Requested signature not found in model graph: nope",),
    ),
    _multi(
        "multi-inference-predict-is-unimplemented",
        _task(spec(signature="regress_x_to_y"), "predict"),
        code="UNIMPLEMENTED",
        words=("Unsupported signature method_name: tensorflow/serving/predict",),
    ),
    _multi(
        "multi-inference-without-method-name-is-unimplemented",
        _task(spec(signature="regress_x_to_y")),
        code="UNIMPLEMENTED",
        words=("Unsupported signature method_name: ",),
    ),
    _multi(
        "multi-inference-unknown-model",
        _task(spec("nope", signature="regress_x_to_y"), "regress"),
        code="NOT_FOUND",
        words=("Servable not found for request: Latest(nope)",),
    ),
    _multi("multi-inference-empty-input", BOTH, given="", words=("Input is empty.",)),
)


def _rest(row_id: str, url: str, body: str, rule: str = "2.8", **options: Any) -> Rest:
    return Rest(id=row_id, rule=rule, path=f"/v1/models/{url}", body=body, **options)


def _refused_rest(
    row_id: str, body: str, *words: str, url: str = "examples:classify", **options: Any
) -> Rest:
    return _rest(row_id, url, body, status=400, error=words, **options)


REGRESS_URL = "half_plus_two/versions/1:regress"
AS_REGRESS = '"signature_name": "regress_x_to_y"'
AS_COUNT = '"signature_name": "regress_count"'

REST = (
    _rest(
        "trap13-classify-answers-under-results",
        "examples:classify",
        '{"examples": [{"x": 0.25}, {"x": 1.0}]}',
        json={"results": [[["low", 0.75], ["high", 0.25]], [["low", 0.0], ["high", 1.0]]]},
    ),
    _rest(
        "trap13-regress-answers-under-results",
        REGRESS_URL,
        f'{{{AS_REGRESS}, "examples": [{{"x": 1.0}}, {{"x": 3.0}}]}}',
        json={"results": [2.5, 3.5]},
    ),
    _rest(
        "rest-classify-without-classes",
        "examples:classify",
        '{"signature_name": "scores_only", "examples": [{"x": 0.25}]}',
        json={"results": [[["", 0.75], ["", 0.25]]]},
    ),
    _rest(
        "rest-context",
        "examples:classify",
        '{"signature_name": "given_label", "context": {"label": "c"}, "examples": [{"x": 1.0}, {"x": 2.0}]}',
        json={"results": [[["c", 1.0]], [["c", 2.0]]]},
    ),
    _rest(
        "rest-example-list-value",
        REGRESS_URL,
        f'{{{AS_REGRESS}, "examples": [{{"x": [1.0]}}]}}',
        json={"results": [2.5]},
    ),
    _rest(
        "rest-float-feature-with-exponent",
        REGRESS_URL,
        f'{{{AS_REGRESS}, "examples": [{{"x": 1e0}}]}}',
        json={"results": [2.5]},
    ),
    _rest(
        "rest-float-feature-nan-and-infinity",
        REGRESS_URL,
        f'{{{AS_REGRESS}, "examples": [{{"x": NaN}}, {{"x": -Infinity}}]}}',
        text=("NaN", "-Infinity"),
    ),
    _rest(
        "trap11-integer-literal-is-an-int64-feature",
        "examples:regress",
        f'{{{AS_COUNT}, "examples": [{{"count": 3}}]}}',
        json={"results": [3.0]},
    ),
    _rest(
        "rest-boolean-is-an-int64-feature",
        "examples:regress",
        f'{{{AS_COUNT}, "examples": [{{"count": true}}, {{"count": false}}]}}',
        json={"results": [1.0, 0.0]},
    ),
    _refused_rest(
        "trap11-integer-literal-in-a-float-feature",
        '{"examples": [{"x": 1}]}',
        confirmed=False,
        note="the parsing op refuses it, with a text of its own",
    ),
    _rest(
        "rest-string-feature",
        "examples:classify",
        '{"signature_name": "given_label", "examples": [{"x": 1.0, "label": "me"}]}',
        json={"results": [[["me", 1.0]]]},
    ),
    _rest(
        "rest-b64-feature",
        "examples:classify",
        '{"signature_name": "given_label", "examples": [{"x": 1.0, "label": {"b64": "bWU="}}]}',
        json={"results": [[["me", 1.0]]]},
    ),
    _rest(
        "rest-empty-list-makes-a-feature-with-no-kind",
        REGRESS_URL,
        f'{{{AS_REGRESS}, "examples": [{{"x": []}}]}}',
        json={"results": [2.0]},
        confirmed=False,
        note="that the parsing op takes it for a missing feature is TensorFlow's",
    ),
    _rest(
        "rest-example-without-features",
        REGRESS_URL,
        f'{{{AS_REGRESS}, "examples": [{{}}]}}',
        json={"results": [2.0]},
    ),
    _refused_rest(
        "rest-missing-examples",
        '{"signature_name": "serving_default"}',
        "When method is classify, key 'examples' is expected and was not found",
    ),
    _refused_rest(
        "rest-missing-examples-says-classify-for-regress-too",
        f"{{{AS_REGRESS}}}",
        "When method is classify, key 'examples' is expected and was not found",
        url=REGRESS_URL,
    ),
    _refused_rest(
        "rest-examples-no-array", '{"examples": {"x": 1.0}}', "Expecting 'examples' value to be an list/array"
    ),
    _refused_rest("rest-examples-empty", '{"examples": []}', "'examples' value is an empty array"),
    _refused_rest(
        "rest-example-that-is-a-number",
        '{"examples": [1.0]}',
        "Example must be JSON object but got JSON Number",
    ),
    _refused_rest(
        "rest-example-that-is-a-list", '{"examples": [[]]}', "Example must be JSON object but got JSON Array"
    ),
    _refused_rest(
        "rest-feature-null",
        '{"examples": [{"x": null}]}',
        "Feature: x has element with unexpected JSON type: Null",
    ),
    _refused_rest(
        "rest-feature-object",
        '{"examples": [{"x": {"a": 1}}]}',
        "Feature: x has element with unexpected JSON type: Object",
    ),
    _refused_rest(
        "rest-feature-nested-list",
        '{"examples": [{"x": [[1.0]]}]}',
        "Feature: x has element with unexpected JSON type: Array",
    ),
    _refused_rest(
        "rest-feature-of-two-kinds",
        '{"examples": [{"x": [1, 2.5]}]}',
        "Unexpected element type in feature: x expecting type: int64",
    ),
    _refused_rest(
        "rest-feature-over-int64",
        '{"examples": [{"x": 18446744073709551615}]}',
        "Feature: x has uint64_t element. Only int64_t is supported.",
    ),
    _refused_rest(
        "trap3-rest-classify-unknown-signature",
        '{"signature_name": "nope", "examples": [{"x": 1.0}]}',
        "No signature was found with the name: nope",
    ),
    _refused_rest(
        "trap3-rest-regress-unknown-signature",
        '{"signature_name": "nope", "examples": [{"x": 1.0}]}',
        "No signature was found with the name: nope",
        url=REGRESS_URL,
    ),
    _refused_rest("rest-classify-bad-json", "{", "JSON Parse error: "),
    _rest(
        "rest-classify-unknown-model",
        "nope:classify",
        '{"examples": [{"x": 1.0}]}',
        status=404,
        error=("Servable not found for request: Latest(nope)",),
    ),
)

ROWS = CLASSIFY + REGRESS + MULTI + REST
