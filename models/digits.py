"""A synthetic set of digits: a 5x7 font, slanted, moved, blurred and dirtied."""

import numpy as np
from numpy.typing import NDArray

from models.model import Examples, Splits

TRAIN, TEST = 2_000, 500
SIDE = 28
SCALE = 3
FONT = """
    .###. ..#.. .###. ##### ...#. ##### ..##. ##### .###. .###.
    #...# .##.. #...# ...#. ..##. #.... .#... ....# #...# #...#
    #..## ..#.. ....# ..#.. .#.#. ####. #.... ...#. #...# #...#
    #.#.# ..#.. ...#. ...#. #..#. ....# ####. ..#.. .###. .####
    ##..# ..#.. ..#.. ....# ##### ....# #...# .#... #...# ....#
    #...# ..#.. .#... #...# ...#. #...# #...# .#... #...# ...#.
    .###. .###. ##### .###. ...#. .###. .###. .#... .###. .##..
"""


def sample(seed: int) -> Splits:
    """Draw 2,000 digits to fit on and 500 to test on; the same seed gives the same set."""
    generator = np.random.default_rng(seed)
    return Splits(train=_draw(generator, TRAIN), test=_draw(generator, TEST))


def _draw(generator: np.random.Generator, count: int) -> Examples:
    labels = generator.permutation(np.arange(count) % 10)
    down, right = generator.integers(-3, 4, (2, count, 1))
    slant = generator.uniform(-0.3, 0.3, (count, 1))
    pixel = np.arange(SIDE)
    rows = (pixel - down) % SIDE
    shift = right + np.rint(slant * (SIDE / 2 - rows)).astype(int)
    columns = (pixel - shift[:, :, np.newaxis]) % SIDE
    ink = _templates()[labels[:, np.newaxis, np.newaxis], rows[:, :, np.newaxis], columns]
    strength = generator.uniform(0.7, 1, (count, 1, 1)).astype(np.float32)
    noise = generator.normal(0, 12, ink.shape).astype(np.float32) * (ink > 0)
    images = np.clip(_blur(ink) * strength + noise, 0, 255).astype(np.uint8)
    return Examples(images, labels.astype(np.int64))


def _templates() -> NDArray[np.float32]:
    """Return the ten digits, float32 [10, 28, 28], ink 255, in the middle."""
    lines = [[list(cell) for cell in line.split()] for line in FONT.split("\n") if line.strip()]
    small = (np.array(lines) == "#").transpose(1, 0, 2).astype(np.float32) * 255
    large = np.kron(small, np.ones((1, SCALE, SCALE), np.float32))
    above, before = ((SIDE - side) // 2 for side in large.shape[1:])
    after = (SIDE - large.shape[1] - above, SIDE - large.shape[2] - before)
    return np.pad(large, ((0, 0), (above, after[0]), (before, after[1])))


def _blur(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average each pixel with its neighbours above, below, left and right: soft edges, as a pen's."""
    around = sum(np.roll(images, step, axis) for axis in (1, 2) for step in (-1, 1))
    return (images * 2 + around) / np.float32(6)
