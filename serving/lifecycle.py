"""The versions of all models: found, loaded, put in service, taken out again, and handed to requests.

One thread looks at the disk and decides, loads and unloads have threads of their own, and requests only read
a table that is replaced as a whole. So neither a slow load nor a missing path holds up anything else.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from serving import errors
from serving.batching_parameters import CPUS
from serving.config_files import ModelConfig
from serving.handles import Handle
from serving.loading import Loader, RetryPolicy
from serving.model_state import Model
from serving.policy import Load
from serving.servable import Servable
from serving.source import Source, fingerprint
from serving.states import State, VersionStatus
from serving.transitions import LifecycleObserver, Transitions, Unobserved
from wire.errors import Code, StatusError

__all__ = ["Handle", "Lifecycle", "LifecycleObserver", "State", "Unobserved", "VersionStatus", "Watch"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is looked at again and again.

    `poll_seconds` between two looks for versions: 0 is once, and after a reload; negative is after a reload
    only. `store_root` is a directory all of whose models are served besides the configured ones.
    `read_configs` reads the configuration anew every `config_seconds` (0: never); what it gives is applied
    when it differs from what it gave before, so that a reload by request stays until the file changes.
    """

    poll_seconds: float = 1.0
    store_root: Path | None = None
    read_configs: Callable[[], Sequence[ModelConfig]] | None = None
    config_seconds: float = 0.0


