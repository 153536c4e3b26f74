"""Waits that are all given the same time, watched by one timer instead of a timer each."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """Awaits what may take `seconds` at most, for any number of tasks of one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        # When each wait began (by the loop's clock), the oldest first.
        self._began: dict[asyncio.Task[object], float] = {}
        self._over: set[asyncio.Task[object]] = set()
        self._watching = False

    async def wait(self, awaited: Awaitable[T]) -> T:
        """What is awaited, by the running task; TimeoutError when it does not come in time."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can wait")
        self._began[task] = loop.time()
        if not self._watching:
            self._watching = True
            loop.call_later(self.seconds, self._watch, loop)
        try:
            return await awaited
        except asyncio.CancelledError:
            # Cancelled by somebody else as well: that counts.
            if task in self._over and not task.uncancel():
                raise TimeoutError from None
            raise
        finally:
            del self._began[task]
            self._over.discard(task)
            # The traceback of an error that the task keeps has this frame: they must not keep each other.
            del task

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel the waits that are over, and look again when the oldest of the others will be."""
        oldest = loop.time() - self.seconds
        for task, began in list(self._began.items()):
            if began > oldest:
                loop.call_later(began - oldest, self._watch, loop)
                return
            if task not in self._over:
                self._over.add(task)
                task.cancel()
        self._watching = False
