"""What the servers are asked: the cases of the benchmark, with the answers of the model in process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A request of `rows` rows to one signature; `title` is for the table."""

    name: str
    model: str
    title: str
    signature: str = "serving_default"
    rows: int = 1

    @property
    def default(self) -> bool:
        """Whether it asks `serving_default`, which every server has."""
        return self.signature == "serving_default"


CASES = (
    Case("mnist", "mnist", "MNIST, one image"),
    Case("imdb", "imdb", "IMDB, one multi-hot vector"),
    Case("imdb-tokens", "imdb", "IMDB, token ids", "token_ids"),
    Case("imdb-text", "imdb", "IMDB, text", "text"),
    Case("mnist-256", "mnist", "MNIST, batch of 256", rows=256),
)
BY_NAME = {case.name: case for case in CASES}


@dataclass(frozen=True)
class Example:
    """A case's tensors by name, the model's output on them in process, and the label that the data give."""

    inputs: Mapping[str, Array]
    output_name: str
    output: Array
    label: int

    def agrees(self, answer: Array) -> bool:
        """Whether an answer is close to the model's own, row by row, and the first row has its label."""
        if answer.shape != self.output.shape or not np.allclose(answer, self.output, rtol=1e-4, atol=1e-5):
            return False
        return decision(answer[0]) == self.label


def decision(row: Array) -> int:
    """The label that an output's row decides for: of several the most probable, of one whether it is 0.5."""
    return int(row.argmax()) if row.size > 1 else int(row[0] >= 0.5)


def write(path: Path, examples: Mapping[str, Example]) -> None:
    """Write examples by case to an .npz file."""
    arrays: dict[str, Any] = {}
    for name, example in examples.items():
        arrays |= {f"{name}/in/{key}": value for key, value in example.inputs.items()}
        arrays |= {f"{name}/out/{example.output_name}": example.output, f"{name}/label": example.label}
    np.savez(path, **arrays)


def read(path: Path) -> dict[str, Example]:
    """Read what `write` wrote."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    examples = {}
    for case in CASES:
        of_case = {
            name.removeprefix(f"{case.name}/"): a
            for name, a in arrays.items()
            if name.startswith(f"{case.name}/")
        }
        inputs = {name.removeprefix("in/"): a for name, a in of_case.items() if name.startswith("in/")}
        outputs = {name.removeprefix("out/"): a for name, a in of_case.items() if name.startswith("out/")}
        ((output_name, output),) = outputs.items()
        examples[case.name] = Example(inputs, output_name, output, int(of_case["label"]))
    return examples
