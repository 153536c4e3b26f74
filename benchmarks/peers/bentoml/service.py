"""BentoML: a service with an endpoint for each model, batched adaptively."""

import os
from pathlib import Path
from typing import Annotated, Any

import bentoml
import numpy as np
from bentoml.validators import DType, Shape

STORE = Path(os.environ["MODEL_STORE"])
Images = Annotated[np.ndarray, DType("float32"), Shape((-1, 784))]
Reviews = Annotated[np.ndarray, DType("float32"), Shape((-1, 10000))]
Answers = Annotated[np.ndarray, DType("float32")]


def load(model: str) -> Any:
    """`serving_default` of the newest version of a model."""
    import tensorflow as tf

    versions = (path for path in (STORE / model).iterdir() if path.name.isdigit())
    newest = max(versions, key=lambda path: int(path.name))
    return tf.saved_model.load(str(newest)).signatures["serving_default"]


@bentoml.service(
    workers=int(os.environ["WORKERS"]), traffic={"timeout": 30}, logging={"access": {"enabled": False}}
)
class Models:
    """Both models."""

    def __init__(self) -> None:
        import tensorflow as tf

        self.constant = tf.constant
        self.signatures = {name: load(name) for name in ("mnist", "imdb")}

    @bentoml.api(route="/mnist", batchable=True, max_batch_size=64, max_latency_ms=1000)  # type: ignore[untyped-decorator]
    def mnist(self, pixels: Images) -> Answers:
        """Images [N, 784] in, probabilities [N, 10] out."""
        return self.signatures["mnist"](pixels=self.constant(pixels))["probabilities"].numpy()

    @bentoml.api(route="/imdb", batchable=True, max_batch_size=64, max_latency_ms=1000)  # type: ignore[untyped-decorator]
    def imdb(self, multi_hot: Reviews) -> Answers:
        """Reviews [N, 10000] in, probability [N, 1] out."""
        return self.signatures["imdb"](multi_hot=self.constant(multi_hot))["probability"].numpy()
