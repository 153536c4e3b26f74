"""`kedge data`: fetch the files of a model's data set, verify them, and look at what is in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from models import catalogue, checks
from models.model import Examples, Model
from training import data
from training.errors import DataError

MODEL = click.argument("model")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
Command = Callable[..., Any]


def data_dir_option(text: str, *, exists: bool) -> Callable[[Command], Command]:
    """Give a command --data-dir, which is read from the environment as that of `kedge train` is."""
    return click.option(
        "--data-dir",
        type=click.Path(exists=exists, file_okay=False, path_type=Path),
        envvar="KEDGE_DATA_DIR",
        show_envvar=True,
        help=text,
    )


@click.group("data")
def command() -> None:
    """Fetch, verify and show the data set of a model."""


@command.command()
@MODEL
@data_dir_option("Where the files are put, unless they are there; else Keras's cache.", exists=False)
@JSON
def fetch(model: str, data_dir: Path | None, as_json: bool) -> None:
    """Download the files of MODEL's data set that are missing, and verify all.

    Run it before the jobs that need the data, such as in an init container: jobs with the same --data-dir, or
    the same Keras cache, then need no network.
    """
    dataset, directory = catalogue.find(model).dataset, data_dir or data.keras_cache()
    found = [data.place(file, directory, _tell) for file in dataset.files]
    data.read(dataset, found)
    _print_files(model, found, as_json=as_json)


@command.command()
@MODEL
@data_dir_option("Where the files are; else Keras's cache.", exists=True)
@JSON
def verify(model: str, data_dir: Path | None, as_json: bool) -> None:
    """Check the files of MODEL's data set, their checksums and what is in them; nothing is downloaded."""
    dataset = catalogue.find(model).dataset
    found = []
    for file in dataset.files:
        there = data.find(file, data_dir)
        if there is None:
            raise DataError(f"{data.absent(file, data_dir)}: get it with `kedge data fetch {model}`")
        found.append(there)
    data.read(dataset, found)
    _print_files(model, found, as_json=as_json)


@command.command()
@MODEL
@data_dir_option("Where the files are; else Keras's cache, else they are downloaded into it.", exists=True)
@click.option("--sample", is_flag=True, help="Show the small synthetic set.")
@click.option(
    "--count",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="Examples to show of the test set.",
)
@JSON
def show(model: str, data_dir: Path | None, sample: bool, count: int, as_json: bool) -> None:
    """Show the shapes of MODEL's data set, how often each label occurs, and a few examples."""
    known = catalogue.find(model)
    loaded = data.load(known.dataset, data_dir=data_dir, sample=sample, progress=None)
    document = _describe(known, loaded)
    if as_json:
        click.echo(json.dumps(document))
        return
    click.echo(f"{known.title}, from {loaded.source}")
    for split in ("train", "test"):
        about = document[split]
        counts = ", ".join(f"{label} {number}" for label, number in about["labels"].items())
        click.echo(f"{split:<6} {about['examples']} examples, {about['inputs']}: {counts}")
    if document["vocabulary"]:
        click.echo(f"words  {document['vocabulary']}")
    for row in range(min(count, len(loaded.splits.test))):
        label = known.labels[loaded.splits.test.labels[row]]
        shown = known.show(loaded.splits.test.inputs[row], loaded.splits.vocabulary)
        click.echo(f"\ntest example {row}, {label}:\n{shown}")


def _describe(model: Model, loaded: data.LoadedData) -> dict[str, Any]:
    splits = loaded.splits
    return {
        "model": model.name,
        "source": loaded.source,
        "sample": loaded.sample,
        "train": _describe_split(model, splits.train),
        "test": _describe_split(model, splits.test),
        "vocabulary": None if splits.vocabulary is None else len(splits.vocabulary),
    }


def _describe_split(model: Model, examples: Examples) -> dict[str, Any]:
    counts = np.bincount(examples.labels, minlength=len(model.labels)).tolist()
    return {
        "examples": len(examples),
        "inputs": checks.describe(examples.inputs),
        "labels": dict(zip(model.labels, counts, strict=True)),
    }


def _print_files(model: str, found: list[data.Found], *, as_json: bool) -> None:
    if as_json:
        files = [
            {"path": str(file.path), "bytes": len(file.content), "checked": file.checked} for file in found
        ]
        click.echo(json.dumps({"model": model, "files": files}))
        return
    for file in found:
        click.echo(f"{file.path}: {len(file.content)} bytes, {file.checked}")


def _tell(line: str) -> None:
    click.echo(line, err=True)
