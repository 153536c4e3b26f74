"""Load in virtual time: what is measured at a server whose behaviour is known to the millisecond."""

import asyncio
from collections.abc import Callable

import pytest

from clients import load
from clients.load import Plan, Tally
from tests.clients import virtual_time
from wire.errors import Code, StatusError


def measure(
    plan: Plan, seconds_of: Callable[[float], float], refuse: Callable[[float], bool] | None = None
) -> Tally:
    """Put a load on a server that takes so long for a request that comes at a moment."""

    async def send() -> None:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds_of(now))
        if refuse is not None and refuse(now):
            raise StatusError(Code.UNAVAILABLE, "")

    return virtual_time.run(load.run(send, plan))


def test_closed_loop_keeps_so_many_requests_under_way() -> None:
    tally = measure(Plan(concurrency=4, duration=9.95), lambda now: 0.1)
    assert tally.answered == 400
    assert tally.throughput == pytest.approx(40)
    assert tally.latencies.percentile(50) == pytest.approx(0.1, rel=0.01)


def test_open_loop_sends_at_the_rate_whatever_the_server_does() -> None:
    tally = measure(Plan(concurrency=64, duration=10, rate=50), lambda now: 1.0)
    assert tally.answered == 500
    assert tally.latencies.percentile(100) == pytest.approx(1.0, rel=0.01)
    assert tally.unsent == 0


def stalled(now: float) -> float:
    """A server that answers in a millisecond, and stands still from second 5 to second 6."""
    return 6 - now + 0.001 if 5 <= now < 6 else 0.001


def test_open_loop_counts_the_wait_of_all_requests_that_were_due_in_a_stall() -> None:
    tally = measure(Plan(concurrency=1, duration=10, rate=100), stalled)
    assert len(tally.latencies) == 1000
    late = [percent for percent in range(101) if tally.latencies.percentile(percent) > 0.1]
    assert len(late) == pytest.approx(10, abs=1)
    assert tally.latencies.percentile(95) == pytest.approx(0.5, abs=0.1)


def test_closed_loop_sees_a_stall_once() -> None:
    tally = measure(Plan(concurrency=1, duration=10), stalled)
    assert tally.latencies.percentile(99.9) < 0.01
    assert tally.latencies.longest == pytest.approx(1, abs=0.01)


def test_requests_that_could_not_be_sent_in_time_are_told_and_count_as_waiting() -> None:
    tally = measure(Plan(concurrency=1, duration=10, rate=10), lambda now: 0.5)
    assert tally.answered == 20
    assert tally.unsent == 80
    assert len(tally.latencies) == 100
    assert tally.latencies.longest > 7


def test_warm_up_is_not_counted() -> None:
    slow_at_first = measure(Plan(concurrency=2, duration=4, warmup=2), lambda now: 1.0 if now < 2 else 0.01)
    assert slow_at_first.latencies.longest == pytest.approx(0.01, abs=0.001)
    assert slow_at_first.seconds == pytest.approx(4, abs=0.02)
    due = measure(Plan(concurrency=9, duration=4, warmup=2, rate=10), lambda now: 0.01)
    assert due.answered == 40


def test_errors_are_counted_by_kind() -> None:
    tally = measure(Plan(concurrency=1, duration=10), lambda now: 0.1, refuse=lambda now: now >= 8)
    assert tally.errors == {"UNAVAILABLE": pytest.approx(20, abs=1)}
    assert tally.answered == pytest.approx(80, abs=1)
    assert len(tally.latencies) == tally.answered + tally.errors["UNAVAILABLE"]


def test_fault_of_the_program_is_no_answer() -> None:
    async def send() -> None:
        raise TypeError("a fault")

    with pytest.raises(ExceptionGroup) as raised:
        virtual_time.run(load.run(send, Plan(concurrency=2, duration=1)))
    assert raised.group_contains(TypeError)
