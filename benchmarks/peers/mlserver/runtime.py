"""MLServer: a custom runtime for SavedModels; `models/` has its settings, with adaptive batching."""

import os
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class SavedModel(MLModel):  # type: ignore[misc]
    """Serves `serving_default` of the newest version of a model in the store."""

    async def load(self) -> bool:
        """Load the model."""
        import tensorflow as tf

        store = Path(os.environ["MODEL_STORE"])
        versions = (path for path in (store / self.name).iterdir() if path.name.isdigit())
        newest = max(versions, key=lambda path: int(path.name))
        self.signature = tf.saved_model.load(str(newest)).signatures["serving_default"]
        ((self.input, _),) = self.signature.structured_input_signature[1].items()
        self.constant = tf.constant
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the model."""
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        ((name, output),) = self.signature(**{self.input: self.constant(rows)}).items()
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output(name=name, payload=output.numpy())]
        )
