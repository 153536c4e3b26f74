"""Where our server has to get: ratios to the controls, to the best peer, to TensorFlow alone."""

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.serving.figures import Figures, Row
from benchmarks.serving.servers import OURS


@dataclass(frozen=True)
class Goal:
    """A goal: the value measured, None if it was not, and its bound, the least or with `most` the most."""

    text: str
    value: float | None
    bound: float
    most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether it is met."""
        if self.value is None:
            return None
        return self.value <= self.bound if self.most else self.value >= self.bound


def goals(figures: Figures) -> list[Goal]:
    """All goals."""
    grpc = _ours(figures, protocol="grpc", case="mnist", concurrency=64)
    rest = _ours(figures, protocol="rest", case="mnist", concurrency=16)
    imdb = _ours(figures, protocol="rest", case="imdb", concurrency=16)
    return [
        Goal("gRPC, one MNIST image, concurrency 64: of the echo's rate", _ratio(grpc), 0.75),
        Goal("REST, one MNIST image, concurrency 16: of the bare ASGI's rate", _ratio(rest), 0.45),
        Goal("REST, one MNIST image, concurrency 16: of the best peer's share", _to_peers(figures, rest), 4),
        Goal("REST, one IMDB vector, concurrency 16: of the best peer's share", _to_peers(figures, imdb), 4),
        Goal(
            "gRPC, MNIST, concurrency 1: µs over the echo's p50 + a call",
            _lone(figures),
            150,
            most=True,
        ),
        Goal("gRPC, MNIST, batch of 256: of the rate of calls in process", _batch(figures), 0.7),
        *_tails(figures),
        *_workers(figures),
        Goal("start to the first answers: of the time of import tensorflow", _start(figures), 1.5, most=True),
        Goal("memory after 100,000 requests: of that after 1,000", _memory(figures), 1.05, most=True),
    ]


def table(figures: Figures) -> Iterator[str]:
    """A line for each goal."""
    told = {True: "met", False: "NOT met", None: "not measured"}
    yield f"\n{'goal':<76}{'bound':>8}{'measured':>10}"
    for goal in goals(figures):
        value = "-" if goal.value is None else f"{goal.value:.2f}"
        bound = f"{'≤' if goal.most else '≥'} {goal.bound:g}"
        yield f"{goal.text:<76}{bound:>8}{value:>10}  {told[goal.met]}"


def _ours(figures: Figures, workers: int = 1, **point: object) -> Row | None:
    return next(iter(figures.find(server=OURS.name, workers=workers, **point)), None)


def _ratio(row: Row | None) -> float | None:
    return None if row is None else row.ratio("rate")


def _to_peers(figures: Figures, ours: Row | None) -> float | None:
    """To the best peer, in as many processes as it likes, each by its ratio to the control beside it."""
    if ours is None:
        return None
    same = figures.find(protocol=ours.protocol, case=ours.case, concurrency=ours.concurrency)
    peers = [row.ratio("rate") for row in same if row.server != OURS.name]
    return ours.ratio("rate") / max(peers) if peers else None


def _lone(figures: Figures) -> float | None:
    row = _ours(figures, protocol="grpc", case="mnist", concurrency=1)
    call: float | None = figures.alone.get("call_seconds")
    if row is None or call is None:
        return None
    return (row.subject.median("p50") - row.control.median("p50") - call) * 1e6


def _batch(figures: Figures) -> float | None:
    pairs = zip(
        figures.alone.get("batch_rates", ()), figures.alone.get("batch_call_seconds", ()), strict=True
    )
    ratios = [rate * seconds for rate, seconds in pairs]
    return statistics.median(ratios) if ratios else None


def _tails(figures: Figures) -> Iterable[Goal]:
    for protocol, told in (("grpc", "gRPC"), ("rest", "REST")):
        row = _ours(figures, protocol=protocol, case="mnist", concurrency=64)
        value = None if row is None else row.subject.median("p99") / row.subject.median("p50")
        yield Goal(f"{told}, one MNIST image, concurrency 64: p99 to p50", value, 3, most=True)


def _workers(figures: Figures) -> Iterable[Goal]:
    """Over REST wrk leaves most of a core to the second process; over gRPC one process takes both already."""
    for protocol, told in (("rest", "REST"), ("grpc", "gRPC")):
        one, two = (
            _ratio(_ours(figures, workers, protocol=protocol, case="mnist", concurrency=64))
            for workers in (1, 2)
        )
        value = two / one if one and two else None
        yield Goal(f"{told}, MNIST, concurrency 64: two workers' rate to one's", value, 1.5)


def _start(figures: Figures) -> float | None:
    if "start_seconds" not in figures.alone:
        return None
    started: list[float] = figures.alone["start_seconds"]
    imported: list[float] = figures.alone["import_seconds"]
    return statistics.median(started) / statistics.median(imported)


def _memory(figures: Figures) -> float | None:
    many: float | None = figures.alone.get("memory_after_100000")
    return None if many is None else many / figures.alone["memory_after_1000"]
