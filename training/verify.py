"""Trying an exported version before it is published: what cannot be served is never published."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from models.model import Array
from training import serve_once
from training.errors import GateError
from training.warm_up import Answer
from wire import tensors

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 600.0
"""Seconds that loading the version and answering its requests may take."""
RELATIVE, ABSOLUTE = 1e-4, 1e-5
"""How far an answer may be from the network's in memory: the order of the sums may differ."""


def in_process_of_its_own(directory: Path, file: Path) -> None:
    """Run `training.serve_once`; raises GateError, with the last line of what it said, where it fails."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(paths)}
    try:
        done = subprocess.run(  # noqa: S603 (our own program)
            [sys.executable, "-m", "training.serve_once", str(directory), str(file)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise GateError(f"the exported version did not answer within {TIMEOUT:g} seconds") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else f"it ended with {done.returncode}"
        raise GateError(f"the exported version cannot be served: {reason}")


def verify(directory: Path, expected: Sequence[Answer]) -> None:
    """Have the version answer its warm-up requests; raises GateError unless it answers as the network did."""
    with tempfile.TemporaryDirectory(prefix="kedge-") as aside:
        file = Path(aside, "answers")
        in_process_of_its_own(directory, file)
        logs = list(serve_once.read(file))
    if len(logs) != len(expected):
        raise GateError(f"the exported version answered {len(logs)} of {len(expected)} warm-up requests")
    for log, (signature, outputs) in zip(logs, expected, strict=True):
        came = {name: tensors.to_array(proto) for name, proto in log.predict_log.response.outputs.items()}
        if difference := _difference(came, outputs):
            raise GateError(
                f"the exported version does not answer as the network: {difference} of signature {signature}"
            )


def _difference(came: Mapping[str, Array], expected: Mapping[str, Array]) -> str:
    """Say which output differs and how far, or "" where none does."""
    if came.keys() != expected.keys():
        return f"the outputs {sorted(came)} in place of {sorted(expected)}"
    for name, array in expected.items():
        other = came[name]
        if other.shape != array.shape or other.dtype != array.dtype:
            return f"{other.dtype}{list(other.shape)} in place of {array.dtype}{list(array.shape)} for {name}"
        if array.dtype.kind != "f":
            if not np.array_equal(other, array):
                return f"other values for {name}"
        elif not np.allclose(other, array, rtol=RELATIVE, atol=ABSOLUTE):
            return f"{name}, which is off by {np.max(np.abs(other - array)):.2g},"
    return ""
