"""`--workers=2` as its clients see it: one server, whichever of its processes a connection leads to."""

import collections
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from serving import embedded
from tests.serving import saved_models
from tests.serving.servers import PREDICTION, Question
from wire import messages
from wire.tensors import to_array

# Enough connections that all of them lead to the same of two workers once in 500,000 times.
MANY = 20
SECONDS = 60
CLIENTS = 4
BROKEN = (ConnectionError, http.client.HTTPException)
# What the versions of the model "plus" answer to 1.
RIGHT = {"1": 11.0, "2": 21.0}
PAGE = "/monitoring/prometheus/metrics"


def plus(path: Path, number: float) -> Path:
    """`x` [n] → `y` = x + number, so that an answer tells which version gave it."""
    from serving.session import tensorflow

    tf = tensorflow().compat.v1

    def signatures() -> dict[str, Any]:
        x = tf.placeholder(tf.float32, [None], name="x")
        return {"serving_default": saved_models.signature({"x": x}, {"y": x + number})}

    written = saved_models.export(path.with_name(f".{path.name}"), signatures)
    return written.rename(path)


@dataclass(frozen=True)
class Answer:
    """An answer of REST, or of gRPC as REST would give it, and when it was asked for and had."""

    status: int
    version: str
    body: bytes
    asked: float
    had: float

    @property
    def document(self) -> Any:
        return json.loads(self.body)


Ask = Callable[[str], Answer]


