import asyncio
import contextlib
import dataclasses
import threading
import time
import weakref

import numpy as np
import pytest

from serving.batching import Batcher, BatchingParameters, Unobserved
from serving.batching_parameters import ADAPTIVE
from serving.servable import load
from wire.errors import Code, StatusError


class Gate:
    """A servable whose runs wait until they are let through, one permit a run; it notes what was run."""

    def __init__(self, servable, *, is_open=False, seconds=None):
        self._servable = servable
        self._seconds = seconds
        self._permits = threading.Semaphore(0)
        self._open = is_open
        self.signatures = servable.signatures
        self.batching = None
        self.runs = []
        self.threads = []
        self.started = threading.Semaphore(0)

    def check(self, *arguments):
        return self._servable.check(*arguments)

    def expected_seconds(self, requests):
        return self._seconds

    def execute(self, request, timeout=None):
        self.threads.append(threading.current_thread())
        self.runs.append([len(array) if array.ndim else None for array in request.inputs.values()])
        self.started.release()
        assert self._open or self._permits.acquire(timeout=10)
        return self._servable.execute(request, timeout)

    def let_through(self, runs=100):
        self._permits.release(runs)

    async def wait_for_start(self):
        assert await asyncio.to_thread(self.started.acquire, timeout=10)


class Record(Unobserved):
    def __init__(self):
        self.events = []

    def batch_ran(self, event):
        self.events.append(event)


def floats(*values):
    return {"x": np.array(values, np.float32)}


@pytest.fixture
def batcher():
    """Makes batchers, of one thread unless told otherwise, which are closed at the end."""
    made = []

    def make(**changes):
        changes = {"num_batch_threads": 1, **changes}
        observer = changes.pop("observer", None)
        made.append(Batcher(BatchingParameters(**changes), observer=observer))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def adaptive(monkeypatch):
    monkeypatch.setattr("serving.batching.ADAPTIVE_THREADS", 1)
    made = Batcher(observer=Record())
    yield made
    made.close()


async def queued(batcher, gate, *calls):
    """Start one run that holds the thread, then the calls, which queue behind it; their tasks."""
    first = asyncio.create_task(batcher.run(gate, "serving_default", floats(0)))
    await gate.wait_for_start()
    tasks = [asyncio.create_task(batcher.run(gate, *call)) for call in calls]
    await asyncio.sleep(0)
    return [first, *tasks]


async def outcomes(tasks):
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_run_alone_runs_at_once(adaptive, half_plus_two_servable):
    gate = Gate(half_plus_two_servable, is_open=True)

    assert (await adaptive.run(gate, "", floats(1, 2)))["y"].tolist() == [2.5, 3.0]
    assert gate.runs == [[2]]


async def test_adaptive_requests_that_wait_run_together(adaptive, half_plus_two_servable):
    gate = Gate(half_plus_two_servable)
    tasks = await queued(adaptive, gate, ("", floats(1)), ("", floats(2, 5)), ("", floats()))
    gate.let_through()

    answers = await outcomes(tasks)

    assert [answer["y"].tolist() for answer in answers] == [[2.0], [2.5], [3.0, 4.5], []]
    assert gate.runs == [[1], [3]]


async def test_adaptive_requests_that_arrive_together_run_together(adaptive, half_plus_two_servable):
    gate = Gate(half_plus_two_servable, is_open=True)

    answers = await asyncio.gather(*(adaptive.run(gate, "", floats(value)) for value in range(5)))

    assert [answer["y"].tolist() for answer in answers] == [[2.0], [2.5], [3.0], [3.5], [4.0]]
    assert gate.runs == [[5]]


