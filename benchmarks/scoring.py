"""Measures `kedge score` in process against the network's own speed on batches of 256, in one run.

    python benchmarks/scoring.py --data-dir DIR [--seconds S] [--repeat N] [--json]

The network's own speed is that of the SavedModel's serving_default on tensors that lie ready in memory:
nothing is read, preprocessed or written. The job reads a file, preprocesses, asks, reads the answers, and
brings them to the disk. Both run in turns; a ratio is that of one turn, and the median counts. Texts are
tokenised in the graph by the signature `text`, so they have a second figure: that signature on ready texts.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # in place of this directory, whose training.py would be found as the package
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH = 256
TARGET = 0.5
CASES = ("mnist .npy", "imdb token ids .npy", "imdb texts .jsonl")


def rate(ask: Callable[[], Any], seconds: float) -> float:
    """Return the rows a second of a function that asks about a batch."""
    ask()
    batches, start = 0, time.perf_counter()
    while (took := time.perf_counter() - start) < seconds:
        ask()
        batches += 1
    return batches * BATCH / took


def prepare(
    case: str, data_dir: Path, directory: Path
) -> tuple[Any, Path, int, dict[str, Callable[[], Any]]]:
    """Train, write the input, and return predictor, input, rows and what to compare with, by signature."""
    import tensorflow as tf

    from models import catalogue, words
    from training import data, job
    from training.scoring.saved_model import SavedModel

    model = catalogue.find(case.split(maxsplit=1)[0])
    store = directory / "store"
    if not (store / model.name).exists():
        short = replace(model, recipe=model.recipe.changed(epochs=1))
        job.train(job.JobOptions(model=short, model_store=store, data_dir=data_dir, min_accuracy=0))
    predictor = SavedModel(model, store, 1)
    splits = data.load(model.dataset, data_dir=data_dir).splits
    inputs = splits.test.inputs
    signatures = tf.saved_model.load(str(store / model.name / "1")).signatures
    ready = {name: tf.constant(array) for name, array in model.preprocess(inputs[:BATCH], None).items()}
    own = {"serving_default": lambda: signatures["serving_default"](**ready)}
    path = directory / f"{model.name}{case.rsplit(maxsplit=1)[-1]}"
    if case == CASES[0]:
        np.save(path, np.concatenate([inputs] * 10))
        return predictor, path, 10 * len(inputs), own
    if case == CASES[1]:
        np.save(path, words.padded(inputs))
        return predictor, path, len(inputs), own
    count = 10_000
    texts = [" ".join(words.decode(inputs[row], splits.vocabulary)) for row in range(count)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    given = tf.constant([text.encode() for text in texts[:BATCH]])
    return predictor, path, count, {**own, "text": lambda: signatures["text"](text=given)}


def score(predictor: Any, path: Path) -> float:
    """Run the job, and return its seconds; loading the model is not in them."""
    from models import catalogue
    from training.score_command import BATCH_IN_PROCESS, IN_PROCESS
    from training.scoring import job

    name = path.stem
    output = path.with_suffix(".scores.jsonl")
    options = job.JobOptions(
        model=catalogue.find(name), paths=(path,), output=output, errors=output.with_suffix(".errors"),
        origin="benchmark", batch_size=BATCH_IN_PROCESS, concurrency=IN_PROCESS, resume=False,
    )  # fmt: skip
    start = time.perf_counter()
    job.score(options, lambda _: predictor, lambda *_: nullcontext(lambda _: None))
    return time.perf_counter() - start


def measure(case: str, data_dir: Path, seconds: float, repeat: int) -> dict[str, Any]:
    """Measure both sides of a case in turns."""
    with tempfile.TemporaryDirectory() as directory:
        predictor, path, count, own = prepare(case, data_dir, Path(directory))
        turns: list[dict[str, float]] = []
        for _ in range(repeat):
            turn = {name: rate(ask, seconds) for name, ask in own.items()}
            turns.append({**turn, "job": count / score(predictor, path)})
    figures = {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}
    ratios = {name: statistics.median(turn["job"] / turn[name] for turn in turns) for name in own}
    return {"rows a second": figures, "ratio": ratios, "reached": max(ratios.values()) >= TARGET}


@click.command(help=__doc__)
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="KEDGE_DATA_DIR",
    required=True,
)
@click.option("--case", "cases", type=click.Choice(CASES), multiple=True, help="Default: all.")
@click.option("--seconds", type=click.FloatRange(0.1), default=2.0, show_default=True)
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(*, data_dir: Path, cases: tuple[str, ...], seconds: float, repeat: int, as_json: bool) -> None:
    """Measure, print, and exit with 1 where the target is missed."""
    from training.quiet import import_tensorflow

    import_tensorflow()
    results = {case: measure(case, data_dir, seconds, repeat) for case in cases or CASES}
    if as_json:
        click.echo(json.dumps(results))
    for case, result in results.items() if not as_json else ():
        figures = result["rows a second"]
        click.echo(f"{case}: {figures['job']:.0f} rows a second")
        for name, ratio in result["ratio"].items():
            click.echo(f"  {ratio:.2f} of {name} itself, {figures[name]:.0f} rows a second")
    sys.exit(not all(result["reached"] for result in results.values()))


if __name__ == "__main__":
    main()