@dataclass(frozen=True)
class Workers:
    """A server of two workers over a store; each question has a connection of its own."""

    server: embedded.Server
    store: Path

    def ask(self, path: str, body: bytes | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.rest_port, timeout=SECONDS)
        asked = time.monotonic()
        try:
            connection.request("GET" if body is None else "POST", path, body)
            response = connection.getresponse()
            version = response.headers.get("X-Kedge-Model-Version", "")
            return Answer(response.status, version, response.read(), asked, time.monotonic())
        finally:
            connection.close()

    def predict_by_grpc(self, model: str) -> Answer:
        """Predict on a new connection; ConnectionError when it breaks, as over REST."""
        target = f"127.0.0.1:{self.server.grpc_port}"
        request = Question(model, {"x": np.ones(1, np.float32)}).request().SerializeToString()
        asked = time.monotonic()
        with grpc.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            try:
                answer = channel.unary_unary(f"/{PREDICTION}/Predict")(request, timeout=SECONDS)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:  # type: ignore[attr-defined]
                    raise
                raise ConnectionError from error
        response = messages.PredictResponse.FromString(answer)
        outputs = json.dumps({"predictions": to_array(response.outputs["y"]).tolist()})
        version = str(response.model_spec.version.value)
        return Answer(200, version, outputs.encode(), asked, time.monotonic())

    def predict(self, model: str, chosen: str = "") -> Answer:
        return self.ask(f"/v1/models/{model}{chosen}:predict", b'{"instances": [1.0]}')

    def each(self, path: str) -> list[Answer]:
        return [self.ask(path) for _ in range(MANY)]

    def sample(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (.*)$", self.ask(PAGE).body.decode(), re.MULTILINE)
        return float(found[1]) if found else 0

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < end, "it did not come to this in time"

    def pids(self) -> list[int]:
        pid = self.server.pid
        return [
            int(child)
            for thread in Path(f"/proc/{pid}/task").iterdir()
            for child in (thread / "children").read_text().split()
        ]

    def reload(self, config: str) -> None:
        """HandleReloadConfigRequest, to whichever worker takes the connection."""
        from google.protobuf import text_format
        from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

        request = text_format.Parse(f"config {{ model_config_list {{ {config} }} }}", ReloadConfigRequest())
        with grpc.insecure_channel(f"127.0.0.1:{self.server.grpc_port}") as channel:
            call = channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")
            call(request.SerializeToString(), timeout=SECONDS)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    store = tmp_path_factory.mktemp("store")
    plus(store / "plus" / "1", 10)
    with embedded.running(["--workers=2", f"--model_store_root={store}"], grace=20, timeout=180) as server:
        yield Workers(server, store)


def under_load(
    workers: Workers, happens: Callable[[], None], ask: Callable[[Ask], Answer] = lambda each: each("plus")
) -> list[Answer]:
    """What is answered to four clients, two each over REST and gRPC, that ask while something happens."""
    over = threading.Event()

    def client(transport: Ask) -> list[Answer]:
        answers = []
        while not over.is_set():
            answers.append(ask(transport))
        return answers

    transports = (workers.predict, workers.predict_by_grpc) * (CLIENTS // 2)
    with ThreadPoolExecutor(CLIENTS) as clients:
        asking = [clients.submit(client, each) for each in transports]
        try:
            happens()
        finally:
            over.set()
        return [answer for each in asking for answer in each.result()]


def records(path: Path) -> list[bytes]:
    from serving.session import tensorflow

    return list(tensorflow().data.TFRecordDataset(str(path)).as_numpy_iterator())


def is_gone(pid: int) -> bool:
    """Whether a process has ended with all its threads, and the supervisor knows."""
    return not Path(f"/proc/{pid}").exists()


def config(store: Path, name: str, base: str, more: str = "") -> str:
    return f'config {{ name: "{name}" base_path: "{store}/{base}" model_platform: "tensorflow" {more} }}'


def test_metrics_page_of_any_worker_counts_the_requests_of_all(workers: Workers) -> None:
    name = ':tensorflow:serving:request_count{model_name="plus",status="OK"}'
    before = workers.sample(name)
    for _ in range(MANY):
        workers.predict("plus")
    assert {workers.sample(name) for _ in range(MANY)} == {before + MANY}
    assert workers.sample("kedge_workers{}") == 2


def test_metrics_page_keeps_the_form_of_one_process(workers: Workers) -> None:
    workers.predict("plus")
    lines = workers.ask(PAGE).body.decode().splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert names == sorted(set(names))
    latency = [line for line in lines if line.startswith(":tensorflow:serving:request_latency_bucket")]
    assert latency[0].partition('le="')[2].startswith('10"}')
    counts = [float(line.rpartition(" ")[2]) for line in latency[:34]]
    assert counts == sorted(counts)


def test_version_swap_is_seen_by_all_connections_at_once(workers: Workers) -> None:
    def swap() -> None:
        plus(workers.store / "plus" / "2", 20)
        path = "/v1/models/plus/versions/1"
        workers.until(lambda: b'"END"' in workers.ask(path).body)

    answers = under_load(workers, swap)

    assert {each.status for each in answers} == {200}
    assert not [each for each in answers if each.document != {"predictions": [RIGHT[each.version]]}]
    assert collections.Counter(each.version for each in answers).keys() == {"1", "2"}
    switched = min(each.had for each in answers if each.version == "2")
    assert not [each for each in answers if each.version == "1" and each.asked > switched]


def test_reload_of_one_worker_is_in_force_on_all(workers: Workers) -> None:
    plus(workers.store / "labelled" / "7", 70)
    plus(workers.store / "labelled" / "8", 80)
    every = "model_version_policy { all {} }"
    label = 'version_labels { key: "stable" value: 7 }'
    workers.reload(config(workers.store, "again", "labelled", f"{every} {label}"))
    workers.until(lambda: workers.ask("/v1/models/again").body.count(b"AVAILABLE") == 2)
    assert [each.version for each in map(workers.predict, ["again"] * MANY)] == ["8"] * MANY
    stable = [workers.predict("again", "/labels/stable") for _ in range(MANY)]
    assert [each.document for each in stable] == [{"predictions": [71.0]}] * MANY
    states = {each.body for each in workers.each("/v1/models/again")}
    assert len(states) == 1
    assert states.pop().count(b"AVAILABLE") == 2


def test_refused_reload_gives_the_reason_to_its_caller(workers: Workers) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        workers.reload(config(workers.store, "nowhere", "nowhere"))
    assert refusal.value.code() == grpc.StatusCode.UNKNOWN  # type: ignore[attr-defined]
    assert "nowhere" in refusal.value.details()  # type: ignore[attr-defined]
    workers.reload("")


def test_killed_worker_costs_only_its_connections_and_is_replaced(workers: Workers) -> None:
    name = ':tensorflow:serving:request_count{model_name="plus",status="OK"}'
    deaths, counted = workers.sample("kedge_worker_deaths_total{}"), workers.sample(name)
    version = workers.predict("plus").version
    victim, broken = workers.pids()[0], []

    def ask(transport: Ask) -> Answer:
        try:
            return transport("plus")
        except BROKEN as error:
            broken.append(error)
            # Until then its ports are open: a connection may lead there still.
            workers.until(lambda: is_gone(victim))
            return transport("plus")

    def die() -> None:
        os.kill(victim, signal.SIGKILL)
        workers.until(lambda: is_gone(victim))
        workers.until(lambda: workers.sample("kedge_worker_deaths_total{}") == deaths + 1)
        workers.until(lambda: workers.sample("kedge_workers{}") == 2)

    answers = under_load(workers, die, ask)

    # Of each client one at most: the other worker's connections are not touched.
    assert len(broken) <= CLIENTS
    assert {(each.status, each.version) for each in answers} == {(200, version)}
    assert {each.document["predictions"][0] for each in answers} == {RIGHT[version]}
    assert victim not in workers.pids()
    assert len(workers.pids()) == 2
    assert workers.sample(name) >= counted
    assert {each.version for each in map(workers.predict, ["plus"] * MANY)} == {version}


def test_workers_told_to_stop_answer_what_is_under_way_log_it_and_end(tmp_path: Path) -> None:
    saved_models.peculiar(tmp_path / "peculiar" / "1")
    long = b'{"signature_name": "endless", "instances": [100000.0]}'
    log = tmp_path / "log" / "requests"
    logging = [f"--request_log_prefix={log}", "--request_log_sampling_rate=1"]
    with embedded.running(
        ["--workers=2", f"--model_store_root={tmp_path}", *logging], grace=40, timeout=180
    ) as server:
        workers = Workers(server, tmp_path)
        pids = workers.pids()
        with ThreadPoolExecutor(1) as clients:
            for _ in range(MANY):
                workers.ask("/v1/models/peculiar:predict", long.replace(b"100000", b"1"))
            under_way = clients.submit(workers.ask, "/v1/models/peculiar:predict", long)
            workers.until(lambda: workers.sample('kedge_requests_in_flight{transport="rest"}') == 1)
            os.kill(server.pid, signal.SIGTERM)
            assert under_way.result().document == {"predictions": [200000.0]}
            workers.until(lambda: all(is_gone(pid) for pid in pids))
    files = sorted(log.parent.iterdir())
    assert len(files) == 2, "each worker has a file of its own"
    assert sum(len(records(file)) for file in files) == MANY + 1


def test_worker_that_cannot_start_ends_the_server_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "batching").write_text("max_batch_size: 32")
    batching = ["--enable_batching", f"--batching_parameters_file={tmp_path / 'batching'}"]
    with (
        pytest.raises(embedded.ServerDied, match=r"code 2; its last line: kedge: .*batching"),
        embedded.running(["--workers=2", f"--model_store_root={tmp_path}", *batching]),
    ):
        pytest.fail("it must not come up")


def test_port_that_another_program_has_is_not_shared_with_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(embedded.ServerDied, match=f"code 2; its last line: kedge: .*--port={port}"),
            embedded.running(["--workers=2", f"--model_store_root={tmp_path}", f"--port={port}"]),
        ):
            pytest.fail("it must not come up")
