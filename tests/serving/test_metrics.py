"""The metrics page, whole, from registries of the tests' own."""

import dataclasses
import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving import errors
from serving.admission import Admission
from serving.answered import Answered
from serving.batching import BatchEvent
from serving.exposition import MAX_SERIES, Registry
from serving.inference import Call, ModelSpec
from serving.metrics import EXAMPLE_BOUNDS, LATENCY_BOUNDS, MADE_UP_NAMES, QUEUEING_BOUNDS, Metrics
from serving.own_metrics import ENDED_VERSIONS
from serving.states import State
from serving.timing import Timing
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
    registry.gauge("waiting", (), "How many wait.").set(2)
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
        "# HELP waiting How many wait.\n"
        "# TYPE waiting gauge\n"
        "waiting{} 2\n"
    )


def test_label_values_that_clients_make_up_cannot_break_the_page(registry: Registry) -> None:
    registry.counter("c", ("model",)).add('a"b\\c\nd 1\re\ud800')
    assert registry.page() == b'# TYPE c counter\nc{model="a\\"b\\\\c\\nd 1\re?"} 1\n'


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
    metrics.answered(_answered("grpc", "Predict", Code.OK))
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


def test_failed_request_is_not_kept_with_its_body(metrics: Metrics) -> None:
    """Its error's traceback leads to the body, which may have gigabytes."""

    def fail() -> StatusError:
        try:
            raise StatusError(Code.INTERNAL, "no")
        except StatusError as error:
            return error

    error = fail()
    kept = weakref.ref(error)
    metrics.answered(_answered("rest", "predict", Code.INTERNAL, FOUND, error))
    del error
    gc.collect()
    assert kept() is None


def test_failed_request_is_counted_without_tensorflow_servings_latency(
    registry: Registry, metrics: Metrics
) -> None:
    metrics.answered(_answered("rest", "predict", Code.NOT_FOUND))
    assert _lines(registry, ":tensorflow:serving:request_latency") == []
    assert _lines(registry, ":tensorflow:serving:request_count") == [
        ':tensorflow:serving:request_count{model_name="m",status="NOT_FOUND"} 1'
    ]


def test_kinds_that_tensorflow_serving_does_not_count_are_in_our_metrics_only(
    registry: Registry, metrics: Metrics
) -> None:
    metrics.answered(_answered("grpc", "GetModelMetadata", Code.OK))
    assert _lines(registry, ":tensorflow:serving:request_count{") == []
    assert len(_lines(registry, "kedge_request_seconds_count{")) == 1


FOUND = Call(ModelSpec("m"), version=7, signature_name="serving_default")
BY_FOUND = 'transport="grpc",model="m",version="7",signature="serving_default"'


def test_failed_request_has_our_latency_by_version_and_signature(
    registry: Registry, metrics: Metrics
) -> None:
    metrics.answered(_answered("grpc", "Predict", Code.INTERNAL, FOUND))
    by = 'transport="grpc",api="Predict",model="m",version="7",signature="serving_default",code="INTERNAL"'
    assert _lines(registry, "kedge_request_seconds_sum") == [f"kedge_request_seconds_sum{{{by}}} 0.25"]


def test_request_for_no_known_model_makes_no_series_of_our_own_for_it(
    registry: Registry, metrics: Metrics
) -> None:
    call = Call(ModelSpec("made-up", signature_name="made-up-as-well"))
    metrics.answered(_answered("rest", "predict", Code.NOT_FOUND, call))
    assert [line for line in _lines(registry, "kedge_") if "made-up" in line] == []


def test_model_names_that_clients_make_up_are_counted_together_beyond_a_number(
    registry: Registry, metrics: Metrics
) -> None:
    metrics.state_changed("late", 1, State.AVAILABLE)
    for number in range(MADE_UP_NAMES + 5):
        metrics.answered(_answered("rest", "predict", Code.NOT_FOUND, Call(ModelSpec(f"no{number}"))))
    metrics.answered(_answered("rest", "predict", Code.OK, Call(ModelSpec("late"))))
    lines = _lines(registry, ":tensorflow:serving:request_count{")
    assert len(lines) == MADE_UP_NAMES + 2
    assert ':tensorflow:serving:request_count{model_name="(other)",status="NOT_FOUND"} 5' in lines
    assert ':tensorflow:serving:request_count{model_name="late",status="OK"} 1' in lines


def test_long_model_name_that_a_client_makes_up_is_not_kept(registry: Registry, metrics: Metrics) -> None:
    metrics.answered(_answered("rest", "predict", Code.NOT_FOUND, Call(ModelSpec("x" * 60_000))))
    assert len(registry.page()) < 30_000


