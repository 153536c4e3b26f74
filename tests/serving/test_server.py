"""The server as a whole: how it starts and stops, in this process and in one of its own."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2

from serving import embedded, options, ports
from serving.config_files import ModelConfig
from serving.lifecycle import Lifecycle
from serving.observation import Observation
from serving.server import ModelServer
from tests.serving import saved_models
from tests.serving.servers import MODEL, PREDICTION, Endpoint, Question, serving
from wire import messages
from wire.errors import Code, StatusError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The base path of half_plus_two."""
    saved_models.half_plus_two(tmp_path / "half_plus_two" / "1")
    return tmp_path / "half_plus_two"


@pytest.fixture
def key_and_certificate(tmp_path: Path) -> tuple[str, str]:
    """PEM texts for 127.0.0.1, by the openssl of this machine."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return key.read_text(), certificate.read_text()


STORE = "--model_store_root=models"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def _flags(model: Path) -> list[str]:
    return [f"--model_base_path={model}", f"--model_name={model.name}"]


@pytest.mark.parametrize("flag", ["port", "rest_api_port"])
async def test_port_that_is_taken_is_told_with_its_flag(model: Path, taken_port: int, flag: str) -> None:
    free = {"port": -1, "rest_api_port": -1, flag: taken_port}
    given = options.parse([*_flags(model), *(f"--{name}={port}" for name, port in free.items())])
    server = ModelServer(given)
    with pytest.raises(ports.StartError, match=f"--{flag}={taken_port}: Address already in use"):
        await server.start()


def test_port_of_which_two_are_sure_goes_to_the_first_that_listens() -> None:
    """While they load their models, nobody listens yet."""
    with contextlib.ExitStack() as closing:
        first = ports.bound_socket(options.parse([STORE, "--port=-1"]), "port", closing)
        assert first is not None
        number = first.getsockname()[1]
        second = ports.bound_socket(options.parse([STORE, f"--port={number}"]), "port", closing)
        assert second is not None
        ports.listen(first, "port")
        with pytest.raises(ports.StartError, match=f"--port={number}: Address already in use"):
            ports.listen(second, "port")


async def test_port_0_turns_rest_off(model: Path) -> None:
    async with serving(*_flags(model), "--rest_api_port=0") as endpoint:
        assert endpoint.server.rest_port == 0
        assert await endpoint.predict("grpc", Question()) == {"y": [2.5, 3.0, 4.5]}


async def test_unix_socket_serves_grpc_alone(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "grpc.sock"
    async with serving(*_flags(model), "--port=0", f"--grpc_socket_path={path}") as endpoint:
        assert endpoint.server.grpc_port == 0
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            call = channel.unary_unary(f"/{PREDICTION}/Predict")
            answer = await call(Question().request().SerializeToString(), timeout=20)
    assert messages.PredictResponse.FromString(answer).model_spec.version.value == 1
    assert not path.exists()


async def test_unix_socket_that_was_left_behind_is_replaced(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "grpc.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with serving(*_flags(model), "--port=0", f"--grpc_socket_path={path}"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


@pytest.mark.parametrize("taken", ["socket", "file"])
async def test_unix_socket_that_is_taken_is_told_with_its_flag(
    model: Path, tmp_path: Path, taken: str
) -> None:
    path = tmp_path / "grpc.sock"
    with socket.socket(socket.AF_UNIX) as other:
        if taken == "socket":
            other.bind(str(path))
            other.listen()
        else:
            path.write_text("kept")
        server = ModelServer(options.parse([*_flags(model), "--port=0", f"--grpc_socket_path={path}"]))
        with pytest.raises(ports.StartError, match=f"--grpc_socket_path={path}: Address already in use"):
            await server.start()
    assert path.exists()


async def test_tls_from_the_file_guards_the_grpc_port(
    model: Path, tmp_path: Path, key_and_certificate: tuple[str, str]
) -> None:
    key, certificate = key_and_certificate
    file = tmp_path / "ssl.config"
    file.write_text(f"server_key: {json.dumps(key)} server_cert: {json.dumps(certificate)}")
    async with serving(*_flags(model), f"--ssl_config_file={file}") as endpoint:
        credentials = grpc.ssl_channel_credentials(certificate.encode())
        async with grpc.aio.secure_channel(f"127.0.0.1:{endpoint.server.grpc_port}", credentials) as channel:
            call = channel.unary_unary(f"/{PREDICTION}/Predict")
            assert await call(Question().request().SerializeToString(), timeout=20)
        with pytest.raises(StatusError) as refusal:
            await endpoint.predict("grpc", Question())
        assert refusal.value.code == Code.UNAVAILABLE


async def test_server_serves_what_loads_beside_what_does_not(model: Path) -> None:
    saved_models.broken(model.parent / "broken" / "1")
    async with serving(f"--model_store_root={model.parent}", "--max_num_load_retries=0") as endpoint:
        assert await endpoint.predict("rest", Question()) == {"y": [2.5, 3.0, 4.5]}
        with pytest.raises(StatusError, match=re.escape("Latest(broken)")):
            await endpoint.predict("rest", Question("broken"))


async def test_batching_file_is_in_force(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "batching.config"
    file.write_text("max_batch_size { value: 2 }")
    batching = ("--enable_batching", f"--batching_parameters_file={file}")
    async with serving(*_flags(model), *batching) as endpoint:
        with pytest.raises(StatusError, match="Task size 3 is larger than maximum input batch size 2"):
            await endpoint.predict("grpc", Question())


async def test_labels_follow_the_polled_config_file(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    text = f'name: "m" base_path: "{model}" model_platform: "tensorflow"'
    file.write_text(f"model_config_list {{ config {{ {text} }} }}")
    poll = "--model_config_file_poll_wait_seconds=1"
    async with serving(f"--model_config_file={file}", poll) as endpoint:
        labelled = f'{text} version_labels {{ key: "stable" value: 1 }}'
        (tmp_path / "next").write_text(f"model_config_list {{ config {{ {labelled} }} }}")
        (tmp_path / "next").rename(file)
        labels: dict[str, str] = {}
        async with asyncio.timeout(20):
            while not labels:
                labels = (await endpoint.rest("GET", "/v1/models")).document["models"][0]["version_labels"]
        assert labels == {"stable": "1"}
        assert await endpoint.predict("rest", Question("m", label="stable")) == {"y": [2.5, 3.0, 4.5]}


LONG = Question("peculiar", {"x": np.array([100_000], np.float32)}, signature="endless")


@contextlib.asynccontextmanager
async def _stopping(endpoint: Endpoint) -> AsyncIterator[asyncio.Task[dict[str, Any]]]:
    """A long request under way on a server that has been told to stop; the request's task."""
    under_way = asyncio.create_task(endpoint.predict("grpc", LONG))
    await endpoint.until_sample('kedge_requests_in_flight{transport="grpc"} ', 1)
    stopping = asyncio.create_task(endpoint.server.stop())
    async with asyncio.timeout(20):
        while (await endpoint.rest("GET", "/readyz")).status != 503:
            continue
    yield under_way
    assert await stopping, "the request under way was to be waited for"


