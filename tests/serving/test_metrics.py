"""The metrics page, whole, from registries of the tests' own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from serving.admission import Admission
from serving.batching import BatchEvent
from serving.exposition import MAX_SERIES, Registry
from serving.inference import Call, ModelSpec
from serving.metrics import EXAMPLE_BOUNDS, LATENCY_BOUNDS, QUEUEING_BOUNDS, Metrics
from serving.states import State
from wire.errors import Code, StatusError

LATENCY_TEXTS = (
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


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def metrics(registry: Registry) -> Metrics:
    """At a quarter of a second past every start."""
    return Metrics(registry, clock=lambda: 100.25)


def _lines(registry: Registry, name: str) -> list[str]:
    return [line for line in registry.page().decode().splitlines() if line.startswith(name)]


def test_page_has_types_by_name_and_a_line_for_each_sample(registry: Registry) -> None:
    requests = registry.counter(":requests", ("model", "status"))
    registry.gauge("waiting").set(2)
    registry.counter(":empty", ("model",))
    sizes = registry.histogram("sizes", ("model",), (1, 2.5))
    requests.add("b", "OK")
    requests.add("a", "OK", amount=2)
    for value in (1, 1.5, 9):
        sizes.observe(value, "a")
    assert registry.page().decode() == (
        "# TYPE :empty counter\n"
        "# TYPE :requests counter\n"
        ':requests{model="a",status="OK"} 2\n'
        ':requests{model="b",status="OK"} 1\n'
        "# TYPE sizes histogram\n"
        'sizes_bucket{model="a",le="1"} 1\n'
        'sizes_bucket{model="a",le="2.5"} 2\n'
        'sizes_bucket{model="a",le="+Inf"} 3\n'
        'sizes_sum{model="a"} 11.5\n'
        'sizes_count{model="a"} 3\n'
        "# TYPE waiting gauge\n"
        "waiting{} 2\n"
    )


def test_label_values_that_clients_make_up_cannot_break_the_page(registry: Registry) -> None:
    registry.counter("c", ("model",)).add('a"b\\c\nd 1\re\ud800')
    assert registry.page() == b'# TYPE c counter\nc{model="a\\"b\\\\c\\nd 1\\re?"} 1\n'


def test_series_beyond_the_limit_are_counted_together(registry: Registry) -> None:
    counter = registry.counter("c", ("model",))
    for number in range(MAX_SERIES + 5):
        counter.add(str(number))
    assert counter.value("(other)") == 5
    assert len(_lines(registry, "c{")) == MAX_SERIES + 1


@pytest.mark.parametrize(
    ("bounds", "count", "last"),
    [
        (LATENCY_BOUNDS, 33, "1.47476e+09"),
        (EXAMPLE_BOUNDS, 15, "16384"),
        (QUEUEING_BOUNDS, 52, "1.09205e+06"),
    ],
)
def test_bounds_are_tensorflow_servings(bounds: tuple[float, ...], count: int, last: str) -> None:
    assert (len(bounds), f"{bounds[-1]:.6g}") == (count, last)


def test_successful_request_is_counted_with_its_latency(registry: Registry, metrics: Metrics) -> None:
    metrics.counted("GRPC", "Predict", "m", 100.0, Code.OK)
    labels = 'model_name="m",API="Predict",entrypoint="GRPC"'
    name = ":tensorflow:serving:request_latency"
    assert _lines(registry, name) == [
        *(
            f'{name}_bucket{{{labels},le="{bound}"}} {int(bound == "+Inf" or float(bound) >= 250_000)}'
            for bound in LATENCY_TEXTS
        ),
        f"{name}_sum{{{labels}}} 250000",
        f"{name}_count{{{labels}}} 1",
    ]
    assert _lines(registry, ":tensorflow:serving:request_count") == [
        ':tensorflow:serving:request_count{model_name="m",status="OK"} 1'
    ]


def test_failed_request_is_counted_without_tensorflow_servings_latency(
    registry: Registry, metrics: Metrics
) -> None:
    metrics.counted("REST", "predict", "m", 100.0, Code.NOT_FOUND)
    assert _lines(registry, ":tensorflow:serving:request_latency") == []
    assert _lines(registry, ":tensorflow:serving:request_count") == [
        ':tensorflow:serving:request_count{model_name="m",status="NOT_FOUND"} 1'
    ]


def test_failed_request_has_our_latency_by_version_and_signature(
    registry: Registry, metrics: Metrics
) -> None:
    call = Call(ModelSpec("m"), version=7, signature_name="serving_default")
    metrics.request_ended("grpc", "Predict", call, 100.0, Code.INTERNAL)
    by = 'transport="grpc",api="Predict",model="m",version="7",signature="serving_default",code="INTERNAL"'
    assert _lines(registry, "kedge_request_seconds_sum") == [f"kedge_request_seconds_sum{{{by}}} 0.25"]


def test_request_for_no_known_model_makes_no_series_of_our_own_for_it(
    registry: Registry, metrics: Metrics
) -> None:
    metrics.request_ended("rest", "predict", Call(ModelSpec("made-up")), 100.0, Code.NOT_FOUND)
    assert "made-up" not in registry.page().decode()


def test_runs_are_counted_by_api_but_not_those_of_multi_inference(
    registry: Registry, metrics: Metrics
) -> None:
    metrics.ran("m", "Predict", 0.001)
    metrics.ran("m", "MultiInference", 0.001)
    assert _lines(registry, ":tensorflow:serving:runtime_latency_count") == [
        ':tensorflow:serving:runtime_latency_count{model_name="m",API="Predict",runtime="TF1"} 1'
    ]


EVENT = BatchEvent("m", "pool", rows=5, padding=3, inputs=2, requests=(2, 3), waited=(0.0, 0.5), seconds=0.1)


def test_batch_under_tensorflow_servings_rules_fills_its_metrics(
    registry: Registry, metrics: Metrics
) -> None:
    metrics.batch_ran(EVENT)
    name = ":tensorflow:serving:batching_session:"
    assert [line for line in _lines(registry, name) if "_bucket" not in line] == [
        f"{name}input_batch_size_sum{{}} 10",
        f"{name}input_batch_size_count{{}} 4",
        f'{name}padding_size_sum{{execution_batch_size="8"}} 3',
        f'{name}padding_size_count{{execution_batch_size="8"}} 1',
        f"{name}processed_batch_size_sum{{}} 8",
        f"{name}processed_batch_size_count{{}} 1",
        f'{name}queuing_latency_sum{{thread_pool_name=""}} 500000',
        f'{name}queuing_latency_count{{thread_pool_name=""}} 2',
        f"{name}wrapped_run_count{{}} 1",
    ]


def test_adaptive_batch_fills_only_our_metrics(registry: Registry, metrics: Metrics) -> None:
    metrics.batch_ran(BatchEvent("m", "", 5, 0, 2, (2, 3), (0.0, 0.5), 0.1))
    assert _lines(registry, "kedge_batch_rows_sum") == ['kedge_batch_rows_sum{model="m"} 5']
    assert _lines(registry, "kedge_batch_requests_sum") == ['kedge_batch_requests_sum{model="m"} 2']
    assert _lines(registry, ":tensorflow:serving:batching_session:") == []


@pytest.mark.parametrize(
    ("tell", "expected"),
    [
        (
            lambda metrics: metrics.state_changed("m", 3, State.AVAILABLE),
            'kedge_model_version_state{model="m",version="3"} 30',
        ),
        (
            lambda metrics: metrics.load_ended("m", Path("/m/3"), 2.0, None),
            'kedge_model_load_seconds_sum{model="m",code="OK"} 2',
        ),
        (
            lambda metrics: metrics.load_ended("m", Path("/m/3"), 2.0, StatusError(Code.NOT_FOUND, "no")),
            'kedge_model_load_seconds_count{model="m",code="NOT_FOUND"} 1',
        ),
        (
            lambda metrics: metrics.warmed_up(Path("/m/3"), 9, 0.5, None),
            ':tensorflow:serving:model_warmup_records_read{model_path="/m/3",status="OK"} 9',
        ),
        (lambda metrics: metrics.waiting_changed(4), "kedge_requests_waiting{} 4"),
        (
            lambda metrics: metrics.examples_counted("m", 3),
            ':tensorflow:serving:request_example_count_total{model="m"} 3',
        ),
    ],
)
def test_what_the_server_tells_is_on_the_page(
    registry: Registry, metrics: Metrics, tell: Callable[[Metrics], None], expected: str
) -> None:
    tell(metrics)
    assert expected in registry.page().decode().splitlines()


async def test_requests_under_way_process_and_build_are_on_the_page(
    registry: Registry, metrics: Metrics
) -> None:
    admission = Admission()
    metrics.watch(admission, {"version": "1.2"})
    with admission.request("rest"):
        during = registry.page().decode()
    assert 'kedge_requests_in_flight{transport="rest"} 1\n' in during
    assert 'kedge_requests_in_flight{transport="rest"} 0\n' in registry.page().decode()
    assert 'kedge_build_info{version="1.2"} 1\n' in during
    assert "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes{} " in during
