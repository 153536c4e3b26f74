"""The requests that wait for one signature of one version, in the batches that they will run in."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from serving import batches, errors
from serving.batches import Outcome, Outputs, Piece
from serving.batching_parameters import Rules
from serving.servable import Request, Servable
from serving.timing import Timing
from wire.errors import StatusError


@dataclass(eq=False, slots=True)
class Task:
    """A request that somebody awaits, and the outcomes of its pieces so far; `started` once one runs.

    `deadline` and `queued` are times of `time.monotonic`. `timing` is filled in as it goes.
    """

    future: asyncio.Future[Outputs]
    deadline: float | None
    queued: float
    timing: Timing
    rows: int = 1
    started: bool = False
    outcomes: list[Outcome | None] = field(default_factory=list)

    def fail(self, error: StatusError) -> None:
        """End with an error, unless it has ended."""
        if not self.future.done():
            self.future.set_exception(error)

    def finish_piece(self, place: int, outcome: Outcome) -> None:
        """Note the outcome of one piece; the first error, or the last piece, ends the task."""
        if isinstance(outcome, StatusError):
            self.fail(outcome)
            return
        self.outcomes[place] = outcome
        done = [each for each in self.outcomes if each is not None and not isinstance(each, StatusError)]
        if len(done) == len(self.outcomes) and not self.future.done():
            self.future.set_result(batches.combine(done))


class Entry(NamedTuple):
    """One piece of a task in a batch."""

    task: Task
    piece: Piece
    place: int
    rows: int


@dataclass(eq=False, slots=True)
class Batch:
    """Entries that will run together; `due` once it need not wait for more."""

    due: bool
    entries: list[Entry] = field(default_factory=list)
    rows: int = 0


@dataclass(eq=False, slots=True)
class Queue:
    """The batches that wait, the last of them open, and how many run."""

    servable: Servable
    model: str
    version: str
    signature: str
    rules: Rules
    waiting: deque[Batch] = field(default_factory=deque)
    running: int = 0

    def add(self, request: Request, task: Task) -> list[Batch]:
        """Put a request of `task.rows` rows at the end; the batches that were opened for it.

        A request that does not fit the open batch closes it, or is split where the rules say so. StatusError:
        it has too many rows, or too many batches wait.
        """
        limit = self.rules.request_rows
        if limit is not None and task.rows > limit:
            raise errors.task_too_large(task.rows, limit)
        if not self.rules.splits:
            return self._add_whole(request, task)
        sizes = self._sizes(task.rows)
        opened = len(sizes) if sizes[0] > self._room() or not self.waiting else len(sizes) - 1
        self._check_room(opened)
        new = [Batch(due=self.rules.seconds <= 0) for _ in range(opened)]
        places = [*([] if opened == len(sizes) else [self.waiting[-1]]), *new]
        self.waiting.extend(new)
        task.outcomes = [None] * len(sizes)
        start = 0
        for place, (size, batch) in enumerate(zip(sizes, places, strict=True)):
            piece = batches.part(request, start, start + size)
            batch.entries.append(Entry(task, Piece(piece, task.deadline), place, size))
            batch.rows += size
            start += size
        return new

    def ready(self) -> bool:
        """Whether a batch may run now, a thread being free."""
        if not self.waiting or self.running >= self.rules.threads:
            return False
        first = self.waiting[0]
        return first.due or first.rows >= self.rules.rows or len(self.waiting) > 1

    def _add_whole(self, request: Request, task: Task) -> list[Batch]:
        new = []
        if not self.waiting or task.rows > self._room():
            self._check_room(1)
            new.append(Batch(due=self.rules.seconds <= 0))
            self.waiting.extend(new)
        batch = self.waiting[-1]
        task.outcomes = [None]
        batch.entries.append(Entry(task, Piece(request, task.deadline), 0, task.rows))
        batch.rows += task.rows
        return new

    def _check_room(self, opened: int) -> None:
        if self.rules.batches is not None and len(self.waiting) + opened > self.rules.batches:
            raise errors.queue_full()

    def _room(self) -> int:
        return self.rules.rows - self.waiting[-1].rows if self.waiting else 0

    def _sizes(self, rows: int) -> list[int]:
        """The rows of the pieces that a request is put into batches as."""
        room = self._room()
        sizes = [min(room, rows)] if room > 0 else []
        rest = rows - sum(sizes)
        sizes += [self.rules.rows] * (rest // self.rules.rows)
        rest -= rest // self.rules.rows * self.rules.rows
        return [*sizes, rest] if rest or not sizes else sizes
