"""Requests that wait together run together: the scheduler between the event loop and the models' threads.

By default batches form adaptively: a request runs as soon as its model has a thread free, together with
those that wait, too, and with those that the event loop had before it already. What takes little more than to
hand it to a thread and back runs on the event loop itself. With TensorFlow Serving's BatchingParameters its
rules hold.
Two rules are better kept here: a bad request fails alone, and an answer does not depend on the batching.
"""

import asyncio
import contextlib
import logging
import time
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from numpy.typing import NDArray

from serving import batches, errors
from serving.batch_events import BatchEvent, Observer, Unobserved
from serving.batch_queue import Batch, Entry, Queue, Task
from serving.batches import Outputs, Piece, Ran
from serving.batching_parameters import (
    ADAPTIVE,
    ADAPTIVE_LONG,
    ADAPTIVE_THREADS,
    ALONE,
    LONG_RUN_SECONDS,
    BatchingParameters,
    Rules,
    rules_of,
)
from serving.gathering import Gathering
from serving.servable import Request, Servable
from serving.timing import Timing
from wire.errors import Code, StatusError

__all__ = ["BatchEvent", "Batcher", "BatchingParameters", "Observer", "Unobserved"]

Array = NDArray[Any]

_log = logging.getLogger(__name__)

# The requests that may wait in all queues together.
MAX_WAITING = 4096
# As many kinds of request have rules of their own in a servable: ever new output filters must not add to them
# without bound.
MOST_RULES = 64
# What a run is given beyond its deadline to tell of it itself, before the answer goes out without it.
LATENESS = 0.1
# What is expected to take no longer runs on the event loop: there it does not wait for Python's lock.
LOOP_RUN_SECONDS = 0.004


class _Run(NamedTuple):
    """A batch that runs, and since when (`time.monotonic`)."""

    queue: Queue
    entries: list[Entry]
    started: float


