"""The requests that wait for one signature of one version, in the batches that they will run in."""

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from serving import batches, errors
from serving.batches import Outcome, Outputs, Piece
from serving.batching_parameters import ALONE, Rules
from serving.servable import Servable
from serving.timing import Timing
from wire.errors import StatusError


@dataclass(eq=False, slots=True)
class Task:
    """A request that somebody awaits; `started` once a piece of it runs.

    `deadline` and `queued` are times of `time.monotonic`, and `timer` tells that the deadline has come.
    `timing` is filled in as it goes. `outcomes` are those of its pieces so far, where it was split.
    """

    future: asyncio.Future[Outputs]
    deadline: float | None
    queued: float
    timing: Timing
    started: bool = False
    timer: asyncio.TimerHandle | None = None
    outcomes: list[Outputs | None] | None = None

    def overdue(self, now: float) -> bool:
        """Whether its deadline has come before any of it has run."""
        return self.deadline is not None and self.deadline <= now and not self.started

    def fail(self, error: StatusError) -> None:
        """End with an error, unless it has ended."""
        if not self.future.done():
            self.future.set_exception(error)

    def finish_piece(self, place: int, outcome: Outcome) -> None:
        """Note the outcome of one piece; the first error, or the last piece, ends the task."""
        if isinstance(outcome, StatusError):
            self.fail(outcome)
            return
        if self.outcomes is not None:
            self.outcomes[place] = outcome
            done = [each for each in self.outcomes if each is not None]
            if len(done) < len(self.outcomes):
                return
            outcome = batches.combine(done)
        if not self.future.done():
            self.future.set_result(outcome)


class Entry(NamedTuple):
    """One piece of a task in a batch: the piece at this place among those of the task."""

    task: Task
    piece: Piece
    place: int = 0


@dataclass(eq=False, slots=True)
class Batch:
    """Entries that will run together; `due` once it need not wait for more."""

    due: bool
    entries: dict[Task, Entry] = field(default_factory=dict)
    rows: int = 0


@dataclass(eq=False, slots=True)
class Queue:
    """The batches that wait, the last of them open, and how many run; `key` is what its requests share."""

    key: Hashable
    servable: Servable
    model: str
    version: str
    signature: str
    rules: Rules
    waiting: deque[Batch] = field(default_factory=deque)
    running: int = 0

    def takes(self, rows: int | None) -> bool:
        """Whether a further request of so many rows may come here, by the rules of now."""
        rules = self.rules
        return rules.adaptive and rows is not None and rows < rules.rows

    def add(self, piece: Piece, task: Task) -> Sequence[Batch]:
        """Put a whole request at the end; the batches that were opened for it.

        A request that does not fit the open batch closes it, or is split where the rules say so. StatusError:
        it has too many rows, or too many batches wait.
        """
        rules, rows = self.rules, piece.rows
        if rules.request_rows is not None and rows > rules.request_rows:
            raise errors.task_too_large(rows, rules.request_rows)
        if rules.splits:
            return self._add_split(piece, task)
        opened: Sequence[Batch] = ()
        # A request of no rows would fit beside another even where nothing may be joined.
        if not self.waiting or rows + self.waiting[-1].rows > rules.rows or rules is ALONE:
            self._check_room(1)
            opened = (Batch(due=rules.seconds <= 0),)
            self.waiting.extend(opened)
        batch = self.waiting[-1]
        batch.entries[task] = Entry(task, piece)
        batch.rows += rows
        return opened

    def drop(self, task: Task) -> None:
        """Take out what waits of a request that has ended, and the batches that nothing is left in."""
        for batch in tuple(self.waiting):
            entry = batch.entries.pop(task, None)
            if entry is None:
                continue
            batch.rows -= entry.piece.rows
            if not batch.entries:
                self.waiting.remove(batch)
            if task.outcomes is None:  # It was not split.
                return

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self.waiting and not self.running

    def ready(self) -> bool:
        """Whether a batch may run now, a thread being free."""
        if not self.waiting or self.running >= self.rules.threads:
            return False
        first = self.waiting[0]
        return first.due or first.rows >= self.rules.rows or len(self.waiting) > 1

    def _add_split(self, whole: Piece, task: Task) -> Sequence[Batch]:
        sizes = self._sizes(whole.rows)
        opened = len(sizes) if sizes[0] > self._room() or not self.waiting else len(sizes) - 1
        self._check_room(opened)
        new = [Batch(due=self.rules.seconds <= 0) for _ in range(opened)]
        places = [*([] if opened == len(sizes) else [self.waiting[-1]]), *new]
        self.waiting.extend(new)
        if len(sizes) > 1:
            task.outcomes = [None] * len(sizes)
        start = 0
        for place, (size, batch) in enumerate(zip(sizes, places, strict=True)):
            request = batches.part(whole.request, start, start + size)
            batch.entries[task] = Entry(task, Piece(request, size, whole.deadline), place)
            batch.rows += size
            start += size
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
