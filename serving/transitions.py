"""How a version comes to its next state: load, put in service, take out of service, destroy."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Protocol

from serving.config_files import ModelConfig
from serving.footprint import files_bytes, resident_bytes
from serving.handles import Holding
from serving.in_service import InService
from serving.loading import Loader, RetryPolicy
from serving.model_state import Model, Version
from serving.servable import Servable
from serving.session import status_of
from serving.source import fingerprint
from serving.states import State
from wire.errors import Code, StatusError

_log = logging.getLogger(__name__)


class LifecycleObserver(Protocol):
    """Is told, on any thread, what happens to versions. It must not block, nor call the lifecycle."""

    def state_changed(self, name: str, version: int, state: State) -> None:
        """A version has come to a state."""

    def load_ended(self, name: str, path: Path, seconds: float, error: StatusError | None) -> None:
        """An attempt to load a version has ended."""

    def memory_measured(self, name: str, path: Path, grown: int, files: int) -> None:
        """A version was loaded: by how many bytes the process has grown meanwhile, and those of its files."""

    def configured(self, configs: Sequence[ModelConfig]) -> None:
        """These models are in force from now on."""


class Unobserved:
    """An observer that looks away."""

    def state_changed(self, name: str, version: int, state: State) -> None:
        """Look away."""

    def load_ended(self, name: str, path: Path, seconds: float, error: StatusError | None) -> None:
        """Look away."""

    def memory_measured(self, name: str, path: Path, grown: int, files: int) -> None:
        """Look away."""

    def configured(self, configs: Sequence[ModelConfig]) -> None:
        """Look away."""


class Transitions:
    """Moves versions on, their loads and unloads on threads of their own.

    What is public is called under `lock`, and what runs on a thread takes it. `changed` is called under it
    after each change that lets others go on.
    """

    def __init__(
        self,
        load: Loader,
        *,
        retries: RetryPolicy,
        observer: LifecycleObserver,
        clock: Callable[[], float],
        loads: Executor,
        unloads: Executor,
        lock: threading.Condition,
        changed: Callable[[], None],
    ) -> None:
        self.in_service = InService()
        self.stopping = False
        self._load = load
        self._retries = retries
        self._observer = observer
        self._clock = clock
        self._loads = loads
        self._unloads = unloads
        self._lock = lock
        self._changed = changed

    def publish(self, model: Model) -> None:
        """Have requests see what is in service of a model, and its labels; called when either has changed."""
        if model.config is None and not model.available():
            self.in_service.withdraw(model.name)
        else:
            labels = model.config.labels if model.config is not None else {}
            self.in_service.publish(model.name, model.available(), labels)

    def begin_load(self, model: Model, version: Version) -> None:
        """Begin an attempt to load a version."""
        version.retry_at = None
        self._move(model, version, State.LOADING)
        self._loads.submit(self._attempt, model, version)

    def _attempt(self, model: Model, version: Version) -> None:
        """On a thread: load a version, and put it in service when it is still wanted."""
        started, resident = time.monotonic(), resident_bytes()
        files = fingerprint(version.path)
        servable, failure = None, None
        try:
            servable = self._load(version.path)
        except Exception as error:  # noqa: BLE001 - a loader's fault is the version's, and told in its status.
            failure = status_of(error).bare()
        self._observer.load_ended(model.name, version.path, time.monotonic() - started, failure)
        if failure is None:
            grown = max(0, resident_bytes() - resident)
            self._observer.memory_measured(model.name, version.path, grown, files_bytes(version.path))
        with self._lock:
            version.fingerprint = files
            if servable is not None:
                self._loaded(model, version, servable)
            elif failure is not None:
                self._failed(model, version, failure)
            model.aspire()
            self._changed()

    def _loaded(self, model: Model, version: Version, servable: Servable) -> None:
        if self.stopping or not version.aspired:
            self._unloads.submit(servable.close)
            version.ended(StatusError(Code.CANCELLED, "Loading of servable cancelled"))
            self._observer.state_changed(model.name, version.number, State.END)
            return
        version.error = None
        version.holding = Holding(model.name, version.number, servable)
        self.publish(model)
        self._move(model, version, State.AVAILABLE)

    def _failed(self, model: Model, version: Version, failure: StatusError) -> None:
        version.failed(failure, self._retries, self._clock())
        _log.warning(
            "model %s version %d, attempt %d to load it failed: %s: %s; %s",
            model.name, version.number, version.failures, failure.code.name, failure.message,
            "given up until its files change" if version.retry_at is None else "will be tried again",
        )  # fmt: skip
        if version.state == State.END:
            self._observer.state_changed(model.name, version.number, State.END)

    def unload(self, model: Model, version: Version) -> None:
        """Take a version out of service; it is destroyed once nobody holds it."""
        holding = version.holding
        self._move(model, version, State.UNLOADING)
        self.publish(model)
        if holding is not None:
            holding.drain(lambda: self._give_up(model, version, holding))

    def _give_up(self, model: Model, version: Version, holding: Holding) -> None:
        """Nobody holds a version any longer, whoever was last: leave the rest to a thread."""
        # After the end of the grace in `stop` there is none, and the process is about to end.
        with contextlib.suppress(RuntimeError):
            self._unloads.submit(self._destroy, model, version, holding)

    def _destroy(self, model: Model, version: Version, holding: Holding) -> None:
        try:
            holding.servable.close()
        except Exception:  # noqa: BLE001 - a servable's fault holds up nothing else.
            _log.exception("model %s version %d could not be freed whole", model.name, version.number)
        with self._lock:
            version.ended()
            self._move(model, version, State.END)
            if version.aspired and not self.stopping:
                version.restart(version.path)
            self._changed()

    def _move(self, model: Model, version: Version, state: State) -> None:
        version.state = state
        _log.info("model %s version %d: %s", model.name, version.number, state.name)
        self._observer.state_changed(model.name, version.number, state)
