"""How the network was fitted: the two figures of the source, and their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from training.report.charts import Curve, curve
from training.report.evidence import Evidence
from training.report.markup import Markup, element, join
from training.report.tables import UNDEFINED, Row, plural, score, section, table
from training.result import JobResult


def fitting(result: JobResult, evidence: Evidence) -> Markup:
    """Return loss and accuracy by epoch, training against validation, with the best epoch."""
    history = result.history
    figures = [
        _figure(Curve("loss", history.loss, history.validation_loss, result.best_epoch, result.loss)),
        _figure(
            Curve(
                "accuracy", history.accuracy, history.validation_accuracy, result.best_epoch, result.accuracy
            )
        ),
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
    if not result.held_out:
        return f"Fitted once, for {plural(result.epochs, 'epoch')} ({how}). No examples were held out for validation."
    return (
        f"First {result.held_out:,} training examples were held out ({how}): the validation loss was lowest at"
        f" epoch {result.best_epoch}. The published network is a new one, fitted on all"
        f" {int(evidence.trained.sum()):,} for {plural(result.epochs, 'epoch')}."
    )


def _figure(given: Curve) -> Markup:
    best = f"best epoch: {given.best_epoch}" + (
        " (lowest validation loss)" if given.validation else " (the last)"
    )
    entries = [
        _entry("training", '<circle cx="9" cy="6" r="4" class="training-dot"></circle>'),
        _entry(best, '<line x1="9" y1="0" x2="9" y2="12" class="best"></line>'),
        _entry(
            f"published network, test split: {score(given.test)}",
            '<polygon points="9,0 15,6 9,12 3,6" class="test-mark"></polygon>',
        ),
    ]
    if given.validation:
        sample = '<line x1="0" y1="6" x2="18" y2="6" class="validation-line"></line>'
        entries.insert(1, _entry("validation", sample))
    return element(
        "figure",
        element(
            "figcaption", element("h3", given.measure.capitalize()), element("ul", entries, class_="legend")
        ),
        curve(given),
    )


def _entry(name: str, drawn: str) -> Markup:
    swatch = element("svg", Markup(drawn), viewBox="0 0 18 12", class_="swatch", aria_hidden="true")
    return element("li", swatch, element("span", name))


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
