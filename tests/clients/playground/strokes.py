"""A picture of a digit as the strokes of a pen: its ink thinned to lines, and the lines followed."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
INK = 96
AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]


def strokes(image: NDArray[np.uint8]) -> list[list[Point]]:
    """The lines of a picture uint8 [28, 28] as points (x, y) in 0..1 of its side."""
    left = {(int(row), int(column)) for row, column in zip(*np.nonzero(thinned(image > INK)), strict=True)}
    lines = []
    while left:
        # The pen begins where a line ends; on a ring, anywhere.
        at = min(left, key=lambda point: (len(neighbours(point, left)), point))
        line = [at]
        left.remove(at)
        while near := neighbours(at, left):
            at = near[0]
            left.remove(at)
            line.append(at)
        corners = cornered(closed(line))
        lines.append([((column + 0.5) / 28, (row + 0.5) / 28) for row, column in corners])
    return lines


def cornered(line: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out the points between which a line goes on as it went."""
    steps = [(two[0] - one[0], two[1] - one[1]) for one, two in pairwise(line)]
    turns = [point for point, (into, out) in zip(line[1:-1], pairwise(steps), strict=True) if into != out]
    return [line[0], *turns, *line[1:][-1:]]


def closed(line: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Bring a ring back to where it began."""
    (top, left), (bottom, right) = line[0], line[-1]
    return [*line, line[0]] if len(line) > 4 and max(abs(top - bottom), abs(left - right)) <= 2 else line


def neighbours(point: tuple[int, int], among: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """The points beside one, those straight beside it first."""
    near = [(point[0] + down, point[1] + right) for down, right in AROUND[::2] + AROUND[1::2]]
    return [other for other in near if other in among]


def thinned(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take away the edges of what is drawn until lines are left (Zhang and Suen, CACM 27(3), 1984)."""
    ink = np.pad(ink, 1)
    while True:
        before = ink.copy()
        for first in (True, False):
            around = np.stack([np.roll(ink, (-down, -right), (0, 1)) for down, right in AROUND])
            count = around.sum(axis=0)
            steps = (~around & np.roll(around, -1, axis=0)).sum(axis=0)
            north, east, south, west = around[::2]
            if first:
                edge = ~(north & east & south) & ~(east & south & west)
            else:
                edge = ~(north & east & west) & ~(north & south & west)
            ink = ink & ~((count >= 2) & (count <= 6) & (steps == 1) & edge)
        if (ink == before).all():
            return ink[1:-1, 1:-1]