def test_request_has_its_time_in_the_queue(registry: Registry, metrics: Metrics) -> None:
    call = dataclasses.replace(FOUND, timings=[Timing(queued=100.0, started=100.0625, ended=100.125)])
    metrics.answered(_answered("grpc", "Predict", Code.OK, call))
    assert f"kedge_queue_seconds_sum{{{BY_FOUND}}} 0.0625" in _lines(registry, "kedge_queue_seconds_sum")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.queue_full(), "queue"),
        (errors.expired_in_queue(), "deadline"),
        (errors.timed_out_in_queue(), "deadline"),
        (errors.draining(), "draining"),
    ],
)
async def test_refused_request_is_counted_by_reason(
    registry: Registry, metrics: Metrics, error: StatusError, reason: str
) -> None:
    metrics.watch(Admission(), {}, {})
    metrics.answered(_answered("grpc", "Predict", error.code, FOUND, error))
    assert _lines(registry, "kedge_requests_refused_total{") == [
        f'kedge_requests_refused_total{{reason="{reason}",{BY_FOUND}}} 1'
    ]


async def test_what_was_turned_away_unread_is_counted_by_reason_alone(
    registry: Registry, metrics: Metrics
) -> None:
    admission = Admission()
    metrics.watch(admission, {}, {})
    admission.turned_away["connections"] += 2
    assert _lines(registry, "kedge_requests_refused_total{") == [
        'kedge_requests_refused_total{reason="connections",transport="",model="",version="",signature=""} 2'
    ]


async def test_failed_request_is_no_refused_one(registry: Registry, metrics: Metrics) -> None:
    metrics.watch(Admission(), {}, {})
    metrics.answered(_answered("grpc", "Predict", Code.INTERNAL, FOUND, StatusError(Code.INTERNAL, "no")))
    assert _lines(registry, "kedge_requests_refused_total{") == []


def test_runs_are_counted_by_api_but_not_those_of_multi_inference(
    registry: Registry, metrics: Metrics
) -> None:
    metrics.ran("m", "Predict", 0.001)
    metrics.ran("m", "MultiInference", 0.001)
    assert _lines(registry, ":tensorflow:serving:runtime_latency_count") == [
        ':tensorflow:serving:runtime_latency_count{model_name="m",API="Predict",runtime="TF1"} 1'
    ]


def _answered(
    transport: str, api: str, code: Code, call: Call | None = None, error: StatusError | None = None
) -> Answered:
    """A request for "m", unless another call is given, that took a quarter of a second."""
    return Answered(transport, api, call or Call(ModelSpec("m")), 100.0, 100.25, code, error)


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
    metrics.batch_ran(BatchEvent("m", "", 5, 0, 2, (2, 3), (0.0, 0.5), 0.125, "7", "s"))
    by = '{model="m",version="7",signature="s"}'
    assert _lines(registry, "kedge_batch_rows_sum") == [f"kedge_batch_rows_sum{by} 5"]
    assert _lines(registry, "kedge_batch_requests_sum") == [f"kedge_batch_requests_sum{by} 2"]
    assert _lines(registry, "kedge_run_seconds_sum") == [f"kedge_run_seconds_sum{by} 0.125"]
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
            'kedge_model_load_seconds_sum{model="m",version="3",code="OK"} 2',
        ),
        (
            lambda metrics: metrics.load_ended("m", Path("/m/3"), 2.0, StatusError(Code.NOT_FOUND, "no")),
            'kedge_model_load_seconds_count{model="m",version="3",code="NOT_FOUND"} 1',
        ),
        (
            lambda metrics: metrics.warmed_up(Path("/m/3"), 9, 0.5, None),
            ':tensorflow:serving:model_warmup_records_read{model_path="/m/3",status="OK"} 9',
        ),
        (
            lambda metrics: metrics.memory_measured("m", Path("/m/3"), 4096, 100),
            'kedge_model_load_resident_bytes{model="m",version="3"} 4096',
        ),
        (
            lambda metrics: metrics.memory_measured("m", Path("/m/3"), 4096, 100),
            'kedge_model_files_bytes{model="m",version="3"} 100',
        ),
        (
            lambda metrics: metrics.logged("m", Code.OK),
            ':tensorflow:serving:request_log_count{model_name="m",status_code="OK"} 1',
        ),
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
    metrics.watch(admission, {"version": "1.2"}, {})
    with admission.request("rest"):
        during = registry.page().decode()
    assert 'kedge_requests_in_flight{transport="rest"} 1\n' in during
    assert 'kedge_requests_in_flight{transport="rest"} 0\n' in registry.page().decode()
    assert 'kedge_build_info{version="1.2"} 1\n' in during
    assert "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes{} " in during


