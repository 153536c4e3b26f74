"""Results as HTML, for notebooks. All text is escaped; there is no script and no style sheet."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from clients import tensor_text

if TYPE_CHECKING:
    from clients.results import Metadata, Prediction

SHOWN = 50
"""How many rows of a table are shown."""
BAR = "display:inline-block;height:0.7em;background:currentColor;opacity:0.5"


def prediction(answer: "Prediction") -> str:
    """One answer: its label, and a bar for each label's probability."""
    rows = [
        (
            _cell(label),
            _cell(f"{value:.4f}"),
            f"<td style='text-align:left;min-width:10em'>{_bar(value)}</td>",
        )
        for label, value in answer.probabilities.items()
    ]
    head = f"<b>{escape(answer.label)}</b> {answer.probability:.4f} <small>{escape(_source(answer))}</small>"
    return f"<div>{head}{_table(('label', 'probability', ''), rows)}</div>"


def predictions(answers: Sequence["Prediction"]) -> str:
    """One row an answer, the first ones of many."""
    rows = [
        (_cell(str(number)), _cell(answer.label), _cell(f"{answer.probability:.4f}"), _cell(_source(answer)))
        for number, answer in enumerate(islice(answers, SHOWN))
    ]
    more = len(answers) - len(rows)
    rest = f"<p>and {more:,} more</p>" if more else ""
    return _table(("", "label", "probability", "model"), rows) + rest


def metadata(answer: "Metadata") -> str:
    """One row a tensor of each signature."""
    rows = [
        tuple(map(_cell, (name, direction, tensor, tensor_text.dtype(info), tensor_text.shape(info))))
        for name, signature in answer.signatures.items()
        for direction, infos in (("takes", signature.inputs), ("gives", signature.outputs))
        for tensor, info in infos.items()
    ]
    head = f"<b>{escape(answer.name)}</b> version {answer.version}"
    return f"<div>{head}{_table(('signature', '', 'tensor', 'dtype', 'shape'), rows)}</div>"


def _source(answer: "Prediction") -> str:
    return answer.model if answer.version is None else f"{answer.model} version {answer.version}"


def _bar(share: float) -> str:
    width = min(max(share, 0.0), 1.0) * 10 if share == share else 0.0  # noqa: PLR0124 - not for NaN
    return f"<span style='{BAR};width:{width:.2f}em'></span>"


def _cell(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _table(header: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
