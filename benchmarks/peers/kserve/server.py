"""KServe's Python model server with a model class of our own, as its documentation has it.

python server.py --store DIR --rest-port PORT --grpc-port PORT --workers N
"""

import argparse
import logging
import threading
from pathlib import Path
from typing import Any

import kserve
import numpy as np
from kserve.utils.utils import get_predict_response


class SavedModel(kserve.Model):  # type: ignore[misc]
    """Serves `serving_default` of a SavedModel over KServe's first and second protocol."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker process loads the model itself."""
        return in_worker, (self.name, self.path)

    def load(self) -> bool:
        """Load the model."""
        import tensorflow as tf

        self.signature = tf.saved_model.load(str(self.path)).signatures["serving_default"]
        (self.input,) = self.signature.structured_input_signature[1]
        self.constant = tf.constant
        self.ready = True
        return self.ready

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Run the model: a dict with `instances` in the first protocol, an InferRequest in the second."""
        if isinstance(payload, kserve.InferRequest):
            rows = payload.inputs[0].as_numpy()
        else:
            rows = np.asarray(payload["instances"], np.float32)
        (output,) = self.signature(**{self.input: self.constant(rows)}).values()
        return get_predict_response(payload, output.numpy(), self.name)


def in_worker(name: str, path: Path) -> SavedModel:
    """A model in a worker process, loaded beside: KServe ends a process that does not answer it for 5 s."""
    model = SavedModel(name, path)
    threading.Thread(target=model.load, daemon=True).start()
    return model


def newest(store: Path, model: str) -> Path:
    """The directory of the newest version of a model."""
    return max((path for path in (store / model).iterdir() if path.name.isdigit()), key=lambda p: int(p.name))


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--rest-port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_known_args()[0]
    # It would log each call over gRPC.
    logging.getLogger("kserve").setLevel(logging.WARNING)
    models = [SavedModel(name, newest(given.store, name)) for name in ("mnist", "imdb")]
    for model in models:
        model.load()
    kserve.ModelServer(
        http_port=given.rest_port,
        grpc_port=given.grpc_port,
        workers=given.workers,
        enable_latency_logging=False,
    ).start(models)


if __name__ == "__main__":
    main()
