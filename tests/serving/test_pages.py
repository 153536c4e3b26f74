"""One metrics page of several."""

from concurrent.futures import Future
from typing import Any

import pytest

from serving.exposition import Registry
from serving.fleet import pages


def page(requests: dict[str, int], seconds: tuple[float, ...] = (), flying: float = 0) -> bytes:
    registry = Registry()
    counter = registry.counter("requests", ("model",))
    for model, amount in requests.items():
        counter.add(model, amount=amount)
    histogram = registry.histogram("seconds", ("model",), (0.5, 1, 10))
    for value in seconds:
        histogram.observe(value, "m")
    registry.gauge("in_flight").set(flying)
    registry.gauge("version_state", ("version",)).set(30, "1")
    registry.gauge("process_start_time_seconds").set(1000 + flying)
    registry.counter("empty", ("model",))
    return registry.page()


def merged(*several: bytes) -> bytes:
    return pages.text(pages.merge(pages.parse(each.decode()) for each in several))


def test_page_of_one_is_that_page_byte_for_byte() -> None:
    one = page({'quote " and \\ and \n end': 3, "a": 1}, (0.1, 0.7, 7, 70))
    assert merged(one) == one


def test_page_of_two_is_what_one_process_would_have_counted() -> None:
    first, second = page({"a": 1, "c": 5}, (0.1, 7), 2), page({"b": 2, "c": 3}, (0.75, 70), 1)
    whole = page({"a": 1, "b": 2, "c": 8}, (0.1, 7, 0.75, 70), 3)
    expected = whole.replace(b"process_start_time_seconds{} 1003", b"process_start_time_seconds{} 1001")
    assert merged(first, second) == expected


def test_help_lines_stay() -> None:
    one = b"# HELP a What it tells, in words.\n# TYPE a counter\na{} 1\n"
    assert merged(one, one) == one.replace(b"} 1", b"} 2")


class Worker:
    """Has a page, or hangs."""

    def __init__(self, requests: int) -> None:
        self.requests = requests
        self.hangs = False

    def ask(self, operation: str, **given: Any) -> "Future[Any]":
        assert operation == "page"
        future: Future[Any] = Future()
        if not self.hangs:
            future.set_result(page({"m": self.requests}, flying=1).decode())
        return future


def counted(collected: pages.Pages) -> tuple[str, str]:
    """The counter and the gauge."""
    lines = dict(line.rsplit(" ", 1) for line in collected.page().decode().splitlines() if line[0] != "#")
    return lines['requests{model="m"}'], lines.get("in_flight{}", "")


def test_counts_of_a_worker_that_ended_are_kept_and_its_gauges_are_not() -> None:
    collected = pages.Pages(lambda: b"")
    stays, ends = Worker(2), Worker(40)
    for worker in (stays, ends):
        collected.joined(worker)
    assert collected.collect(1) == {stays, ends}
    assert counted(collected) == ("42", "2")
    collected.ended(ends)
    assert counted(collected) == ("42", "1")
    collected.joined(new := Worker(100))
    collected.collect(1)
    assert counted(collected) == ("142", "2")
    collected.ended(new)
    collected.ended(new)
    assert counted(collected) == ("142", "1")


def test_worker_that_hangs_counts_with_its_last_page() -> None:
    collected = pages.Pages(lambda: b"")
    collected.joined(worker := Worker(2))
    collected.collect(1)
    worker.hangs = True
    assert collected.collect(0.01) == set()
    assert counted(collected) == ("2", "1")


@pytest.mark.parametrize(("name", "together"), [("a_bytes", "3"), ("a_age_seconds", "2"), ("a_info", "2")])
def test_gauges_are_summed_unless_they_mean_no_amount(name: str, together: str) -> None:
    line = f"# TYPE {name} gauge\n{name}{{}} "
    assert merged(f"{line}1\n".encode(), f"{line}2\n".encode()) == f"{line}{together}\n".encode()
