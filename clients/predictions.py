"""Predictions as they come, in one of three forms: a table for people, one JSON document, JSON Lines."""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import click
import orjson

from clients import tables, terminal
from clients.results import Prediction
from clients.sources import Source
from models.model import Model

PICTURED = 10
"""Up to how many inputs are drawn on a terminal."""

Answers = Iterator[list[tuple[Source, Prediction]]]


def best(prediction: Prediction, count: int) -> list[tuple[str, float]]:
    """The most probable labels with their probabilities."""
    return sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:count]


def print_table(answers: Answers, model: Model, top: int) -> None:
    """Print a line for each input, or as many as the labels asked for, and draw the first few inputs."""
    on_terminal = sys.stdout.isatty()
    lines = tables.PredictionLines(model, on_terminal=on_terminal, paint=terminal.painter(sys.stdout))
    for number, chunk in enumerate(answers):
        if number == 0:
            click.echo(lines.header())
        pictured = on_terminal and number == 0 and len(chunk) <= PICTURED
        for source, prediction in chunk:
            if pictured and not isinstance(source.instance, str):
                click.echo(model.show(source.instance))
            click.echo(lines.row(prediction, source.name))
            for label, probability in islice(best(prediction, top), 1, None):
                click.echo(lines.further(label, probability))


def write_json(answers: Answers, model: Model, top: int | None) -> None:
    """Write one document a row at a time; nothing is written before the first answer.

    When a later request fails the document stays unfinished, as it is.
    """
    out = sys.stdout.buffer
    before = b'{"model":' + orjson.dumps(model.name) + b',"predictions":['
    for chunk in answers:
        for source, prediction in chunk:
            out.write(before + orjson.dumps(document(source, prediction, top)))
            before = b",\n"
    out.write(b"]}\n")
    out.flush()


def write_lines(answers: Answers, model: Model, top: int | None) -> None:
    """Write a document a line, each as soon as its answer is there."""
    out = sys.stdout.buffer
    for chunk in answers:
        for source, prediction in chunk:
            row = {"model": model.name, **document(source, prediction, top)}
            out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        out.flush()


def document(source: Source, prediction: Prediction, top: int | None) -> dict[str, Any]:
    """One prediction as JSON has it; with `top` the most probable labels in their order."""
    row = {
        "input": source.name,
        "label": prediction.label,
        "probability": prediction.probability,
        "probabilities": dict(prediction.probabilities),
        "version": prediction.version,
    }
    if top is not None:
        row["top"] = [{"label": label, "probability": value} for label, value in best(prediction, top)]
    return row
