"""Several workers as one, in this process: real channels and followers, servables that only have a name."""

import contextlib
import dataclasses
import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from serving.config_files import ModelConfig, RequestLogging
from serving.fleet import members
from serving.fleet.channel import Channel, ChannelClosed, Operation
from serving.fleet.follower import Follower
from serving.fleet.members import Fleet, view_of
from serving.fleet.supervisor import Supervisor
from serving.fleet.view import ModelView, View, configs_document, configs_from, view_document, view_from
from serving.fleet.worker_process import arguments
from serving.lifecycle import Lifecycle, Unobserved
from serving.loading import RetryPolicy
from serving.options import OptionsError, parse
from serving.policy import All, Latest, Specific
from serving.servable import Servable
from serving.served import RELOADS_AT_ONCE
from serving.states import State, VersionStatus
from wire.errors import Code, StatusError

SECONDS = 20


class Observer(Unobserved):
    """Looks away."""

    def trusted(self, configs: Any) -> None:
        """Look away."""


@dataclasses.dataclass(eq=False)
class Loaded:
    """What a worker of these tests has loaded."""

    path: Path
    open: bool = True

    def close(self) -> None:
        self.open = False


class Worker:
    """One worker: the supervisor's end of its channel, and what is behind the other end."""

    def __init__(self) -> None:
        here, there = socket.socketpair()
        self.loaded: list[Loaded] = []
        self.loading = threading.Event()
        self.refuses: str | None = None
        # Operations that the worker answers only once this is set.
        self.slow: frozenset[str] = frozenset()
        self.goes_on = threading.Event()
        self.channel = Channel(here, {}, lambda: None)
        operations: dict[str, Operation] = {}
        self.other_end = Channel(there, operations, lambda: None)
        self.follower = Follower(self._load, Observer(), self.other_end)
        for name, operation in self.follower.operations().items():
            operations[name] = self._slowed(name, operation)
        self.sockets = (here, there)
        self.channel.start()
        self.other_end.start()

    def ask(self, operation: str, **given: Any) -> "Future[Any]":
        return self.channel.ask(operation, **given)

    def answer(self, model: str = "m") -> int:
        """The version that a request for the latest gets."""
        with self.follower.handle(model) as handle:
            loaded = cast(Loaded, handle.servable)
            assert loaded.open
            assert loaded.path.name == str(handle.version)
            return handle.version

    def die(self) -> None:
        self.channel.close()

    def _load(self, path: Path) -> Servable:
        self.loading.set()
        if "load" in self.slow:
            assert self.goes_on.wait(SECONDS)
        if self.refuses == path.name:
            raise StatusError(Code.DATA_LOSS, "it is damaged")
        self.loaded.append(Loaded(path))
        return cast(Servable, self.loaded[-1])

    def _slowed(self, name: str, operation: Operation) -> Operation:
        def run(**given: Any) -> Any:
            # A load has a thread of its own, what is slow of the rest holds up all.
            if name != "load" and name in self.slow:
                assert self.goes_on.wait(SECONDS)
            return operation(**given)

        return run


@dataclasses.dataclass
class Clock:
    now: float = 0.0


@dataclasses.dataclass
class Server:
    """A lifecycle over a fleet, and its store."""

    fleet: Fleet
    lifecycle: Lifecycle
    base_path: Path
    stack: contextlib.ExitStack
    clock: "Clock"

    def worker(self) -> Worker:
        """A worker that has joined."""
        worker = self.new_worker()
        self.fleet.join(worker)
        return worker

    def new_worker(self) -> Worker:
        worker = Worker()
        self.stack.callback(worker.follower.stop, 0)
        self.stack.callback(worker.die)
        for each in worker.sockets:
            self.stack.callback(each.close)
        return worker

    def write(self, *versions: int) -> None:
        for version in versions:
            path = self.base_path / str(version)
            path.mkdir(parents=True)
            (path / "saved_model.pb").touch()

    def look(self) -> None:
        """Have the lifecycle look at the store and begin what is to be done."""
        self.clock.now += 1
        self.lifecycle.step()

    def until(self, holds: Callable[[], bool]) -> None:
        changed = self.lifecycle.changed
        with changed:
            assert changed.wait_for(holds, SECONDS)

    def state(self, version: int) -> State:
        states = {each.version: each.state for each in self.lifecycle.statuses()["m"]}
        return states.get(version, State.UNKNOWN)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    base_path, clock = tmp_path / "m", Clock()
    fleet = Fleet(lambda: view_of(made.lifecycle))
    with ThreadPoolExecutor(16) as executor, contextlib.ExitStack() as stack:
        lifecycle = Lifecycle(
            [ModelConfig("m", base_path)],
            fleet.load,
            retries=RetryPolicy(0),
            executor=executor,
            clock=lambda: clock.now,
        )
        made = Server(fleet, lifecycle, base_path, stack, clock)
        stack.callback(fleet.close)
        yield made


