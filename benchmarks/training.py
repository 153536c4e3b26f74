"""Measures training against the source's own Keras code (Chollet's): time to fit, peak memory, accuracy.

    python benchmarks/training.py --data-dir DIR [--model mnist|imdb] [--repeat N] [--epochs N] [--json]

Each side runs in a process of its own, so that its peak memory is its own. The source's IMDB code holds the
data as dense float vectors: it needs up to 9 GB and some minutes. The times, without importing TensorFlow,
are those of fitting alone and of the whole job: the source's reads the data, fits and evaluates; kedge's
also exports, draws the report, verifies and publishes. The best of the repeats counts.
"""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {
    "mnist": {"fit seconds": 0.75, "accuracy": 0.975},
    "imdb": {"job seconds": 0.3, "peak GB": 0.15, "accuracy": 0.875},
}
"""Of `accuracy` the least, of the others the most, as kedge's part of what the source takes."""
RATIOS = ("fit seconds", "job seconds", "peak GB")
WORDS, HELD_OUT = 10_000, 10_000


def source_mnist(data_dir: Path, epochs: int | None) -> dict[str, float]:
    """Fit as in Chollet's chapter 2: 5 epochs, batches of 128."""
    import keras

    with np.load(data_dir / "mnist.npz") as arrays:
        data = {name: arrays[name] for name in arrays}
    images = {
        split: data[f"x_{split}"].reshape(-1, 784).astype("float32") / 255 for split in ("train", "test")
    }
    network = keras.Sequential(
        [keras.Input((784,)), keras.layers.Dense(512, "relu"), keras.layers.Dense(10, "softmax")]
    )
    network.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    network.fit(images["train"], data["y_train"], epochs=epochs or 5, batch_size=128, verbose=0)
    seconds = time.perf_counter() - start
    loss, accuracy = network.evaluate(images["test"], data["y_test"], verbose=0)
    return {"fit seconds": seconds, "loss": loss, "accuracy": accuracy}


def source_imdb(data_dir: Path, epochs: int | None) -> dict[str, float]:
    """Fit as in Chollet's chapter 4: 20 epochs with validation, then a new network for the best number."""
    import keras

    def vectorize(rows: Any) -> Any:
        dense = np.zeros((len(rows), WORDS))
        for place, row in enumerate(rows):
            dense[place, [1, *(rank + 3 if rank + 3 < WORDS else 2 for rank in row)]] = 1.0
        return dense

    def build() -> Any:
        hidden = [keras.layers.Dense(16, "relu") for _ in range(2)]
        network = keras.Sequential([keras.Input((WORDS,)), *hidden, keras.layers.Dense(1, "sigmoid")])
        network.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
        return network

    with np.load(data_dir / "imdb.npz", allow_pickle=True) as arrays:
        data = {name: arrays[name] for name in arrays}
    train, test = vectorize(data["x_train"]), vectorize(data["x_test"])
    labels = {split: data[f"y_{split}"].astype("float32") for split in ("train", "test")}
    start = time.perf_counter()
    history = build().fit(
        train[HELD_OUT:],
        labels["train"][HELD_OUT:],
        epochs=epochs or 20,
        batch_size=512,
        validation_data=(train[:HELD_OUT], labels["train"][:HELD_OUT]),
        verbose=0,
    )
    network = build()
    best = 1 + int(np.argmin(history.history["val_loss"]))
    network.fit(train, labels["train"], epochs=best, batch_size=512, verbose=0)
    seconds = time.perf_counter() - start
    loss, accuracy = network.evaluate(test, labels["test"], verbose=0)
    return {"fit seconds": seconds, "loss": loss, "accuracy": accuracy, "best epoch": best}


def ours(model: str, data_dir: Path, epochs: int | None) -> dict[str, float]:
    """Run the job as `kedge train` does, into a store that is thrown away."""
    import tempfile

    from models import catalogue
    from training import job

    with tempfile.TemporaryDirectory() as store:
        known = catalogue.find(model)
        asked = replace(known, recipe=known.recipe.changed(epochs=epochs))
        options = job.JobOptions(model=asked, model_store=Path(store), data_dir=data_dir, min_accuracy=0)
        result = job.train(options)
    return {
        "fit seconds": result.seconds["fit"],
        "loss": result.loss,
        "accuracy": result.accuracy,
        "best epoch": result.best_epoch,
    }