async def test_long_runs_have_several_threads(half_plus_two_servable, monkeypatch):
    """The first run shows that they are long; of the next two, neither waits for the other."""
    monkeypatch.setattr("serving.batching.LONG_RUN_SECONDS", 0)
    monkeypatch.setattr("serving.batching.ADAPTIVE_LONG", dataclasses.replace(ADAPTIVE, threads=2))
    batcher, gate = Batcher(), Gate(half_plus_two_servable)
    gate.let_through(1)
    await batcher.run(gate, "", floats(0))
    await gate.wait_for_start()
    tasks = []
    for value in (1, 2):
        tasks.append(asyncio.create_task(batcher.run(gate, "", floats(value))))
        await gate.wait_for_start()
    gate.let_through()

    assert [answer["y"].tolist() for answer in await outcomes(tasks)] == [[2.5], [3.0]]
    batcher.close()


@pytest.mark.parametrize(("seconds", "on_loop"), [(None, False), (0.0001, True), (1.0, False)])
async def test_only_what_is_expected_to_be_short_runs_on_the_event_loop(
    adaptive, half_plus_two_servable, seconds, on_loop
):
    gate = Gate(half_plus_two_servable, is_open=True, seconds=seconds)

    assert (await adaptive.run(gate, "", floats(1)))["y"].tolist() == [2.5]
    assert (gate.threads == [threading.current_thread()]) is on_loop


async def test_with_batching_parameters_nothing_runs_on_the_event_loop(batcher, half_plus_two_servable):
    gate = Gate(half_plus_two_servable, is_open=True, seconds=0.0)

    await batcher().run(gate, "", floats(1))

    assert gate.threads != [threading.current_thread()]


async def test_event_loop_goes_on_between_the_runs_on_it(adaptive, half_plus_two_servable):
    """The requests go into three batches, as their shapes differ; none of them holds up the others."""
    gate, rounds = Gate(half_plus_two_servable, is_open=True, seconds=0.0), []

    async def go_round():
        while len(gate.runs) < 3:
            rounds.append(len(gate.runs))
            await asyncio.sleep(0)

    going = asyncio.create_task(go_round())
    shapes = [np.ones(1, np.float32), np.ones((1, 1), np.float32), np.ones((1, 2), np.float32)]
    await asyncio.gather(*(adaptive.run(gate, "", {"x": each}) for each in shapes))
    await going

    assert {1, 2} <= set(rounds)


async def test_requests_that_come_just_after_a_run_on_the_event_loop_join_who_waits(
    adaptive, half_plus_two_servable
):
    gate = Gate(half_plus_two_servable, is_open=True, seconds=0.0)

    def ask(size):
        return adaptive.run(gate, "", {"x": np.ones((1, size), np.float32)})

    ran, waits = asyncio.create_task(ask(1)), asyncio.create_task(ask(2))
    await ran
    await asyncio.sleep(0)
    await asyncio.gather(waits, ask(2), ask(2))

    assert gate.runs == [[1], [3]]


async def test_a_run_on_the_event_loop_that_fails_is_told(adaptive, half_plus_two_servable, caplog):
    gate = Gate(half_plus_two_servable, is_open=True, seconds=0.0)
    gate._open = None  # not to be let through
    gate._permits = None

    [error] = await outcomes([asyncio.create_task(adaptive.run(gate, "", floats(1)))])

    assert (error.code, error.message) == (Code.INTERNAL, "Batch failed: AttributeError")
    assert adaptive._free == 1


async def test_how_long_a_run_takes_is_known_after_the_first(half_plus_two):
    servable = load(half_plus_two)
    few, many = (servable.check("", floats(*range(count))) for count in (1, 1000))
    assert servable.expected_seconds([few]) is None

    servable.execute(few)
    expected = servable.expected_seconds([few])

    assert 0 < expected < 1
    assert servable.expected_seconds([few, few]) == pytest.approx(2 * expected)
    servable.execute(many)
    assert servable.expected_seconds([few]) == servable.expected_seconds([many])
    servable.close()


