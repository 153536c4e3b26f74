"""The two scripts beside the server's configuration, which probes and the initial container run."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.manifests.rendered import ROOT

CONFIG = ROOT / "serving" / "config"
ANSWER = '{{"model_version_status":[{{"version":"1",{},"status":{{"error_code":"OK"}}}}]}}'


@pytest.fixture
def states() -> dict[str, str]:
    """What the stub server answers about each model."""
    return {name: ANSWER.format('"state": "AVAILABLE"') for name in ("mnist", "imdb")}


@pytest.fixture
def port(states: dict[str, str]) -> Iterator[int]:
    """The port of a server that knows `states`, and answers 200 in any state, as TensorFlow Serving does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = states[self.path.removeprefix("/v1/models/")].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("localhost", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ready(port: int) -> subprocess.CompletedProcess[str]:
    command = ["bash", CONFIG / "ready.sh", str(port)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_ready_where_every_model_is_available_succeeds(port: int, states: dict[str, str]) -> None:
    states["imdb"] = ANSWER.format('"state":"AVAILABLE"')
    assert ready(port).returncode == 0


@pytest.mark.parametrize("state", ["LOADING", "END", "UNAVAILABLE"])
def test_ready_where_a_model_is_not_available_fails_and_names_it(
    port: int, states: dict[str, str], state: str
) -> None:
    states["imdb"] = ANSWER.format(f'"state": "{state}"')
    done = ready(port)
    assert (done.returncode, done.stdout) == (1, "imdb has no available version\n")


def test_ready_where_nothing_listens_fails(port: int) -> None:
    assert ready(1).returncode == 1


def test_wait_for_models_ends_when_each_has_a_version(tmp_path: Path) -> None:
    shutil.copy(CONFIG / "wait-for-models.sh", tmp_path)
    store = tmp_path / "models"
    written = (CONFIG / "models.config").read_text().replace("/models", str(store))
    (tmp_path / "models.config").write_text(written)
    publish(store / "mnist" / "1")
    publish(store / "imdb" / ".staging-1")
    command = ["bash", tmp_path / "wait-for-models.sh"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"WAIT_SECONDS": "0.1"}) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == f"waiting for a version in {store}/imdb\n"
        publish(store / "imdb" / "12")
        waiting.communicate(timeout=30)
    assert waiting.returncode == 0


def publish(version: Path) -> None:
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
