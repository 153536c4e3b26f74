"""Measures `kedge score` in process against the network's own speed on batches of 256, in one run.

    python benchmarks/scoring.py --data-dir DIR [--seconds S] [--repeat N] [--json]

The network's own speed is that of the SavedModel's serving_default on tensors that lie ready in memory:
nothing is read, preprocessed or written. The job reads a file, preprocesses, asks, reads the answers, and
brings them to the disk. Both run in turns; a ratio is that of one turn, and the median counts. Beside the
wall clock's there is the ratio of processor time, which others on the same machine disturb less.

A text's words must be found before a network can be asked. So texts have a second figure: the tokeniser
alone, on one core, on texts that lie ready in memory.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # in place of this directory, whose training.py would be found as the package
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH = 256
TARGET = 0.5
TIMES = {"mnist": 10, "imdb": 4}
"""How often an input has the test set, for 100,000 rows: what a job costs once is a small part."""
NETWORK = "serving_default"
CASES = ("mnist .npy", "imdb token ids .npy", "imdb texts .jsonl")


@dataclass(frozen=True)
class Speed:
    """Rows a second, of the wall clock and of the processors' time."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Case:
    """What a case compares: the predictor, its input and rows, and what they are held against."""

    predictor: Any
    path: Path
    count: int
    own: dict[str, Callable[[], Any]]


def speed(ask: Callable[[], int], seconds: float) -> Speed:
    """Return the speed of a function that answers some rows and returns their number, for a time at least."""
    rows, wall, processor = 0, time.perf_counter(), time.process_time()
    while (took := time.perf_counter() - wall) < seconds or not rows:
        rows += ask()
    return Speed(rows / took, rows / (time.process_time() - processor))


def of_batch(ask: Callable[[], Any]) -> Callable[[], int]:
    """Count the rows of a function that asks about a batch, and ask once, as the first call takes longer."""

    def counted() -> int:
        ask()
        return BATCH

    counted()
    return counted


def prepare(case: str, data_dir: Path, directory: Path) -> Case:
    """Train the model if no case before has, and write the input."""
    import tensorflow as tf

    from models import catalogue, words
    from models.tokenizer import tokenizer
    from training import data, job
    from training.scoring.saved_model import SavedModel

    model = catalogue.find(case.split(maxsplit=1)[0])
    store = directory / "store"
    if not (store / model.name).exists():
        short = replace(model, recipe=model.recipe.changed(epochs=1))
        job.train(job.JobOptions(model=short, model_store=store, data_dir=data_dir, min_accuracy=0))
    predictor = SavedModel(model, store, 1)
    splits = data.load(model.dataset, data_dir=data_dir).splits
    inputs: Any = splits.test.inputs
    times = TIMES[model.name]
    count = times * len(inputs)
    signature = tf.saved_model.load(str(store / model.name / "1")).signatures[NETWORK]
    ready = {name: tf.constant(array) for name, array in model.preprocess(inputs[:BATCH], None).items()}
    own: dict[str, Callable[[], Any]] = {NETWORK: lambda: signature(**ready)}
    path = directory / f"{model.name}{case.rsplit(maxsplit=1)[-1]}"
    if case == CASES[0]:
        np.save(path, np.concatenate([inputs] * times))
        return Case(predictor, path, count, own)
    if case == CASES[1]:
        np.save(path, np.concatenate([words.padded(inputs)] * times))
        return Case(predictor, path, count, own)
    vocabulary = splits.vocabulary or {}
    known = {rank + words.OFFSET: word for word, rank in vocabulary.items()}
    texts = [" ".join(known.get(token, "") for token in row.tolist()) for row in inputs]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts) * times)
    find = tokenizer(vocabulary)
    return Case(predictor, path, count, {**own, "the tokeniser": lambda: find(texts[:BATCH])})


def score(case: Case) -> int:
    """Run the job, and return its rows; loading the model is not in it."""
    from models import catalogue
    from training.score_command import BATCH_IN_PROCESS, IN_PROCESS
    from training.scoring import job

    output = case.path.with_suffix(".scores.jsonl")
    options = job.JobOptions(
        model=catalogue.find(case.path.stem), paths=(case.path,), output=output,
        errors=output.with_suffix(".errors"), origin="benchmark", batch_size=BATCH_IN_PROCESS,
        concurrency=IN_PROCESS, resume=False,
    )  # fmt: skip
    job.score(options, lambda _: case.predictor, lambda *_: nullcontext(lambda _: None))
    return case.count


def measure(case: Case, seconds: float, repeat: int) -> dict[str, Any]:
    """Measure both sides of a case in turns."""
    own = {name: of_batch(ask) for name, ask in case.own.items()}
    turns = [
        {"job": speed(lambda: score(case), seconds)}
        | {name: speed(ask, seconds) for name, ask in own.items()}
        for _ in range(repeat)
    ]
    median = statistics.median
    ratios = {
        name: {
            "wall": median(turn["job"].wall / turn[name].wall for turn in turns),
            "processor": median(turn["job"].processor / turn[name].processor for turn in turns),
        }
        for name in own
    }
    figures = {name: median(turn[name].wall for turn in turns) for name in turns[0]}
    return {"rows a second": figures, "ratio": ratios, "reached": ratios[NETWORK]["wall"] >= TARGET}


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
    from training.score_command import prepare_process

    prepare_process()
    with tempfile.TemporaryDirectory() as directory:
        results = {
            case: measure(prepare(case, data_dir, Path(directory)), seconds, repeat)
            for case in cases or CASES
        }
    if as_json:
        click.echo(json.dumps(results))
    for case, result in results.items() if not as_json else ():
        figures = result["rows a second"]
        click.echo(f"{case}: {figures['job']:.0f} rows a second")
        for name, ratio in result["ratio"].items():
            click.echo(
                f"  {ratio['wall']:.2f} of {name} alone, {figures[name]:.0f} rows a second;"
                f" in processor time {ratio['processor']:.2f}"
            )
    sys.exit(not all(result["reached"] for result in results.values()))


if __name__ == "__main__":
    main()
