"""A plot's frame in SVG: scales, ticks that people can read, grid and axis titles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from training.report.markup import Markup, element, join

WIDTH, HEIGHT = 420.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 14.0, 12.0, 42.0
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Frame:
    """The values at the edges of a plot; x rises to the right and y upwards."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        """Return the place of a value, in the picture's units from the left."""
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return the place of a value, in the picture's units from the top."""
        return HEIGHT - BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM)


def ticks(low: float, high: float, most: int, least_step: float = 0.0) -> list[float]:
    """Return round numbers in low..high, at most so many, 1, 2, 2.5 or 5 times a power of ten apart."""
    rough = max((high - low) / max(1, most - 1), least_step, 1e-9)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in STEPS if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + place) * step, 12) for place in range(count)]


def around(values: Sequence[float], most: int = 6) -> tuple[float, float]:
    """Return round edges with all finite values between them."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if high - low < 1e-9:  # noqa: PLR2004 (equal but for rounding)
        low, high = low - 0.05, high + 0.05
    marks = ticks(low, high, most)
    step = marks[1] - marks[0] if len(marks) > 1 else high - low
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def figure(label: str, *children: Markup) -> Markup:
    """Return a picture that scales with the page; `label` says in words what it shows."""
    return element(
        "svg", *children, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img", aria_label=label, class_="chart"
    )


def frame(
    area: Frame, x_ticks: Sequence[float], y_ticks: Sequence[float], x_title: str, y_title: str
) -> Markup:
    """Draw grid, tick labels and titles."""
    base, middle = HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2
    rows = [
        join([
            line(LEFT, area.y(tick), WIDTH - RIGHT, area.y(tick), "grid"),
            text(LEFT - 8, area.y(tick) + 4, number(tick), "tick end"),
        ])
        for tick in y_ticks
    ]  # fmt: skip
    columns = [text(area.x(tick), base + 18, number(tick), "tick middle") for tick in x_ticks]
    return join([
        *rows,
        *columns,
        line(LEFT, base, WIDTH - RIGHT, base, "axis"),
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, x_title, "title middle"),
        element("text", y_title, class_="title middle", transform=f"translate(12 {middle:g}) rotate(-90)"),
    ])  # fmt: skip


def legend(entries: Sequence[tuple[str, Markup]]) -> Markup:
    """Return names with what they are drawn as, in a box of 18 by 12."""
    return element(
        "ul",
        [
            element(
                "li",
                element("svg", drawn, viewBox="0 0 18 12", class_="swatch", aria_hidden="true"),
                element("span", name),
            )
            for name, drawn in entries
        ],
        class_="legend",
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Draw one straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, content: str, class_: str) -> Markup:
    """Write one line of text, its baseline at y."""
    return element("text", content, x=x, y=y, class_=class_)


def number(value: float) -> str:
    """Write a tick's value without needless digits."""
    return f"{value:.6g}"