def serve(server: Server, *versions: int) -> None:
    """Have the store's versions loaded and shown."""
    server.write(*versions)
    server.look()
    server.until(lambda: server.state(max(versions)) == State.AVAILABLE)
    server.fleet.publish()


def test_version_is_available_once_every_worker_has_it(server: Server) -> None:
    fast, slow = server.worker(), server.worker()
    slow.slow = frozenset(["load"])
    server.write(1)
    server.look()
    while not fast.loaded:
        continue
    server.fleet.publish()
    assert server.state(1) == State.LOADING
    assert fast.follower.status("m")[0].state == State.LOADING
    with pytest.raises(StatusError, match="Servable not found"):
        fast.follower.handle("m")
    slow.goes_on.set()
    server.until(lambda: server.state(1) == State.AVAILABLE)
    server.fleet.publish()
    assert (fast.answer(), slow.answer()) == (1, 1)
    assert fast.follower.ready()


def test_no_worker_answers_by_the_new_version_while_one_may_answer_by_the_old(server: Server) -> None:
    first, second = server.worker(), server.worker()
    serve(server, 1)
    server.write(2)
    server.look()
    server.until(lambda: server.state(2) == State.AVAILABLE)
    second.slow = frozenset(["view"])
    with ThreadPoolExecutor(3) as threads:
        publishing = threads.submit(server.fleet.publish)
        while first.follower._view.models["m"].keys.keys() == {1}:
            continue
        # The second has not got the view yet: who asks it now waits, and is answered by the new version.
        asked = threads.submit(second.answer)
        assert first.answer() == 2
        assert not asked.done()
        second.goes_on.set()
        publishing.result(SECONDS)
        assert asked.result(SECONDS) == 2


def test_worker_that_hangs_does_not_hold_up_the_others(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "HOLD_SECONDS", 0.05)
    alive, hung = server.worker(), server.worker()
    serve(server, 1)
    hung.slow = frozenset(["hold", "ping"])
    server.lifecycle.reload([ModelConfig("m", server.base_path, labels={"stable": 1})])
    with ThreadPoolExecutor(1) as threads:
        publishing = threads.submit(server.fleet.publish)
        assert alive.answer() == 1
        assert not publishing.done()
        server.fleet.leave(hung)
        hung.die()
        publishing.result(SECONDS)
        hung.goes_on.set()
    assert alive.follower.labels("m") == {"stable": 1}


def test_version_that_one_worker_cannot_load_is_on_none(server: Server) -> None:
    good, bad = server.worker(), server.worker()
    serve(server, 1)
    bad.refuses = "2"
    server.write(2)
    server.look()
    server.until(lambda: server.state(2) == State.END)
    server.fleet.publish()
    assert (good.answer(), bad.answer()) == (1, 1)
    assert not next(each for each in good.loaded if each.path.name == "2").open
    assert good.follower.status("m", 2) == [VersionStatus(2, State.END, Code.DATA_LOSS, "it is damaged")]


def test_new_worker_has_what_the_others_serve_when_it_joins(server: Server) -> None:
    old = server.worker()
    serve(server, 1)
    old.die()
    server.fleet.leave(old)
    new = server.worker()
    assert new.answer() == 1
    assert new.follower.status("m") == [VersionStatus(1, State.AVAILABLE)]


def test_worker_that_joins_during_a_load_loads_it_too(server: Server) -> None:
    first = server.worker()
    first.slow = frozenset(["load"])
    server.write(1)
    server.look()
    assert first.loading.wait(SECONDS)
    second = server.worker()
    first.goes_on.set()
    server.until(lambda: server.state(1) == State.AVAILABLE)
    server.fleet.publish()
    assert (first.answer(), second.answer()) == (1, 1)


def test_load_of_which_all_workers_die_fails(server: Server) -> None:
    worker = server.worker()
    worker.slow = frozenset(["load"])
    server.write(1)
    server.look()
    assert worker.loading.wait(SECONDS)
    server.fleet.leave(worker)
    worker.die()
    server.until(lambda: server.state(1) == State.END)
    worker.goes_on.set()
    assert "process ended" in server.lifecycle.status("m")[0].message


def test_version_that_ends_the_process_that_loads_it_ends_one_while_others_serve(server: Server) -> None:
    first, second = server.worker(), server.worker()
    serve(server, 1)
    first.slow = frozenset(["load"])
    first.loading.clear()
    server.write(2)
    server.look()
    assert first.loading.wait(SECONDS)
    first.die()
    server.until(lambda: server.state(2) == State.END)
    first.goes_on.set()
    assert [each.path.name for each in second.loaded] == ["1"]
    assert second.answer() == 1


