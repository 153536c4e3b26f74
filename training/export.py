"""Writing a network as a SavedModel with all its signatures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from models.model import Entries, Model, Vocabulary


def export(
    model: Model, network: keras.Model, vocabulary: Vocabulary | None, directory: Path
) -> Mapping[str, Any]:
    """Write the SavedModel into `directory`, and return its functions by the names of their signatures."""
    further = model.signatures(network, vocabulary) if model.signatures else Entries()
    signature = model.signature_specs["serving_default"]
    (given,), (answer,) = signature.inputs, signature.outputs
    default = tf.function(
        lambda tensor: {answer.name: network(tensor, training=False)},
        input_signature=[tf.TensorSpec(given.shape, given.dtype, name=given.name)],
        autograph=False,
    )
    functions = {"serving_default": default, **further.functions}
    module = tf.Module()
    # The Keras model itself does not do here: TensorFlow 2.21 saves copies of its variables, which a TF1
    # session, and so TensorFlow Serving, does not tie to the functions.
    module.tracked = [*(variable.value for variable in network.variables), *further.tracked]
    module.bulk, module.vocabulary = further.bulk, further.vocabulary
    tf.saved_model.save(module, str(directory), signatures=functions)
    return functions
