"""Scenarios: versions, labels, reloads and warm-up, on servers with stores of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from . import models, servers, tables, talk
from .lifecycle_steps import (
    Begin,
    Finish,
    Mend,
    Now,
    Publish,
    Remove,
    Rewrite,
    Scenario,
    Step,
    Terminate,
    Throughout,
    Until,
)
from .table import Grpc, Rest

PATIENCE = 20.0
"""Seconds until what must come in the end has come; a look at the disk is due every second."""


@tables.each(Scenario)
def test_scenario(row: Scenario, request: pytest.FixtureRequest) -> None:
    stage: Stage = request.getfixturevalue(f"{row.server}_stage")
    for step in row.steps:
        stage.take(step)


@dataclass
class Stage:
    """A server and its store, and the call that was begun on it."""

    server: talk.Server
    store: Path
    threads: ThreadPoolExecutor
    begun: list[Callable[[], None]] = field(default_factory=list)
    drafts: Iterator[int] = field(default_factory=itertools.count)

    def take(self, step: Step) -> None:
        if isinstance(step, Publish | Remove | Mend | Rewrite):
            self.change(step)
        else:
            self.ask(step)

    def change(self, step: Publish | Remove | Mend | Rewrite) -> None:
        match step:
            case Publish():
                self.publish(step)
            case Remove(path):
                self.remove(self.store / path)
            case Mend(model, version):
                self.mend(self.store / model / version)
            case Rewrite(text):
                self.rewrite(text)

    def ask(self, step: Now | Until | Begin | Finish | Terminate | Throughout) -> None:
        match step:
            case Now(call):
                self.check(call)
            case Until(call):
                talk.eventually(lambda: self.check(call), seconds=PATIENCE)
            case Begin(call):
                self.begun.append(talk.begin(self.server, self.placed(call)))
            case Finish():
                self.begun.pop()()
            case Terminate():
                assert self.server.pid is not None
                os.kill(self.server.pid, signal.SIGTERM)
            case Throughout(call, steps):
                self.throughout(call, steps)

    def check(self, call: Grpc | Rest) -> None:
        talk.check(self.server, self.placed(call) if isinstance(call, Grpc) else call)

    def placed(self, call: Grpc) -> Grpc:
        """The call with the store's directory filled in."""
        assert isinstance(call.request, str)
        return dataclasses.replace(call, request=call.request.replace("{store}", str(self.store)))

    def publish(self, step: Publish) -> None:
        draft = self.store / f".draft{next(self.drafts)}"
        match step.kind:
            case "file":
                draft.write_text("no directory")
            case "empty":
                draft.mkdir()
            case "broken":
                draft.mkdir()
                (draft / "saved_model.pb").write_bytes(b"no model")
            case "slow":
                models.save(draft, models.slow)
            case "scalar":
                models.save(draft, models.scalar)
            case _:
                models.save(draft, models.half_plus(step.adds))
        if step.kind == "warmed":
            records = (r if isinstance(r, bytes) else models.prediction_log(r) for r in step.records)
            models.warm_up(draft, *records)
        if step.file is not None:
            (draft / models.WARM_UP_FILE).write_bytes(step.file)
        if step.batching is not None:
            (draft / "batching_params.pbtxt").write_text(step.batching)
        place = self.store / step.model / step.version
        place.parent.mkdir(exist_ok=True)
        draft.rename(place)

    def remove(self, path: Path) -> None:
        """At once, as far as a server can see."""
        rubbish = self.store / f".rubbish{next(self.drafts)}"
        path.rename(rubbish)
        shutil.rmtree(rubbish)

    def mend(self, directory: Path) -> None:
        good = self.store / f".draft{next(self.drafts)}"
        models.save(good, models.half_plus(0))
        shutil.copytree(good, directory, dirs_exist_ok=True)

    def rewrite(self, text: str) -> None:
        draft = self.store / ".models.config"
        draft.write_text(text.replace("{store}", str(self.store)))
        draft.rename(self.store / "models.config")

    def throughout(self, call: Grpc, steps: tuple[Step, ...]) -> None:
        done = threading.Event()
        self.check(call)

        def ask() -> None:
            while not done.is_set():
                self.check(call)

        asking = self.threads.submit(ask)
        try:
            for step in steps:
                self.take(step)
        finally:
            done.set()
        asking.result(PATIENCE)
        self.check(call)


@contextlib.contextmanager
def _stage(name: str, store: Path) -> Iterator[Stage]:
    (store / "models.config").write_text("model_config_list {}")
    with servers.running(name, store) as server, ThreadPoolExecutor(4) as threads:
        yield Stage(server, store, threads)


@pytest.fixture(scope="module")
def lifecycle_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with _stage("lifecycle", tmp_path_factory.mktemp("lifecycle")) as stage:
        yield stage


@pytest.fixture(scope="module")
def polled_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with _stage("polled", tmp_path_factory.mktemp("polled")) as stage:
        yield stage
