"""Counted references to servables: a version is not destroyed while a request holds it."""

import threading
from collections.abc import Callable
from types import TracebackType

from serving.servable import Servable


class Holding:
    """A servable in service and the number of requests that hold it. Thread-safe."""

    def __init__(self, name: str, version: int, servable: Servable) -> None:
        self.name = name
        self.version = version
        self.servable = servable
        self._lock = threading.Lock()
        self._holders = 0
        self._drained: Callable[[], None] | None = None

    def acquire(self) -> "Handle | None":
        """Hold the servable, or None when it is being taken out of service."""
        with self._lock:
            if self._drained is not None:
                return None
            self._holders += 1
        return Handle(self)

    def release(self) -> None:
        """One holder less."""
        with self._lock:
            self._holders -= 1
            drained = self._drained if self._holders == 0 else None
        if drained is not None:
            drained()

    def drain(self, drained: Callable[[], None]) -> None:
        """Give no more handles; call `drained` once, when nobody holds the servable any longer."""
        with self._lock:
            self._drained = drained
            idle = self._holders == 0
        if idle:
            drained()


class Handle:
    """A held servable: a context manager that lets go of it at the end. One request, one handle."""

    __slots__ = ("_holding", "name", "servable", "version")

    def __init__(self, holding: Holding) -> None:
        self.name = holding.name
        self.version = holding.version
        self.servable = holding.servable
        self._holding: Holding | None = holding

    def release(self) -> None:
        """Let go of the servable; a second call does nothing."""
        holding, self._holding = self._holding, None
        if holding is not None:
            holding.release()

    def __enter__(self) -> "Handle":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
