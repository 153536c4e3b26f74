"""What the benchmark needs before it can start: the models, trained once, and what they answer."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.serving import cases
from benchmarks.serving.cases import Example
from benchmarks.serving.servers import ROOT

MODELS = ("mnist", "imdb")


def prepare(cache: Path, data_dir: Path | None, *, sample: bool) -> tuple[Path, dict[str, Example]]:
    """The model store and the examples with the models' answers, made where they are not there yet."""
    kind = "sample" if sample else "real"
    store, file = cache / kind / "store", cache / kind / "examples.npz"
    source = ["--sample"] if sample else ["--data-dir", str(data_dir)] if data_dir else []
    for model in MODELS:
        if not (store / model).is_dir():
            print(f"training {model} (once)", file=sys.stderr)
            command = [sys.executable, "-m", "kedge", "train", model, "--model-store", str(store), *source]
            _run([*command, "--json"])
    if not file.exists():
        command = [sys.executable, "-m", "benchmarks.serving.reference", "examples", str(store), str(file)]
        _run([*command, kind, *source[1:]])
    return store, cases.read(file)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:4])} ended with code {done.returncode}")


def environment() -> Mapping[str, str]:
    """A program's environment, without TensorFlow's notes."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
