"""Writing a network as a SavedModel with all its signatures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from models.model import Model, Vocabulary


def export(
    model: Model, network: keras.Model, vocabulary: Vocabulary | None, directory: Path
) -> Mapping[str, Any]:
    """Write the SavedModel into `directory`, and return its functions by the names of their signatures."""
    further = model.signatures(network, vocabulary)
    signature = model.signature_specs["serving_default"]
    (given,), (answer,) = signature.inputs, signature.outputs
    default = tf.function(
        lambda tensor: {answer.name: network(tensor, training=False)},
        input_signature=[tf.TensorSpec(given.shape, given.dtype, name=given.name)],
        autograph=False,
    )
    functions = {"serving_default": default, **further.functions}
    module = tf.Module()
    module.tracked = list(further.tracked)
    tf.saved_model.save(module, str(directory), signatures=functions)
    return functions
