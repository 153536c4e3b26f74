"""Requests that wait together run together: the scheduler between the event loop and the models' threads.

By default batches form adaptively: a request runs at once while its model has a thread free, and those that
come meanwhile go together as soon as one is. With TensorFlow Serving's BatchingParameters its rules hold.
Two rules are better kept here: a bad request fails alone, and an answer does not depend on the batching.
"""

import asyncio
import contextlib
import logging
import time
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from serving import batches, errors
from serving.batch_events import BatchEvent, Observer, Unobserved
from serving.batch_queue import Batch, Entry, Queue, Task
from serving.batches import Outputs, Ran
from serving.batching_parameters import ADAPTIVE, ADAPTIVE_THREADS, ALONE, BatchingParameters, Rules, rules_of
from serving.servable import Request, Servable
from serving.timing import Timing
from wire.errors import Code, StatusError

__all__ = ["BatchEvent", "Batcher", "BatchingParameters", "Observer", "Unobserved"]

Array = NDArray[Any]

_log = logging.getLogger(__name__)

# The requests that may wait in all queues together.
MAX_WAITING = 4096


@dataclass(frozen=True, eq=False)
class _Run:
    """A batch that was given to a thread, and when (`time.monotonic`)."""

    key: Hashable
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
        # Signatures and outputs that turned out, when run, to have no batch dimension.
        self._unjoinable: weakref.WeakKeyDictionary[Servable, set[Hashable]] = weakref.WeakKeyDictionary()

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
        loop = asyncio.get_running_loop()
        if deadline is not None and deadline <= self._clock():
            raise self._expired()
        request = servable.check(signature_name, inputs, outputs)
        task = Task(loop.create_future(), deadline, self._clock(), timing=timing or Timing())
        task.timing.queued = task.queued
        self._enqueue(loop, servable, (model, version), request, task)
        self._dispatch(loop)
        if task.started or task.future.done():
            return await task.future
        return await self._wait(loop, task)

    def close(self) -> None:
        """Answer whoever waits with UNAVAILABLE; runs under way end as they will."""
        for queue in self._queues.values():
            for entry in (entry for batch in queue.waiting for entry in batch.entries):
                entry.task.fail(StatusError(Code.UNAVAILABLE, "The server is shutting down"))
            queue.waiting.clear()
        self._threads.shutdown(wait=False)

    async def _wait(self, loop: asyncio.AbstractEventLoop, task: Task) -> Outputs:
        """Await a task that found no thread free."""
        task.waiting = True
        self._count(1)
        timer = None
        if task.deadline is not None:
            timer = loop.call_later(task.deadline - task.queued, self._expire, task)
        try:
            return await task.future
        finally:
            if timer is not None:
                timer.cancel()
            self._leave(task)

    def _enqueue(
        self,
        loop: asyncio.AbstractEventLoop,
        servable: Servable,
        names: tuple[str, str],
        request: Request,
        task: Task,
    ) -> None:
        if self._waiting >= MAX_WAITING:
            raise errors.queue_full()
        rows = batches.rows(request)
        found = self._rules(servable, request) if rows is not None else ALONE
        if found is ADAPTIVE and (rows or 0) >= ADAPTIVE.rows:
            found = ALONE
        key: tuple[Hashable, ...] = (servable, request.signature_name, request.outputs)
        if found is not ALONE:
            task.rows = rows or 0
            key = (*key, *_inner_shapes(request, found))
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = Queue(servable, *names, request.signature_name, found)
        for batch in queue.add(request, task):
            if not batch.due:
                loop.call_later(found.seconds, self._make_due, loop, batch)

    def _rules(self, servable: Servable, request: Request) -> Rules:
        if (request.signature_name, request.outputs) in self._unjoinable.get(servable, ()):
            return ALONE
        parameters = servable.batching if self._per_model else self._parameters
        if isinstance(parameters, BatchingParameters):
            return rules_of(parameters)
        return ADAPTIVE if self._parameters is None and _rows_are_free(servable, request) else ALONE

    def _dispatch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give batches to free threads, queue after queue."""
        while self._free > 0:
            key = next((key for key, queue in self._queues.items() if queue.ready()), None)
            if key is None:
                return
            queue = self._queues.pop(key)
            batch = queue.waiting.popleft()
            entries = [entry for entry in batch.entries if not entry.task.future.done()]
            if entries:
                self._start(loop, key, queue, entries)
            if queue.waiting or queue.running:
                self._queues[key] = queue

    def _start(
        self, loop: asyncio.AbstractEventLoop, key: Hashable, queue: Queue, entries: list[Entry]
    ) -> None:
        now = self._clock()
        self._free -= 1
        queue.running += 1
        for entry in entries:
            entry.task.started = True
            entry.task.timing.started = entry.task.timing.started or now
            self._leave(entry.task)
        self._threads.submit(self._execute, loop, _Run(key, queue, entries, now))

    def _execute(self, loop: asyncio.AbstractEventLoop, run: _Run) -> None:
        """On a thread: run a batch, and hand all of it back to the loop at once."""
        rules = run.queue.rules
        rows = sum(entry.rows for entry in run.entries)
        padding = (rules.padded(rows) or rows) - rows
        pieces = [entry.piece for entry in run.entries]
        try:
            ran = batches.run(run.queue.servable, pieces, padding=padding, pad_inner=rules.pads_inner)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave its requests without an answer.
            _log.exception("a batch of model %s failed", run.queue.model)
            failure = StatusError(Code.INTERNAL, f"Batch failed: {type(error).__name__}")
            ran = Ran([failure for _ in pieces], 0, 0.0)
        # The loop is closed when the server was stopped without waiting: nobody is left to be told.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._finish, loop, run, ran)

    def _finish(self, loop: asyncio.AbstractEventLoop, run: _Run, ran: Ran) -> None:
        queue = run.queue
        self._free += 1
        queue.running -= 1
        if not ran.joinable:
            request = run.entries[0].piece.request
            names = self._unjoinable.setdefault(queue.servable, set())
            names.add((request.signature_name, request.outputs))
        now, event = self._clock(), _event(self._pool, run, ran)
        for entry, outcome in zip(run.entries, ran.outcomes, strict=True):
            timing = entry.task.timing
            timing.ended, timing.requests, timing.rows = now, len(run.entries), event.rows
            entry.task.finish_piece(entry.index, outcome)
        if not queue.waiting and not queue.running:
            self._queues.pop(run.key, None)
        self._observer.batch_ran(event)
        self._dispatch(loop)

    def _make_due(self, loop: asyncio.AbstractEventLoop, batch: Batch) -> None:
        batch.due = True
        self._dispatch(loop)

    def _expire(self, task: Task) -> None:
        if task.waiting:
            task.fail(self._expired())

    def _expired(self) -> StatusError:
        return errors.expired_in_queue() if self._parameters is None else errors.timed_out_in_queue()

    def _leave(self, task: Task) -> None:
        if task.waiting:
            task.waiting = False
            self._count(-1)

    def _count(self, change: int) -> None:
        self._waiting += change
        self._observer.waiting_changed(self._waiting)


def _event(pool: str, run: _Run, ran: Ran) -> BatchEvent:
    return BatchEvent(
        model=run.queue.model,
        pool=pool,
        rows=sum(entry.rows for entry in run.entries),
        padding=ran.padding,
        inputs=len(run.entries[0].piece.request.inputs),
        requests=tuple(entry.rows for entry in run.entries),
        waited=tuple(run.started - entry.task.queued for entry in run.entries),
        seconds=ran.seconds,
        version=run.queue.version,
        signature=run.queue.signature,
    )


def _inner_shapes(request: Request, found: Rules) -> tuple[Hashable, ...]:
    """What the inputs of requests in one batch have in common besides the signature."""
    if found.pads_inner:
        return tuple(array.ndim for array in request.inputs.values())
    return tuple(array.shape[1:] for array in request.inputs.values())


def _rows_are_free(servable: Servable, request: Request) -> bool:
    """Whether the signature declares a free first dimension for every tensor of the request."""
    signature = servable.signatures[request.signature_name]
    infos = (*signature.inputs.values(), *(signature.outputs[alias] for alias in request.outputs))
    return all(info.shape and info.shape[0] is None for info in infos)
