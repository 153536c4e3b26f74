"""The container engine as the tests use it: docker, docker compose, and one stack of the compose file."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILES = ("docker-compose.yml", "tests/containers/docker-compose.yml")
HARDENED = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--tmpfs=/tmp",
    "--user=10001:10001",
)


def run(*command: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; when it fails, say what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert not check or done.returncode == 0, (
        f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    )
    return done


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the engine's command line."""
    return run("docker", *arguments, check=check)


def is_running() -> bool:
    """Whether there is an engine that answers."""
    return shutil.which("docker") is not None and docker("info", check=False).returncode == 0


def compose_command() -> list[str] | None:
    """Compose version 2 where it is installed, or else docker-compose."""
    if docker("compose", "version", check=False).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Return as soon as `holds()`; fail when it has not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.2)


@dataclass(frozen=True)
class Container:
    """A container that the tests started."""

    name: str

    def port(self, inside: int) -> int:
        """The port of this machine that leads to a port of the container."""
        return int(docker("port", self.name, str(inside)).stdout.split()[0].rpartition(":")[2])

    def inspect(self) -> dict[str, Any]:
        """What the engine knows of it."""
        (found,) = json.loads(docker("inspect", self.name).stdout)
        return dict(found)

    def succeeds(self, *command: str) -> bool:
        """Whether a command in it ends with 0."""
        return docker("exec", self.name, *command, check=False).returncode == 0

    def read(self, path: str) -> str:
        """A file in it."""
        return docker("exec", self.name, "cat", path).stdout

    def log(self) -> str:
        """All that it has written."""
        done = docker("logs", self.name)
        return done.stdout + done.stderr


@dataclass(frozen=True)
class Stack:
    """One project of the compose file, with free ports and data of its own."""

    project: str
    real: bool
    compose_command: list[str]
    environment: dict[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run compose on the project, with our server."""
        files = [f"--file={ROOT / name}" for name in FILES]
        project = ["--project-directory", str(ROOT), "--project-name", self.project, "--profile", "embedded"]
        command = [*self.compose_command, *files, *project, *arguments]
        return run(*command, check=check, cwd=ROOT, env={**os.environ, **self.environment})

    def container(self, service: str) -> Container:
        """The container of a service, ended ones too."""
        found = docker(
            "ps", "--all", "--quiet",
            f"--filter=label=com.docker.compose.project={self.project}",
            f"--filter=label=com.docker.compose.service={service}",
        )  # fmt: skip
        (name,) = found.stdout.split()
        return Container(name)

    def ask(self, *arguments: str) -> Any:
        """Run `kedge ... --json` in a container of the client's image, and return the document."""
        options = ["run", "--rm", "--no-deps", "-T", "--entrypoint", "kedge", "embedded-client"]
        return json.loads(self.compose(*options, *arguments, "--json").stdout)

    def leftovers(self) -> list[str]:
        """Containers, volumes and networks of the project that are there."""
        by_label = f"--filter=label=com.docker.compose.project={self.project}"
        kinds = (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        return [line for kind in kinds for line in docker(*kind, "--quiet", by_label).stdout.split()]
