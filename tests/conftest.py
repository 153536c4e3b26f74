"""What every test relies on: a clean environment, and where the real data are."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest

# How long an example takes is the machine's matter: no test asserts a time.
hypothesis.settings.register_profile("kedge", deadline=None)
hypothesis.settings.load_profile("kedge")

# Set before any test imports TensorFlow, and inherited by the processes that tests start.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

# A shell that runs the tests in the background has SIGINT ignored, as would be those that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

REAL_DATA = Path(os.environ.pop("KEDGE_DATA_DIR", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep this machine's settings, caches and proxies out of the tests."""
    for name in list(os.environ):
        if name.startswith("KEDGE_") or name.lower() in {"http_proxy", "https_proxy", "all_proxy"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory of the real data sets; the test is skipped where there is none."""
    if not (REAL_DATA / "mnist.npz").is_file():
        pytest.skip(f"no real data in {REAL_DATA}; name the directory in KEDGE_DATA_DIR")
    return REAL_DATA
