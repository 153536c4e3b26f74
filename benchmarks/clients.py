"""What the client costs: encoding requests beside TensorFlow's way, and importing it.

    python -m benchmarks.clients [--json]

The issue's limits: a request of [256, 784] is encoded at least 10 times faster than with
`tf.make_tensor_proto` on a list, and not slower than with it on an array; the import takes under 0.3 s.
Exits with 1 where one of them is not met. Only this benchmark needs TensorFlow.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from clients import grpc_encoding, rest_encoding, signatures
from clients.exchange import ModelSpec
from models import catalogue
from training.quiet import import_tensorflow

ROUNDS = 50
IMPORT = "import time; t = time.perf_counter(); import clients; print(time.perf_counter() - t)"


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The milliseconds of the fastest of some rounds."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds) * 1e3


def encodings() -> dict[str, float]:
    """Milliseconds for a request of [256, 784] each way."""
    spec = ModelSpec("mnist")
    array = np.random.default_rng(0).random((256, 784), np.float32)
    rows = array.tolist()
    signature = signatures.declared(catalogue.find("mnist").signature_specs["serving_default"])
    figures = {
        "kedge, gRPC": best(lambda: grpc_encoding.predict(spec, {"pixels": array})),
        "kedge, REST": best(lambda: rest_encoding.predict(spec, {"pixels": array}, signature)),
    }

    import_tensorflow()
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    def request(value: object) -> bytes:
        message = predict_pb2.PredictRequest()
        message.model_spec.name, message.model_spec.signature_name = "mnist", "serving_default"
        message.inputs["pixels"].CopyFrom(tf.make_tensor_proto(value, dtype=tf.float32))
        return bytes(message.SerializeToString())

    figures["tf.make_tensor_proto, array"] = best(lambda: request(array))
    figures["tf.make_tensor_proto, list"] = best(lambda: request(rows), 5)
    # Once more after TensorFlow, in the memory as it is then: the better one is ours to compare.
    again = best(lambda: grpc_encoding.predict(spec, {"pixels": array}))
    figures["kedge, gRPC"] = min(figures["kedge, gRPC"], again)
    return figures


def import_seconds() -> float:
    """The fastest of five imports, each in a process of its own."""
    runs = [subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True) for _ in range(5)]
    return min(float(run.stdout) for run in runs)


def main() -> int:
    """Measure, print, and tell whether the limits are met."""
    figures = encodings()
    ours, array, rows = (
        figures[name] for name in ("kedge, gRPC", "tf.make_tensor_proto, array", "tf.make_tensor_proto, list")
    )
    seconds = import_seconds()
    met = rows / ours >= 10 and array / ours >= 1 and seconds < 0.3
    if "--json" in sys.argv[1:]:
        print(json.dumps({"milliseconds": figures, "import_seconds": seconds, "met": met}))
        return 0 if met else 1
    for name, milliseconds in figures.items():
        print(f"{name:<30}{milliseconds:>10.3f} ms{milliseconds / ours:>10.1f} x")
    print(f"{'import clients':<30}{seconds:>10.3f} s")
    print("within the limits" if met else "NOT within the limits")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
