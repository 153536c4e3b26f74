"""What the test split showed: confusion matrix, and scores by label."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.report.evidence import Evidence
from training.report.markup import Markup, element
from training.report.measures import LabelScore, label_scores
from training.report.tables import Row, percent, score, section, table

MOST_LABELS = 20
"""A matrix of more labels is not read by anyone; their most frequent confusions are."""
MOST_SCORES = 40
CONFUSIONS = 6


def results(evidence: Evidence) -> Markup:
    """Return the confusion matrix, and precision, recall and F1 by label."""
    labels = evidence.model.labels
    parts = [scores(labels, label_scores(evidence.counts), evidence.trained)]
    if len(labels) <= MOST_LABELS:
        parts.insert(0, matrix(labels, evidence.counts))
    wide = len(labels) > 2  # noqa: PLR2004 (two labels have but two confusions, which the matrix shows)
    return section(
        "test",
        "On the test split",
        element("p", confusions(labels, evidence.counts), class_="lead") if wide else None,
        element("div", parts, class_="pair"),
    )


def matrix(labels: Sequence[str], counts: NDArray[np.int64]) -> Markup:
    """Return the confusion matrix; right ones and mistakes are shaded each by their own largest."""
    totals = np.maximum(counts.sum(axis=1), 1)
    mistakes = counts - np.diag(counts.diagonal())
    largest = max(1, int(mistakes.max()))

    def cell(truth: int, found: int) -> Markup:
        count = int(counts[truth, found])
        shade = count / totals[truth] if truth == found else math.sqrt(count / largest)
        said = f"{labels[truth]} found as {labels[found]}: {count:,} ({percent(count / totals[truth])})"
        kind = "right" if truth == found else "wrong" if count else "none"
        return element("span", f"{count:,}", class_=f"cell {kind}", style=f"--shade:{shade:.3f}", title=said)

    rows = [
        Row([label, *(cell(truth, found) for found in range(len(labels)))])
        for truth, label in enumerate(labels)
    ]
    caption = "Confusion matrix: true label by row, label found by column"
    return table(caption, ["true ╲ found", *labels], rows, "matrix")


def confusions(labels: Sequence[str], counts: NDArray[np.int64]) -> str:
    """Name the most frequent confusions."""
    mistakes = counts - np.diag(counts.diagonal())
    order = np.argsort(-mistakes, axis=None, kind="stable")[:CONFUSIONS]
    found = [
        f"{labels[truth]} as {labels[taken]} ({mistakes[truth, taken]:,})"
        for truth, taken in zip(*np.unravel_index(order, mistakes.shape), strict=True)
        if mistakes[truth, taken]
    ]
    return f"Most often mistaken: {', '.join(found)}." if found else "No example was mistaken."


def scores(labels: Sequence[str], by_label: Sequence[LabelScore], trained: NDArray[np.int64]) -> Markup:
    """Return precision, recall and F1; of very many labels those with the lowest F1."""
    order = list(range(len(labels)))
    caption = "Precision, recall and F1 by label"
    if len(labels) > MOST_SCORES:
        order = sorted(order, key=lambda place: -1 if math.isnan(by_label[place].f1) else by_label[place].f1)
        order, caption = order[:MOST_SCORES], f"{caption}: the lowest {MOST_SCORES} of {len(labels)}"
    columns = ["label", "precision", "recall", "F1", "test", "training"]
    rows = [_scores(labels[place], by_label[place], int(trained[place])) for place in order]
    return table(caption, columns, rows, "numbers")


def _scores(label: str, of: LabelScore, trained: int) -> Row:
    cells = [score(of.precision), score(of.recall), _meter(of.f1), f"{of.support:,}", f"{trained:,}"]
    return Row([label, *cells])


def _meter(f1: float) -> Markup:
    width = 0.0 if math.isnan(f1) else f1
    return element("span", score(f1), class_="meter", style=f"--share:{width:.4f}")
