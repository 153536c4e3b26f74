"""Our own metrics (`kedge_`), by transport, version and signature, failures included; seconds and bytes.

Their label values are never a client's: a model, version and signature are shown once they were found. The
series of a version go some time after it has ended.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from serving.admission import Admission
from serving.answered import Answered
from serving.batching import BatchEvent
from serving.errors import Refusal
from serving.exposition import Computed, Labels, Registry
from serving.inference import Call
from serving.states import State
from serving.timing import Timing

SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LOAD_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
BATCH_BOUNDS = tuple(2.0**power for power in range(14))
# As many versions may have ended and still be shown, so that their last counts are scraped.
ENDED_VERSIONS = 20

MODEL = ("model", "version", "signature")
REQUEST = ("transport", *MODEL)


class OwnMetrics:
    """Counts in the registry given what the server tells; methods as those of `metrics.Metrics`."""

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._clock = clock
        self._ended: dict[tuple[str, str], None] = {}
        self._requests = registry.histogram(
            "kedge_request_seconds",
            ("transport", "api", *MODEL, "code"),
            SECONDS_BOUNDS,
            "Time from a request's arrival to its answer, also of failures.",
        )
        self._queued = registry.histogram(
            "kedge_queue_seconds", REQUEST, SECONDS_BOUNDS, "Time that requests waited for a thread."
        )
        # By reason and labels, of requests whose model was asked for at least.
        self._refused: Counter[Labels] = Counter()
        self._add_batches()
        self._add_versions()

    def _add_batches(self) -> None:
        registry = self._registry
        self._run_seconds = registry.histogram(
            "kedge_run_seconds", MODEL, SECONDS_BOUNDS, "Time of a run of the model, of a whole batch each."
        )
        self._batch_rows = registry.histogram(
            "kedge_batch_rows", MODEL, BATCH_BOUNDS, "Rows of the requests in a batch, without padding."
        )
        self._batch_requests = registry.histogram(
            "kedge_batch_requests", MODEL, BATCH_BOUNDS, "Requests in a batch."
        )

    def _add_versions(self) -> None:
        registry, version = self._registry, ("model", "version")
        self._loads = registry.histogram(
            "kedge_model_load_seconds",
            (*version, "code"),
            LOAD_BOUNDS,
            "Time of an attempt to load a version, warm-up included.",
        )
        self._grown = registry.gauge(
            "kedge_model_load_resident_bytes",
            version,
            "Growth of the process's resident memory while a version was loaded; other work blurs it.",
        )
        self._files = registry.gauge(
            "kedge_model_files_bytes", version, "Size of a version's files, the least that it needs."
        )
        self._states = registry.gauge(
            "kedge_model_version_state",
            version,
            "State of a version: 10 start, 20 loading, 30 available, 40 unloading, 50 end.",
        )

    def watch(self, admission: Admission, build: Mapping[str, str], runs: Mapping[Timing, Call]) -> None:
        """Show the requests under way, how long those wait that do, the process and what it is built of.

        `runs` are those that wait for a thread or have one, as they are when the page is read.
        """
        for metric in (
            Computed(
                "gauge",
                "kedge_requests_in_flight",
                ("transport",),
                lambda: [((name,), count) for name, count in admission.in_flight.items()],
                "Requests under way, from their arrival to their answer.",
            ),
            Computed(
                "counter",
                "kedge_requests_refused_total",
                ("reason", *REQUEST),
                lambda: self._turned_away(admission.turned_away),
                "Requests turned away that could be answered at another time, by reason.",
            ),
            Computed(
                "gauge",
                "kedge_requests_waiting",
                (),
                lambda: [((), sum(map(_waits, runs)))],
                "Requests that wait for a thread, over all models.",
            ),
            Computed(
                "gauge",
                "kedge_model_requests_in_flight",
                REQUEST,
                lambda: self._counted(_labels(call) for call in runs.values()),
                "Requests that wait for a version's run or are in it.",
            ),
            Computed(
                "gauge",
                "kedge_queue_requests",
                REQUEST,
                lambda: self._counted(_labels(call) for timing, call in runs.items() if _waits(timing)),
                "Requests that wait for a version's run.",
            ),
            Computed(
                "gauge",
                "kedge_queue_age_seconds",
                REQUEST,
                lambda: self._oldest(runs),
                "How long the oldest request has waited for a version's run.",
            ),
            Computed(
                "gauge",
                "kedge_build_info",
                tuple(build),
                lambda: [(tuple(build.values()), 1)],
                "The versions that the server is made of; always 1.",
            ),
            *_process(),
        ):
            self._registry.computed(metric)

    def answered(self, request: Answered) -> None:
        """A request was answered, or its client has gone."""
        call = request.call
        found = call.version is not None
        name, version = (call.spec.name, str(call.version)) if found else ("", "")
        by = (name, version, call.signature_name)
        seconds = request.ended - request.started
        self._requests.observe(seconds, request.transport, request.api, *by, request.code.name)
        if isinstance(request.error, Refusal):
            self._refused[request.error.reason, request.transport, *by] += 1
        for timing in call.timings:
            if timing.queued:
                self._queued.observe(timing.waited(request.ended), request.transport, *by)

    def batch_ran(self, event: BatchEvent) -> None:
        """A batch has run."""
        by = (event.model, event.version, event.signature)
        self._run_seconds.observe(event.seconds, *by)
        self._batch_rows.observe(event.rows, *by)
        self._batch_requests.observe(len(event.requests), *by)

    def state_changed(self, name: str, version: int, state: State) -> tuple[str, str] | None:
        """A version has come to a state, shown by its number. Gives the version whose series went for it."""
        key = name, str(version)
        self._states.set(int(state), *key)
        self._ended.pop(key, None)
        if state == State.END:
            self._ended[key] = None
            for taken in (self._grown, self._files):
                taken.forget({"model": key[0], "version": key[1]})
        if len(self._ended) <= ENDED_VERSIONS:
            return None
        oldest = next(iter(self._ended))
        del self._ended[oldest]
        self._registry.forget(model=oldest[0], version=oldest[1])
        return oldest

    def load_ended(self, name: str, version: str, seconds: float, code: str) -> None:
        """An attempt to load a version has ended."""
        self._loads.observe(seconds, name, version, code)

    def memory_measured(self, name: str, version: str, grown: int, files: int) -> None:
        """A version was loaded: by how many bytes the process has grown meanwhile, and those of its files."""
        self._grown.set(grown, name, version)
        self._files.set(files, name, version)

    def _turned_away(self, unread: Mapping[str, int]) -> list[tuple[Labels, float]]:
        """Of what was turned away unread no more than the reason is known."""
        at_the_door: Counter[Labels] = Counter({(why, "", "", "", ""): n for why, n in unread.items()})
        return sorted((self._refused + at_the_door).items())

    def _known(self) -> Iterator[Labels]:
        """What was asked for already, so that a gauge goes back to 0 instead of away."""
        for transport, _, model, version, signature, _ in self._requests.series():
            if model and signature:
                yield transport, model, version, signature

    def _counted(self, found: Iterable[Labels]) -> list[tuple[Labels, float]]:
        counts = Counter(found)
        return sorted({**dict.fromkeys(self._known(), 0), **counts}.items())

    def _oldest(self, runs: Mapping[Timing, Call]) -> list[tuple[Labels, float]]:
        now = self._clock()
        ages = dict.fromkeys(self._known(), 0.0)
        for timing, call in runs.items():
            if _waits(timing):
                labels = _labels(call)
                ages[labels] = max(ages.get(labels, 0.0), timing.waited(now))
        return sorted(ages.items())


def _labels(call: Call) -> Labels:
    return call.transport, call.spec.name, str(call.version), call.signature_name


def _waits(timing: Timing) -> bool:
    return timing.queued > 0 and not timing.started


def _process() -> Iterable[Computed]:
    """What the Prometheus client tells of a process: its memory, processor time and files."""
    from prometheus_client import ProcessCollector

    collector = ProcessCollector(registry=None)

    def reader(name: str) -> Callable[[], Iterable[tuple[Labels, float]]]:
        return lambda: [
            ((), sample.value)
            for family in collector.collect()
            for sample in family.samples
            if sample.name == name
        ]

    for family in collector.collect():
        for sample in family.samples:
            yield Computed(family.type, sample.name, (), reader(sample.name), family.documentation)