async def test_adaptive_other_signatures_and_filters_do_not_mix(adaptive, two_in_two_out):
    gate = Gate(two_in_two_out)
    inputs = {"a": np.ones((1, 2), np.float32), "b": np.array([1])}
    calls = [("", inputs, ["count"]), ("", inputs, ["count"]), ("", inputs), ("defaults", inputs)]
    first = asyncio.create_task(adaptive.run(gate, "", inputs, ["scaled"]))
    await gate.wait_for_start()
    tasks = [first, *(asyncio.create_task(adaptive.run(gate, *call)) for call in calls)]
    await asyncio.sleep(0)
    gate.let_through()

    answers = await outcomes(tasks)

    assert [sorted(answer) for answer in answers[1:3]] == [["count"], ["count"]]
    assert sorted(runs[0] for runs in gate.runs) == [1, 1, 1, 2]


async def test_adaptive_ever_new_filters_keep_few_rules(adaptive, two_in_two_out, monkeypatch):
    monkeypatch.setattr("serving.batching.MOST_RULES", 2)
    gate = Gate(two_in_two_out, is_open=True)
    inputs = {"a": np.ones((1, 2), np.float32), "b": np.array([1])}
    for filter_ in (["count"], ["scaled"], ["count", "scaled"], ["scaled", "count"]):
        answer = await adaptive.run(gate, "", inputs, filter_)
        assert sorted(answer) == sorted(filter_)

    assert len(adaptive._rules[gate]) <= 2


async def test_adaptive_without_batch_dimension_runs_singly(adaptive, scalar):
    gate = Gate(scalar)
    calls = [adaptive.run(gate, "", {"x": np.array(x, np.float32)}) for x in (1, 2, 3)]
    tasks = [asyncio.create_task(call) for call in calls]
    gate.let_through()

    assert [float(answer["y"]) for answer in await outcomes(tasks)] == [2, 3, 4]
    assert len(gate.runs) == 3


async def test_adaptive_rows_that_vanish_give_each_its_own(adaptive, peculiar):
    """The first batch shows that its outputs cannot be split; from then on requests run singly."""
    gate = Gate(peculiar)
    first = asyncio.create_task(adaptive.run(gate, "kept", floats(1)))
    await gate.wait_for_start()
    tasks = [asyncio.create_task(adaptive.run(gate, "kept", floats(*x))) for x in ((1, -1), (-1, 2))]
    await asyncio.sleep(0)
    gate.let_through()

    answers = await outcomes([first, *tasks])
    again = await asyncio.gather(*(adaptive.run(gate, "kept", floats(x)) for x in (1, 2, 3)))

    assert [answer["y"].tolist() for answer in answers] == [[1], [1], [2]]
    assert [answer["y"].tolist() for answer in again] == [[1], [2], [3]]
    assert gate.runs == [[1], [4], [2], [2], [1], [1], [1]]


async def test_adaptive_what_cannot_be_joined_is_not_tried_again(adaptive, peculiar):
    """Also not after a further run of the queue in which that turned out."""
    gate = Gate(peculiar)
    first = asyncio.create_task(adaptive.run(gate, "kept", floats(1)))
    await gate.wait_for_start()
    # Two requests, whose rows vanish, fill a batch up so far that the third goes into the next, alone.
    rows = ([-1] * 100, [-1] * 20, [1] * 100)
    tasks = [asyncio.create_task(adaptive.run(gate, "kept", floats(*values))) for values in rows]
    await asyncio.sleep(0)
    gate.let_through()
    await outcomes([first, *tasks])
    gate.runs.clear()

    await asyncio.gather(*(adaptive.run(gate, "kept", floats(value)) for value in (1, 2, 3)))

    assert gate.runs == [[1], [1], [1]]


async def test_one_bad_request_fails_alone(adaptive, peculiar):
    gate = Gate(peculiar)
    first = asyncio.create_task(adaptive.run(gate, "positive", floats(0)))
    await gate.wait_for_start()
    tasks = [asyncio.create_task(adaptive.run(gate, "positive", floats(x))) for x in (1, -1, 3)]
    await asyncio.sleep(0)
    gate.let_through()

    good, bad, other = await outcomes(tasks)

    assert (await first)["y"].tolist() == [1]
    assert (good["y"].tolist(), other["y"].tolist()) == ([2], [4])
    assert bad.code == Code.INVALID_ARGUMENT


