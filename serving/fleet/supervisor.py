"""`kedge serve --workers=N`: a process that serves nothing itself, and keeps N workers that do.

It looks at the disk and decides, by the same lifecycle as a server of one process; what that loads, it loads
on every worker. It has no TensorFlow, and the ports only so that nobody else takes them.
"""

import dataclasses
import logging
import queue
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from serving import announce, configured, logs, ports, signals
from serving.exposition import Computed, Registry
from serving.fleet.channel import ChannelClosed, Operation
from serving.fleet.events import FleetEvents
from serving.fleet.members import Fleet, Member, view_of
from serving.fleet.pages import Pages
from serving.fleet.view import View, configs_from
from serving.fleet.worker_process import CannotServe, WorkerProcess
from serving.options import ServerOptions
from serving.served import RELOADS_AT_ONCE
from wire.errors import StatusError

_log = logging.getLogger(__name__)

# Pauses before a worker is replaced that did not last; what "lasted" is.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 30.0
LASTED_SECONDS = 60.0
# After so many starts in a row, of each worker, while none serves, it is given up.
STARTS_IN_VAIN = 5
# Workers are asked for their page so often at least, and those that answer for so long nothing are replaced.
COLLECT_SECONDS = 5.0
HUNG_SECONDS = 60.0
# How long a metrics page waits for a worker.
PAGE_SECONDS = 1.0
# What workers are given beyond the grace to be gone.
ENDING_SECONDS = 5.0
# Loads and unloads wait on threads here; the workers bound how many run at once.
WAITING_THREADS = 64


def run(options: ServerOptions) -> None:
    """Serve until SIGTERM or SIGINT, let the workers answer what is under way, and return.

    A second signal ends it at once. ports.StartError, StatusError, CannotServe: it cannot start, or none of
    its workers can any longer.
    """
    logs.configure(options.log_format)
    announce.left_out(options)
    with ports.reserved(options) as fixed:
        # May be filled by a signal handler, as an Event must not.
        told: queue.SimpleQueue[CannotServe | None] = queue.SimpleQueue()
        supervisor = Supervisor(fixed, told)
        _on_signals(told)
        supervisor.start()
        failure = told.get()
        if failure is None:
            _log.info("stopping: the workers have %g s", options.shutdown_grace_seconds)
        supervisor.stop(options.shutdown_grace_seconds if failure is None else 0)
        if failure is not None:
            raise failure


def _on_signals(told: "queue.SimpleQueue[CannotServe | None]") -> None:
    """Tell of the first signal; the second ends the process at once."""

    def tell(_number: int, _frame: Any) -> None:
        signals.next_ends_at_once()
        told.put(None)

    for number in signals.STOPPING:
        signal.signal(number, tell)


