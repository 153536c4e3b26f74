"""The Prometheus page: its form, the metrics on it, and what each call adds to which."""

from __future__ import annotations

from typing import Any

from .table import MODEL, PREDICTION, Counted, Grpc, Rest, floats, predict, spec, x

PAGE = "/monitoring/prometheus/metrics"
PREFIX = ":tensorflow:serving:"
HALF = "half_plus_two"
TYPES = {
    "request_count": "counter",
    "request_latency": "histogram",
    "runtime_latency": "histogram",
    "request_example_counts": "histogram",
    "request_example_count_total": "counter",
    "request_log_count": "counter",
    "model_warmup_latency": "histogram",
    "model_warmup_records_read": "counter",
}
BATCHING_TYPES = {
    "batching_session:queuing_latency": "histogram",
    "batching_session:wrapped_run_count": "counter",
    "batching_session:padding_size": "histogram",
    "batching_session:input_batch_size": "histogram",
    "batching_session:processed_batch_size": "histogram",
}
LATENCY_BOUNDS = (
    *("10", "18", "32.4", "58.32", "104.976", "188.957", "340.122", "612.22", "1102", "1983.59", "3570.47"),
    *("6426.84", "11568.3", "20823", "37481.3", "67466.4", "121440", "218591", "393464", "708235"),
    *(
        "1.27482e+06",
        "2.29468e+06",
        "4.13043e+06",
        "7.43477e+06",
        "1.33826e+07",
        "2.40887e+07",
        "4.33596e+07",
    ),
    *("7.80473e+07", "1.40485e+08", "2.52873e+08", "4.55172e+08", "8.19309e+08", "1.47476e+09", "+Inf"),
)


def _page(row_id: str, *text: str, rule: str = "5", **options: Any) -> Rest:
    return Rest(
        **{
            "id": row_id,
            "rule": rule,
            "method": "GET",
            "path": PAGE,
            "content_type": "text/plain",
            "text": text,
        }
        | options
    )


FORM = (
    _page("page-is-plain-text", "# TYPE ", not_text=("# HELP :tensorflow:",)),
    _page("page-for-any-method-post", "# TYPE ", method="POST", confirmed=False),
    _page("page-for-any-method-put", "# TYPE ", method="PUT", confirmed=False),
    _page(
        "trap-page-with-a-query-is-refused",
        f"Unexpected path: {PAGE}?format=x. Should be {PAGE}",
        path=f"{PAGE}?format=x",
        status=400,
    ),
    *(_page(f"trap22-type-of-{name}", f"# TYPE {PREFIX}{name} {kind}\n") for name, kind in TYPES.items()),
    *(
        _page(f"type-of-{name.replace(':', '-')}", f"# TYPE {PREFIX}{name} {kind}\n", server="flags")
        for name, kind in BATCHING_TYPES.items()
    ),
    _page(
        "warm-up-latency-by-path-and-status",
        f"{PREFIX}model_warmup_latency_count{{model_path=",
        '/warm/1",status="OK"} 1\n',
        rule="6",
    ),
    _page(
        "warm-up-records-by-path-and-status",
        f"{PREFIX}model_warmup_records_read{{model_path=",
        '/warm/1",status="OK"} 1\n',
        rule="6",
    ),
    _page(
        "warm-up-runs-under-the-name-that-was-recorded",
        f'{PREFIX}runtime_latency_count{{model_name="recorded",API="Predict",runtime="TF1"}} 1\n',
        rule="6",
    ),
)


def _grpc(method: str, request: str, code: str = "OK", service: str = PREDICTION) -> Grpc:
    return Grpc(id="", rule="5", call=f"{service}/{method}", request=request, code=code)


def _rest(method: str, url: str, body: str = "", status: int = 200, **options: Any) -> Rest:
    path = url if url.startswith("/") else f"/v1/models/{url}"
    return Rest(id="", rule="5", method=method, path=path, body=body, status=status, **options)


