"""Tables and numbers as a page shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from training.report.markup import Child, Markup, element

UNDEFINED = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Row:
    """The cells of one row, the first of them its header."""

    cells: Sequence[Child]
    class_: str | None = None


def table(caption: str, columns: Sequence[Child], rows: Sequence[Row], class_: str | None = None) -> Markup:
    """Return a table that scrolls sideways where the screen is narrow; cells are elements' children."""
    head = element("thead", element("tr", [element("th", column, scope="col") for column in columns]))
    body = element("tbody", [_row(row) for row in rows])
    inner = element("table", element("caption", caption), head, body, class_=class_)
    # Reached by the keyboard, so that it can be scrolled without a mouse.
    return element("div", inner, class_="scroll", tabindex="0", role="region", aria_label=caption)


def section(name: str, title: str, *children: Child) -> Markup:
    """Return a part of the page under its heading."""
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")


def percent(share: float, digits: int = 2) -> str:
    """Write a share as percent."""
    return f"{100 * share:.{digits}f}%" if math.isfinite(share) else UNDEFINED


def points(difference: float) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.2f} points".replace("-", MINUS)


def score(value: float) -> str:
    """Write a score between 0 and 1."""
    return f"{value:.4f}" if math.isfinite(value) else UNDEFINED


def plural(count: int, one: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {one}" + ("" if count == 1 else "s")


def _row(row: Row) -> Markup:
    first, *others = row.cells
    return element(
        "tr", element("th", first, scope="row"), [element("td", cell) for cell in others], class_=row.class_
    )
