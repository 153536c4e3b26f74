"""Batching as its parameters ask for it (models.BATCHING): sizes, padding, queues and deadlines."""

from __future__ import annotations

from typing import Any

from .table import PREDICTION, Counted, Grpc, Rest, Together, floats, outputs, predict, spec, tensor

SESSION = ":tensorflow:serving:batching_session:"


def _predict(request: str, row_id: str = "", rule: str = "7.2", **options: Any) -> Grpc:
    return Grpc(
        id=row_id, rule=rule, server="flags", call=f"{PREDICTION}/Predict", request=request, **options
    )


def _refused(row_id: str, request: str, code: str, *words: str, **options: Any) -> Grpc:
    return _predict(request, row_id, code=code, words=words, **options)


def _alone(row_id: str, request: str, otherwise: str) -> Grpc:
    """What cannot be joined with other requests is run alone."""
    note = f"section 9, 22: TensorFlow Serving fails with batching what works without: {otherwise}"
    return _predict(request, f"{row_id}-is-run-alone", real=False, note=note)


def _rest(body: str, row_id: str = "", url: str = "half_plus_two", status: int = 200, **options: Any) -> Rest:
    path = f"/v1/models/{url}:predict"
    return Rest(id=row_id, rule="7.2", server="flags", path=path, body=body, status=status, **options)


def _row(*values: float) -> Grpc:
    request = predict(spec("sums", signature="row_sums"), x=tensor("FLOAT", [1, len(values)], list(values)))
    return _predict(request, printed=("size: 1",))


def _count(row_id: str, rows: int, sample: str, grows: int) -> Counted:
    request = predict(spec(), x=tensor("FLOAT", [rows], [1.0] * rows))
    return Counted(
        id=row_id,
        rule="7.1",
        server="flags",
        calls=(_predict(request),),
        sample=SESSION + sample,
        grows=grows,
    )


BUSY = _predict(predict(spec("slow"), x=tensor("INT64", [8], [400_000] * 8)), code="OK", timeout=30)
"""Fills a batch and keeps the one batch thread busy for more than a second."""

SINGLE = (
    _alone(
        "trap21-scalar-input",
        predict(spec("scalar"), x=tensor("FLOAT", [], [4.0])),
        "INVALID_ARGUMENT `Batching Run() input tensors must have at least one dimension`",
    ),
    _alone(
        "inputs-of-unequal-size",
        predict(spec("sums"), a=floats(1, 2), b=tensor("INT32", [1], [1])),
        "INVALID_ARGUMENT `Batching Run() input tensors must have equal 0th-dimension size`",
    ),
    _alone(
        "no-inputs",
        predict(spec("sums", signature="constant")),
        "INVALID_ARGUMENT `Batching Run() must have at least one input tensor`",
    ),
    _predict(
        predict(spec(), x=tensor("FLOAT", [8], [1.0] * 8)),
        "request-of-the-largest-size",
        printed=("size: 8",),
    ),
    _refused(
        "request-over-the-largest-size",
        predict(spec(), x=tensor("FLOAT", [9], [1.0] * 9)),
        "INVALID_ARGUMENT",
        "Task size 9 is larger than maximum input batch size 8",
    ),
    _rest(
        '{"instances": [1, 2, 3, 4, 5, 6, 7, 8, 9]}',
        "request-over-the-largest-size-by-rest",
        status=400,
        error=("Task size 9 is larger than maximum input batch size 8",),
    ),
    _alone(
        "scalar-output",
        predict(spec("sums", signature="total"), x=floats(1, 2)),
        "FAILED_PRECONDITION `Batched output tensor has 0 dimensions`",
    ),
    _alone(
        "output-of-another-size",
        predict(spec("sums", signature="first_only"), x=floats(1, 2)),
        "FAILED_PRECONDITION `Batched output tensor's 0th dimension does not equal the sum of the 0th"
        " dimension sizes of the input tensors`",
    ),
    _predict(
        predict(spec("sums"), only=["sum"], a=floats(1), b=tensor("INT32", [1], [1])),
        "output-filter-has-its-own-queue",
        printed=('key: "sum"',),
        not_printed=('key: "product"',),
    ),
    _count("padding-up-to-the-next-size", 3, "padding_size_sum{execution_batch_size=\"4\"}", 1),
    _count("padding-of-a-fitting-size", 4, "padding_size_count{execution_batch_size=\"4\"}", 1),
    _count("padding-to-the-last-size", 5, "padding_size_sum{execution_batch_size=\"8\"}", 3),
    _count("batches-run-are-counted", 2, "wrapped_run_count{}", 1),
    _count("rows-sent", 5, "input_batch_size_sum{}", 5),
    _count("rows-run-with-padding", 5, "processed_batch_size_sum{}", 8),
    _count("queue-time-is-observed", 1, 'queuing_latency_count{thread_pool_name=""}', 1),
)  # fmt: skip


