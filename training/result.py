"""What comes out of a training job, and kedge.json, which keeps it beside the version."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.fit import History

FILE = "kedge.json"
LIBRARIES = ("kedge", "tensorflow", "keras", "numpy")


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What a job made: where it is, what it was made of, and how good it is.

    `version` is None and `refused` the reason where the quality gate let it not be published. `rows` is the
    number of examples that it was fitted on.
    `loss` and `accuracy` are on the test set. `epochs` is what the published network was fitted for.
    `history` is that of the first phase where there are two, with `held_out` examples for validation, and
    `best_epoch` its epoch of lowest validation loss. `created` is UTC in ISO 8601; `seconds` is the duration
    by phase.
    """

    name: str
    version: int | None
    path: Path
    created: str
    source: str
    sample: bool
    sha256: Mapping[str, str]
    seed: int
    hidden: tuple[int, ...]
    batch_size: int
    rows: int
    epochs: int
    best_epoch: int
    held_out: int
    loss: float
    accuracy: float
    history: History
    seconds: Mapping[str, float]
    refused: str | None = None

    def document(self) -> dict[str, Any]:
        """Return it as what JSON can hold, with the versions of the libraries it depends on."""
        return {**asdict(self), "path": str(self.path), "libraries": libraries()}

    def write(self, directory: Path) -> None:
        """Write kedge.json; the path is left out, as a store can be moved."""
        document = self.document()
        del document["path"]
        text = json.dumps(_finite(document), indent=2, allow_nan=False)
        (directory / FILE).write_text(text + "\n")


def _finite(value: Any) -> Any:
    """Put null for the numbers of a fit that diverged, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in LIBRARIES
    }
