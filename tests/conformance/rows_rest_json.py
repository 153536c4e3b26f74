"""The JSON of predict: parsing, row and column form, and the shape of the answers."""

from __future__ import annotations

from typing import Any

from .table import Rest

HALF = "half_plus_two"
ANSWER = {"predictions": [3.5]}


def _ok(row_id: str, rule: str, model: str, body: str | bytes, **options: Any) -> Rest:
    return Rest(id=row_id, rule=rule, path=f"/v1/models/{model}:predict", body=body, **options)


def _no(row_id: str, rule: str, body: str | bytes, *words: str, model: str = HALF, status: int = 400,
        **options: Any) -> Rest:  # fmt: skip
    return _ok(row_id, rule, model, body, status=status, error=words, **options)


def _sig(signature: str, rest: str) -> str:
    return f'{{"signature_name": "{signature}", {rest}}}'


UNREADABLE = "JSON Parse error: "

PARSING = (
    _ok("signature-empty", "2.4", HALF, _sig("", '"instances": [1.0]'), json=ANSWER),
    _ok("signature-by-name-in-json", "2.4", HALF, _sig("serving_default", '"instances": [1.0]'), json=ANSWER),
    _no(
        "signature-no-string",
        "2.4",
        '{"signature_name": 5, "instances": [1.0]}',
        "JSON Value: ", " not formatted correctly. 'signature_name' key must be a string value.",
    ),
    _no(
        "signature-null",
        "2.4",
        '{"signature_name": null, "instances": [1.0]}',
        "'signature_name' key must be a string value.",
    ),
    _ok("trap10-text-after-the-object", "2.4", HALF, '{"instances": [1.0]} and more {"', json=ANSWER),
    _ok("trap10-second-object-is-not-read", "2.4", HALF, '{"instances": [1.0]}{"a": []}', json=ANSWER),
    _ok("space-around", "2.4", HALF, ' \r\n\t{ "instances" :\n[ 1.0 ] } \n', json=ANSWER),
    _ok("unknown-keys-are-ignored", "2.4", HALF, '{"instances": [1.0], "more": {"a": [null]}}', json=ANSWER),
    _ok(
        "output-filter-is-not-read",
        "2.4",
        "sums",
        '{"instances": [{"a": 1, "b": 2}], "output_filter": ["sum"]}',
        json={"predictions": [{"sum": 3.0, "product": 2.0}]},
    ),
    _ok("first-of-a-double-key-counts", "2.4", HALF, '{"instances": [1.0], "instances": []}', json=ANSWER),
    _no("empty-body", "2.4", "", "JSON Parse error: The document is empty"),
    _no("body-of-spaces", "2.4", "  \n", "JSON Parse error: The document is empty"),
    _no("cut-json", "2.4", '{"instances": [1.0', UNREADABLE, " at offset: "),
    _no("offset-of-the-fault", "2.4", '{"instances": [1.0 2]}', UNREADABLE, " at offset: 19"),
    _no("single-quotes", "2.4", "{'instances': [1.0]}", UNREADABLE, " at offset: 1"),
    _no("trailing-comma", "2.4", '{"instances": [1.0,]}', UNREADABLE, " at offset: "),
    _no("leading-zero", "2.4", '{"instances": [01]}', UNREADABLE),
    _no("leading-plus", "2.4", '{"instances": [+1]}', UNREADABLE),
    _no("bare-point", "2.4", '{"instances": [.5]}', UNREADABLE),
    _no("hexadecimal", "2.4", '{"instances": [0x1]}', UNREADABLE),
    _no("comment", "2.4", '{"instances": [1.0] /* one */}', UNREADABLE),
    _no("python-literal", "2.4", '{"instances": [True]}', UNREADABLE),
    _no("trap10-nan-in-the-documents-spelling", "2.4", '{"instances": [Nan]}', UNREADABLE),
    _no("nan-in-lower-case", "2.4", '{"instances": [nan]}', UNREADABLE),
    _no("top-level-list", "2.4", "[1, 2]", "JSON Value: ", " Is not object"),
    _no("top-level-number", "2.4", "1.5", "JSON Value: 1.5 Is not object"),
    _no("top-level-string", "2.4", '"instances"', 'JSON Value: "instances" Is not object'),
    _no("top-level-null", "2.4", "null", "JSON Value: null Is not object"),
    _no("text-before-the-object", "2.4", 'x{"instances": [1.0]}', UNREADABLE, " at offset: 0"),
    _ok("trap10-nan-and-infinity", "2.4", HALF, '{"instances": [NaN, Infinity, -Infinity, Inf, -Inf]}',
        text=("NaN", "Infinity", "-Infinity")),
    _no("malformed-json-wins-over-an-unknown-model", "2.4", "{", UNREADABLE, model="nope"),
    _no("signature-type-wins-over-an-unknown-model", "2.4", '{"signature_name": 5}', "must be a string",
        model="nope"),
    _no("unknown-model-wins-over-missing-instances", "2.4", "{}",
        "Servable not found for request: Latest(nope)", model="nope", status=404),
    _no("unknown-signature-wins-over-missing-instances", "2.4", '{"signature_name": "nope"}',
        'Serving signature name: "nope" not found in signature def'),
)  # fmt: skip

