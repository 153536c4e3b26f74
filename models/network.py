"""The shape of network that both models have: dense hidden layers with relu, and a dense output.

This module is imported only where a network is built: it imports Keras, and so TensorFlow.
"""

import keras


def dense(
    entry: keras.KerasTensor,
    hidden: tuple[int, ...],
    *,
    outputs: tuple[str, int],
    activation: str,
    first: type[keras.layers.Dense] = keras.layers.Dense,
) -> keras.Model:
    """Build the network from `entry` to the output of that name and width; `first` makes its first layer."""
    layers = [(f"hidden_{number}", units, "relu") for number, units in enumerate(hidden, start=1)]
    tensor = entry
    for name, units, function in [*layers, (*outputs, activation)]:
        kind = first if tensor is entry else keras.layers.Dense
        tensor = kind(units, activation=function, name=name)(tensor)
    return keras.Model(entry, tensor)
