"""The models in process, without a server: what they answer, and how fast.

A program of its own, so that TensorFlow's threads are not in the benchmark's process:

    python -m benchmarks.serving.reference examples STORE FILE real|sample [DATA_DIR]
    python -m benchmarks.serving.reference time STORE FILE CASE

The first writes the examples of all cases; the second prints the seconds of a case's call in a loop.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import cases
from benchmarks.serving.cases import Case, Example
from models import catalogue, words
from models.model import Examples, Splits
from training import data
from training.quiet import import_tensorflow
from training.store import versions

CALLS = {1: 3000, 256: 400}


def write_examples(store: Path, file: Path, *, sample: bool, data_dir: Path | None) -> None:
    """Run every case in process, and write its tensors with the answers."""
    splits = {
        name: data.load(catalogue.find(name).dataset, data_dir=data_dir, sample=sample).splits
        for name in ("mnist", "imdb")
    }
    signatures = {name: _load(store, name) for name in splits}
    cases.write(file, {case.name: _example(case, splits, signatures) for case in cases.CASES})


def _example(case: Case, splits: dict[str, Splits], signatures: dict[str, Any]) -> Example:
    """The first examples of the test set, the first of them one that the model is right about."""
    test = splits[case.model].test
    for first in range(len(test) - case.rows):
        rows = Examples(test.inputs[first : first + case.rows], test.labels[first : first + case.rows])
        inputs = _tensors(case, rows, splits[case.model])
        output_name, output = _call(signatures[case.model][case.signature], inputs)
        if cases.decision(output[0]) == rows.labels[0]:
            return Example(inputs, output_name, output, int(rows.labels[0]))
    raise SystemExit(f"the {case.model} model is right about none of its test set: train it again")


def _tensors(case: Case, rows: Examples, splits: Splits) -> dict[str, Any]:
    model = catalogue.find(case.model)
    if case.signature == "text":
        if splits.vocabulary is None:
            raise SystemExit(f"the data of {case.model} have no vocabulary to make a text with")
        text = " ".join(words.decode(rows.inputs[0], splits.vocabulary))
        return {"text": np.array([text.encode()])}
    if case.default:
        return model.preprocess(rows.inputs, splits.vocabulary)
    return model.raw_request(rows.inputs)[1]


def _load(store: Path, name: str) -> Any:
    import_tensorflow()
    import tensorflow as tf

    newest = versions(store / name)[-1]
    return tf.saved_model.load(str(store / name / str(newest))).signatures


def _call(signature: Any, inputs: dict[str, Any]) -> tuple[str, Any]:
    import tensorflow as tf

    outputs = signature(**{name: tf.constant(array) for name, array in inputs.items()})
    ((name, value),) = outputs.items()
    return name, value.numpy()


def call_seconds(store: Path, file: Path, case: Case) -> float:
    """The median seconds of a signature's call, from arrays to arrays, for a case of `serving_default`."""
    signature, inputs = _load(store, case.model)["serving_default"], dict(cases.read(file)[case.name].inputs)
    return _median(lambda: _call(signature, inputs), CALLS[case.rows])


def _median(call: Callable[[], Any], count: int) -> float:
    for _ in range(count // 10):
        call()
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def main() -> None:
    """See the module's text."""
    what, store, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if what == "time":
        print(call_seconds(store, file, cases.BY_NAME[sys.argv[4]]))
    else:
        data_dir = Path(sys.argv[5]) if len(sys.argv) > 5 else None
        write_examples(store, file, sample=sys.argv[4] == "sample", data_dir=data_dir)


if __name__ == "__main__":
    main()
