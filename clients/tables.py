"""Output for people: aligned columns that fit a terminal of 80 columns."""

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from clients import tensor_text
from clients.results import Metadata, Prediction, SignatureInfo, VersionStatus
from clients.terminal import Paint, plain
from models.model import Model
from wire.errors import Code

GAP = "  "
PREDICTION_HEADER = ("label", "probability", "version", "input")
MIN_NAME = 16
STATE_COLOURS = {"AVAILABLE": "green", "END": "bright_black"}


def columns(rows: Sequence[Sequence[str]], paint: Paint = plain) -> Iterator[str]:
    """Align columns to the left, each as wide as its widest cell; the first row is the header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        line = GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield paint(line, bold=True) if number == 0 else line


class PredictionLines:
    """Lines of a table whose widths are known before its rows, so that it can be printed as they come.

    On a terminal the inputs' names are cut to its width; elsewhere they are whole.
    """

    def __init__(self, model: Model, *, on_terminal: bool, paint: Paint = plain) -> None:
        self._paint = paint
        label = max(len(name) for name in (*model.labels, PREDICTION_HEADER[0]))
        self._widths = (label, len(PREDICTION_HEADER[1]), len(PREDICTION_HEADER[2]))
        taken = sum(self._widths) + 3 * len(GAP)
        self._name_width = max(MIN_NAME, shutil.get_terminal_size().columns - taken) if on_terminal else None

    def header(self) -> str:
        """The names of the columns."""
        return self._paint(self._line(*PREDICTION_HEADER), bold=True)

    def row(self, prediction: Prediction, name: str) -> str:
        """One prediction, with what names its input."""
        version = "-" if prediction.version is None else str(prediction.version)
        line = self._line(prediction.label, f"{prediction.probability:.4f}", version, _printable(name))
        label = len(prediction.label)
        return self._paint(line[:label], fg="green", bold=True) + line[label:]

    def further(self, label: str, probability: float) -> str:
        """The next most probable label of the same input."""
        return self._line(label, f"{probability:.4f}", "", "").rstrip()

    def _line(self, label: str, probability: str, version: str, name: str) -> str:
        cells = zip((label, probability, version), self._widths, strict=True)
        return GAP.join([*(cell.ljust(width) for cell, width in cells), _cut(name, self._name_width)])


def statuses(models: dict[str, list[VersionStatus]], paint: Paint = plain) -> Iterator[str]:
    """A line for each version, and under it why it failed where it did."""
    versions = [(name, status) for name, found in models.items() for status in found]
    cells = [(name, str(status.version), _state(status, paint)) for name, status in versions]
    header, *lines = columns([("model", "version", "state"), *cells], paint)
    yield header
    for line, (_, status) in zip(lines, versions, strict=True):
        yield line
        if status.code is not Code.OK or status.message:
            yield from _note(f"{status.code.name}: {status.message}")


def metadata(answer: Metadata, paint: Paint = plain) -> Iterator[str]:
    """A line for each tensor of each signature; those that the runtime keeps for itself are left out."""
    yield f"{answer.name} version {answer.version}"
    rows = [("signature", "", "tensor", "dtype", "shape")]
    for name, signature in answer.signatures.items():
        if not name.startswith("__"):
            rows += _signature(name, signature)
    yield from columns(rows, paint)


def _state(status: VersionStatus, paint: Paint) -> str:
    """The state, of the last column, whose width does not count."""
    failed = status.code is not Code.OK
    return paint(status.state, fg="red" if failed else STATE_COLOURS.get(status.state, "yellow"))


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
