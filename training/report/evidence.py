"""What a report is written from: taken once, while the network and the test split are in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.model import Array, Examples, Model, RaggedArray, Splits
from training.report import baseline, mistakes
from training.report.baseline import Baseline
from training.report.measures import Bin, by_label, confusion, predictions, reliability
from training.report.mistakes import Mistake


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the test split showed of a network, and what it is held against.

    `counts` [labels, labels] counts test examples by true label and label found; `trained` [labels] the
    training examples by label.
    """

    model: Model
    counts: NDArray[np.int64]
    trained: NDArray[np.int64]
    bins: Sequence[Bin]
    mistakes: Sequence[Mistake]
    baseline: Baseline | None


def gather(
    model: Model, network: Callable[[Any], Any], splits: Splits, outputs: Array, base: Path
) -> Evidence:
    """Look at a network's outputs on the test split, as `evaluate` returns them.

    `network` turns the tensor of `serving_default` into probabilities; it is asked again only about the texts
    of the mistakes that are shown. `base` is the store's directory of the model, where the version now served
    is looked up.
    """
    (spec,) = model.signature_specs["serving_default"].inputs

    def answer(rows: RaggedArray) -> NDArray[np.float64]:
        tensor = model.preprocess(rows, splits.vocabulary)[spec.name]
        return by_label(np.asarray(network(tensor)))

    predicted = predictions(outputs, splits.test.labels)
    return Evidence(
        model=model,
        counts=confusion(predicted),
        trained=_by_label(splits.train, len(model.labels)),
        bins=reliability(predicted),
        mistakes=mistakes.show(model.labels, predicted, splits, answer),
        baseline=baseline.find(base),
    )


def _by_label(examples: Examples, labels: int) -> NDArray[np.int64]:
    return np.bincount(examples.labels, minlength=labels)
