"""Output for people: aligned columns that fit a terminal of 80 columns."""

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from clients import tensor_text
from clients.results import Metadata, Prediction, SignatureInfo, VersionStatus
from models.model import Model
from wire.errors import Code

GAP = "  "
PREDICTION_HEADER = ("label", "probability", "version", "input")
MIN_NAME = 16


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align columns to the left, each as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


class PredictionLines:
    """Lines of a table whose widths are known before its rows, so that it can be printed as they come.

    On a terminal the inputs' names are cut to its width; elsewhere they are whole.
    """

    def __init__(self, model: Model, *, terminal: bool) -> None:
        label = max(len(name) for name in (*model.labels, PREDICTION_HEADER[0]))
        self._widths = (label, len(PREDICTION_HEADER[1]), len(PREDICTION_HEADER[2]))
        taken = sum(self._widths) + 3 * len(GAP)
        self._name_width = max(MIN_NAME, shutil.get_terminal_size().columns - taken) if terminal else None

    def header(self) -> str:
        """The names of the columns."""
        return self._line(*PREDICTION_HEADER)

    def row(self, prediction: Prediction, name: str) -> str:
        """One prediction, with what names its input."""
        version = "-" if prediction.version is None else str(prediction.version)
        return self._line(prediction.label, f"{prediction.probability:.4f}", version, _printable(name))

    def _line(self, label: str, probability: str, version: str, name: str) -> str:
        cells = zip((label, probability, version), self._widths, strict=True)
        return GAP.join([*(cell.ljust(width) for cell, width in cells), _cut(name, self._name_width)])


def statuses(models: dict[str, list[VersionStatus]]) -> Iterator[str]:
    """A line for each version, and under it why it failed where it did."""
    versions = [(name, status) for name, found in models.items() for status in found]
    cells = [(name, str(status.version), status.state) for name, status in versions]
    header, *lines = columns([("model", "version", "state"), *cells])
    yield header
    for line, (_, status) in zip(lines, versions, strict=True):
        yield line
        if status.code is not Code.OK or status.message:
            yield from _note(f"{status.code.name}: {status.message}")


def metadata(answer: Metadata) -> Iterator[str]:
    """A line for each tensor of each signature; those that the runtime keeps for itself are left out."""
    yield f"{answer.name} version {answer.version}"
    rows = [("signature", "", "tensor", "dtype", "shape")]
    for name, signature in answer.signatures.items():
        if not name.startswith("__"):
            rows += _signature(name, signature)
    yield from columns(rows)


def _signature(name: str, signature: SignatureInfo) -> Iterable[tuple[str, str, str, str, str]]:
    for direction, infos in (("takes", signature.inputs), ("gives", signature.outputs)):
        for tensor, info in infos.items():
            yield name, direction, tensor, tensor_text.dtype(info), tensor_text.shape(info)
            name = ""


def _note(text: str) -> list[str]:
    width = max(40, shutil.get_terminal_size().columns - 1)
    return textwrap.wrap(_printable(text), width, initial_indent="    ", subsequent_indent="    ")


def _printable(text: str) -> str:
    """Put a text on one line, without the control characters that could command a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else f"{text[: width - 3]}..."