async def test_runs_under_way_and_their_queue_are_shown_by_version_and_go_back_to_zero(
    registry: Registry, metrics: Metrics
) -> None:
    running, waiting = Timing(queued=99.0, started=99.5), Timing(queued=100.0)
    call = dataclasses.replace(FOUND, transport="grpc")
    runs = {running: call, waiting: call, Timing(): call}
    metrics.watch(Admission(), {}, runs)
    assert _lines(registry, "kedge_model_requests_in_flight{") == [
        f"kedge_model_requests_in_flight{{{BY_FOUND}}} 3"
    ]
    assert _lines(registry, "kedge_queue_requests{") == [f"kedge_queue_requests{{{BY_FOUND}}} 1"]
    assert _lines(registry, "kedge_requests_waiting{") == ["kedge_requests_waiting{} 1"]
    assert _lines(registry, "kedge_queue_age_seconds{") == [f"kedge_queue_age_seconds{{{BY_FOUND}}} 0.25"]
    runs.clear()
    metrics.answered(_answered("grpc", "Predict", Code.OK, call))
    for name in ("kedge_model_requests_in_flight", "kedge_queue_requests", "kedge_queue_age_seconds"):
        assert _lines(registry, f"{name}{{") == [f"{name}{{{BY_FOUND}}} 0"]


def test_version_that_has_ended_gives_its_memory_back_on_the_page(
    registry: Registry, metrics: Metrics
) -> None:
    metrics.memory_measured("m", Path("/m/3"), 4096, 100)
    metrics.state_changed("m", 3, State.END)
    assert _lines(registry, "kedge_model_load_resident_bytes{") == []
    assert _lines(registry, "kedge_model_files_bytes{") == []


def test_series_of_versions_that_ended_long_ago_go(registry: Registry, metrics: Metrics) -> None:
    for number in range(ENDED_VERSIONS + 30):
        metrics.load_ended("m", Path(f"/m/{number}"), 1.0, None)
        metrics.warmed_up(Path(f"/m/{number}"), 1, 1.0, None)
        metrics.state_changed("m", number, State.AVAILABLE)
        metrics.answered(_answered("rest", "predict", Code.OK, dataclasses.replace(FOUND, version=number)))
        metrics.state_changed("m", number, State.END)
    for name in (
        "kedge_model_version_state{",
        "kedge_request_seconds_count{",
        "kedge_model_load_seconds_count{",
        ":tensorflow:serving:model_warmup_records_read{",
    ):
        assert len(_lines(registry, name)) == ENDED_VERSIONS, name
    assert 'version="49"} 50' in _lines(registry, "kedge_model_version_state{")[-1]


def test_version_that_comes_back_keeps_its_series(registry: Registry, metrics: Metrics) -> None:
    metrics.state_changed("m", 0, State.END)
    metrics.state_changed("m", 0, State.AVAILABLE)
    for number in range(1, ENDED_VERSIONS + 10):
        metrics.state_changed("m", number, State.END)
    assert 'kedge_model_version_state{model="m",version="0"} 30' in _lines(registry, "kedge_model_version")


async def test_our_metrics_have_help_base_units_and_tensorflow_servings_have_none(
    registry: Registry, metrics: Metrics
) -> None:
    metrics.watch(Admission(), {"version": "1"}, {})
    lines = registry.page().decode().splitlines()
    kinds = dict(line.split()[2:] for line in lines if line.startswith("# TYPE "))
    described = {line.split()[2] for line in lines if line.startswith("# HELP ")}
    assert described == {name for name in kinds if not name.startswith(":")}
    assert [name for name in kinds if name.startswith(":tensorflow") and name in described] == []
    ours = {name: kind for name, kind in kinds.items() if name.startswith("kedge_")}
    assert [name for name, kind in ours.items() if (kind == "counter") != name.endswith("_total")] == []


def test_page_is_read_by_prometheus_own_parser(registry: Registry, metrics: Metrics) -> None:
    awkward = 'a"b\\c\nd\re{}, \u2028 ü'
    metrics.state_changed(awkward, 1, State.AVAILABLE)
    metrics.answered(_answered("rest", "predict", Code.OK, Call(ModelSpec(awkward), version=1)))
    metrics.batch_ran(EVENT)
    families = {family.name: family for family in text_string_to_metric_families(registry.page().decode())}
    assert families[":tensorflow:serving:request_latency"].type == "histogram"
    [state] = families["kedge_model_version_state"].samples
    assert state.labels == {"model": awkward, "version": "1"}
