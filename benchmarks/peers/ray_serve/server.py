"""Ray Serve: a deployment for each model, with its dynamic batching.

python server.py --store DIR --rest-port PORT --workers N
"""

import argparse
import signal
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import serve


@serve.deployment(ray_actor_options={"num_cpus": 0.1}, max_ongoing_requests=128)
class SavedModel:
    """Serves `serving_default` of a SavedModel: a JSON object of one tensor in, a list of rows out."""

    def __init__(self, path: str) -> None:
        import tensorflow as tf

        self.signature = tf.saved_model.load(path).signatures["serving_default"]
        (self.name,) = self.signature.structured_input_signature[1]
        self.constant = tf.constant

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)  # type: ignore[untyped-decorator]
    async def predict(self, requests: list[Any]) -> list[Any]:
        """Run the rows of several requests, float32 [N, size] each, together."""
        rows = self.constant(np.concatenate(requests))
        (output,) = self.signature(**{self.name: rows}).values()
        return np.split(output.numpy(), np.cumsum([len(each) for each in requests])[:-1])

    async def __call__(self, request: Any) -> Any:
        """Answer a request over HTTP."""
        document = await request.json()
        return (await self.predict(np.asarray(document[self.name], np.float32))).tolist()


def newest(store: Path, model: str) -> str:
    """The directory of the newest version of a model."""
    versions = (path for path in (store / model).iterdir() if path.name.isdigit())
    return str(max(versions, key=lambda path: int(path.name)))


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--rest-port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_known_args()[0]
    ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(
        http_options={"host": "127.0.0.1", "port": given.rest_port},
        logging_config={"enable_access_log": False},
    )
    for name in ("mnist", "imdb"):
        deployment = SavedModel.options(num_replicas=given.workers).bind(newest(given.store, name))
        serve.run(deployment, name=name, route_prefix=f"/{name}")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
