"""What a job that was told to end leaves for the same command, run again, to go on from.

A checkpoint is one file, STORE/.checkpoints/NAME.npz: the arrays of a paused fit, and as JSON the rest of it
and what the job was of. Weights that go on from a checkpoint are, to the bit, those of a fit that was never
paused, so no job goes on from a checkpoint of anything else. It starts anew, which takes time and no more.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from models.model import Examples, Model, RaggedArray
from training import npz, result, store, whole_file
from training.fit import History, Pause

DIRECTORY = ".checkpoints"
"""Beside the models of the store; servers take no name with a dot in front for a model."""
DAMAGED = (*npz.DAMAGED, KeyError, TypeError)
GATE = {"min_accuracy", "sample_min_accuracy"}
"""Numbers of a recipe that the weights do not depend on."""


def identity(model: Model, network: keras.Model, train: Examples, seed: int) -> dict[str, Any]:
    """Return all that the weights of a fit follow from; `network` is a new one of the kind that is fitted."""
    recipe = {name: value for name, value in asdict(model.recipe).items() if name not in GATE}
    layers = [{"class": type(layer).__name__, **layer.get_config(), "name": None} for layer in network.layers]
    facts = {
        "model": model.name,
        **recipe,
        "seed": seed,
        "network": _digest(json.dumps(layers, sort_keys=True, default=str).encode()),
        "data": _digest(*_contents(train)),
        "libraries": {name: result.libraries()[name] for name in ("tensorflow", "keras")},
    }
    return dict(json.loads(json.dumps(facts)))  # as it is read back: tuples become lists


class Unusable(Exception):  # noqa: N818 (no error: the fit starts anew)
    """The checkpoint is none of this job's; the message tells why."""


@dataclass(frozen=True)
class CheckpointFile:
    """Where the checkpoint of a job is; `identity` is what the job is of.

    A model has one such file: what another job left there is replaced where this one is paused too, and
    removed where it ends.
    """

    path: Path
    identity: Mapping[str, Any]

    @classmethod
    def of(cls, base: Path, identity: Mapping[str, Any]) -> CheckpointFile:
        """Return the file for the model whose versions are under `base`."""
        return cls(base.parent / DIRECTORY / f"{base.name}.npz", identity)

    def read(self) -> Pause | None:
        """Return where the job was paused, None where it was not.

        Raises Unusable where the file is damaged, or of another job.
        """
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as arrays:
                about = json.loads(arrays["about"].tobytes())
                weights = tuple(arrays[f"weight_{number}"] for number in range(len(arrays.files) - 1))
            self._check(about.pop("identity"))
            chosen = about.pop("chosen")
            return Pause(**_tuples(about), chosen=chosen and History(**_tuples(chosen)), weights=weights)
        except FileNotFoundError:
            return None
        except DAMAGED as error:
            raise Unusable(f"the checkpoint {self.path} is damaged: {error}") from error

    def write(self, pause: Pause) -> None:
        """Write the file; raises StoreError where that cannot be done."""
        about = {name: value for name, value in vars(pause).items() if name != "weights"}
        about |= {"identity": self.identity, "chosen": pause.chosen and asdict(pause.chosen)}
        stream = io.BytesIO()
        arrays: dict[str, Any] = {f"weight_{number}": array for number, array in enumerate(pause.weights)}
        np.savez(stream, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
        with store.explained(self.path.parent.parent):
            self.path.parent.mkdir(exist_ok=True)
            whole_file.write(self.path, stream.getvalue())

    def remove(self) -> None:
        """Remove the file, now that the job has ended."""
        with store.explained(self.path.parent.parent):
            self.path.unlink(missing_ok=True)

    def _check(self, theirs: Mapping[str, Any]) -> None:
        names = sorted(theirs.keys() | self.identity.keys())
        differences = [
            f"{name} is {_short(theirs.get(name))} there and {_short(self.identity.get(name))} here"
            for name in names
            if theirs.get(name) != self.identity.get(name)
        ]
        if differences:
            raise Unusable(f"the checkpoint {self.path} is of another job: {', '.join(differences)}")


def _contents(examples: Examples) -> list[bytes]:
    inputs = examples.inputs
    arrays = [inputs.values, inputs.row_splits] if isinstance(inputs, RaggedArray) else [inputs]
    return [np.ascontiguousarray(array).data for array in (*arrays, examples.labels)]  # type: ignore[misc]


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _tuples(document: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what JSON has as lists back into tuples."""
    return {name: _tuple(value) for name, value in document.items()}


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