async def test_stop_answers_what_is_under_way_and_refuses_the_rest(tmp_path: Path) -> None:
    saved_models.peculiar(tmp_path / "peculiar" / "1")
    short = Question("peculiar", {"x": np.array([1], np.float32)}, signature="positive")
    async with serving(f"--model_store_root={tmp_path}") as endpoint, _stopping(endpoint) as under_way:
        for transport in ("grpc", "rest"):
            with pytest.raises(StatusError, match="The server is shutting down") as refusal:
                await endpoint.predict(transport, short)
            assert refusal.value.code == Code.UNAVAILABLE
        assert (await endpoint.rest("GET", "/healthz")).status == 200
        health = await endpoint.call("grpc.health.v1.Health/Check", b"", health_pb2.HealthCheckResponse)
        assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not under_way.done()
        assert await under_way == {"y": [200_000.0]}


async def test_stop_cuts_off_what_is_left_after_the_grace(tmp_path: Path) -> None:
    saved_models.peculiar(tmp_path / "peculiar" / "1")
    endless = Question("peculiar", {"x": np.array([np.inf], np.float32)}, signature="endless")
    async with serving(f"--model_store_root={tmp_path}", "--rest_api_timeout_in_ms=2000") as endpoint:
        under_way = asyncio.create_task(endpoint.predict("rest", endless))
        await endpoint.until_sample('kedge_requests_in_flight{transport="rest"} ', 1)
        assert not await endpoint.server.stop(grace=0)
        with pytest.raises(Exception, match=r"(?i)disconnect|reset|connect"):
            await under_way