async def test_other_inner_shapes_run_beside_each_other(adaptive, peculiar):
    rows = [np.ones((1, length), np.float32) for length in (2, 3, 2)]
    gate = Gate(peculiar)
    first = asyncio.create_task(adaptive.run(gate, "lengths", {"x": rows[0]}))
    await gate.wait_for_start()
    tasks = [asyncio.create_task(adaptive.run(gate, "lengths", {"x": each})) for each in rows]
    await asyncio.sleep(0)
    gate.let_through()

    assert [answer["y"].tolist() for answer in await outcomes([first, *tasks])] == [[2], [2], [3], [2]]
    assert sorted(gate.runs) == [[1], [1], [2]]


async def test_invalid_request_is_refused_before_it_joins(adaptive, half_plus_two_servable):
    gate = Gate(half_plus_two_servable, is_open=True)

    with pytest.raises(StatusError, match="Expects arg"):
        await adaptive.run(gate, "", {"x": np.array([1.0])})
    assert gate.runs == []


@pytest.mark.parametrize("seconds", [0.0, None])
async def test_request_that_failed_is_not_left_to_the_garbage_collector(adaptive, peculiar, seconds):
    """Which seldom runs in the server, so that many requests would pile up that nobody counts."""
    gate = Gate(peculiar, is_open=True, seconds=seconds)
    rows = floats(-1)
    kept = weakref.ref(rows["x"])
    with contextlib.suppress(StatusError):
        await adaptive.run(gate, "positive", rows)
    del rows
    # The event loop and the thread let go of the error, too.
    await adaptive.run(gate, "positive", floats(1))

    assert kept() is None


@pytest.mark.parametrize(
    ("parameters", "code"), [(True, Code.RESOURCE_EXHAUSTED), (False, Code.DEADLINE_EXCEEDED)]
)
async def test_deadline_that_passes_in_the_queue_is_not_run(
    adaptive, batcher, half_plus_two_servable, parameters, code
):
    gate = Gate(half_plus_two_servable)
    chosen = batcher() if parameters else adaptive
    (first,) = await queued(chosen, gate)

    with pytest.raises(StatusError) as caught:
        await chosen.run(gate, "", floats(1), deadline=time.monotonic() + 0.02)
    gate.let_through()
    await first
    await chosen.run(gate, "", floats(1))

    assert caught.value.code == code
    assert gate.runs == [[1], [1]]


@pytest.mark.parametrize("seconds", [0.0, None])
async def test_deadline_that_passes_while_a_batch_gathers_is_not_run(half_plus_two_servable, seconds):
    clock = iter([0.0])
    batcher = Batcher(clock=lambda: next(clock, 2.0))
    gate = Gate(half_plus_two_servable, is_open=True, seconds=seconds)

    with pytest.raises(StatusError) as caught:
        await batcher.run(gate, "", floats(1), deadline=1.0)
    assert (caught.value.code, gate.runs) == (Code.DEADLINE_EXCEEDED, [])
    batcher.close()


async def test_deadline_already_passed_is_refused(adaptive, half_plus_two_servable):
    with pytest.raises(StatusError) as caught:
        await adaptive.run(half_plus_two_servable, "", floats(1), deadline=time.monotonic() - 1)

    assert caught.value.code == Code.DEADLINE_EXCEEDED


async def test_deadline_during_the_run_stops_it(adaptive, peculiar):
    with pytest.raises(StatusError, match="Timed out waiting for notification"):
        await adaptive.run(peculiar, "endless", floats(1e12), deadline=time.monotonic() + 0.05)


