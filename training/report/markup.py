"""HTML and SVG as values: text is escaped unless it is markup already, so nothing inserted can be active."""

from __future__ import annotations

import html
from collections.abc import Iterable

VOID = frozenset({"br", "col", "img", "meta"})
"""Elements that HTML knows without an end tag."""


class Markup(str):
    """Text that is HTML already; `element` makes it, and nothing else should."""

    __slots__ = ()


Child = str | Iterable["Child"] | None
Attribute = str | float | bool | None


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element with its children, one after the other; texts among them are escaped.

    An attribute is named as in HTML, with `_` for `-` and behind a Python keyword: `class_`, `stroke_width`.
    False and None leave it out, True gives it no value, and numbers are rounded to 0.01, as coordinates are.
    """
    start = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Markup(start if name in VOID else f"{start}{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """Return children one after the other, without an element around them."""
    return Markup("".join(map(_render, children)))


def _render(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    return html.escape(child) if isinstance(child, str) else join(child)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
    return f' {name}="{html.escape(text)}"'