def test_old_version_is_freed_once_no_request_holds_it_on_any_worker(server: Server) -> None:
    first, second = server.worker(), server.worker()
    serve(server, 1)
    held = second.follower.handle("m")
    server.write(2)
    server.look()
    server.until(lambda: server.state(2) == State.AVAILABLE)
    server.look()
    while first.loaded[0].open:
        continue
    assert server.state(1) == State.UNLOADING
    assert second.loaded[0].open
    held.release()
    server.until(lambda: server.state(1) == State.END)
    assert not second.loaded[0].open


def test_reload_that_the_supervisor_refuses_reaches_the_caller() -> None:
    def reload(configs: Any) -> None:
        assert configs_from(configs) == (ModelConfig("m", Path("/m")),)
        raise StatusError(Code.UNKNOWN, "no such model")

    here, there = socket.socketpair()
    with here, there:
        supervisor = Channel(here, {"reload": reload}, lambda: None)
        other_end = Channel(there, {}, lambda: None)
        supervisor.start()
        other_end.start()
        follower = Follower(lambda path: cast(Servable, None), Observer(), other_end)
        with pytest.raises(StatusError, match="no such model") as refusal:
            follower.reload([ModelConfig("m", Path("/m"))])
        assert refusal.value.code == Code.UNKNOWN
        supervisor.close()
        with pytest.raises(StatusError, match="shutting down"):
            follower.reload([])


def test_metrics_page_comes_while_reloads_wait_for_their_models(tmp_path: Path) -> None:
    supervisor = Supervisor(parse(["--workers=2", f"--model_store_root={tmp_path}"]), queue.SimpleQueue())
    lifecycle, changed = supervisor._lifecycle, supervisor._lifecycle.changed
    configs: list[ModelConfig] = []
    reloads = []
    try:
        for number in range(RELOADS_AT_ONCE):
            # Nothing looks for versions, so each waits for the model that it adds.
            configs.append(ModelConfig(f"m{number}", tmp_path))
            reloads.append(supervisor._reload(configs_document(configs)))
            with changed:
                assert changed.wait_for(lambda: len(lifecycle.statuses()) == len(configs), SECONDS)
        assert "kedge_workers{} 0" in supervisor._metrics().result(SECONDS)
        assert not any(each.done() for each in reloads)
    finally:
        lifecycle.stop(0)
        supervisor.stop(0)


def test_channel_tells_who_waits_that_the_other_end_is_gone() -> None:
    closed = threading.Event()
    here, there = socket.socketpair()
    with here, there:
        never: Future[None] = Future()
        one = Channel(here, {}, closed.set)
        other = Channel(there, {"never": lambda: never, "fault": lambda: 1 / 0}, lambda: None)
        one.start()
        other.start()
        with pytest.raises(StatusError, match="ZeroDivisionError in the server"):
            one.ask("fault").result(SECONDS)
        waiting = one.ask("never")
        other.close()
        with pytest.raises(ChannelClosed):
            waiting.result(SECONDS)
        assert closed.wait(SECONDS)
        with pytest.raises(ChannelClosed):
            one.ask("never").result(SECONDS)


def test_view_and_configurations_come_out_as_they_went_in() -> None:
    statuses = (VersionStatus(2**40, State.END, Code.DATA_LOSS, "bad"), VersionStatus(1, State.AVAILABLE))
    policies = (Latest(3), All(), Specific((1, 5)))
    configs = tuple(ModelConfig(f"m{each}", Path("/m"), each, {"a": 1}) for each in policies)
    logged = dataclasses.replace(configs[0], logging=RequestLogging("/log/m", 0.5))
    assert configs_from(configs_document((*configs, logged))) == (*configs, logged)
    models = {"m": ModelView(statuses, {1: 7}, {"stable": 1}), "none": ModelView()}
    view = View(models, ready=True, configs=configs, own=(logged,))
    assert view_from(json.loads(json.dumps(view_document(view)))) == view


def test_worker_gets_the_options_of_its_supervisor() -> None:
    flags = ["--workers=2", "--model_store_root=/a b", "--enable_batching", "--enable_model_warmup=false"]
    options = parse([*flags, "--load_retry_interval_micros=-1", "--shutdown_grace_seconds=0.5"])
    assert parse(arguments(dataclasses.replace(options, report_ports_fd=3))) == options


@pytest.mark.parametrize("more", [["--workers=0"], ["--workers=2", "--grpc_socket_path=/s"]])
def test_workers_that_cannot_be_are_refused(more: list[str]) -> None:
    with pytest.raises(OptionsError, match="--workers"):
        parse(["--model_store_root=/m", *more])
