"""How the network was fitted: the two figures of the source, and their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from training.report.axes import legend, line
from training.report.charts import Curve, curve, diamond
from training.report.evidence import Evidence
from training.report.markup import Markup, element, join
from training.report.tables import UNDEFINED, Row, plural, score, section, table
from training.result import JobResult


def fitting(result: JobResult, evidence: Evidence) -> Markup:
    """Return loss and accuracy by epoch, training against validation, with the best epoch."""
    history, best = result.history, result.best_epoch
    figures = [
        _figure(Curve("loss", history.loss, history.validation_loss, best, result.loss)),
        _figure(Curve("accuracy", history.accuracy, history.validation_accuracy, best, result.accuracy)),
    ]
    return section(
        "fit",
        "Loss and accuracy by epoch",
        element("p", _story(result, evidence), class_="lead"),
        element("div", figures, class_="pair"),
        element("details", element("summary", "The numbers"), _numbers(result)),
    )


def _story(result: JobResult, evidence: Evidence) -> str:
    recipe = evidence.model.recipe
    how = f"{recipe.optimizer} on {recipe.loss.replace('_', ' ')}, {result.batch_size} examples a batch"
    epochs = plural(result.epochs, "epoch")
    if not result.held_out:
        return f"Fitted once, for {epochs} ({how}). No examples were held out for validation."
    return (
        f"First {result.held_out:,} training examples were held out ({how}): the validation loss was lowest"
        f" at epoch {result.best_epoch}. The published network is a new one, fitted on all"
        f" {int(evidence.trained.sum()):,} for {epochs}."
    )


def _figure(given: Curve) -> Markup:
    why = "lowest validation loss" if given.validation else "the last"
    entries = [
        ("training", element("circle", cx=9, cy=6, r=4, class_="training-dot")),
        ("validation", line(0, 6, 18, 6, "validation-line")),
        (f"best epoch: {given.best_epoch} ({why})", line(9, 0, 9, 12, "best")),
        (f"published network, test split: {score(given.test)}", diamond(9, 6)),
    ]
    shown = [entry for entry in entries if given.validation or entry[0] != "validation"]
    caption = element("figcaption", element("h3", given.measure.capitalize()), legend(shown))
    return element("figure", caption, curve(given))


def _numbers(result: JobResult) -> Markup:
    history = result.history
    columns: list[tuple[str, Sequence[float]]] = [
        ("loss", history.loss),
        ("accuracy", history.accuracy),
        ("validation loss", history.validation_loss),
        ("validation accuracy", history.validation_accuracy),
    ]
    shown = [(name, values) for name, values in columns if values]
    rows = [
        Row(
            [
                join([str(epoch + 1), " · best" if epoch + 1 == result.best_epoch else None]),
                *(score(values[epoch]) if epoch < len(values) else UNDEFINED for _, values in shown),
            ],
            "best-row" if epoch + 1 == result.best_epoch else None,
        )
        for epoch in range(len(history.loss))
    ]
    return table("Loss and accuracy by epoch", ["epoch", *(name for name, _ in shown)], rows, "numbers")