def measure_here(side: str, model: str, data_dir: Path, epochs: int | None) -> dict[str, float]:
    """Run one side in this process, with the whole job's time and the peak of its memory."""
    import keras

    keras.utils.set_random_seed(0)  # TensorFlow is imported, and no longer counts
    start = time.perf_counter()
    if side == "kedge":
        figures = ours(model, data_dir, epochs)
    else:
        figures = (source_mnist if model == "mnist" else source_imdb)(data_dir, epochs)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {**figures, "job seconds": seconds, "peak GB": peak}


def measure(side: str, model: str, data_dir: Path, epochs: int | None, repeat: int) -> dict[str, float]:
    """Run one side in processes of its own, and return the fastest run."""
    # -P keeps this directory, and so this very file, from being found as the package `training`.
    command = [sys.executable, "-P", __file__, "--data-dir", str(data_dir), "--model", model, "--side", side]
    if epochs:
        command += ["--epochs", str(epochs)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    runs: list[dict[str, float]] = []
    for _ in range(repeat):
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        runs.append(json.loads(done.stdout))
    return min(runs, key=lambda run: run["fit seconds"])


def compare(model: str, data_dir: Path, epochs: int | None, repeat: int) -> dict[str, Any]:
    """Measure both sides of a model, one after the other, and hold ours against the targets."""
    sides = {side: measure(side, model, data_dir, epochs, repeat) for side in ("kedge", "source")}
    kedge, source = sides["kedge"], sides["source"]
    ratio = {name: kedge[name] / source[name] for name in RATIOS}
    targets = TARGETS[model]
    reached = {
        name: kedge[name] >= target if name == "accuracy" else ratio[name] <= target
        for name, target in targets.items()
    }
    return {**sides, "ratio": ratio, "targets": targets, "reached": reached}


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the results as a table, a line for each model and side."""
    lines = [f"{'':14}{'fit s':>8}{'job s':>8}{'peak GB':>9}{'accuracy':>10}{'loss':>8}"]
    for model, result in results.items():
        for side in ("source", "kedge"):
            row = result[side]
            lines.append(
                f"{model} {side:<{13 - len(model)}}{row['fit seconds']:8.2f}{row['job seconds']:8.2f}"
                f"{row['peak GB']:9.2f}{row['accuracy']:10.4f}{row['loss']:8.4f}"
            )
        ratio = result["ratio"]
        missed = [name for name, reached in result["reached"].items() if not reached]
        lines.append(
            f"{model + ' ratio':14}{ratio['fit seconds']:8.3f}{ratio['job seconds']:8.3f}"
            f"{ratio['peak GB']:9.3f}  {'missed: ' + ', '.join(missed) if missed else 'all targets reached'}"
        )
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--model", "models", type=click.Choice(["mnist", "imdb"]), multiple=True, help="Default: both.")
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="KEDGE_DATA_DIR",
    required=True,
)
@click.option("--epochs", type=click.IntRange(min=1), help="Shortens both sides alike.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--side", type=click.Choice(["kedge", "source"]), hidden=True)
@click.option("--json", "as_json", is_flag=True)
def main(
    *,
    models: tuple[str, ...],
    data_dir: Path,
    epochs: int | None,
    repeat: int,
    side: str | None,
    as_json: bool,
) -> None:
    """Measure, print, and exit with 1 where a target is missed."""
    if side:
        click.echo(json.dumps(measure_here(side, models[0], data_dir, epochs)))
        return
    results = {model: compare(model, data_dir, epochs, repeat) for model in models or ("mnist", "imdb")}
    click.echo(json.dumps(results) if as_json else table(results))
    sys.exit(not all(all(result["reached"].values()) for result in results.values()))


if __name__ == "__main__":
    main()
