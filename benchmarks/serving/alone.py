"""What is measured of our server alone: its start, its memory over many requests, the models in process."""

import subprocess
import sys
import time
from typing import Any

from benchmarks.serving import asking, load, preparation
from benchmarks.serving.cases import BY_NAME
from benchmarks.serving.measure import WARM_UP_SECONDS, Question, Setting, started, turn
from benchmarks.serving.requests import framed
from benchmarks.serving.servers import GRPC, OURS, ROOT

IMPORT = "import tensorflow"
FEW, MANY = 1_000, 100_000
# One runs while others are received.
BATCH, BATCHES_AT_ONCE = "mnist-256", 4


def measured(setting: Setting) -> dict[str, Any]:
    """The figures by name, each a list of repeats or one number; seconds and bytes."""
    return {
        **start(setting),
        **memory(setting),
        **batches(setting),
        "call_seconds": call_seconds(setting, "mnist"),
        "request_bytes": request_bytes(setting),
    }


def request_bytes(setting: Setting) -> dict[str, dict[str, int]]:
    """The bytes of our server's requests by protocol and case, without what HTTP adds."""
    return {
        protocol: {name: len(encode(case, setting.examples[name]).body) for name, case in BY_NAME.items()}
        for protocol, encode in OURS.encoders.items()
    }


def batches(setting: Setting) -> dict[str, list[float]]:
    """Batches of 256 a second over gRPC, and the seconds of such a call in process, in turns."""
    figures: dict[str, list[float]] = {"batch_rates": [], "batch_call_seconds": []}
    question = Question(GRPC, BY_NAME[BATCH], BATCHES_AT_ONCE)
    with started(OURS, 1, setting) as server:
        turn(server, question, WARM_UP_SECONDS, setting)
        for _ in range(setting.repeat):
            figures["batch_call_seconds"].append(call_seconds(setting, BATCH))
            figures["batch_rates"] += turn(server, question, setting.seconds, setting).rate
    return figures


def call_seconds(setting: Setting, case: str) -> float:
    """The seconds of a call in process, from arrays to arrays."""
    command = [sys.executable, "-m", "benchmarks.serving.reference", "time", str(setting.store)]
    done = subprocess.run(
        [*command, str(setting.store.parent / "examples.npz"), case],
        cwd=ROOT,
        env=preparation.environment(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(done.stdout)


def start(setting: Setting) -> dict[str, list[float]]:
    """The seconds to the first answers of both models, and those of importing TensorFlow, in turns."""
    figures: dict[str, list[float]] = {"import_seconds": [], "start_seconds": []}
    for _ in range(setting.repeat):
        begin = time.monotonic()
        subprocess.run([sys.executable, "-c", IMPORT], env=preparation.environment(), check=True)
        figures["import_seconds"].append(time.monotonic() - begin)
        with started(OURS, 1, setting) as server:
            figures["start_seconds"].append(server.seconds)
    return figures


def memory(setting: Setting) -> dict[str, int]:
    """The server's memory after some requests and after many more."""
    example = setting.examples["mnist"]
    with started(OURS, 1, setting) as server:
        request, port = server.request(GRPC, BY_NAME["mnist"], example), server.ports[GRPC]
        length = len(framed(asking.checked(GRPC, port, request)))
        load.grpc(port, request, length, 16, count=FEW)
        few = server.processes.memory()["pss"]
        load.grpc(port, request, length, 16, count=MANY - FEW)
        return {"memory_after_1000": few, "memory_after_100000": server.processes.memory()["pss"]}
