"""What importing the clients costs: nothing heavy before it is needed, and never TensorFlow."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients import exchanges
from tests.clients.stubs import Stub
from tests.e2e.conftest import ROOT
from tests.e2e.test_base_install import base_distributions

THIRD_PARTY = """
import importlib.metadata, json, sys
known = importlib.metadata.packages_distributions()
loaded = {name.partition(".")[0] for name in sys.modules}
print(json.dumps(sorted(name for name in loaded if name in known and not name.startswith("_"))))
"""
BASE = {"numpy", "google", "orjson", "clients", "models", "wire"}
# What grpc and httpx bring along; both look for their own tools and command lines too, and load those.
OF_GRPC = {"typing_extensions", "grpc_health", "grpc_reflection", "grpc_tools"}
OF_HTTPX = {"anyio", "certifi", "h11", "httpcore", "idna", "sniffio", "typing_extensions"}
OF_HTTPX |= {"click", "markdown_it", "mdurl", "pygments", "rich"}
# What `sitecustomize` hooks and editable installs of the environment load before any program.
OF_ENVIRONMENT = {"distutils", "_distutils_hack", "setuptools", "pkg_resources"}


def loaded_by(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", program + THIRD_PARTY], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout)) - OF_ENVIRONMENT


def test_import_loads_only_what_every_client_needs() -> None:
    assert loaded_by("import clients") <= BASE


@pytest.mark.parametrize(
    ("fixture", "allowed"),
    [
        ("grpc_stub", {"grpc", *OF_GRPC}),
        (
            "http_stub",
            {"httpx", *OF_HTTPX},
        ),
    ],
)
def test_prediction_loads_one_protocol_and_no_tensorflow(
    request: pytest.FixtureRequest, fixture: str, allowed: set[str]
) -> None:
    stub: Stub = request.getfixturevalue(fixture)
    exchanges.answer_metadata(stub, "imdb")
    exchanges.answer_outputs(stub, "imdb", {"probability": [[0.75]]}, "[[0.75]]")
    program = f"""
from clients import connect
with connect({stub.url!r}) as client:
    assert client.predict("imdb", "A wonderful film").label == "positive"
"""
    loaded = loaded_by(program)
    assert "tensorflow" not in loaded
    assert loaded <= BASE | allowed


def test_import_takes_little_longer_than_that_of_numpy() -> None:
    """In processor time and beside numpy's in the same process, so that a slow machine does not count."""
    program = """
import time
began = time.process_time()
import numpy
numpy_ended = time.process_time()
import clients
print((time.process_time() - began) / (numpy_ended - began))
"""
    ratios = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(ratios) < 2.5


def test_what_a_client_needs_is_below_120_megabytes() -> None:
    """With the bytecode that pip makes, and with all of the project's own packages."""
    files = [
        Path(str(file.locate()))
        for name in base_distributions()
        for file in importlib.metadata.files(name) or ()
    ]
    for package in ("clients", "models", "serving", "training", "wire"):
        files += (ROOT / package).rglob("*")
    assert sum(file.stat().st_size for file in files if file.is_file()) < 120e6
