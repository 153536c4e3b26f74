"""Servers while something goes wrong: no accepted request is lost, none answered by the wrong version."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from serving import embedded
from serving.embedded import Server
from tests.serving import saved_models
from tests.serving.servers import PREDICTION, Question
from wire import messages

PREDICT = f"/{PREDICTION}/Predict"
VERSION_HEADER = "X-Kedge-Model-Version"
ENDLESS = Question("peculiar", {"x": np.array([np.inf], np.float32)}, signature="endless")
CONFIG = """
model_config_list {{ config {{ name: "m" base_path: "{base}" model_platform: "tensorflow" {more} }} }}
"""


def _version(base: Path, number: int) -> Path:
    """Publish a version whose answer is its number: written beside the versions, and renamed into place."""
    made = saved_models.constant(base.parent / f".staging-{base.name}-{number}", float(number))
    base.mkdir(exist_ok=True)
    return made.rename(base / str(number))


@dataclass
class Load:
    """What clients over both transports were answered: the version that was named, and the one that spoke."""

    answers: list[tuple[int, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, client: Callable[[], tuple[int, float]]) -> None:
        """Ask until told to stop."""
        while not self.stop.is_set():
            try:
                self.answers.append(client())
            except Exception as error:  # noqa: BLE001 - each is a request that was lost.
                self.failures.append(repr(error))

    def served(self, version: int) -> bool:
        return any(named == version for named, _ in self.answers[-50:])


def _by_grpc(channel: grpc.Channel) -> tuple[int, float]:
    request = Question("m").request().SerializeToString()
    answer = messages.PredictResponse.FromString(channel.unary_unary(PREDICT)(request, timeout=30))
    return answer.model_spec.version.value, answer.outputs["y"].float_val[0]


def _by_rest(connection: http.client.HTTPConnection) -> tuple[int, float]:
    connection.request("POST", "/v1/models/m:predict", Question("m").body())
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return int(answer.headers[VERSION_HEADER]), json.loads(body)["outputs"][0]


@contextlib.contextmanager
def _load(server: Server) -> Iterator[Load]:
    """Two clients of each transport that ask without a pause; at the end nothing may have failed."""
    load = Load()
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(4) as threads:
        for _ in range(2):
            channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}"))
            connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
            stack.callback(connection.close)
            threads.submit(load.ask, lambda channel=channel: _by_grpc(channel))
            threads.submit(load.ask, lambda connection=connection: _by_rest(connection))
        try:
            _until(lambda: len(load.answers) > 20 or load.failures)
            yield load
        finally:
            load.stop.set()
            threads.shutdown()
    assert load.failures == []
    assert {answer for answer in load.answers if answer[0] != answer[1]} == set()


def _until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def _states(server: Server) -> dict[str, str]:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
    ) as connection:
        connection.request("GET", "/v1/models/m")
        found = json.loads(connection.getresponse().read())["model_version_status"]
        return {each["version"]: each["state"] for each in found}


@pytest.mark.parametrize("workers", [1, 2])
def test_versions_are_swapped_under_load(tmp_path: Path, workers: int) -> None:
    base = tmp_path / "m"
    _version(base, 1)
    flags = [f"--model_base_path={base}", "--model_name=m", f"--workers={workers}"]
    with embedded.running(flags) as server, _load(server) as load:
        for number in (2, 3, 4):
            _version(base, number)
            _until(lambda number=number: load.served(number))
            _until(lambda number=number: _states(server)[str(number - 1)] == "END")
        # And back: what is newest is taken away.
        shutil.move(base / "4", tmp_path / "taken")
        _until(lambda: load.served(3) and _states(server)["4"] == "END")


def test_garbage_in_the_config_file_changes_nothing_under_load(tmp_path: Path) -> None:
    base, config = tmp_path / "m", tmp_path / "models.config"
    _version(base, 1)
    config.write_text(CONFIG.format(base=base, more=""))
    flags = [f"--model_config_file={config}", "--model_config_file_poll_wait_seconds=1"]
    with embedded.running(flags) as server, _load(server) as load:
        for garbage in (b"\x00\xff garbage", b"", b"model_config_list { config {", None):
            if garbage is None:
                config.unlink()
            else:
                config.write_bytes(garbage)
            asked = len(load.answers)
            looked = time.monotonic() + 1.5
            _until(
                lambda asked=asked, looked=looked: (
                    len(load.answers) > asked + 20 and time.monotonic() > looked
                )
            )
        _version(base, 2)
        _until(lambda: load.served(2))
        labels = 'model_version_policy { all {} } version_labels { key: "old" value: 1 }'
        config.write_text(CONFIG.format(base=base, more=labels))
        _until(lambda: _states(server) == {"1": "AVAILABLE", "2": "AVAILABLE"})


def test_base_path_that_goes_and_comes_back_under_load(tmp_path: Path) -> None:
    base = tmp_path / "m"
    _version(base, 1)
    with embedded.running([f"--model_base_path={base}", "--model_name=m"]) as server, _load(server) as load:
        base.rename(tmp_path / "gone")
        asked, looked = len(load.answers), time.monotonic() + 1.5
        _until(lambda: len(load.answers) > asked + 20 and time.monotonic() > looked)
        assert _states(server) == {"1": "AVAILABLE"}
        (tmp_path / "gone").rename(base)
        _version(base, 2)
        _until(lambda: load.served(2))


def test_server_killed_and_started_again_serves_the_same(tmp_path: Path) -> None:
    base, config = tmp_path / "m", tmp_path / "models.config"
    for number in (1, 2):
        _version(base, number)
    labels = 'model_version_policy { all {} } version_labels { key: "stable" value: 1 }'
    config.write_text(CONFIG.format(base=base, more=labels))
    seen: list[Any] = []
    for _ in range(2):
        with embedded.running([f"--model_config_file={config}"]) as server:
            with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
                labelled = Question("m", label="stable").request().SerializeToString()
                answer = channel.unary_unary(PREDICT)(labelled, timeout=30)
                seen.append((_states(server), _by_grpc(channel), answer))
            os.kill(server.pid, signal.SIGKILL)
    assert seen[0] == seen[1]
    assert messages.PredictResponse.FromString(seen[0][2]).outputs["y"].float_val[0] == 1


def _alive(pid: int) -> bool:
    """Whether a child still runs; one that has ended is left for its parent to reap."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def test_sigterm_ends_the_server_beside_hung_clients_and_runs_without_end(tmp_path: Path) -> None:
    saved_models.peculiar(tmp_path / "1")
    flags = [f"--model_base_path={tmp_path}", "--model_name=peculiar", "--shutdown_grace_seconds=1"]
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(embedded.running(flags, grace=60))
        hung = [
            socket.create_connection(("127.0.0.1", port))
            for port in (server.rest_port, server.rest_port, server.grpc_port)
        ]
        for connection in hung:
            stack.callback(connection.close)
        # Half a request; the other two send nothing.
        hung[0].sendall(
            b"POST /v1/models/peculiar:predict HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\n{"
        )
        channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}"))
        endless = channel.unary_unary(PREDICT).future(ENDLESS.request().SerializeToString())
        _until(lambda: _in_flight(server) >= 2)
        told = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        _until(lambda: not _alive(server.pid), 20)
        assert time.monotonic() - told < 1 + 4
        assert endless.exception(timeout=5) is not None


def _in_flight(server: Server) -> int:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
    ) as connection:
        connection.request("GET", "/monitoring/prometheus/metrics")
        lines: Sequence[str] = connection.getresponse().read().decode().splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith("kedge_requests_in_flight{"))
