"""The shape of network that both models have: dense hidden layers with relu, and a dense output.

This module is imported only where a network is built: it imports Keras, and so TensorFlow.
"""

from typing import Any

import keras


def dense(
    *,
    name: str,
    inputs: tuple[str, int],
    hidden: tuple[int, ...],
    outputs: tuple[str, int],
    activation: str,
    sparse: bool = False,
) -> keras.Model:
    """Build float32 [N, width] → float32 [N, units]; `inputs` and `outputs` are names with those sizes.

    With `sparse` the input is a tf.SparseTensor of the same shape.
    """
    entry = keras.Input(shape=(inputs[1],), dtype="float32", name=inputs[0], sparse=sparse)
    tensor = entry
    for number, units in enumerate(hidden, start=1):
        tensor = keras.layers.Dense(units, activation="relu", name=f"hidden_{number}")(tensor)
    result = keras.layers.Dense(outputs[1], activation=activation, name=outputs[0])(tensor)
    return keras.Model(entry, result, name=name)


def weights(network: keras.Model) -> list[Any]:
    """Return the network's variables as TensorFlow's, which a tf.Module tracks."""
    return [variable.value for variable in network.variables]
