"""`kedge serve` in its container: with the manifests' own arguments, and how it ends."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import clients
from models import catalogue
from tests.containers.conftest import Server
from tests.containers.engine import Container, Stack, docker, until
from tests.manifests.rendered import OVERLAYS, containers

READY = ("/bin/bash", "/etc/serving/ready.sh")


def definition(overlay: str) -> dict[str, Any]:
    """The model server's container as an overlay defines it."""
    (found,) = (
        container for _, container in containers(overlay) if "--rest_api_port" in str(container.get("args"))
    )
    return dict(found)


def arguments(overlay: str) -> list[str]:
    """The arguments that an overlay gives to the model server."""
    return list(definition(overlay)["args"])


@pytest.mark.parametrize("overlay", OVERLAYS[:3])
def test_server_starts_with_an_overlays_arguments(serve: Server, overlay: str) -> None:
    server = serve(*arguments(overlay))
    until(lambda: server.succeeds(*READY), 90, "the server's readiness")
    with clients.connect(f"http://127.0.0.1:{server.port(8501)}") as client:
        assert client.predict("imdb", "a wonderful film").label in {"positive", "negative"}
    image = server.inspect()["Config"]["Healthcheck"]["Test"][1:]
    assert server.succeeds(*image)


@pytest.mark.parametrize("model", catalogue.names())
def test_server_starts_with_the_kserve_runtimes_arguments(stack: Stack, serve: Server, model: str) -> None:
    """KServe puts the InferenceService's name in, and mounts the model's own directory."""
    runtime = json.loads(json.dumps(definition("overlays/kserve")).replace("{{.Name}}", model))
    (volume,) = json.loads(docker("volume", "inspect", f"{stack.project}_models").stdout)
    server = serve(
        *runtime["args"], source=f"{volume['Mountpoint']}/{model}", models="/mnt/models", ports=(9000, 8080)
    )
    until(lambda: server.succeeds(*runtime["readinessProbe"]["exec"]["command"]), 90, "the model's readiness")
    for url in (f"grpc://127.0.0.1:{server.port(9000)}", f"http://127.0.0.1:{server.port(8080)}"):
        with clients.connect(url) as client:
            assert [one.state for one in client.status(model)] == ["AVAILABLE"]
    assert get(server.port(8080), runtime["livenessProbe"]["httpGet"]["path"])[0] == 200


def test_readiness_is_false_until_every_model_is_there(serve: Server) -> None:
    server = serve("--model_name=mnist", "--model_base_path=/models/mnist")
    url = f"http://127.0.0.1:{server.port(8501)}"

    def mnist_answers() -> bool:
        try:
            with clients.connect(url) as client:
                return client.status("mnist")[0].state == "AVAILABLE"
        except clients.Unreachable:
            return False

    assert not server.succeeds(*READY)
    until(mnist_answers, 90, "mnist")
    done = docker("exec", server.name, *READY, check=False)
    assert (done.returncode, done.stdout) == (1, "imdb has no available version\n")


def test_server_told_to_stop_answers_the_request_under_way_and_ends(serve: Server) -> None:
    """The signal comes when half of a request is there; the other half follows."""
    server = serve(*arguments("base"))
    with half_a_request(server) as (connection, rest):
        tell_to_stop(server)
        connection.sendall(rest)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, len(json.load(answer)["predictions"])) == (200, 2)
    assert docker("wait", server.name).stdout.strip() == "0", server.log()


@pytest.mark.parametrize("workers", [1, 2])
def test_server_told_to_stop_twice_waits_for_nothing(serve: Server, workers: int) -> None:
    server = serve(*arguments("base"), f"--workers={workers}")
    with half_a_request(server):
        tell_to_stop(server)
        docker("kill", "--signal=TERM", server.name)
        assert docker("wait", server.name).stdout.strip() == "143", server.log()


@contextmanager
def half_a_request(server: Container) -> Iterator[tuple[socket.socket, bytes]]:
    """A connection on which the server has half of a request, and the other half."""
    until(lambda: server.succeeds(*READY), 90, "the server's readiness")
    port = server.port(8501)
    body = json.dumps({"instances": np.zeros((2, 784)).tolist()}).encode()
    head = f"POST /v1/models/mnist:predict HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode() + body[:1000])
        in_flight = 'kedge_requests_in_flight{transport="rest"} 1'
        until(lambda: in_flight in get(port, "/monitoring/prometheus/metrics")[1], 10, "half a request")
        yield connection, body[1000:]


def tell_to_stop(server: Container) -> None:
    """Send SIGTERM, and return when new requests are turned away."""
    docker("kill", "--signal=TERM", server.name)
    until(lambda: get(server.port(8501), "/v1/models/mnist")[0] == 503, 10, "new requests to be turned away")


def get(port: int, path: str) -> tuple[int, str]:
    """The status and the text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