async def test_cancelled_caller_is_not_run(adaptive, half_plus_two_servable):
    gate = Gate(half_plus_two_servable)
    first, cancelled, other = await queued(adaptive, gate, ("", floats(1)), ("", floats(2)))
    cancelled.cancel()
    await asyncio.sleep(0)
    gate.let_through()
    await outcomes([first, cancelled, other])

    assert gate.runs == [[1], [1]]
    assert other.result()["y"].tolist() == [3]
    assert adaptive._waiting == 0


@pytest.mark.parametrize("end", ["deadline", "cancelled"])
async def test_request_that_ends_in_the_queue_leaves_nothing_there(adaptive, half_plus_two_servable, end):
    """The thread may be busy for long, and what the request holds is no longer counted."""
    gate = Gate(half_plus_two_servable)
    (first,) = await queued(adaptive, gate)
    rows = floats(1)
    kept = weakref.ref(rows["x"])
    deadline = time.monotonic() + 0.02 if end == "deadline" else None
    task = asyncio.create_task(adaptive.run(gate, "", rows, deadline=deadline))
    await asyncio.sleep(0)
    if end == "cancelled":
        task.cancel()
    with contextlib.suppress(StatusError, asyncio.CancelledError):
        await task
    del rows, task
    await asyncio.sleep(0)  # The loop lets go of the error, too.

    assert kept() is None
    gate.let_through()
    await first
    assert gate.runs == [[1]]
    assert adaptive._queues == {}


async def test_room_of_a_request_that_ends_in_the_queue_is_taken_by_the_next(
    adaptive, half_plus_two_servable
):
    gate = Gate(half_plus_two_servable)
    _, waits, ends = await queued(adaptive, gate, ("", floats(*range(20))), ("", floats(*range(100))))
    ends.cancel()
    await outcomes([ends])
    comes = asyncio.create_task(adaptive.run(gate, "", floats(*range(100))))
    await asyncio.sleep(0)
    gate.let_through()

    assert [len(each["y"]) for each in await outcomes([waits, comes])] == [20, 100]
    assert gate.runs == [[1], [120]]


async def test_model_whose_requests_ended_in_the_queue_is_not_kept(adaptive, half_plus_two_servable):
    busy, left = Gate(half_plus_two_servable), Gate(half_plus_two_servable)
    (first,) = await queued(adaptive, busy)
    with pytest.raises(StatusError):
        await adaptive.run(left, "", floats(1), deadline=time.monotonic() + 0.02)

    assert [queue.servable for queue in adaptive._queues.values()] == [busy]
    busy.let_through()
    await first


async def test_adaptive_too_many_waiting_are_refused(adaptive, half_plus_two_servable, monkeypatch):
    monkeypatch.setattr("serving.batching.MAX_WAITING", 2)
    gate = Gate(half_plus_two_servable)
    tasks = await queued(adaptive, gate, ("", floats(1)), ("", floats(2)), ("", floats(3)))
    gate.let_through()

    *good, refused = await outcomes(tasks)

    assert refused.code == Code.UNAVAILABLE
    assert refused.message.startswith("The batch scheduling queue to which this task was submitted is full")
    assert len(good) == 3


async def test_close_answers_who_waits(adaptive, half_plus_two_servable):
    gate = Gate(half_plus_two_servable)
    first, waiting = await queued(adaptive, gate, ("", floats(1)))
    adaptive.close()
    gate.let_through()
    outcome = await outcomes([first, waiting])

    assert outcome[0]["y"].tolist() == [2]
    assert outcome[1].code == Code.UNAVAILABLE


async def test_finished_batcher_keeps_no_model(adaptive, half_plus_two_servable):
    await adaptive.run(half_plus_two_servable, "", floats(1))

    assert adaptive._queues == {}


async def test_parameters_full_batch_is_not_topped_up(batcher, half_plus_two_servable):
    gate = Gate(half_plus_two_servable)
    tasks = await queued(
        batcher(max_batch_size=3),
        gate,
        ("", floats(1, 1)),
        ("", floats(2, 2)),
        ("", floats(3)),
        ("", floats(4)),
    )
    gate.let_through()

    assert [len(answer["y"]) for answer in await outcomes(tasks)] == [1, 2, 2, 1, 1]
    # Two rows that did not fit closed the batch of two; one row more fitted the next.
    assert gate.runs == [[1], [2], [3], [1]]