TWO = '[{"a": 1.0, "b": 2}, {"a": 3.0, "b": 4}]'
WRAPPER = "Failed to process element: 1"

ROW_FORM = (
    _ok("row-list", "2.5", HALF, '{"instances": [1.0, 2.0]}', json={"predictions": [3.5, 4.0]}),
    _ok("row-named-input", "2.5", HALF, '{"instances": [{"x": 1.0}, {"x": 2.0}]}',
        json={"predictions": [3.5, 4.0]}),
    _ok("row-several-outputs", "2.5", "sums", f'{{"instances": {TWO}}}',
        json={"predictions": [{"sum": 3.0, "product": 2.0}, {"sum": 7.0, "product": 12.0}]}),
    _ok("row-several-inputs-one-output", "2.5", "sums", _sig("sum", f'"instances": {TWO}'),
        json={"predictions": [3.0, 7.0]}),
    _ok("row-nested", "2.5", "matrix", '{"instances": [[1, 2, 3], [4, 5, 6]]}',
        json={"predictions": [[4.0, 5.0], [10.0, 11.0]]}),
    _ok("row-named-nested", "2.5", "matrix", '{"instances": [{"x": [1, 2, 3]}]}',
        json={"predictions": [[4.0, 5.0]]}),
    _ok("row-adds-the-batch-dimension", "2.5", "echo", _sig("float32", '"instances": [[[1]], [[2]]]'),
        json={"predictions": [[[1.0]], [[2.0]]]}),
    _ok("row-empty-lists", "2.5", "echo", _sig("float32", '"instances": [[], []]'),
        json={"predictions": [[], []]}),
    _no("trap3-rest-predict-unknown-signature", "2.5", _sig("nope", '"instances": [1.0]'),
        'Serving signature name: "nope" not found in signature def'),
    _no("signature-without-inputs-in-json", "2.5", _sig("constant", '"instances": [1.0]'),
        "Failed to get input map for signature: constant", model="sums"),
    _no("neither-key", "2.5", '{"instance": [1.0]}', "Missing 'inputs' or 'instances' key"),
    _no("both-keys", "2.5", '{"instances": [1.0], "inputs": [1.0]}',
        "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "),
    _no("instances-no-list", "2.5", '{"instances": 1.0}', "Expecting 'instances' to be an list/array"),
    _no("instances-an-object", "2.5", '{"instances": {"x": 1}}', "Expecting 'instances' to be an list/array"),
    _no("instances-null", "2.5", '{"instances": null}', "Expecting 'instances' to be an list/array"),
    _no("instances-empty", "2.5", '{"instances": []}', "No values in 'instances' array"),
    _no("object-expected", "2.5", '{"instances": [{"x": 1.0}, [1.0]]}',
        "Expecting object but got list at item 1 of input list"),
    _no("value-expected", "2.5", '{"instances": [1.0, 2.0, {"x": 1.0}]}',
        "Expecting value/list but got object at item 2 of input list"),
    _no("plain-list-for-several-inputs", "2.5", '{"instances": [1.0, 2.0]}',
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per"
        " tensorinfo_map", model="sums"),
    _no("trap8-row-form-refuses-extra-inputs", "2.5", '{"instances": [{"x": 1.0, "z": 1.0}]}',
        "Failed to process element: 0 key: z of 'instances' list.", "INVALID_ARGUMENT",
        "JSON object: does not have named input: z"),
    _no("extra-input-in-a-later-row", "2.5", '{"instances": [{"x": 1.0}, {"x": 1.0, "z": 1.0}]}',
        f"{WRAPPER} key: z of 'instances' list.", "does not have named input: z"),
    _no("missing-input-in-a-row", "2.5", '{"instances": [{"a": 1.0, "b": 2}, {"a": 1.0}]}',
        f"{WRAPPER} of 'instances' list. JSON object: ", "keys must be equal to: ", "a,b", model="sums"),
    _no("defaults-cannot-be-used-in-row-form", "2.5", _sig("defaulted", '"instances": [{"a": 1.0}]'),
        "Failed to process element: 0 of 'instances' list. JSON object: ", "keys must be equal to: ", "a,b",
        model="sums"),
    _no("rows-of-unequal-size", "2.5", '{"instances": [[1, 2, 3], [1, 2]]}',
        "Expecting tensor size: 3 but got: 2", model="matrix"),
    _no("rows-of-unequal-shape", "2.5", _sig("float32", '"instances": [[[1, 2]], [[1], [2]]]'),
        "Expecting shape ", " but got: ", model="echo"),
    _no("ragged-list", "2.5", _sig("float32", '"instances": [[[1, 2], [3]]]'),
        "Encountered list at unexpected size: 1 at level: ", " expected size: 2", model="echo"),
    _no("list-too-deep", "2.5", _sig("float32", '"instances": [[1, [2]]]'),
        "Encountered list at unexpected level: ", " expected < ", model="echo"),
    _no("list-too-shallow", "2.5", _sig("float32", '"instances": [[[1], 2]]'),
        "JSON Value: 2 found at incorrect level: ", " in the JSON DOM. Expected at level: ", model="echo"),
    _no("row-type-error-is-wrapped", "2.5", '{"instances": [1.0, "a"]}', "JSON Value: ", '"a"',
        "Type: String is not of expected type: float"),
    _no("trap9-unsupported-dtype-in-row-form", "2.5", _sig("uint16", '"instances": [1.0]'),
        "Conversion of JSON Value: ", " to type: ", model="echo"),
    _ok("declared-shape-is-not-checked", "2.5", HALF, '{"instances": [[1.0], [2.0]]}',
        json={"predictions": [[3.5], [4.0]]}),
    _no("graph-that-does-not-take-the-shape", "2.5", '{"instances": [[1, 2]]}', model="matrix",
        confirmed=False, note="the code is the failing op's"),
    _no("output-without-dimensions", "2.5", _sig("total", '"instances": [1.0]'),
        "Tensor name: total has no shape information ", model="sums"),
    _no("outputs-of-unequal-batch", "2.5", _sig("unequal", '"instances": [1.0, 2.0]'), "Tensor name: ",
        " has inconsistent batch size: ", " expecting: ", model="sums"),
    _ok("batch-is-not-compared-with-the-rows-sent", "2.5", "sums",
        _sig("first_only", '"instances": [1.0, 2.0, 3.0]'), json={"predictions": [1.0]}),
    _ok("no-rows-out", "2.5", "sums", _sig("none", '"instances": [1.0, 2.0]'), json={"predictions": []}),
    _ok("answer-key-of-row-form", "2.5", HALF, '{"instances": [1.0]}', text=('"predictions"',),
        not_text=('"outputs"', "model_spec")),
)  # fmt: skip