def _values(*values: float) -> Grpc:
    """Typed fields are off on this server (it has the flag), so the answer is looked at by REST elsewhere."""
    return _predict(predict(spec(), x=floats(*values)), printed=(f"size: {len(values)}",))


TOGETHER = (
    Counted(
        id="requests-are-joined",
        rule="7.2",
        server="flags",
        calls=(Together(id="", rule="7.2", calls=(_values(1, 2), _values(3, 4), _values(5, 6, 7, 8))),),
        sample=f"{SESSION}wrapped_run_count{{}}",
        grows=1,
    ),
    Together(
        id="each-gets-its-own-rows",
        rule="7.2",
        server="flags",
        calls=tuple(
            _predict(
                predict(spec(version=1), x=floats(value)),
                answer=outputs(
                    spec(version=1, signature="serving_default"),
                    y=f"dtype: DT_FLOAT tensor_shape {{ dim {{ size: 1 }} }} tensor_content: '{content}'",
                ),
            )
            for value, content in (
                (0, r"\000\000\000\100"),
                (2, r"\000\000\100\100"),
                (4, r"\000\000\200\100"),
                (8, r"\000\000\300\100"),
            )
        ),
    ),
    Counted(
        id="versions-are-not-mixed",
        rule="7.2",
        server="flags",
        calls=(
            Together(
                id="",
                rule="7.2",
                calls=(
                    _predict(predict(spec(version=1), x=floats(1, 2, 3, 4))),
                    _predict(predict(spec(version=2), x=floats(1, 2, 3, 4))),
                ),
            ),
        ),
        sample=f"{SESSION}wrapped_run_count{{}}",
        grows=2,
    ),
    Together(
        id="trap21-inner-shapes-differ",
        rule="7.2",
        server="flags",
        calls=(_row(1, 2), _row(1, 2, 3)),
        real=False,
        note="TensorFlow Serving fails every request of the batch with FAILED_PRECONDITION",
    ),
    Together(
        id="trap21-a-bad-neighbour-does-not-fail-the-others",
        rule="7.2",
        server="flags",
        calls=(
            _predict(
                predict(spec("matrix", signature="checked"), x=tensor("FLOAT", [1, 3], [200.0] * 3)),
                code="INVALID_ARGUMENT",
            ),
            _predict(predict(spec("matrix", signature="checked"), x=tensor("FLOAT", [1, 3], [1.0] * 3))),
        ),
        real=False,
        note="in TensorFlow Serving a failed run fails every request of the batch (7.2.10)",
    ),
    Together(
        id="deadline-stops-the-run-and-frees-its-thread",
        rule="1.4",
        server="flags",
        lead=0.1,
        calls=(
            _predict(
                predict(spec("slow"), x=tensor("INT64", [8], [10_000_000] * 8)),
                code="DEADLINE_EXCEEDED",
                timeout=0.5,
            ),
            _predict(predict(spec(), x=floats(1)), timeout=5),
        ),
    ),
    Together(
        id="rest-timeout-is-504",
        rule="2.10",
        server="flags",
        calls=(_rest('{"instances": [10000000, 1, 1, 1, 1, 1, 1, 1]}', url="slow", status=504),),
    ),
    Together(
        id="queue-full",
        rule="7.2",
        server="flags",
        calls=tuple(
            _predict(
                predict(spec("slow"), x=tensor("INT64", [8], [100_000] * 8)),
                code="UNAVAILABLE",
                words=("The batch scheduling queue to which this task was submitted is full",),
                timeout=30,
            )
            for _ in range(6)
        ),
        any_of=True,
    ),
    Together(
        id="trap21-all-deadlines-pass-in-the-queue",
        rule="7.2",
        server="flags",
        lead=0.2,
        calls=(
            BUSY,
            _rest(
                '{"instances": [1]}',
                url="slow",
                status=429,
                error=("Run() timeout exceeded while waiting in batching queue",),
            ),
        ),
    ),
)

ROWS = SINGLE + TOGETHER