class Supervisor:
    """Keeps the workers, and decides for them. `failed` gets why there can be none."""

    def __init__(self, options: ServerOptions, failed: "queue.SimpleQueue[CannotServe | None]") -> None:
        """StatusError: a file that an option names cannot be read or is not valid."""
        self._options = options
        self._failed = failed
        self._changed = threading.Condition()
        self._stopping = False
        self._may_open = False
        self._workers: dict[int, WorkerProcess] = {}
        self._serving: set[WorkerProcess] = set()
        self._in_vain = 0
        self._reloads = ThreadPoolExecutor(RELOADS_AT_ONCE, thread_name_prefix="reload")
        self._pages_asked = ThreadPoolExecutor(8, thread_name_prefix="page")
        self._registry = Registry()
        self._deaths = self._registry.counter(
            "kedge_worker_deaths_total", (), "Worker processes that ended before they were told to."
        )
        self._deaths.add(amount=0)
        self._registry.computed(
            Computed(
                "gauge",
                "kedge_workers",
                (),
                lambda: [((), len(self._serving))],
                "Worker processes that serve.",
            )
        )
        self._events = FleetEvents(self._registry)
        self._fleet = Fleet(self._look)
        self._events.grown = self._fleet.grown
        self._pages = Pages(self._registry.page)
        self._lifecycle = configured.lifecycle(
            options,
            self._fleet.load,
            self._events,
            self._events.read,
            ThreadPoolExecutor(WAITING_THREADS, thread_name_prefix="version"),
        )

    def start(self) -> None:
        """Begin to start workers; returns at once."""
        for number in range(1, self._options.workers + 1):
            self._thread(f"worker {number}", self._keep, number)
        self._thread("start", self._open)
        self._thread("collect", self._collect)

    def stop(self, grace: float) -> None:
        """Have the workers answer what is under way, and end them after the grace."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            workers = list(self._workers.values())
        self._fleet.close()
        for worker in workers:
            worker.terminate()
        deadline = time.monotonic() + grace + ENDING_SECONDS
        for worker in workers:
            worker.wait(max(0.0, deadline - time.monotonic()))
        self._reloads.shutdown(wait=False, cancel_futures=True)
        self._pages_asked.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> View:
        """What requests should see now."""
        with self._lifecycle.changed:
            view = view_of(self._lifecycle)
            return dataclasses.replace(view, configs=self._events.configs, own=self._events.own)

    def _thread(self, name: str, function: Any, *given: Any) -> None:
        threading.Thread(target=function, args=given, name=name, daemon=True).start()

    def _keep(self, number: int) -> None:
        """Keep one worker: start another whenever it has ended."""
        pause = 0.0
        while not self._stops_within(pause):
            started = time.monotonic()
            worker = self._begin(number)
            if worker is None:
                return
            failure = self._serve(worker)
            code = worker.wait()
            # Once more: it may have hung up in the moment in which it joined.
            self._gone(worker)
            lasted = worker in self._serving and time.monotonic() - started > LASTED_SECONDS
            if self._ended(worker, failure):
                return
            pause = 0.0 if lasted else min(max(FIRST_PAUSE_SECONDS, 2 * pause), LONGEST_PAUSE_SECONDS)
            _log.error(
                "worker %d (process %d) ended with code %d%s; another takes its place in %g s",
                number, worker.pid, code, f": {failure}" if failure else "", pause,
            )  # fmt: skip

    def _begin(self, number: int) -> WorkerProcess | None:
        operations: dict[str, Operation] = {"reload": self._reload, "metrics": self._metrics}
        with self._changed:
            if self._stopping:
                return None
            worker = WorkerProcess(self._options, operations, self._gone)
            self._workers[number] = worker
            return worker

    def _serve(self, worker: WorkerProcess) -> Exception | None:
        """Bring a new worker to where it serves, or serves as soon as the first versions are there."""
        try:
            worker.hello.result()
            self._pages.joined(worker)
            self._fleet.join(worker)
            with self._changed:
                self._changed.notify_all()
                may_open = self._may_open
            if may_open:
                self._have_opened(worker)
        except (ChannelClosed, StatusError, CannotServe) as error:
            worker.kill()
            return worker.failure if isinstance(error, ChannelClosed) else error
        return None

    def _have_opened(self, worker: WorkerProcess) -> None:
        worker.ask("open").result()
        with self._changed:
            self._serving.add(worker)
            self._in_vain = 0
            self._changed.notify_all()

    def _gone(self, worker: WorkerProcess) -> None:
        """On the channel's thread: a worker has hung up."""
        self._fleet.leave(worker)
        self._pages.ended(worker)

    def _ended(self, worker: WorkerProcess, failure: Exception | None) -> bool:
        """Note a worker's end; True when there shall be no other."""
        with self._changed:
            served = worker in self._serving
            self._serving.discard(worker)
            if self._stopping:
                return True
            self._deaths.add()
            self._in_vain += not served
            first = not self._may_open and failure is not None
            if first or (not self._serving and self._in_vain >= STARTS_IN_VAIN * self._options.workers):
                cause = failure or worker.failure
                self._failed.put(cause if isinstance(cause, CannotServe) else CannotServe(str(cause)))
                return True
        return False

    def _stops_within(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._stopping, seconds)

    def _open(self) -> None:
        """Load the first versions on all workers, open the ports, and say so."""
        workers = self._options.workers
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or len(self._fleet.members) == workers)
        self._lifecycle.start()
        while not self._lifecycle.settle(0.2):
            if self._stopping:
                return
        self._fleet.publish()
        with self._changed:
            self._may_open = True
        self._thread("publish", self._publish)
        for worker in list(self._workers.values()):
            try:
                self._have_opened(worker)
            except (ChannelClosed, StatusError):
                self._failed.put(worker.failure or CannotServe("a worker ended before it served"))
                return
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or len(self._serving) == workers)
            if self._stopping:
                return
        announce.ports(self._options, self._options.port, self._options.rest_api_port)

    def _publish(self) -> None:
        """Have the workers see every change, until the end."""
        changed = self._lifecycle.changed
        while not self._stopping:
            with changed:
                changed.wait_for(lambda: self._stopping or self._look() != self._fleet.view, 1.0)
            self._fleet.publish()

    def _reload(self, configs: list[Mapping[str, Any]]) -> "Future[None]":
        def reload() -> None:
            try:
                self._lifecycle.reload(configs_from(configs))
            finally:
                self._fleet.publish()

        return self._reloads.submit(reload)

    def _metrics(self) -> "Future[str]":
        def page() -> str:
            self._note(self._pages.collect(PAGE_SECONDS))
            return self._pages.page().decode()

        return self._pages_asked.submit(page)

    def _collect(self) -> None:
        """Keep the counts of workers that may end at any time, and end those that answer nothing."""
        while not self._stops_within(COLLECT_SECONDS):
            self._note(self._pages.collect(PAGE_SECONDS))
            for worker in self._fleet.members:
                if isinstance(worker, WorkerProcess) and time.monotonic() - worker.heard > HUNG_SECONDS:
                    _log.error(
                        "worker process %d has not answered for %g s: it is ended", worker.pid, HUNG_SECONDS
                    )
                    worker.kill()

    def _note(self, answered: set[Member]) -> None:
        for worker in answered:
            if isinstance(worker, WorkerProcess):
                worker.heard = time.monotonic()
