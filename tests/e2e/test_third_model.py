"""A third model is one new file: everything else works from its description."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import clients
import kedge
import models
from models import catalogue
from serving import embedded


@pytest.fixture
def compass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the one file where the catalogue looks."""
    shutil.copy(Path(__file__).with_name("compass.py"), tmp_path)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    return "compass"


def test_third_model_is_trained_published_served_and_asked(compass: str, tmp_path: Path) -> None:
    assert compass in catalogue.names()
    store = tmp_path / "store"
    trained = CliRunner().invoke(
        kedge.root,
        ["train", compass, "--sample", "--model-store", str(store), "--json"],
        catch_exceptions=False,
    )
    result = json.loads(trained.stdout)
    assert (result["version"], result["accuracy"] > 0.9) == (1, True)
    with embedded.running([f"--model_store_root={store}"]) as server:
        for url in (f"grpc://127.0.0.1:{server.grpc_port}", f"http://127.0.0.1:{server.rest_port}"):
            with clients.connect(url) as client:
                assert client.predict(compass, np.array([3.0, 1.0])).label == "east"
                west, east = client.predict(compass, np.array([[-2.0, 1.0], [2.0, -1.0]]))
                assert (west.label, east.label) == ("west", "east")
            asked = CliRunner().invoke(
                kedge.root, ["predict", compass, "--url", url, "--json", "--", "-3,0"], catch_exceptions=False
            )
            assert json.loads(asked.stdout)["predictions"][0]["label"] == "west"
