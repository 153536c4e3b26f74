"""All metrics of the server: TensorFlow Serving's by its names, labels and buckets, and ours.

Times of TensorFlow Serving's are in microseconds. They leave out failures' latency, versions, transports and
queues; ours (`own_metrics`) have them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from serving.admission import Admission
from serving.answered import Answered
from serving.batching import BatchEvent
from serving.exposition import OTHER, Registry
from serving.inference import Call
from serving.own_metrics import BATCH_BOUNDS, OwnMetrics
from serving.states import State
from serving.timing import Timing
from wire.errors import Code, StatusError

PREFIX = ":tensorflow:serving:"
MICROSECONDS = 1e6
# TensorFlow Serving's bucket bounds.
LATENCY_BOUNDS = tuple(10 * 1.8**power for power in range(33))
EXAMPLE_BOUNDS = tuple(2.0**power for power in range(15))
QUEUEING_BOUNDS = tuple(100 * 1.2**power for power in range(52))
# TensorFlow Serving counts under whatever name a client asks for. So do we for so many names that are no
# model's, of so many characters at most; further ones are counted together.
MADE_UP_NAMES = 100
LONGEST_MADE_UP_NAME = 128
# So many requests are counted at once: to count each as it is answered takes several times as long, as the
# processor has the code and the numbers to fetch each time.
COUNTED_TOGETHER = 64
COUNTED_BY_GRPC = frozenset(("Predict", "Classify", "Regress"))


class ModelNames:
    """Bounds the names that clients make up; models' own are always shown."""

    def __init__(self) -> None:
        self._shown: set[str] = set()
        self._made_up = 0

    def add(self, name: str) -> None:
        """There is a model of this name."""
        self._shown.add(name)

    def shown(self, name: str) -> str:
        """The name as a label's value: itself, or "(other)"."""
        if name in self._shown:
            return name
        if self._made_up >= MADE_UP_NAMES or len(name) > LONGEST_MADE_UP_NAME:
            return OTHER
        self._made_up += 1
        self._shown.add(name)
        return name


class Metrics:
    """Counts what the transports, the core, the batcher and the lifecycle tell it, in the registry given.

    The methods are called on the event loop, those about versions and warm-ups on any thread.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = registry
        self._own = OwnMetrics(registry, clock)
        self._names = ModelNames()
        self._paths: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()
        # What is yet to be counted: by the next page that is read, or when it is many.
        self._told: deque[Answered] = deque()
        self._runs_told: deque[tuple[str, str, float]] = deque()
        registry.before_reading(self.count_told)
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
        self._logged = registry.counter(f"{PREFIX}request_log_count", ("model_name", "status_code"))
        # Nothing is recorded in ML Metadata: no series, as there.
        registry.gauge(f"{PREFIX}mlmd_map", ("model_name", "version"))
        self._warmup_latency = registry.histogram(
            f"{PREFIX}model_warmup_latency", ("model_path", "status"), latency
        )
        self._warmup_records = registry.counter(
            f"{PREFIX}model_warmup_records_read", ("model_path", "status")
        )
        self._add_batching(registry)

    def _add_batching(self, registry: Registry) -> None:
        name = f"{PREFIX}batching_session:"
        self._queueing = registry.histogram(f"{name}queuing_latency", ("thread_pool_name",), QUEUEING_BOUNDS)
        self._runs = registry.counter(f"{name}wrapped_run_count")
        self._padding = registry.histogram(f"{name}padding_size", ("execution_batch_size",), BATCH_BOUNDS)
        self._input_size = registry.histogram(f"{name}input_batch_size", (), BATCH_BOUNDS)
        self._processed_size = registry.histogram(f"{name}processed_batch_size", (), BATCH_BOUNDS)

    def watch(self, admission: Admission, build: Mapping[str, str], runs: Mapping[Timing, Call]) -> None:
        """Show the requests under way, the process, and what the server is built from."""
        self._own.watch(admission, build, runs)

    def answered(self, request: Answered) -> None:
        """A request was answered. TensorFlow Serving does not count all kinds over gRPC."""
        self._told.append(request)
        # An error's traceback holds the request's body: it is not kept.
        if request.error is not None or len(self._told) >= COUNTED_TOGETHER:
            self.count_told()

    def ran(self, model: str, api: str, seconds: float) -> None:
        """A model ran for a request; MultiInference's runs are not among TensorFlow Serving's."""
        if api != "MultiInference":
            self._runs_told.append((model, api, seconds))

    def count_told(self) -> None:
        """Count what was told of requests and is not counted yet; on any thread."""
        with self._lock:
            self._count_told()

    def _count_told(self) -> None:
        while self._told:
            self._count_answered(self._told.popleft())
        while self._runs_told:
            model, api, seconds = self._runs_told.popleft()
            self._runtime.observe(seconds * MICROSECONDS, self._names.shown(model), api, "TF1")

    def _count_answered(self, request: Answered) -> None:
        self._own.answered(request)
        if request.transport == "grpc" and request.api not in COUNTED_BY_GRPC:
            return
        name = self._names.shown(request.call.spec.name)
        self._count.add(name, request.code.name)
        if request.code == Code.OK:
            microseconds = (request.ended - request.started) * MICROSECONDS
            self._latency.observe(microseconds, name, request.api, request.transport.upper())

    def examples_counted(self, model: str, examples: int) -> None:
        """A MultiInference request had this many examples."""
        self._example_counts.observe(examples, model)
        self._example_total.add(model, amount=examples)

    def batch_ran(self, event: BatchEvent) -> None:
        """A batch has run."""
        self._own.batch_ran(event)
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

    def logged(self, model: str, code: Code) -> None:
        """A request was chosen for the request log: OK once it is in the file, or why it is not."""
        with self._lock:
            self._logged.add(model, code.name)

    def state_changed(self, name: str, version: int, state: State) -> None:
        """A version has come to a state."""
        with self._lock:
            # A version's series may go: what was told of it goes with them.
            self._count_told()
            self._names.add(name)
            gone = self._own.state_changed(name, version, state)
            path = self._paths.pop(gone, None) if gone else None
            if path is not None:
                self.registry.forget(model_path=path)

    def load_ended(self, name: str, path: Path, seconds: float, error: StatusError | None) -> None:
        """An attempt to load a version has ended."""
        version = str(int(path.name))
        with self._lock:
            self._paths[name, version] = str(path)
            self._own.load_ended(name, version, seconds, _code(error))

    def memory_measured(self, name: str, path: Path, grown: int, files: int) -> None:
        """A version was loaded: by how many bytes the process has grown meanwhile, and those of its files."""
        with self._lock:
            self._own.memory_measured(name, str(int(path.name)), grown, files)

    def warmed_up(self, path: Path, records: int, seconds: float, error: StatusError | None) -> None:
        """A warm-up has ended."""
        with self._lock:
            self._warmup_latency.observe(seconds * MICROSECONDS, str(path), _code(error))
            self._warmup_records.add(str(path), _code(error), amount=records)


def _code(error: StatusError | None) -> str:
    return Code.OK.name if error is None else error.code.name
