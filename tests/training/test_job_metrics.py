"""What Prometheus is told of a job, however it ends, and that telling never makes it fail."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from training.errors import DataError, PreemptedError, RefusedError
from training.fit import History
from training.job_metrics import reported
from training.result import JobResult

RESULT = JobResult(
    name="points", version=1, path=Path("store/points/1"), created="2026-01-02T03:04:05+00:00", source="here",
    sample=True, sha256={}, seed=0, hidden=(8,), batch_size=16, rows=240, epochs=3, best_epoch=3, held_out=0,
    loss=0.25, accuracy=0.9, history=History(), seconds={},
)  # fmt: skip
MADE = {"epochs": 3.0, "loss": 0.25, "accuracy": 0.9, "rows": 240.0}


@dataclass
class Gateway:
    """A Pushgateway, as far as it is asked."""

    url: str
    code: int = 202
    requests: list[tuple[str, str, str]] = field(default_factory=list)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            known.requests.append((self.command, self.path, body))
            self.send_response(known.code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        known = Gateway(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield known
        server.shutdown()
        thread.join()


def samples(text: str) -> dict[str, float]:
    """The values by name, without the prefix; those of the result by their label."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels["model"] == "points"
            found[sample.labels.get("result", sample.name.removeprefix("kedge_training_"))] = sample.value
    return found


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict[str, float]]:
    """Runs a job that ends with an error or with a result, and returns what it wrote."""

    def job(error: BaseException | None = None, *, at: float = 1000.0) -> dict[str, float]:
        times = iter([at, at + 12, at + 12])
        path = tmp_path / "textfile" / "points.prom"
        destinations: Any = {"pushgateway": None, "metrics_file": path, "warn": pytest.fail}
        expected = pytest.raises(type(error)) if error is not None else nullcontext()
        with expected, reported("points", **destinations, clock=lambda: next(times)) as measured:
            if error is not None:
                raise error
            measured.result = RESULT
        return samples(path.read_text())

    return job


def ended(outcome: str) -> dict[str, float]:
    return {each: float(each == outcome) for each in ("published", "refused", "failed", "interrupted")}


def test_job_that_publishes_reports_all(run: Callable[..., dict[str, float]]) -> None:
    assert run() == {
        "duration_seconds": 12.0, "last_success_timestamp_seconds": 1012.0, **MADE, **ended("published"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "outcome", "made"),
    [
        (RefusedError("poor", RESULT), "refused", MADE),
        (DataError("none"), "failed", {}),
        (ZeroDivisionError(), "failed", {}),
        (PreemptedError("later"), "interrupted", {}),
        (KeyboardInterrupt(), "interrupted", {}),
        (SystemExit(143), "interrupted", {}),
    ],
)
def test_job_that_publishes_nothing_reports_how_it_ended(
    run: Callable[..., dict[str, float]], error: BaseException, outcome: str, made: dict[str, float]
) -> None:
    assert run(error) == {"duration_seconds": 12.0, **made, **ended(outcome)}


def test_last_success_outlives_the_failures_after_it(run: Callable[..., dict[str, float]]) -> None:
    run()
    run(DataError("none"), at=2000)
    told = run(DataError("none"), at=3000)
    assert (told["last_success_timestamp_seconds"], told["failed"]) == (1012.0, 1.0)
    assert run(at=4000)["last_success_timestamp_seconds"] == 4012.0


def test_file_is_replaced_whole_and_alone(run: Callable[..., dict[str, float]], tmp_path: Path) -> None:
    run()
    assert [path.name for path in (tmp_path / "textfile").iterdir()] == ["points.prom"]


def test_push_adds_to_the_group_of_the_model(gateway: Gateway) -> None:
    """POST, not PUT: the last success of an earlier job stays."""
    with (
        pytest.raises(DataError),
        reported("points", pushgateway=gateway.url, metrics_file=None, warn=pytest.fail),
    ):
        raise DataError("none")
    ((method, path, body),) = gateway.requests
    assert (method, path) == ("POST", "/metrics/job/kedge_training/model/points")
    told = samples(body)
    assert told["failed"] == 1
    assert "last_success_timestamp_seconds" not in told


@pytest.mark.parametrize("fault", ["refused", "unreachable", "no address", "file"])
def test_what_does_not_arrive_is_a_warning(gateway: Gateway, tmp_path: Path, fault: str) -> None:
    gateway.code = 400
    (tmp_path / "file").touch()
    urls = {"refused": gateway.url, "unreachable": "http://127.0.0.1:1", "no address": "http://[::bad"}
    metrics_file = tmp_path / "file" / "points.prom" if fault == "file" else None
    warnings: list[str] = []
    with reported(
        "points", pushgateway=urls.get(fault), metrics_file=metrics_file, warn=warnings.append
    ) as measured:
        measured.result = RESULT
    (warning,) = warnings
    assert warning.startswith("the metrics could not be ")
    assert "\n" not in warning
