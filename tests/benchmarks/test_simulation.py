import numpy as np
import pytest

from benchmarks.simulation import fleet, pod
from benchmarks.simulation.fleet import Scaling
from benchmarks.simulation.pod import Profile

# A batch takes 1 ms whatever its rows, the loop 0.1 ms for each request, half before and half after.
PROFILE = Profile(
    (1, 128), (1e-3, 1e-3), receive=50e-6, answer=50e-6, delay=200e-6, quiet=10e-6, patient=500e-6
)


def test_a_lone_request_waits_for_nobody():
    taken, counts = pod.open_loop(PROFILE, [0.0])
    assert taken.tolist() == pytest.approx([200e-6 + 50e-6 + 10e-6 + 1e-3 + 50e-6])
    assert (counts.batches, counts.batched) == (1, 1)


def test_what_comes_during_a_run_runs_together_after_it():
    taken, counts = pod.open_loop(PROFILE, [0.0, 0.2e-3, 0.4e-3, 0.6e-3])
    assert (counts.batches, counts.batched) == (2, 4)
    # At 1.21 ms the first is answered; then the loop receives the others, and runs them.
    assert taken[3] == pytest.approx(1.21e-3 + 3 * 50e-6 + 10e-6 + 1e-3 + 3 * 50e-6 + 0.1e-3 - 0.6e-3)


def test_who_asks_again_is_waited_for():
    """Three come together; of the next three, two come late, but not too late."""
    _, counts = pod.open_loop(PROFILE, [0.0, 0.0, 0.0, 0.01, 0.0103, 0.0106])
    assert (counts.batches, counts.batched) == (2, 6)


def test_a_full_server_answers_as_many_as_its_loop_can():
    rate, busy = pod.closed_loop(PROFILE, 128)
    assert rate == pytest.approx(1 / 100e-6, rel=0.15)
    assert busy < 2


def test_overdue_requests_are_turned_away():
    answered = []
    overloaded = pod.Pod(
        PROFILE, np.random.default_rng(0), lambda *times: answered.append(times), patience=0.01
    )
    for _ in range(1000):
        overloaded.offer(0.0)
    overloaded.advance(1.0)
    assert overloaded.counts.refused > 700
    assert len(answered) == 1000 - overloaded.counts.refused


def replicas(scaling, rates):
    return [tick.replicas for tick in fleet.run(PROFILE, scaling, rates)]


def test_the_fleet_grows_when_its_replicas_are_ready_and_shrinks_after_the_window():
    scaling = Scaling(least=1, most=5, target=0.5, cores=1.0, start=20.0, stabilization=30.0)
    grown = replicas(scaling, [50.0, 1500.0, 1500.0, 1500.0, 1500.0, 50.0, 50.0, 50.0, 50.0])
    assert grown[:3] == [1, 1, 1]
    assert grown[4] > 1
    assert grown[5] >= grown[4]
    assert grown[-1] == 1


def test_new_replicas_get_nothing_from_connections_that_stay():
    scaling = Scaling(least=1, most=4, target=0.3, cores=1.0, start=0.0, connections=20)
    ticks = fleet.run(PROFILE, scaling, [900.0] * 3)
    balanced = fleet.run(PROFILE, Scaling(least=1, most=4, target=0.3, cores=1.0, start=0.0), [900.0] * 3)
    assert ticks[-1].replicas > 1
    assert balanced[-1].p99 < ticks[-1].p99
