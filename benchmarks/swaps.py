"""Whether a server gives back the memory of the versions that it has replaced.

    python -m benchmarks.swaps [--json] [kedge serve's flags, such as --workers=2]

A model of 16 MiB goes through 50 version swaps on a server of its own, which answers requests before and
after each. Printed is the resident memory of the server, with its workers, after the first, 10th, 25th and
50th swap, and the ratio to that after the first. Without giving back, 50 swaps would add 800 MiB.
"""

import http.client
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from serving import embedded
from training.quiet import import_tensorflow

SWAPS = 50
SHOWN = (1, 10, 25, 50)
WIDTH = 2048
REQUESTS = 20
SECONDS = 60
MIB = 2**20


def write_model(path: Path) -> None:
    """A SavedModel of one matrix, [2048, 2048] float32: `x` [N, 2048] → `y` [N, 2048]."""
    import_tensorflow()
    import tensorflow as tf

    module = tf.Module()
    module.matrix = tf.Variable(tf.random.normal([WIDTH, WIDTH], seed=0))
    x = tf.TensorSpec([None, WIDTH], tf.float32, "x")
    serve = tf.function(lambda x: {"y": x @ module.matrix}, input_signature=[x], autograph=False)
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})


def publish(model: Path, base_path: Path, version: int) -> None:
    """Copy the model beside the versions, and rename it into place."""
    shutil.copytree(model, base_path.parent / "next")
    (base_path.parent / "next").rename(base_path / str(version))


def resident(pid: int) -> int:
    """The bytes of a process and of its children that are in memory."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    own = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
    return own + sum(map(resident, children(pid)))


def children(pid: int) -> Iterator[int]:
    """The processes that a process has started."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (thread / "children").read_text(encoding="ascii").split())


class Client:
    """Asks a server over REST, each question on a connection of its own, so that all workers are asked."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        """The body of the answer, whatever its status."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        try:
            connection.request("GET" if body is None else "POST", path, body)
            return connection.getresponse().read()
        finally:
            connection.close()

    def predict(self) -> None:
        """Ask the model so many times; RuntimeError when it does not answer."""
        body = json.dumps({"instances": [[1.0] * WIDTH]}).encode()
        for _ in range(REQUESTS):
            answer = self.ask("/v1/models/default:predict", body)
            if not answer.lstrip().startswith(b'{\n    "predictions"'):
                raise RuntimeError(f"the server answered {answer[:200]!r}")

    def wait_until_swapped(self, version: int) -> None:
        """Wait until a version is there and the one before is gone; TimeoutError."""
        end = time.monotonic() + SECONDS
        while self._states().get(str(version)) != "AVAILABLE" or self._states()[str(version - 1)] != "END":
            if time.monotonic() > end:
                raise TimeoutError(f"version {version} has not replaced the one before in {SECONDS} s")
            time.sleep(0.02)

    def _states(self) -> dict[str, str]:
        found = json.loads(self.ask("/v1/models/default"))["model_version_status"]
        return {each["version"]: each["state"] for each in found}


def measure(flags: Sequence[str]) -> dict[int, int]:
    """The resident bytes after so many swaps."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        model, base_path = Path(place) / "model", Path(place) / "default"
        write_model(model)
        base_path.mkdir()
        publish(model, base_path, 1)
        with embedded.running([f"--model_base_path={base_path}", *flags]) as server:
            client = Client(server.rest_port)
            client.predict()
            for swap in range(1, SWAPS + 1):
                publish(model, base_path, swap + 1)
                client.wait_until_swapped(swap + 1)
                shutil.rmtree(base_path / str(swap))
                client.predict()
                if swap in SHOWN:
                    found[swap] = resident(server.pid)
    return found


def main() -> int:
    """Measure and print."""
    flags = [each for each in sys.argv[1:] if each != "--json"]
    found = measure(flags)
    if "--json" in sys.argv[1:]:
        print(json.dumps({"resident_bytes": found}))
        return 0
    for swap, size in found.items():
        print(f"after {swap:2} swaps: {size / MIB:6.0f} MiB, {size / found[1]:.3f} of that after the first")
    return 0


if __name__ == "__main__":
    sys.exit(main())
