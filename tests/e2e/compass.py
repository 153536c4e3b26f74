"""A third model: which way an arrow points. One file, and jobs, server and clients work with it.

`arrow` float32 [N, 2] → `probabilities` float32 [N, 2]: east or west of the origin.
"""

import numpy as np

from models.model import (
    Dataset,
    Examples,
    InputError,
    Model,
    Reading,
    Recipe,
    Signature,
    Splits,
    TensorSpec,
)

LABELS = ("west", "east")


def preprocess(inputs, vocabulary=None):
    arrows = np.atleast_2d(np.asarray(inputs, np.float32))
    if arrows.ndim != 2 or arrows.shape[1] != 2:
        raise InputError(f"the arrows are {list(arrows.shape)}; expected [N, 2]")
    return {"arrow": arrows}


def read(outputs):
    rows = outputs["probabilities"].tolist()
    return [
        Reading(LABELS[int(row[1] > row[0])], max(row), dict(zip(LABELS, row, strict=True))) for row in rows
    ]


def sample(seed):
    rng = np.random.default_rng(seed)

    def examples(count):
        arrows = rng.normal(size=(count, 2)).astype(np.float32)
        return Examples(arrows, (arrows[:, 0] > 0).astype(np.int64))

    return Splits(train=examples(512), test=examples(128))


def build(hidden):
    import keras

    from models.network import dense

    entry = keras.Input(shape=(2,), dtype="float32", name="arrow")
    return dense(entry, hidden, outputs=("probabilities", 2), activation="softmax")


MODEL = Model(
    name="compass",
    title="Compass: which way an arrow points",
    labels=LABELS,
    signature_specs={
        "serving_default": Signature(
            inputs=(TensorSpec("arrow", "float32", (None, 2)),),
            outputs=(TensorSpec("probabilities", "float32", (None, 2)),),
        )
    },
    preprocess=preprocess,
    raw_request=lambda inputs: ("serving_default", preprocess(inputs)),
    is_one=lambda inputs: np.ndim(inputs) == 1,
    read=read,
    read_argument=lambda word: np.array([float(part) for part in word.split(",")], np.float32),
    read_bytes=lambda data, source: np.loadtxt(data.decode().splitlines(), delimiter=",", ndmin=2),
    show=lambda instance, vocabulary=None: str(instance),
    dataset=Dataset(files=(), read=lambda contents: sample(0), sample=sample),
    recipe=Recipe(
        hidden=(8,), loss="sparse_categorical_crossentropy", optimizer="rmsprop", epochs=20, batch_size=32
    ),
    build=build,
)