async def test_reload_that_waits_holds_up_neither_large_requests_nor_a_stop(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))

    def reload(_lifecycle: Lifecycle, _configs: Sequence[ModelConfig]) -> None:
        loop.call_soon_threadsafe(waits.set)
        go_on.wait()

    monkeypatch.setattr(Lifecycle, "reload", reload)
    request = messages.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    large = Question(inputs={"x": np.ones(100_000, np.float32)})
    async with serving(*_flags(model)) as endpoint:
        try:
            call = endpoint.channel.unary_unary(f"/{MODEL}/HandleReloadConfigRequest")
            reloading = call(request.SerializeToString())
            async with asyncio.timeout(20):
                await waits.wait()
                assert len((await endpoint.predict("rest", large))["y"]) == 100_000
                reloading.cancel()
                await endpoint.until_sample('kedge_requests_in_flight{transport="grpc"} ', 0)
                assert await endpoint.server.stop()
        finally:
            go_on.set()


async def test_stop_does_not_wait_for_what_cannot_be_recorded(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr("serving.server.LAST_RECORDS_SECONDS", 0.01)
    monkeypatch.setattr(Observation, "close", lambda _observation, _seconds: go_on.wait())
    async with serving(*_flags(model)) as endpoint:
        try:
            async with asyncio.timeout(20):
                assert await endpoint.server.stop()
        finally:
            go_on.set()
    assert "may be incomplete" in caplog.text


@contextlib.contextmanager
def _process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`kedge serve` with these flags, and the gRPC port that it says it has."""
    command = [sys.executable, "-m", "kedge", "serve", "--port=-1", "--rest_api_port=-1", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            lines = iter(process.stderr or ())
            said = next((line for line in lines if line.startswith("kedge: ")), "")
            found = re.fullmatch(
                r"kedge: gRPC on 127\.0\.0\.1:(\d+), REST on http://127\.0\.0\.1:\d+ \(this machine.*\n",
                said,
            )
            assert found, said
            yield process, int(found[1])
        finally:
            process.kill()


def test_process_that_is_interrupted_ends_with_0(model: Path) -> None:
    with _process(*_flags(model)) as (process, _):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_process_with_a_run_without_end_stops_after_the_grace(tmp_path: Path) -> None:
    saved_models.peculiar(tmp_path / "peculiar" / "1")
    endless = Question("peculiar", {"x": np.array([np.inf], np.float32)}, signature="endless")
    with (
        _process(f"--model_store_root={tmp_path}", "--shutdown_grace_seconds=0.2") as (process, port),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call = channel.unary_unary(f"/{PREDICTION}/Predict")
        under_way = call.future(endless.request().SerializeToString(), timeout=60)
        channel.unary_unary(f"/{PREDICTION}/Predict")(
            Question("peculiar", {"x": np.ones(1, np.float32)}, signature="fed").request().SerializeToString()
        )
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
        assert under_way.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_embedded_server_answers_inside_the_block_and_is_gone_after_it(model: Path) -> None:
    with embedded.running(_flags(model)) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            answer = channel.unary_unary(f"/{PREDICTION}/Predict")(
                Question().request().SerializeToString(), timeout=20
            )
        assert messages.PredictResponse.FromString(answer).model_spec.name == "half_plus_two"
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_embedded_server_that_dies_is_told_with_its_last_line(model: Path, taken_port: int) -> None:
    with (
        pytest.raises(embedded.ServerDied, match=f"code 2; its last line: kedge: .*--port={taken_port}"),
        embedded.running([*_flags(model), f"--port={taken_port}"]),
    ):
        pytest.fail("it must not come up")
