"""LitServe: two models behind one server, each with its own batching.

python server.py --store DIR --rest-port PORT --workers N
"""

import argparse
from pathlib import Path
from typing import Any

import litserve
import numpy as np


def newest(store: Path, model: str) -> Path:
    """The directory of the newest version of a model."""
    return max((path for path in (store / model).iterdir() if path.name.isdigit()), key=lambda p: int(p.name))


class SavedModelAPI(litserve.LitAPI):  # type: ignore[misc]
    """Serves `serving_default` of a SavedModel: a JSON object of one tensor in, a list of rows out."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(**options)
        self.path = path

    def setup(self, device: str) -> None:
        """Load the model, in the process of a worker."""
        import tensorflow as tf

        self.signature = tf.saved_model.load(str(self.path)).signatures["serving_default"]
        (self.name,) = self.signature.structured_input_signature[1]
        self.constant = tf.constant

    def decode_request(self, request: dict[str, Any]) -> Any:
        """The rows of a request, float32 [N, size]."""
        return np.asarray(request[self.name], np.float32)

    def batch(self, inputs: list[Any]) -> tuple[Any, list[int]]:
        """Join the rows of several requests."""
        return np.concatenate(inputs), [len(rows) for rows in inputs]

    def predict(self, batch: tuple[Any, list[int]]) -> tuple[Any, list[int]]:
        """Run the model."""
        rows, sizes = batch
        (output,) = self.signature(**{self.name: self.constant(rows)}).values()
        return output.numpy(), sizes

    def unbatch(self, output: tuple[Any, list[int]]) -> list[Any]:
        """Split the answers again."""
        rows, sizes = output
        return list(np.split(rows, np.cumsum(sizes)[:-1]))

    def encode_response(self, output: Any) -> Any:
        """The answer's JSON."""
        return output.tolist()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--rest-port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_known_args()[0]
    batching = {"max_batch_size": 64, "batch_timeout": 0.001}
    models = [
        SavedModelAPI(newest(given.store, name), api_path=f"/{name}", **batching)
        for name in ("mnist", "imdb")
    ]
    server = litserve.LitServer(models, accelerator="cpu", workers_per_device=given.workers)
    server.run(
        host="127.0.0.1",
        port=given.rest_port,
        num_api_servers=given.workers,
        generate_client_file=False,
        log_level="error",
        access_log=False,
    )


if __name__ == "__main__":
    main()
