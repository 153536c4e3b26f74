"""The engine, the images, and the stack that all container tests share.

These tests are collected only when this folder is named, as `make test-containers` does: they build images
and train models.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import REAL_DATA
from tests.containers import engine
from tests.containers.engine import Container, Stack, docker, until

HERE = Path(__file__).resolve().parent
PYTHON_IMAGE = os.environ.get("PYTHON_IMAGE") or "python:3.13.9-slim-bookworm"
Server = Callable[..., Container]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it, or something in it, is named."""
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return None if any(path.is_relative_to(HERE) for path in named) else True


@pytest.fixture(scope="session")
def compose_command() -> list[str]:
    """Docker's compose; the tests are skipped where there is no engine or no compose."""
    if not engine.is_running():
        pytest.skip("no container engine answers: `docker info` fails")
    command = engine.compose_command()
    if command is None:
        pytest.skip("neither docker compose nor docker-compose is here")
    return command


@pytest.fixture(scope="session")
def project(compose_command: list[str]) -> Iterator[Stack]:
    """A project of the compose file with all images built; nothing of it is left at the end."""
    environment = {"PYTHON_IMAGE": PYTHON_IMAGE} | {
        f"KEDGE_{service}_PORT": "0"
        for service in ("GRPC", "REST", "PROMETHEUS", "PUSHGATEWAY", "GRAFANA", "PLAYGROUND")
    }
    real = (REAL_DATA / "mnist.npz").is_file()
    environment |= {"KEDGE_DATA_DIR": str(REAL_DATA)} if real else {"KEDGE_TRAIN_SAMPLE": "1"}
    stack = Stack(f"kedge-test-{secrets.token_hex(4)}", real, compose_command, environment)
    try:
        stack.compose("build", "train-mnist", "embedded", "embedded-client", "prometheus")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", "--timeout=40")
        assert stack.leftovers() == []


@pytest.fixture(scope="session")
def stack(project: Stack) -> Stack:
    """The whole stack with our server, up: both models trained and served, the client has asked."""
    project.compose("up", "--detach", "embedded-client", "embedded-playground", "prometheus", "pushgateway")
    client = project.container("embedded-client")
    until(lambda: client.inspect()["State"]["Status"] == "exited", 60, "the client's end")
    return project


@pytest.fixture
def serve(stack: Stack) -> Iterator[Server]:
    """Start our server on the stack's models with arguments, as a hardened container: serve(*arguments)."""
    started: list[Container] = []

    def start(
        *arguments: str,
        source: str = f"{stack.project}_models",
        models: str = "/models",
        ports: tuple[int, int] = (8500, 8501),
    ) -> Container:
        mounts = [f"{source}:{models}:ro", f"{engine.ROOT}/serving/config:/etc/serving:ro"]
        options = [f"--volume={mount}" for mount in mounts] + [
            f"--publish=127.0.0.1::{port}" for port in ports
        ]
        done = docker("run", "--detach", *engine.HARDENED, *options, "kedge-serving:0.1.0", *arguments)
        started.append(Container(done.stdout.strip()))
        return started[-1]

    yield start
    for container in started:
        docker("rm", "--force", container.name)
