"""One store, trained by the real commands, and one server over it, for all tests of the whole path."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serving import embedded

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """What the command printed, read as one JSON document."""
        return json.loads(self.stdout)


def kedge(*arguments: str, stdin: bytes = b"", **environment: str) -> Outcome:
    """Run the command `kedge` in a process of its own, as a person does, away from the checkout."""
    done = subprocess.run(
        [sys.executable, "-m", "kedge", *arguments],
        input=stdin,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        timeout=300,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store into which `kedge train` has published both models, from the sample data."""
    own = tmp_path_factory.mktemp("store")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _train(own)
        return own
    # The workers of one run share this directory: the first one trains, the others copy.
    shared = tmp_path_factory.getbasetemp().parent / "trained"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "done").exists():
            _train(shared / "store")
            (shared / "done").touch()
    shutil.copytree(shared / "store", own, dirs_exist_ok=True)
    return own


def _train(directory: Path) -> None:
    for model in ("mnist", "imdb"):
        outcome = kedge("train", model, "--sample", "--model-store", str(directory), "--json")
        assert outcome.exit_code == 0, outcome.stderr
        assert outcome.document["version"] == 1


@pytest.fixture(scope="session")
def server(store: Path) -> Iterator[embedded.Server]:
    """The embedded server over that store, in a process of its own, on free ports."""
    with embedded.running([f"--model_store_root={store}"]) as running:
        yield running
