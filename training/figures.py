"""The two figures beside every version: loss and accuracy by epoch, as in Chollet's book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.evaluate import Score
from training.fit import History

INCHES = (7.0, 4.5)
DOTS_PER_INCH = 144
TRAINING, VALIDATION, TEST, MUTED = "#1f77b4", "#d95f02", "#2a7f3f", "#8a8a8a"


@dataclass(frozen=True)
class Curve:
    """One measure by epoch, and what the published network reached of it on the test set."""

    measure: str
    training: Sequence[float]
    validation: Sequence[float]
    test: float


def draw(directory: Path, title: str, history: History, score: Score) -> None:
    """Write loss.png and accuracy.png into the directory."""
    for curve in (
        Curve("loss", history.loss, history.validation_loss, score.loss),
        Curve("accuracy", history.accuracy, history.validation_accuracy, score.accuracy),
    ):
        figure = _figure(f"{title} ({curve.measure})", curve, history.best_epoch)
        figure.savefig(directory / f"{curve.measure}.png", dpi=DOTS_PER_INCH)


def _figure(title: str, curve: Curve, best_epoch: int) -> Figure:
    """Draw the curves, and the test set at the epoch that the published network was fitted to."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    epochs = range(1, len(curve.training) + 1)
    axes.plot(epochs, curve.training, "o", color=TRAINING, label="training")
    if curve.validation:
        axes.plot(epochs, curve.validation, "-", color=VALIDATION, linewidth=2, label="validation")
        axes.axvline(best_epoch, color=MUTED, linestyle=":", zorder=0, label="lowest validation loss")
    else:
        axes.plot(epochs, curve.training, "-", color=TRAINING, linewidth=1, alpha=0.5)
    axes.plot(
        [best_epoch],
        [curve.test],
        "D",
        color=TEST,
        markersize=8,
        label=f"published network, test set: {curve.test:.4f}",
    )
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel("epoch")
    axes.set_ylabel(curve.measure)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
