"""Which URLs and verbs there are, and what is said to all others."""

from __future__ import annotations

from typing import Any

from .table import Rest

M = "/v1/models/half_plus_two"
BODY = '{"instances": [1.0]}'
ANSWER = {"predictions": [3.5]}
V1_ANSWER = {"predictions": [2.5]}


def _post(row_id: str, path: str, **options: Any) -> Rest:
    return Rest(id=row_id, rule="2.1", path=path, body=BODY, **options)


def _get(row_id: str, path: str, **options: Any) -> Rest:
    return Rest(id=row_id, rule="2.1", method="GET", path=path, **options)


def _malformed(row_id: str, method: str, path: str, body: str = "") -> Rest:
    words = (f"Malformed request: {method} {path}",)
    return Rest(id=row_id, rule="2.1", method=method, path=path, body=body, status=400, error=words)


def _html(row_id: str, method: str, path: str) -> Rest:
    return Rest(
        id=row_id,
        rule="2.1",
        method=method,
        path=path,
        status=404,
        content_type="text/html",
        text=("404",),
        not_text=('{"error"', '"error":'),
    )


ROWS = (
    _post("predict-latest", f"{M}:predict", json=ANSWER),
    _post("predict-version", f"{M}/versions/1:predict", json=V1_ANSWER),
    _post("predict-label", f"{M}/labels/stable:predict", json=V1_ANSWER),
    _post("predict-version-with-leading-zeros", f"{M}/versions/0001:predict", json=V1_ANSWER),
    _post("literal-parts-match-in-any-case", "/V1/Models/half_plus_two/VERSIONS/1:predict", json=V1_ANSWER),
    _post("name-with-an-encoded-slash", "/v1/models/a%2Fb:predict", json={"predictions": [4.5]}),
    _post("name-with-encoded-letters", "/v1/models/h%61lf%5Fplus_two:predict", json=ANSWER),
    _post("label-with-encoded-letters", f"{M}/labels/st%61ble:predict", json=V1_ANSWER),
    Rest(
        id="plus-in-a-name-is-not-a-space",
        rule="2.1",
        path="/v1/models/plus+name:predict",
        body=BODY,
        json={"predictions": [5.5]},
        confirmed=False,
    ),
    _post(
        "names-in-urls-are-case-sensitive",
        "/v1/models/HALF_plus_two:predict",
        status=404,
        error=("Servable not found for request: Latest(HALF_plus_two)",),
    ),
    _post(
        "trap2-url-with-an-unknown-version",
        f"{M}/versions/9:predict",
        status=404,
        error=("Servable not found for request: Specific(half_plus_two, 9)",),
    ),
    _post(
        "trap2-url-with-an-unknown-label",
        f"{M}/labels/nope:predict",
        status=400,
        error=("Unrecognized servable version label: nope",),
    ),
    _post(
        "url-with-a-dangling-label",
        f"{M}/labels/dangling:predict",
        status=404,
        error=("Servable not found for request: Specific(half_plus_two, 9)",),
    ),
    _post(
        "version-over-int64",
        f"{M}/versions/9223372036854775808:predict",
        status=400,
        error=("Failed to convert version: 9223372036854775808 to numeric.",),
    ),
    _post(
        "version-at-the-end-of-int64",
        f"{M}/versions/9223372036854775807:predict",
        status=404,
        error=("Specific(half_plus_two, 9223372036854775807)",),
    ),
    _get(
        "status-version-over-int64",
        f"{M}/versions/99999999999999999999",
        status=400,
        error=("Failed to convert version: 99999999999999999999 to numeric.",),
    ),
    _get(
        "no-model-name",
        "/v1/models",
        status=400,
        error=("Missing model name in request.",),
        ours=False,
    ),
    _get(
        "no-model-name-lists-the-models",
        "/v1/models",
        text=('"a/b"', '"half_plus_two"', '"AVAILABLE"', '"warm"'),
        real=False,
        note="section 9, 7: TensorFlow Serving answers 400 `Missing model name in request.`",
    ),
    _malformed("model-name-empty", "GET", "/v1/models/"),
    _malformed("trap5-get-on-predict", "GET", f"{M}:predict"),
    _malformed("trap5-get-on-classify", "GET", f"{M}:classify"),
    _malformed("trap5-post-on-metadata", "POST", f"{M}/metadata", BODY),
    _malformed("trap5-post-on-status", "POST", M, BODY),
    _malformed("trap5-put", "PUT", f"{M}:predict", BODY),
    _malformed("trap5-delete", "DELETE", M),
    _malformed("trap5-patch", "PATCH", f"{M}:predict", BODY),
    Rest(
        id="trap5-head",
        rule="2.1",
        method="HEAD",
        path=M,
        status=400,
        content_type=None,
        confirmed=False,
        note="HEAD has no body to look at; whether the HTTP library hands it on is its own",
    ),
    _malformed("trap5-unknown-action", "POST", f"{M}:guess", BODY),
    _malformed("trap5-no-multi-inference-url", "POST", f"{M}:multiInference", BODY),
    _malformed("trap5-no-action", "POST", f"{M}:", BODY),
    _malformed("trap5-trailing-slash-of-predict", "POST", f"{M}:predict/", BODY),
    _malformed("trap5-trailing-slash-of-status", "GET", f"{M}/"),
    _malformed("trap5-version-and-label", "POST", f"{M}/versions/1/labels/stable:predict", BODY),
    _malformed("trap5-label-and-version", "GET", f"{M}/labels/stable/versions/1"),
    _malformed("trap5-version-no-number", "POST", f"{M}/versions/one:predict", BODY),
    _malformed("trap5-version-negative", "POST", f"{M}/versions/-1:predict", BODY),
    _malformed("trap5-version-empty", "POST", f"{M}/versions/:predict", BODY),
    _malformed("trap5-label-empty", "POST", f"{M}/labels/:predict", BODY),
    _malformed("trap5-stray-path", "GET", "/v1/other"),
    _malformed("trap5-v1-alone-with-slash", "GET", "/v1/"),
    _malformed("trap5-stray-part-after-the-model", "GET", f"{M}/healthy"),
    _malformed("trap5-name-in-two-parts", "POST", "/v1/models/a/b:predict", BODY),
    _html("trap5-outside-v1", "GET", "/"),
    _html("trap5-v1-without-slash", "GET", "/v1"),
    _html("trap5-other-api-version", "POST", "/v2/models/half_plus_two/infer"),
    _html("trap5-no-health-url", "GET", "/favicon.ico"),
    _malformed("trap6-query-on-predict", "POST", f"{M}:predict?x=1", BODY),
    _malformed("trap6-query-on-a-version", "GET", f"{M}/versions/1?x=1"),
    _get(
        "trap6-query-on-status-is-part-of-the-name",
        f"{M}?x=1",
        status=404,
        error=("Could not find any versions of model half_plus_two?x=1",),
    ),
    _malformed("trap7-action-in-upper-case", "POST", f"{M}:PREDICT", BODY),
    _malformed("trap7-action-in-mixed-case", "POST", f"{M}:Classify", BODY),
    _get("trap7-metadata-in-upper-case-gives-the-status", f"{M}/METADATA", text=("model_version_status",)),
    _get(
        "trap7-metadata-of-a-version-in-upper-case",
        f"{M}/versions/1/Metadata",
        text=("model_version_status",),
        not_text=("signature_def",),
    ),
)