class Lifecycle:
    """Owns the versions of the configured models. Thread-safe; `changed` tells of changes and bars them.

    `start` runs it in a thread until `stop`; without it `step` does one round, as tests do.
    """

    def __init__(
        self,
        configs: Sequence[ModelConfig],
        load: Loader,
        *,
        watch: Watch | None = None,
        retries: RetryPolicy | None = None,
        load_threads: int = 0,
        observer: LifecycleObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
        executor: Executor | None = None,
    ) -> None:
        self._watch = watch or Watch()
        self._clock = clock
        self._loads = executor or ThreadPoolExecutor(load_threads or 4 * CPUS, thread_name_prefix="load")
        self._unloads = executor or ThreadPoolExecutor(CPUS, thread_name_prefix="unload")
        self._source = Source()
        self._observer = observer or Unobserved()
        self.changed = threading.Condition()
        self._transitions = Transitions(
            load,
            retries=retries or RetryPolicy(),
            observer=self._observer,
            clock=clock,
            loads=self._loads,
            unloads=self._unloads,
            lock=self.changed,
            changed=self._wake,
        )
        self._models: dict[str, Model] = {}
        # None until the store root has been looked at once.
        self._discovered: tuple[ModelConfig, ...] | None = None if self._watch.store_root else ()
        self._configs: tuple[ModelConfig, ...] = ()
        self._file_configs = tuple(configs)
        self._next_scan: float | None = None
        self._next_read = clock() + self._watch.config_seconds
        self._woken = False
        self._thread: threading.Thread | None = None
        self._apply(configs)
        if self._watch.poll_seconds < 0:
            self._next_scan = None

    def start(self) -> None:
        """Begin to look for versions and load them; returns at once."""
        self._thread = threading.Thread(target=self._run, name="lifecycle", daemon=True)
        self._thread.start()

    def stop(self, grace: float | None = 30.0) -> None:
        """Take everything out of service and free it.

        Waits for loads under way, and `grace` seconds for requests that still hold a version.
        """
        with self.changed:
            self._transitions.stopping = True
            self._wake()
        if self._thread is not None:
            self._thread.join()
        with self.changed:
            for model in self._models.values():
                for version in model.versions.values():
                    if version.state == State.AVAILABLE:
                        self._transitions.unload(model, version)
        self._loads.shutdown(cancel_futures=True)
        self._wait_for(lambda: not any(model.holds() for model in self._models.values()), grace)
        self._unloads.shutdown()

    def handle(self, name: str, version: int | None = None, label: str | None = None) -> Handle:
        """Hold a version of a model for one request: the one named, the label's, or else the latest.

        The result is a context manager; the version is not destroyed before it is left. Cheap enough for the
        event loop. StatusError: NOT_FOUND, or INVALID_ARGUMENT for an unknown label, as in the contract.
        """
        return self._transitions.in_service.handle(name, version, label)

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Every version of a model ever seen, newest first, or just one; StatusError (NOT_FOUND)."""
        with self.changed:
            model = self._models.get(name)
            known = dict(model.versions) if model is not None else {}
            if version is not None:
                known = {number: each for number, each in known.items() if number == version}
            if not known:
                raise errors.status_not_found(name, version)
            return [known[number].status() for number in sorted(known, reverse=True)]

    def statuses(self) -> Mapping[str, list[VersionStatus]]:
        """The versions of every model that is configured or was, newest first; none where none was seen."""
        with self.changed:
            return {
                name: [each.status() for _, each in sorted(model.versions.items(), reverse=True)]
                for name, model in sorted(self._models.items())
            }

    def labels(self, name: str) -> Mapping[str, int]:
        """The version that each label of a model stands for now; empty for an unknown model."""
        return self._transitions.in_service.labels(name)

    def servables(self, name: str) -> Mapping[int, Servable]:
        """The servable of each version of a model that takes requests; none for an unknown model."""
        return self._transitions.in_service.servables(name)

    def ready(self) -> bool:
        """Whether every configured model has an available version; with a store root, one model at least."""
        with self.changed:
            configured = [model for model in self._models.values() if model.config is not None]
            served = all(self._transitions.in_service.serves(model.name) for model in configured)
            return served and (bool(configured) or self._watch.store_root is None)

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until every model, also a discovered one, and every label has an available version.

        What could not be loaded at its first attempts is not waited for.
        """

        def settled() -> bool:
            return self._discovered is not None and all(each.settled() for each in self._models.values())

        return self._wait_for(settled, timeout)

    def reload(self, configs: Sequence[ModelConfig], timeout: float | None = 300.0) -> None:
        """Serve these models instead, and wait until the new ones among them have come out.

        Acts at once, also with polling off. StatusError: UNKNOWN when a new model is missing or its first
        attempt failed, DEADLINE_EXCEEDED when one still loads after `timeout` seconds. The configuration is
        in force all the same, and attempts go on. UNAVAILABLE: the server stops meanwhile.
        """
        new = self._apply(configs)
        if not self._wait_for(lambda: self._transitions.stopping or self._came_out(new), timeout):
            raise errors.still_loading(new, timeout or 0.0)
        with self.changed:
            if not self._came_out(new):
                raise StatusError(Code.UNAVAILABLE, "The server is shutting down")
            failures = [self._models[name].failure() for name in sorted(new)]
        if any(failures):
            raise errors.did_not_become_available(failure for failure in failures if failure)

    def step(self) -> float | None:
        """Look at what is due, decide and act, once. Seconds until the next is due; None: not by time."""
        self._read_configs()
        self._scan()
        with self.changed:
            self._act()
            self.changed.notify_all()
            return self._pause()

    def _run(self) -> None:
        while True:
            try:
                pause = self.step()
            except Exception:  # noqa: BLE001 - what is in service stays, and the next round may be better.
                _log.exception("the lifecycle's round failed")
                pause = 1.0
            with self.changed:
                self.changed.wait_for(lambda: self._woken, pause)
                self._woken = False
                if self._transitions.stopping:
                    return

    def _wait_for(self, predicate: Callable[[], bool], timeout: float | None) -> bool:
        with self.changed:
            return self.changed.wait_for(predicate, timeout)

    def _wake(self) -> None:
        """Under the lock: have a round soon, and everybody look again who waits for a change."""
        self._woken = True
        self.changed.notify_all()

    def _came_out(self, names: Iterable[str]) -> bool:
        return all(self._models[name].outcome() is not None for name in names)

    def _apply(self, configs: Sequence[ModelConfig]) -> frozenset[str]:
        """Put a configuration in force; the names that were not configured before."""
        with self.changed:
            self._configs = tuple(configs)
            return self._configure()

    def _configure(self) -> frozenset[str]:
        wanted = {config.name: config for config in (*(self._discovered or ()), *self._configs)}
        configured = {name for name, model in self._models.items() if model.config is not None}
        for name in configured - wanted.keys():
            self._models[name].remove()
            self._transitions.publish(self._models[name])
        for name, config in wanted.items():
            model = self._models.setdefault(name, Model(name))
            model.configure(config)
            self._transitions.publish(model)
        self._observer.configured(tuple(wanted.values()))
        self._next_scan = self._clock()
        self._wake()
        return frozenset(wanted.keys() - configured)

    def _read_configs(self) -> None:
        """Apply what the configuration file says, when it says something new."""
        read, now = self._watch.read_configs, self._clock()
        if read is None or self._watch.config_seconds <= 0 or now < self._next_read:
            return
        self._next_read = now + self._watch.config_seconds
        try:
            configs = tuple(read())
        except StatusError as error:
            self._source.tell(f"the model configuration is left as it is: {error.message}")
            return
        if configs != self._file_configs:
            self._file_configs = configs
            self._apply(configs)

    def _scan(self) -> None:
        """Look at the disk, if that is due, without the lock."""
        poll = self._watch.poll_seconds
        with self.changed:
            if self._next_scan is None or self._clock() < self._next_scan:
                return
        self._discover()
        with self.changed:
            self._next_scan = self._clock() + poll if poll > 0 else None
            configs = [model.config for model in self._models.values() if model.config is not None]
            failing = [(model, each) for model in self._models.values() for each in model.failing()]
        found = [(config, self._source.look(config)) for config in configs]
        changed = [(model, each) for model, each in failing if fingerprint(each.path) != each.fingerprint]
        with self.changed:
            for config, present in found:
                self._models[config.name].found(config, present)
            for model, version in changed:
                model.changed(version, self._clock())
            self.changed.notify_all()

    def _discover(self) -> None:
        root = self._watch.store_root
        discovered = self._source.models(root) if root is not None else ()
        with self.changed:
            if discovered is not None and discovered != self._discovered:
                self._discovered = discovered
                self._configure()
            elif self._discovered is None:
                self._discovered = ()

    def _act(self) -> None:
        """Begin whatever the policy says, and the attempts that are due."""
        now = self._clock()
        for model in list(self._models.values()):
            for version in model.due(now):
                self._transitions.begin_load(model, version)
            while (action := model.next_action()) is not None:
                version = model.versions[action.version]
                if isinstance(action, Load):
                    self._transitions.begin_load(model, version)
                else:
                    self._transitions.unload(model, version)

    def _pause(self) -> float | None:
        """Seconds until something is due by time."""
        times = [each.retry_at for model in self._models.values() for each in model.versions.values()]
        times.append(self._next_scan)
        if self._watch.read_configs is not None and self._watch.config_seconds > 0:
            times.append(self._next_read)
        due = [each for each in times if each is not None]
        return max(0.0, min(due) - self._clock()) if due else None