PREDICT = _grpc("Predict", predict(spec(), x=floats(1)))
CLASSIFY = _grpc("Classify", f"model_spec {{ {spec(signature='classify_x_to_y')} }} {x(1)}")
REGRESS = _grpc("Regress", f"model_spec {{ {spec(signature='regress_x_to_y')} }} {x(1)}")
MULTI = _grpc(
    "MultiInference",
    f"tasks {{ model_spec {{ {spec(signature='regress_x_to_y')} }}"
    " method_name: 'tensorflow/serving/regress' }"
    f" {x(1, 2, 3)}",
)
METADATA = _grpc("GetModelMetadata", f"model_spec {{ {spec()} }} metadata_field: 'signature_def'")
STATUS = _grpc("GetModelStatus", f"model_spec {{ {spec()} }}", service=MODEL)
NOT_FOUND = _grpc("Predict", predict(spec(version=9), x=floats(1)), "NOT_FOUND")
REST_PREDICT = _rest("POST", f"{HALF}:predict", '{"instances": [1.0]}')
REST_CLASSIFY = _rest("POST", "examples:classify", '{"examples": [{"x": 1.0}]}')
REST_REGRESS = _rest(
    "POST", f"{HALF}:regress", '{"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}]}'
)
REST_STATUS = _rest("GET", HALF)
REST_METADATA = _rest("GET", f"{HALF}/metadata")
REST_BAD = _rest("POST", f"{HALF}:predict", '{"instances": []}', 400)
MALFORMED = _rest("POST", f"{HALF}:guess", "{}", 400)
PREFLIGHT = _rest("OPTIONS", HALF, headers={"Origin": "http://page"}, content_type=None)


def _counts(row_id: str, calls: tuple[Grpc | Rest, ...], model: str, status: str, grows: int) -> Counted:
    sample = f'{PREFIX}request_count{{model_name="{model}",status="{status}"}}'
    return Counted(id=f"count-{row_id}", rule="5", calls=calls, sample=sample, grows=grows)


def _latency(
    row_id: str, calls: tuple[Grpc | Rest, ...], api: str, entry: str, grows: int, *, model: str = HALF
) -> Counted:
    sample = f'{PREFIX}request_latency_count{{model_name="{model}",API="{api}",entrypoint="{entry}"}}'
    return Counted(id=f"latency-{row_id}", rule="5", calls=calls, sample=sample, grows=grows)


def _runtime(row_id: str, calls: tuple[Grpc | Rest, ...], api: str, grows: int) -> Counted:
    sample = f'{PREFIX}runtime_latency_count{{model_name="{HALF}",API="{api}",runtime="TF1"}}'
    return Counted(id=f"runtime-{row_id}", rule="5", calls=calls, sample=sample, grows=grows)


