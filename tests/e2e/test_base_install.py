"""The base dependencies alone are enough to ask a server: no TensorFlow is installed beside the client."""

import importlib.metadata
import os
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from serving import embedded
from tests.e2e.conftest import ROOT

PROGRAM = """
import sys
import numpy as np
from clients import connect
for url in sys.argv[2:]:
    with connect(url) as client:
        answer = client.predict("mnist", np.load(sys.argv[1]))
        print(url.partition(":")[0], answer.label)
assert "tensorflow" not in sys.modules
try:
    import tensorflow
except ModuleNotFoundError:
    print("no tensorflow")
"""


def base_distributions() -> set[str]:
    """The names of all distributions that `pip install kedge`, without an extra, brings along."""
    wanted, found = ["kedge"], set[str]()
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.append(requirement.name)
    return found - {"kedge"}


@pytest.fixture(scope="module")
def base_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh virtual environment that holds the base dependencies and nothing else."""
    directory = tmp_path_factory.mktemp("base") / "venv"
    venv.create(directory, with_pip=False)
    python = directory / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_path('platlib'))"
    site = Path(
        subprocess.run([python, "-c", query], capture_output=True, text=True, check=True).stdout.strip()
    )
    for name in base_distributions():
        distribution = importlib.metadata.distribution(name)
        here = Path(str(distribution.locate_file("")))
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}:
            if not (site / top).exists():
                (site / top).symlink_to(here / top)
    for package in ("clients", "models", "serving", "training", "wire", "kedge.py"):
        (site / package).symlink_to(ROOT / package)
    return python


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *arguments],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
        timeout=120,
        check=False,
    )


def test_client_predicts_over_both_protocols(
    base_python: Path, server: embedded.Server, tmp_path: Path
) -> None:
    np.save(tmp_path / "digit.npy", np.zeros((28, 28), np.uint8))
    urls = [f"grpc://127.0.0.1:{server.grpc_port}", f"http://127.0.0.1:{server.rest_port}"]
    done = run(base_python, "-c", PROGRAM, str(tmp_path / "digit.npy"), *urls)
    assert done.returncode == 0, done.stderr
    grpc_answer, http_answer, tensorflow = done.stdout.splitlines()
    assert grpc_answer.split()[1] == http_answer.split()[1]
    assert tensorflow == "no tensorflow"


def test_command_asks_a_server(base_python: Path, server: embedded.Server) -> None:
    done = run(
        base_python, "-m", "kedge", "predict", "imdb", "a wonderful film", "--json",
        "--url", f"grpc://127.0.0.1:{server.grpc_port}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"positive"' in done.stdout


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_command_that_needs_an_extra_names_it(base_python: Path, log_format: str) -> None:
    done = run(base_python, "-m", "kedge", "train", "mnist", "--sample", "--log-format", log_format)
    assert done.returncode == 2
    assert "pip install 'kedge[training]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_picture_without_pillow_is_told_how_to_get_it(base_python: Path, tmp_path: Path) -> None:
    (tmp_path / "digit.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = run(base_python, "-m", "kedge", "predict", "mnist", str(tmp_path / "digit.png"))
    assert done.returncode == 2
    assert "pip install 'kedge[images]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_playground_without_pillow_is_told_how_to_get_it(base_python: Path) -> None:
    done = run(base_python, "-m", "kedge", "playground")
    assert done.returncode == 2
    assert "pip install 'kedge[images]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
