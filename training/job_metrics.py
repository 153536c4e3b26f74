"""How a job went, for Prometheus: pushed to a Pushgateway, or written for node_exporter to pick up."""

from __future__ import annotations

import http.client
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway, write_to_textfile
from prometheus_client.parser import text_string_to_metric_families

from training.errors import PreemptedError, RefusedError

if TYPE_CHECKING:
    from training.result import JobResult

PREFIX = "kedge_training_"
JOB = "kedge_training"
"""The Pushgateway's group, with the model."""
OUTCOMES = ("published", "refused", "failed", "interrupted")
LAST_SUCCESS = PREFIX + "last_success_timestamp_seconds"
TIMEOUT = 10.0
"""Seconds that the Pushgateway may take."""


@dataclass
class Measured:
    """A job under way: `result` is what it made, once it has."""

    result: JobResult | None = None


@contextmanager
def reported(
    model: str,
    *,
    pushgateway: str | None,
    metrics_file: Path | None,
    warn: Callable[[str], None],
    clock: Callable[[], float] = time.time,
) -> Iterator[Measured]:
    """Report how the job that runs inside ends; what does not arrive is a warning and no more."""
    measured, start, outcome = Measured(), clock(), "published"
    try:
        yield measured
    except RefusedError as error:
        measured.result, outcome = error.result, "refused"
        raise
    except (PreemptedError, KeyboardInterrupt, SystemExit):
        outcome = "interrupted"
        raise
    except BaseException:
        outcome = "failed"
        raise
    finally:
        registry = metrics(model, outcome, clock() - start, measured.result, clock())
        if pushgateway is not None:
            push(pushgateway, model, registry, warn)
        if metrics_file is not None:
            write(metrics_file, model, registry, warn)


def metrics(
    model: str, outcome: str, seconds: float, result: JobResult | None, now: float
) -> CollectorRegistry:
    """Return what is reported of a job; `now` is the time in seconds since 1970.

    A job that made no model has no loss and so on, and one that published none no time of success: what
    was reported of the jobs before it stays.
    """
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(PREFIX + name, text, ["model"], registry=registry).labels(model).set(value)

    gauge("duration_seconds", "Wall-clock seconds of the last job.", seconds)
    ended = Gauge(PREFIX + "result", "1 for how the last job ended.", ["model", "result"], registry=registry)
    for each in OUTCOMES:
        ended.labels(model, each).set(each == outcome)
    if result is not None:
        gauge("epochs", "Epochs that the network of the last job was fitted for.", result.epochs)
        gauge("loss", "Loss of the last job's network on the test set.", result.loss)
        gauge("accuracy", "Accuracy of the last job's network on the test set, 0..1.", result.accuracy)
        gauge("rows", "Examples that the last job's network was fitted on.", result.rows)
    if outcome == "published":
        gauge("last_success_timestamp_seconds", "When a version was last published.", now)
    return registry


def push(url: str, model: str, registry: CollectorRegistry, warn: Callable[[str], None]) -> None:
    """Push to a Pushgateway; metrics that are not among these keep their values there."""
    try:
        pushadd_to_gateway(url, JOB, registry, grouping_key={"model": model}, timeout=TIMEOUT)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = str(error.reason if type(error) is urllib.error.URLError else error)
        warn(f"the metrics could not be pushed to {url}: {reason}")


def write(path: Path, model: str, registry: CollectorRegistry, warn: Callable[[str], None]) -> None:
    """Write for node_exporter's textfile collector, in one step; a time of success before this job stays."""
    try:
        before = _last_success(path, model)
        if before is not None and registry.get_sample_value(LAST_SUCCESS, {"model": model}) is None:
            gauge = Gauge(LAST_SUCCESS, "When a version was last published.", ["model"], registry=registry)
            gauge.labels(model).set(before)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(path), registry)
    except (OSError, ValueError) as error:
        warn(f"the metrics could not be written to {path}: {error}")


def _last_success(path: Path, model: str) -> float | None:
    """Read the time of success that an earlier job wrote, if one did."""
    try:
        families = list(text_string_to_metric_families(path.read_text()))
    except (OSError, ValueError):
        return None
    return next(
        (
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == LAST_SUCCESS and sample.labels.get("model") == model
        ),
        None,
    )
