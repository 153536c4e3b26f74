"""The versions of all models in a worker: it loads, serves and frees what the supervisor says, and no more.

A load only keeps a servable ready under a key. What requests see changes when the supervisor sends a view,
and it sends one to all workers while all of them hold new requests for that moment.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from serving import errors
from serving.batching_parameters import CPUS
from serving.config_files import ModelConfig
from serving.fleet.channel import Channel, ChannelClosed, Operation
from serving.fleet.view import ModelView, View, configs_document, view_from
from serving.footprint import resident_bytes
from serving.handles import Handle, Holding
from serving.in_service import InService
from serving.loading import Loader
from serving.servable import Servable
from serving.states import State, VersionStatus
from serving.transitions import LifecycleObserver
from wire.errors import Code, StatusError

_log = logging.getLogger(__name__)

# A request waits no longer than this for a view that was announced, should the supervisor never send it.
LONGEST_HOLD_SECONDS = 5.0


class FollowerObserver(LifecycleObserver, Protocol):
    """Is told what changes in what requests see."""

    def trusted(self, configs: Sequence[ModelConfig]) -> None:
        """The server's own options and files have these models."""


class Follower:
    """Serves what its supervisor says. Thread-safe; `handle` is cheap but for the moment of a new view."""

    def __init__(
        self, load: Loader, observer: FollowerObserver, channel: Channel, *, load_threads: int = 0
    ) -> None:
        """`channel` leads to the supervisor; these `operations` are to be among its own."""
        self._load = load
        self._observer = observer
        self._loads = ThreadPoolExecutor(load_threads or 4 * CPUS, thread_name_prefix="load")
        self._unloads = ThreadPoolExecutor(CPUS, thread_name_prefix="unload")
        self._channel = channel
        self._view = View()
        self._servables: dict[int, Servable] = {}
        # Of those servables that a view has put in service.
        self._holdings: dict[int, Holding] = {}
        self._in_service = InService()
        self._switching = threading.Lock()
        self._held = False
        self._may_open = threading.Event()

    def operations(self) -> Mapping[str, Operation]:
        """What the supervisor may have it do."""
        return {
            "ping": lambda: None,
            "load": self._do_load,
            "close": self._do_close,
            "hold": self._do_hold,
            "release": self._do_release,
            "view": self._do_view,
        }

    def start(self) -> None:
        """Nothing begins before the supervisor says so."""

    def open(self) -> None:
        """End `settle`: the view is there, and so are the versions in it."""
        self._may_open.set()

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until the supervisor has the ports opened."""
        return self._may_open.wait(timeout)

    def stop(self, grace: float | None = 30.0) -> None:
        """Free everything; a version that is held still is left to the end of the process after the grace."""
        self._loads.shutdown(cancel_futures=True)
        freed = [self._drained(key) for key in list(self._servables)]
        for each in freed:
            try:
                each.result(grace)
            except TimeoutError:
                break
        self._unloads.shutdown(wait=False, cancel_futures=True)

    def handle(self, name: str, version: int | None = None, label: str | None = None) -> Handle:
        """Hold a version for one request, as `Lifecycle.handle`."""
        with self._seen():
            return self._in_service.handle(name, version, label)

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Every version of a model ever seen, newest first, or just one; StatusError (NOT_FOUND)."""
        with self._seen():
            model = self._view.models.get(name, ModelView())
        known = [each for each in model.statuses if version in (None, each.version)]
        if not known:
            raise errors.status_not_found(name, version)
        return known

    def statuses(self) -> Mapping[str, list[VersionStatus]]:
        """The versions of every model, newest first."""
        with self._seen():
            view = self._view
        return {name: list(model.statuses) for name, model in view.models.items()}

    def labels(self, name: str) -> Mapping[str, int]:
        """The version that each label of a model stands for now."""
        with self._seen():
            return self._in_service.labels(name)

    def ready(self) -> bool:
        """Whether every configured model has an available version."""
        with self._seen():
            return self._view.ready

    def reload(self, configs: Sequence[ModelConfig]) -> None:
        """Have the supervisor, and so all workers, serve these models instead; as `Lifecycle.reload`."""
        try:
            self._channel.ask("reload", configs=configs_document(configs)).result()
        except ChannelClosed:
            raise StatusError(Code.UNAVAILABLE, "The server is shutting down") from None

    @contextmanager
    def _seen(self) -> Iterator[None]:
        """Look at what requests see: not between the announcement of a view and the view."""
        locked = self._switching.acquire(timeout=LONGEST_HOLD_SECONDS)
        try:
            yield
        finally:
            if locked:
                self._switching.release()

    # What the supervisor asks for; all but the bodies of loads and unloads on the channel's thread.

    def _do_load(self, key: int, path: str) -> "Future[int]":
        return self._loads.submit(self._loaded, key, Path(path))

    def _loaded(self, key: int, path: Path) -> int:
        """By how many bytes the process has grown meanwhile."""
        before = resident_bytes()
        self._servables[key] = self._load(path)
        return max(0, resident_bytes() - before)

    def _do_close(self, key: int) -> "Future[None]":
        return self._drained(key)

    def _drained(self, key: int) -> "Future[None]":
        """Free a servable once nobody holds it; done at once where it is not there."""
        freed: Future[None] = Future()
        servable, holding = self._servables.pop(key, None), self._holdings.pop(key, None)
        if servable is None:
            freed.set_result(None)
            return freed

        def free() -> None:
            try:
                servable.close()
            finally:
                freed.set_result(None)

        def drained() -> None:
            _submitted(self._unloads, free)

        holding.drain(drained) if holding is not None else drained()
        return freed

    def _do_hold(self) -> None:
        if not self._held:
            self._switching.acquire()
            self._held = True

    def _do_release(self) -> None:
        if self._held:
            self._held = False
            self._switching.release()

    def _do_view(self, view: Any) -> None:
        """Have requests see this view, all of it at once, and let them in again."""
        self._do_hold()
        before, self._view = self._view, view_from(view)
        try:
            for name in before.models.keys() - self._view.models.keys():
                self._in_service.withdraw(name)
            for name, model in self._view.models.items():
                self._publish(name, model)
        finally:
            self._do_release()
        self._tell(before)

    def _publish(self, name: str, model: ModelView) -> None:
        for number, key in model.keys.items():
            if key not in self._holdings:
                self._holdings[key] = Holding(name, number, self._servables[key])
        in_service = {number: self._holdings[key] for number, key in model.keys.items()}
        self._in_service.publish(name, in_service, model.labels)

    def _tell(self, before: View) -> None:
        if self._view.own != before.own:
            self._observer.trusted(self._view.own)
        if self._view.configs != before.configs:
            self._observer.configured(self._view.configs)
        for name, model in self._view.models.items():
            known = before.models.get(name, ModelView()).statuses
            for each in model.statuses:
                if each not in known:
                    self._observer.state_changed(name, each.version, State(each.state))


def _submitted(executor: ThreadPoolExecutor, function: Callable[[], None]) -> None:
    try:
        executor.submit(function)
    except RuntimeError:
        # The process is about to end, and its memory with it.
        _log.debug("a version was held beyond the end")