async def test_parameters_part_filled_batch_waits_for_its_timeout(batcher, half_plus_two_servable):
    chosen = batcher(max_batch_size=4, batch_timeout_micros=20_000)
    gate = Gate(half_plus_two_servable, is_open=True)

    full = await asyncio.gather(*(chosen.run(gate, "", floats(x)) for x in range(4)))
    alone = await chosen.run(gate, "", floats(9))

    assert [answer["y"].tolist() for answer in full] == [[2], [2.5], [3], [3.5]]
    assert alone["y"].tolist() == [6.5]
    assert gate.runs == [[4], [1]]


async def test_parameters_too_many_rows_are_refused(batcher, half_plus_two_servable):
    chosen = batcher(max_batch_size=2)
    with pytest.raises(StatusError) as caught:
        await chosen.run(half_plus_two_servable, "", floats(1, 2, 3))

    assert caught.value.code == Code.INVALID_ARGUMENT
    assert caught.value.message == "Task size 3 is larger than maximum input batch size 2"
    assert chosen._queues == {}


async def test_parameters_queue_full_is_unavailable(batcher, half_plus_two_servable):
    gate = Gate(half_plus_two_servable)
    calls = [("serving_default", floats(x)) for x in range(3)]
    tasks = await queued(batcher(max_batch_size=1, max_enqueued_batches=2), gate, *calls)
    gate.let_through()

    *good, refused = await outcomes(tasks)

    assert [len(answer["y"]) for answer in good] == [1, 1, 1]
    assert refused.code == Code.UNAVAILABLE


async def test_parameters_allowed_sizes_are_padded_to(batcher, half_plus_two_servable):
    record = Record()
    gate = Gate(half_plus_two_servable, is_open=True)
    chosen = batcher(max_batch_size=8, allowed_batch_sizes=(2, 8), observer=record)

    assert (await chosen.run(gate, "", floats(1, 2, 5)))["y"].tolist() == [2.5, 3, 4.5]
    assert (await chosen.run(gate, "", floats(1, 2)))["y"].tolist() == [2.5, 3]
    assert gate.runs == [[8], [2]]
    assert [(event.rows, event.padding) for event in record.events] == [(3, 5), (2, 0)]


async def test_parameters_large_request_is_split_and_put_together(batcher, half_plus_two_servable):
    chosen = batcher(max_batch_size=10, enable_large_batch_splitting=True, max_execution_batch_size=4)
    gate = Gate(half_plus_two_servable)
    tasks = await queued(
        chosen, gate, ("serving_default", floats(1, 2, 3)), ("serving_default", floats(*range(10)))
    )
    gate.let_through()

    _, small, large = await outcomes(tasks)

    assert small["y"].tolist() == [2.5, 3, 3.5]
    assert large["y"].tolist() == [x / 2 + 2 for x in range(10)]
    assert gate.runs == [[1], [4], [4], [4], [1]]


async def test_parameters_split_request_that_ends_makes_room_for_another(batcher, half_plus_two_servable):
    """It is cancelled while its first piece runs; the other two would fill the queue up."""
    chosen = batcher(
        max_batch_size=10,
        enable_large_batch_splitting=True,
        max_execution_batch_size=4,
        max_enqueued_batches=3,
    )
    gate = Gate(half_plus_two_servable)
    first, ended = await queued(chosen, gate, ("", floats(*range(10))))
    gate.let_through(1)
    await first
    await gate.wait_for_start()
    ended.cancel()
    await outcomes([ended])
    other = asyncio.create_task(chosen.run(gate, "", floats(*range(10))))
    gate.let_through()

    assert len((await other)["y"]) == 10
    assert gate.runs == [[1], [4], [4], [4], [2]]