COUNTS = (
    _counts("grpc-predict", (PREDICT, PREDICT), HALF, "OK", 2),
    _counts("grpc-classify-and-regress", (CLASSIFY, REGRESS), HALF, "OK", 2),
    _counts("grpc-error-under-its-code", (NOT_FOUND,), HALF, "NOT_FOUND", 1),
    _counts("rest-predict", (REST_PREDICT,), HALF, "OK", 1),
    _counts("rest-get", (REST_STATUS, REST_METADATA), HALF, "OK", 2),
    _counts("rest-error-under-its-code", (REST_BAD,), HALF, "INVALID_ARGUMENT", 1),
    _counts("bad-name-makes-a-series", (_rest("GET", "badname1", status=404),), "badname1", "NOT_FOUND", 1),
    _counts(
        "name-with-a-quote-is-escaped", (_rest("GET", "a%22b%5C", status=404),), r"a\"b\\", "NOT_FOUND", 1
    ),
    _counts("trap22-malformed-under-no-name", (MALFORMED,), "", "INVALID_ARGUMENT", 1),
    _counts("malformed-not-under-the-models-name", (MALFORMED,), HALF, "INVALID_ARGUMENT", 0),
    _counts("trap22-multi-inference-is-not-counted", (MULTI,), HALF, "OK", 0),
    _counts("trap22-metadata-by-grpc-is-not-counted", (METADATA,), HALF, "OK", 0),
    _counts("trap22-status-by-grpc-is-not-counted", (STATUS,), HALF, "OK", 0),
    _counts("metrics-page-is-not-counted", (_page("", "# TYPE "),), "", "OK", 0),
    _latency("grpc-predict", (PREDICT,), "Predict", "GRPC", 1),
    _latency("grpc-classify", (CLASSIFY,), "Classify", "GRPC", 1),
    _latency("grpc-regress", (REGRESS,), "Regress", "GRPC", 1),
    _latency("trap22-rest-predict-in-lower-case", (REST_PREDICT,), "predict", "REST", 1),
    _latency("trap22-rest-classify-in-lower-case", (REST_CLASSIFY,), "classify", "REST", 1, model="examples"),
    _latency("trap22-rest-regress-in-lower-case", (REST_REGRESS,), "regress", "REST", 1),
    _latency("trap22-gets-have-an-empty-api", (REST_STATUS, REST_METADATA), "", "REST", 2),
    _latency("trap22-errors-have-none-in-grpc", (NOT_FOUND,), "Predict", "GRPC", 0),
    _latency("trap22-errors-have-none-in-rest", (REST_BAD,), "predict", "REST", 0),
    _runtime("predict-by-both-ways", (PREDICT, REST_PREDICT), "Predict", 2),
    _runtime("classify", (CLASSIFY,), "Classify", 1),
    _runtime("regress-by-both-ways", (REGRESS, REST_REGRESS), "Regress", 2),
    Counted(
        id="options-is-counted",
        rule="5",
        calls=(PREFLIGHT,),
        sample=f'{PREFIX}request_count{{model_name="",status="OK"}}',
        grows=1,
        confirmed=False,
        note="that OPTIONS counts is said, under which name is not",
    ),
    Counted(
        id="examples-of-multi-inference-in-all",
        rule="5",
        calls=(MULTI,),
        sample=f'{PREFIX}request_example_count_total{{model="{HALF}"}}',
        grows=3,
    ),
    Counted(
        id="examples-of-multi-inference-by-request",
        rule="5",
        calls=(MULTI, MULTI),
        sample=f'{PREFIX}request_example_counts_count{{model="{HALF}"}}',
        grows=2,
    ),
    Counted(
        id="examples-of-classify-are-not-counted",
        rule="5",
        calls=(CLASSIFY,),
        sample=f'{PREFIX}request_example_count_total{{model="{HALF}"}}',
        grows=0,
    ),
    Counted(
        id="no-series-for-a-log-that-is-not-kept",
        rule="5",
        calls=(PREDICT,),
        sample=f'{PREFIX}request_log_count{{model_name="{HALF}",status_code="OK"}}',
        grows=None,
    ),
)


def _buckets(
    row_id: str, metric: str, labels: str, bounds: tuple[str, ...], call: Grpc, **options: Any
) -> Counted:
    """All bounds are on the page, in order, after a call that the histogram counts."""
    lines = tuple(f'{PREFIX}{metric}_bucket{{{labels}le="{bound}"}} ' for bound in bounds)
    server = options.get("server", "plain")
    return Counted(
        id=f"bounds-of-{row_id}",
        rule="5",
        calls=(call, _page("", *lines, server=server)),
        sample=lines[-1].strip(),
        grows=1,
        confirmed=False,
        note="the bounds are read from a comment and the numbers",
        **options,
    )


def _powers(count: int) -> tuple[str, ...]:
    return (*(str(2**i) for i in range(count)), "+Inf")


BUCKETS = (
    _buckets("request-latency", "request_latency", f'model_name="{HALF}",API="Predict",entrypoint="GRPC",',
             LATENCY_BOUNDS, PREDICT),
    _buckets("runtime-latency", "runtime_latency", f'model_name="{HALF}",API="Predict",runtime="TF1",',
             LATENCY_BOUNDS, PREDICT),
    _buckets("example-counts", "request_example_counts", f'model="{HALF}",', _powers(15), MULTI),
    _buckets("batch-sizes", "batching_session:processed_batch_size", "", _powers(14), PREDICT,
             server="flags"),
)  # fmt: skip

ROWS = FORM + COUNTS + BUCKETS
