"""All metrics of the server: TensorFlow Serving's by its names, labels and buckets, and ours (`kedge_`).

Times of TensorFlow Serving's are in microseconds, ours in seconds. TensorFlow Serving's leave out failures'
latency, versions and queues; ours have them.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from serving.admission import Admission
from serving.batching import BatchEvent
from serving.exposition import Computed, Registry
from serving.inference import Call
from serving.states import State
from wire.errors import Code, StatusError

PREFIX = ":tensorflow:serving:"
MICROSECONDS = 1e6
# TensorFlow Serving's bucket bounds.
LATENCY_BOUNDS = tuple(10 * 1.8**power for power in range(33))
EXAMPLE_BOUNDS = tuple(2.0**power for power in range(15))
QUEUEING_BOUNDS = tuple(100 * 1.2**power for power in range(52))
BATCH_BOUNDS = tuple(2.0**power for power in range(14))
SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LOAD_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """Counts what the transports, the core, the batcher and the lifecycle tell it, in the registry given.

    The methods are called on the event loop, those about versions and warm-ups on any thread.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = registry
        self.clock = clock
        self._lock = threading.Lock()
        latency = LATENCY_BOUNDS
        self._count = registry.counter(f"{PREFIX}request_count", ("model_name", "status"))
        self._latency = registry.histogram(
            f"{PREFIX}request_latency", ("model_name", "API", "entrypoint"), latency
        )
        self._runtime = registry.histogram(
            f"{PREFIX}runtime_latency", ("model_name", "API", "runtime"), latency
        )
        self._example_counts = registry.histogram(
            f"{PREFIX}request_example_counts", ("model",), EXAMPLE_BOUNDS
        )
        self._example_total = registry.counter(f"{PREFIX}request_example_count_total", ("model",))
        # Nothing is logged of requests here, and nothing is recorded in ML Metadata: no series, as there.
        registry.counter(f"{PREFIX}request_log_count", ("model_name", "status_code"))
        registry.gauge(f"{PREFIX}mlmd_map", ("model_name", "version"))
        self._warmup_latency = registry.histogram(
            f"{PREFIX}model_warmup_latency", ("model_path", "status"), latency
        )
        self._warmup_records = registry.counter(
            f"{PREFIX}model_warmup_records_read", ("model_path", "status")
        )
        self._add_batching(registry)
        self._add_ours(registry)

    def _add_batching(self, registry: Registry) -> None:
        name = f"{PREFIX}batching_session:"
        self._queueing = registry.histogram(f"{name}queuing_latency", ("thread_pool_name",), QUEUEING_BOUNDS)
        self._runs = registry.counter(f"{name}wrapped_run_count")
        self._padding = registry.histogram(f"{name}padding_size", ("execution_batch_size",), BATCH_BOUNDS)
        self._input_size = registry.histogram(f"{name}input_batch_size", (), BATCH_BOUNDS)
        self._processed_size = registry.histogram(f"{name}processed_batch_size", (), BATCH_BOUNDS)

    def _add_ours(self, registry: Registry) -> None:
        by = ("transport", "api", "model", "version", "signature", "code")
        self._requests = registry.histogram("kedge_request_seconds", by, SECONDS_BOUNDS)
        self._waiting = registry.gauge("kedge_requests_waiting")
        self._waiting.set(0)
        self._batch_rows = registry.histogram("kedge_batch_rows", ("model",), BATCH_BOUNDS)
        self._batch_requests = registry.histogram("kedge_batch_requests", ("model",), BATCH_BOUNDS)
        self._loads = registry.histogram("kedge_model_load_seconds", ("model", "code"), LOAD_BOUNDS)
        self._states = registry.gauge("kedge_model_version_state", ("model", "version"))

    def watch(self, admission: Admission, build: Mapping[str, str]) -> None:
        """Show the requests under way, the process, and what the server is built from."""
        self.registry.computed(
            Computed(
                "gauge",
                "kedge_requests_in_flight",
                ("transport",),
                lambda: [((name,), count) for name, count in admission.in_flight.items()],
            )
        )
        self.registry.computed(
            Computed(
                "counter",
                "kedge_requests_refused",
                ("reason",),
                lambda: [((reason,), count) for reason, count in sorted(admission.refused.items())],
            )
        )
        info = [(tuple(build.values()), 1)]
        self.registry.computed(Computed("gauge", "kedge_build_info", tuple(build), lambda: info))
        for metric in _process():
            self.registry.computed(metric)

    def request_ended(self, transport: str, api: str, call: Call, started: float, code: Code) -> None:
        """A request was answered with a code; `started` is a time of the clock.

        Names that clients made up are left out: a model's is shown where one of its versions was found.
        """
        found = call.version is not None
        name, version = (call.spec.name, str(call.version)) if found else ("", "")
        seconds = self.clock() - started
        self._requests.observe(seconds, transport, api, name, version, call.signature_name, code.name)

    def counted(self, entrypoint: str, api: str, name: str, started: float, code: Code) -> None:
        """Count a request as TensorFlow Serving does, which does not count all kinds."""
        self._count.add(name, code.name)
        if code == Code.OK:
            self._latency.observe((self.clock() - started) * MICROSECONDS, name, api, entrypoint)

    def ran(self, model: str, api: str, seconds: float) -> None:
        """A model ran for a request; MultiInference's runs are not among TensorFlow Serving's."""
        if api == "MultiInference":
            return
        # Warm-ups run, too, on the threads that load.
        with self._lock:
            self._runtime.observe(seconds * MICROSECONDS, model, api, "TF1")

    def examples_counted(self, model: str, examples: int) -> None:
        """A MultiInference request had this many examples."""
        self._example_counts.observe(examples, model)
        self._example_total.add(model, amount=examples)

    def batch_ran(self, event: BatchEvent) -> None:
        """A batch has run."""
        self._batch_rows.observe(event.rows, event.model)
        self._batch_requests.observe(len(event.requests), event.model)
        if not event.pool:
            return
        size = event.rows + event.padding
        self._runs.add()
        self._padding.observe(event.padding, str(size))
        self._processed_size.observe(size)
        for rows, waited in zip(event.requests, event.waited, strict=True):
            self._queueing.observe(waited * MICROSECONDS, "")
            for _ in range(event.inputs):
                self._input_size.observe(rows)

    def waiting_changed(self, requests: int) -> None:
        """This many requests wait for a thread."""
        self._waiting.set(requests)

    def state_changed(self, name: str, version: int, state: State) -> None:
        """A version has come to a state, shown by its number."""
        with self._lock:
            self._states.set(int(state), name, str(version))

    def load_ended(self, name: str, path: Path, seconds: float, error: StatusError | None) -> None:
        """An attempt to load a version has ended."""
        with self._lock:
            self._loads.observe(seconds, name, _code(error))

    def warmed_up(self, path: Path, records: int, seconds: float, error: StatusError | None) -> None:
        """A warm-up has ended."""
        with self._lock:
            self._warmup_latency.observe(seconds * MICROSECONDS, str(path), _code(error))
            self._warmup_records.add(str(path), _code(error), amount=records)


def _code(error: StatusError | None) -> str:
    return Code.OK.name if error is None else error.code.name


def _process() -> Iterable[Computed]:
    """What the Prometheus client tells of a process: its memory, processor time and files."""
    from prometheus_client import ProcessCollector

    collector = ProcessCollector(registry=None)

    def reader(name: str) -> Callable[[], Iterable[tuple[tuple[str, ...], float]]]:
        return lambda: [
            ((), sample.value)
            for family in collector.collect()
            for sample in family.samples
            if sample.name == name
        ]

    for family in collector.collect():
        for sample in family.samples:
            yield Computed(family.type, sample.name, (), reader(sample.name))