class Batcher:
    """Runs requests on the models' threads. All methods are called on one event loop.

    Without `parameters` batches form adaptively, for signatures that declare all their batch dimensions free.
    With them TensorFlow Serving's rules hold, and with `per_model` each version's own (`Servable.batching`);
    a version without any runs singly. So does, always, what has no batch dimension.
    """

    def __init__(
        self,
        parameters: BatchingParameters | None = None,
        *,
        per_model: bool = False,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if parameters is not None:
            parameters.check()
        self._parameters = parameters
        self._per_model = per_model
        self._observer = observer or Unobserved()
        self._clock = clock
        self._pool = parameters.thread_pool_name if parameters else ""
        self._free = parameters.num_batch_threads if parameters else ADAPTIVE_THREADS
        self._threads = ThreadPoolExecutor(self._free, thread_name_prefix=self._pool or "run")
        # In the order in which they are looked at: a queue that was served goes to the end.
        self._queues: dict[Hashable, Queue] = {}
        self._waiting = 0
        # New requests, whose deadlines are not watched yet: most are answered before there is a need to.
        self._untimed: list[Task] = []
        self._gathering = Gathering(self._dispatch, clock)
        # By signature and outputs. What turns out, when run, to have no batch dimension runs alone from then.
        self._rules: weakref.WeakKeyDictionary[Servable, dict[Hashable, Rules]] = weakref.WeakKeyDictionary()

    async def run(
        self,
        servable: Servable,
        signature_name: str,
        inputs: Mapping[str, Array],
        outputs: Sequence[str] = (),
        *,
        deadline: float | None = None,
        model: str = "",
        version: str = "",
        timing: Timing | None = None,
    ) -> Outputs:
        """Run a request, alone or with others: its outputs by alias, as `Servable.run` gives them.

        `deadline` is a time of `time.monotonic`; `model` and `version` are for the metrics, and `timing` is
        filled in. The arrays may be views of a batch's. StatusError: as `Servable.run`; UNAVAILABLE when too
        many wait; when the deadline passes before the run RESOURCE_EXHAUSTED with batching parameters, else
        DEADLINE_EXCEEDED.
        """
        loop, now = asyncio.get_running_loop(), self._clock()
        if deadline is not None and deadline <= now:
            raise self._expired()
        request = servable.check(signature_name, inputs, outputs)
        timing = timing or Timing()
        timing.queued = now
        task = Task(loop.create_future(), deadline, now, timing)
        queue = self._enqueue(loop, servable, (model, version), request, task)
        if deadline is not None:
            self._untimed.append(task)
        if self._free > 0:
            self._gathering.add(loop)
        else:
            self._time(loop)
        try:
            return await task.future
        except BaseException:
            self._drop(queue, task)
            raise
        finally:
            if task.timer is not None:
                task.timer.cancel()
            # An error's traceback has this frame, which must not have the error: both would await the garbage
            # collector, and the request with them.
            del task

    def close(self) -> None:
        """Answer whoever waits with UNAVAILABLE; runs under way end as they will."""
        for queue in self._queues.values():
            for task in (task for batch in queue.waiting for task in batch.entries):
                task.fail(StatusError(Code.UNAVAILABLE, "The server is shutting down"))
            queue.waiting.clear()
        self._threads.shutdown(wait=False)

    def _enqueue(
        self,
        loop: asyncio.AbstractEventLoop,
        servable: Servable,
        names: tuple[str, str],
        request: Request,
        task: Task,
    ) -> Queue:
        if self._waiting >= MAX_WAITING:
            raise errors.queue_full()
        rows, inner = batches.shape(request)
        queue = self._queues.get((servable, request.signature_name, request.outputs, inner))
        if queue is None or not queue.takes(rows):
            queue = self._queue_for(servable, names, request, rows, inner)
        try:
            opened = queue.add(Piece(request, 1 if rows is None else rows, task.deadline), task)
        except StatusError:
            self._forget_idle(queue)
            raise
        for batch in opened:
            if not batch.due:
                loop.call_later(queue.rules.seconds, self._make_due, loop, batch)
        self._waiting += 1
        return queue

    def _drop(self, queue: Queue, task: Task) -> None:
        """Keep nothing of a request that ended without an answer: what it takes is no longer counted."""
        if task.started and task.outcomes is None:
            return
        if not task.started:
            self._waiting -= 1
        queue.drop(task)
        self._forget_idle(queue)

    def _forget_idle(self, queue: Queue) -> None:
        if queue.idle and self._queues.get(queue.key) is queue:
            del self._queues[queue.key]

    def _queue_for(
        self,
        servable: Servable,
        names: tuple[str, str],
        request: Request,
        rows: int | None,
        inner: tuple[Hashable, ...],
    ) -> Queue:
        """The queue for a request by the rules of its signature, made where there is none."""
        found = self._rules_of(servable, request) if rows is not None else ALONE
        if found.adaptive and (rows or 0) >= found.rows:
            found = ALONE
        key: tuple[Hashable, ...] = (servable, request.signature_name, request.outputs)
        if found.pads_inner:
            inner = tuple(array.ndim for array in request.inputs.values())
        if found is not ALONE:
            key = (*key, inner)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = Queue(key, servable, *names, request.signature_name, found)
        return queue

    def _rules_of(self, servable: Servable, request: Request) -> Rules:
        known = self._rules.setdefault(servable, {})
        names = (request.signature_name, request.outputs)
        found = known.get(names)
        if found is None:
            if len(known) >= MOST_RULES:
                known.clear()
            found = known[names] = self._new_rules(servable, request)
        return found

    def _new_rules(self, servable: Servable, request: Request) -> Rules:
        parameters = servable.batching if self._per_model else self._parameters
        if isinstance(parameters, BatchingParameters):
            return rules_of(parameters)
        return ADAPTIVE if self._parameters is None and _rows_are_free(servable, request) else ALONE

    def _dispatch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give batches to free threads, queue after queue."""
        while self._free > 0:
            queue = next((queue for queue in self._queues.values() if queue.ready()), None)
            if queue is None:
                break
            del self._queues[queue.key]
            now, batch = self._clock(), queue.waiting.popleft()
            for task in batch.entries:
                if task.overdue(now):
                    task.fail(self._expired())
            entries = [entry for task, entry in batch.entries.items() if not task.future.done()]
            ended = bool(entries) and self._start(loop, _Run(queue, entries, now))
            if not queue.idle:
                self._queues[queue.key] = queue
            if ended:
                # It held up the loop: before the next batch the loop does what else there is, and reads the
                # requests that came meanwhile.
                if self._waiting:
                    self._gathering.go_on(loop)
                break
        self._time(loop)

    def _time(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch the deadlines of the new requests that were not answered at once."""
        untimed, self._untimed = self._untimed, []
        for task in untimed:
            if task.deadline is not None and not task.future.done():
                left = max(0.0, task.deadline - self._clock())
                task.timer = loop.call_later(left, self._expire, loop, task)

    def _start(self, loop: asyncio.AbstractEventLoop, run: _Run) -> bool:
        """Run a batch on the loop, or give it to a thread; whether it has ended."""
        self._free -= 1
        run.queue.running += 1
        for entry in run.entries:
            if not entry.task.started:
                entry.task.started = True
                entry.task.timing.started = run.started
                self._waiting -= 1
        if not _runs_on_loop(run):
            self._threads.submit(self._execute_off_loop, loop, run)
            return False
        self._finish(run, self._execute(run))
        return True

    def _execute_off_loop(self, loop: asyncio.AbstractEventLoop, run: _Run) -> None:
        """On a thread: run a batch, and hand all of it back to the loop at once."""
        ran = self._execute(run)
        # The loop is closed when the server was stopped without waiting: nobody is left to be told.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._finished_off_loop, loop, run, ran)

    def _finished_off_loop(self, loop: asyncio.AbstractEventLoop, run: _Run, ran: Ran) -> None:
        self._finish(run, ran)
        self._dispatch(loop)

    def _execute(self, run: _Run) -> Ran:
        rules = run.queue.rules
        rows = sum(entry.piece.rows for entry in run.entries)
        padding = (rules.padded(rows) or rows) - rows
        pieces = [entry.piece for entry in run.entries]
        try:
            return batches.run(run.queue.servable, pieces, padding=padding, pad_inner=rules.pads_inner)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave its requests without an answer.
            _log.exception("a batch of model %s failed", run.queue.model)
            failure = StatusError(Code.INTERNAL, f"Batch failed: {type(error).__name__}")
            return Ran([failure for _ in pieces], 0, 0.0)

    def _finish(self, run: _Run, ran: Ran) -> None:
        queue = run.queue
        self._free += 1
        queue.running -= 1
        if not ran.joinable:
            queue.rules = ALONE
            self._settle(run, ALONE)
        elif queue.rules.adaptive:
            rules = ADAPTIVE_LONG if ran.seconds > LONG_RUN_SECONDS else ADAPTIVE
            if rules is not queue.rules:
                queue.rules = rules
                self._settle(run, rules)
        now, event = self._clock(), _event(self._pool, run, ran)
        for entry, outcome in zip(run.entries, ran.outcomes, strict=True):
            timing = entry.task.timing
            timing.ended, timing.requests, timing.rows = now, len(run.entries), event.rows
            entry.task.finish_piece(entry.place, outcome)
        self._forget_idle(queue)
        self._observer.batch_ran(event)

    def _settle(self, run: _Run, rules: Rules) -> None:
        """Have these rules for further requests like those of a run; what runs alone goes on to do so."""
        request = run.entries[0].piece.request
        known = self._rules.get(run.queue.servable, {})
        names = (request.signature_name, request.outputs)
        # What was forgotten meanwhile is found out again when it runs again.
        if known.get(names, ALONE) is not ALONE:
            known[names] = rules

    def _make_due(self, loop: asyncio.AbstractEventLoop, batch: Batch) -> None:
        batch.due = True
        self._dispatch(loop)

    def _expire(self, loop: asyncio.AbstractEventLoop, task: Task) -> None:
        """The deadline has come: nobody waits for a run that has not begun; one that has may yet tell of it.

        An operation that does not look at its deadline is left to go on in its thread.
        """
        if task.started:
            loop.call_later(LATENESS, task.fail, errors.timed_out())
        else:
            task.fail(self._expired())

    def _expired(self) -> StatusError:
        return errors.expired_in_queue() if self._parameters is None else errors.timed_out_in_queue()


def _runs_on_loop(run: _Run) -> bool:
    """Whether a batch is expected to take no longer than the loop may be held up."""
    if not run.queue.rules.adaptive:
        return False
    seconds = run.queue.servable.expected_seconds([entry.piece.request for entry in run.entries])
    return seconds is not None and seconds <= LOOP_RUN_SECONDS


def _event(pool: str, run: _Run, ran: Ran) -> BatchEvent:
    rows = tuple(entry.piece.rows for entry in run.entries)
    return BatchEvent(
        model=run.queue.model,
        pool=pool,
        rows=sum(rows),
        padding=ran.padding,
        inputs=len(run.entries[0].piece.request.inputs),
        requests=rows,
        waited=tuple(run.started - entry.task.queued for entry in run.entries),
        seconds=ran.seconds,
        version=run.queue.version,
        signature=run.queue.signature,
    )


def _rows_are_free(servable: Servable, request: Request) -> bool:
    """Whether the signature declares a free first dimension for every tensor of the request."""
    signature = servable.signatures[request.signature_name]
    infos = (*signature.inputs.values(), *(signature.outputs[alias] for alias in request.outputs))
    return all(info.shape and info.shape[0] is None for info in infos)