async def test_parameters_variable_lengths_are_padded_with_their_first_element(batcher, peculiar):
    chosen = batcher(pad_variable_length_inputs=True)
    gate = Gate(peculiar)
    first = asyncio.create_task(chosen.run(gate, "lengths", {"x": np.ones((1, 1), np.float32)}))
    await gate.wait_for_start()
    tasks = [
        asyncio.create_task(chosen.run(gate, "lengths", {"x": np.full((1, length), 2, np.float32)}))
        for length in (1, 3)
    ]
    await asyncio.sleep(0)
    gate.let_through()

    _, short, long = await outcomes([first, *tasks])

    assert gate.runs == [[1], [2]]
    assert (short["y"].tolist(), long["y"].tolist()) == ([6], [6])


async def test_parameters_scalar_model_still_works(batcher, scalar):
    assert float((await batcher().run(scalar, "", {"x": np.array(1, np.float32)}))["y"]) == 2


async def test_per_model_version_without_parameters_runs_singly(half_plus_two_servable):
    chosen = Batcher(BatchingParameters(num_batch_threads=1), per_model=True)
    gate = Gate(half_plus_two_servable)
    tasks = await queued(chosen, gate, ("", floats(1)), ("", floats(2)))
    gate.let_through()
    await outcomes(tasks)
    chosen.close()

    assert gate.runs == [[1], [1], [1]]


async def test_request_of_no_rows_is_not_joined_either_where_all_run_singly(peculiar):
    chosen = Batcher(BatchingParameters(num_batch_threads=1), per_model=True)
    gate = Gate(peculiar)
    first = asyncio.create_task(chosen.run(gate, "lengths", {"x": np.ones((1, 1), np.float32)}))
    await gate.wait_for_start()
    shapes = ((1, 5), (0, 3), (0, 4))
    tasks = [
        asyncio.create_task(chosen.run(gate, "lengths", {"x": np.ones(each, np.float32)})) for each in shapes
    ]
    await asyncio.sleep(0)
    gate.let_through()

    assert [answer["y"].tolist() for answer in await outcomes([first, *tasks])] == [[1], [5], [], []]
    assert gate.runs == [[1], [1], [0], [0]]
    chosen.close()


async def test_per_model_parameters_are_the_versions_own(half_plus_two):
    own = BatchingParameters(max_batch_size=1)
    servable = load(half_plus_two, batching=own)
    chosen = Batcher(BatchingParameters(), per_model=True)

    with pytest.raises(StatusError, match="larger than maximum input batch size 1"):
        await chosen.run(servable, "", floats(1, 2))
    chosen.close()
    servable.close()


async def test_observer_is_told_sizes_and_waits(adaptive, half_plus_two_servable):
    gate = Gate(half_plus_two_servable)
    tasks = await queued(adaptive, gate, ("", floats(1)), ("", floats(2, 5)))
    gate.let_through()
    await outcomes(tasks)

    event = adaptive._observer.events[1]
    assert (event.rows, event.requests, event.inputs, event.padding) == (3, (1, 2), 1, 0)
    assert len(event.waited) == 2
    assert min(event.waited) >= 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_batch_threads": 0}, "num_batch_threads must be positive; was 0"),
        ({"max_batch_size": 0}, "max_batch_size must be positive; was 0"),
        ({"max_batch_size": 8, "allowed_batch_sizes": (2, 4)},
         "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8"),
        ({"max_batch_size": 8, "allowed_batch_sizes": (4, 2, 8)}, "increasing order"),
        ({"max_batch_size": 2, "enable_large_batch_splitting": True, "max_execution_batch_size": 4},
         "must not be less than max_execution_batch_size"),
    ],
)  # fmt: skip
def test_parameters_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(StatusError, match=message) as caught:
        dataclasses.replace(BatchingParameters(), **changes).check()

    assert caught.value.code == Code.INVALID_ARGUMENT
