"""What is in the images, and how their processes run."""

import json
import signal

import pytest

from tests.containers import engine
from tests.containers.engine import Container, Stack, docker, until

IMAGES = ("kedge-training:0.1.0", "kedge-serving:0.1.0", "kedge-clients:0.1.0")
CLIENT_LIMIT = 250_000_000
every_image = pytest.mark.parametrize("image", IMAGES)


@every_image
def test_image_runs_hardened_as_its_own_user(project: Stack, image: str) -> None:
    (found,) = json.loads(docker("image", "inspect", image).stdout)
    assert found["Config"]["User"] == "10001:10001"
    labels = {name.rpartition(".")[2]: text for name, text in found["Config"]["Labels"].items()}
    assert labels["licenses"] == "Apache-2.0"
    done = docker("run", "--rm", *engine.HARDENED, "--entrypoint=kedge", image, "--version")
    assert done.stdout.startswith(f"kedge, version {labels['version']}")


def test_client_image_is_small_and_has_no_tensorflow(project: Stack) -> None:
    (found,) = json.loads(docker("image", "inspect", IMAGES[2]).stdout)
    assert found["Size"] < CLIENT_LIMIT
    code = "import importlib.util as u; print([n for n in ('tensorflow', 'keras', 'pip') if u.find_spec(n)])"
    done = docker("run", "--rm", "--entrypoint=python", IMAGES[2], "-c", code)
    assert done.stdout.strip() == "[]"


def test_client_image_without_a_server_says_so_with_its_exit_code(project: Stack) -> None:
    done = docker("run", "--rm", "--network=none", IMAGES[2], "status", check=False)
    assert done.returncode == 5
    assert done.stderr.startswith("kedge: ")


def test_client_image_told_to_stop_ends_by_itself(project: Stack) -> None:
    """It waits for a picture on its standard input; process 1 ignores signals that it does not handle."""
    done = docker("run", "--detach", "--interactive", *engine.HARDENED, IMAGES[2], "predict", "mnist", "-")
    client = Container(done.stdout.strip())
    try:
        until(lambda: handles_sigterm(client.read("/proc/1/status")), 60, "the client's start")
        docker("stop", "-t", "20", client.name)
        assert client.inspect()["State"]["ExitCode"] == 143, client.log()
    finally:
        docker("rm", "--force", client.name)


def handles_sigterm(status: str) -> bool:
    """Read it from /proc/PID/status."""
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def test_training_image_told_to_stop_ends_by_itself(project: Stack) -> None:
    options = (*engine.HARDENED, "--volume=/models")
    done = docker("run", "--detach", *options, IMAGES[0], "mnist", "--sample", "--epochs=100000")
    job = Container(done.stdout.strip())
    try:
        until(lambda: "epoch" in job.log(), 120, f"the first epoch of {job.name}")
        docker("stop", "-t", "20", job.name)
        assert job.inspect()["State"]["ExitCode"] == 143, job.log()
    finally:
        docker("rm", "--force", "--volumes", job.name)