COLUMN_FORM = (
    _ok("column-list", "2.6", HALF, '{"inputs": [1.0, 2.0]}', json={"outputs": [3.5, 4.0]}),
    _ok("column-named", "2.6", HALF, '{"inputs": {"x": [1.0, 2.0]}}', json={"outputs": [3.5, 4.0]}),
    _ok("column-several-outputs", "2.6", "sums", '{"inputs": {"a": [1, 3], "b": [2, 4]}}',
        json={"outputs": {"sum": [3.0, 7.0], "product": [2.0, 12.0]}}),
    _ok("column-scalar", "2.6", "scalar", '{"inputs": 4.0}', json={"outputs": 8.0}),
    _ok("column-named-scalar", "2.6", "scalar", '{"inputs": {"x": 4.0}}', json={"outputs": 8.0}),
    _ok("column-scalar-output", "2.6", "sums", _sig("total", '"inputs": [1.0, 2.0]'), json={"outputs": 3.0}),
    _ok("column-scalar-and-list-outputs", "2.6", "sums", _sig("total_and_each", '"inputs": [1.0, 2.0]'),
        json={"outputs": {"total": 3.0, "each": [1.0, 2.0]}}),
    _ok("column-outputs-of-unequal-size", "2.6", "sums", _sig("unequal", '"inputs": [1.0, 2.0]'),
        json={"outputs": {"all": [1.0, 2.0], "first": [1.0]}}),
    _ok("column-inputs-of-unequal-size", "2.6", "sums", _sig("sum", '"inputs": {"a": [1, 2], "b": [5]}'),
        json={"outputs": [6.0, 7.0]}),
    _ok("column-empty-list", "2.6", HALF, '{"inputs": []}', json={"outputs": []}),
    _ok("column-nested", "2.6", "matrix", '{"inputs": [[1, 2, 3]]}', json={"outputs": [[4.0, 5.0]]}),
    _ok("trap8-column-form-ignores-extra-inputs", "2.6", HALF, '{"inputs": {"x": [1.0], "z": {"y": null}}}',
        json={"outputs": [3.5]}),
    _no("column-missing-input", "2.6", '{"inputs": {"a": [1.0]}}',
        "Missing named input: b in 'inputs' object.", model="sums"),
    _no("column-defaults-cannot-be-used", "2.6", _sig("defaulted", '"inputs": {"a": [1.0]}'),
        "Missing named input: b in 'inputs' object.", model="sums"),
    _no("column-plain-for-several-inputs", "2.6", '{"inputs": [1.0]}',
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per"
        " tensorinfo_map", model="sums"),
    _no("column-null", "2.6", '{"inputs": null}', "JSON Value: null", "Type: Null"),
    _no("column-ragged", "2.6", _sig("float32", '"inputs": [[1, 2], [3]]'),
        "Encountered list at unexpected size: 1 at level: ", " expected size: 2", model="echo"),
    _no("trap9-unsupported-dtype-in-column-form", "2.6", _sig("complex64", '"inputs": [1.0]'),
        "Conversion of JSON Value: ", " to type: ", model="echo", status=501),
    _ok("column-b64", "2.6", "echo", _sig("string", '"inputs": {"b64": "aGk="}'), json={"outputs": "hi"}),
    _ok("answer-key-of-column-form", "2.6", HALF, '{"inputs": [1.0]}', text=('"outputs"',),
        not_text=('"predictions"',)),
)  # fmt: skip

ROWS = PARSING + ROW_FORM + COLUMN_FORM
