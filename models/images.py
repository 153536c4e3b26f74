"""Pictures of one digit: files into 28x28 grey images as MNIST has them, checks, and text art.

An image is uint8 [28, 28]: 0 is paper, 255 is ink.
"""

import io
import tokenize
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.checks import describe
from models.model import Array, InputError

SIDE = 28
BOX = 20  # MNIST's digits fill a box of 20x20, with its centre of mass in the middle of the image
WHITE = 255
MIN_CONTRAST = 32  # between paper and ink, in grey values: what is below is a blank picture
MAX_PIXELS = 50_000_000
MAX_BYTES = 256 * 2**20
EXPECTED = "expected images of grey values 0..255, uint8 (or floating) [28, 28] or [N, 28, 28]"
RAMP = np.array(list(" .:-=+*#%@"))
NOT_AN_ARRAY = (ValueError, OSError, EOFError, SyntaxError, MemoryError, tokenize.TokenError)

Images = NDArray[np.uint8]


def read_file(path: str) -> Images:
    """Read a PNG, JPEG or .npy file: uint8 [28, 28], or [N, 28, 28] from a .npy file with several."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read the image {path}: {reason}") from None
    return decode(data, path)


def decode(data: bytes, source: str, *, max_pixels: int = MAX_PIXELS) -> Images:
    """Decode the contents of a PNG, JPEG or .npy file; `source` names it in messages.

    A picture of another size, of at most `max_pixels`, is fitted as MNIST's digits were; see `fit`.
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"{source} is larger than {MAX_BYTES >> 20} MiB: too large for images of one digit")
    if data.startswith(b"\x93NUMPY"):
        return _decode_npy(data, source)
    grey: Images = _pictures().grey(data, source, max_pixels)
    paper = int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    ink = WHITE - grey if paper > WHITE // 2 else grey
    if ink.shape == (SIDE, SIDE):
        return ink
    try:
        return fit(_contrast(ink, min(paper, WHITE - paper)))
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def fit(ink: Images) -> Images:
    """Fit a picture uint8 [height, width] into 28x28 as MNIST's makers did.

    What is drawn is scaled into a box of 20x20, its shape kept, and placed with its centre of mass in the
    middle (LeCun, Cortes, Burges: http://yann.lecun.com/exdb/mnist/).
    """
    rows, columns = np.nonzero(ink > max(32, int(ink.max()) // 4))
    if rows.size == 0:
        raise InputError("the picture is blank; expected a digit on it")
    drawn = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = BOX / max(drawn.shape)
    height, width = (max(1, round(side * scale)) for side in drawn.shape)
    small: Images = _pictures().resize(drawn, width, height)
    mass = max(1, int(small.sum(dtype=np.int64)))
    middle = [
        float((small.sum(axis=1 - axis) * np.arange(small.shape[axis])).sum()) / mass for axis in (0, 1)
    ]
    top, left = (
        min(max(0, round((SIDE - 1) / 2 - at)), SIDE - side)
        for at, side in zip(middle, small.shape, strict=True)
    )
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[top : top + height, left : left + width] = small
    return image


def check(inputs: Sequence[Any] | Array) -> Array:
    """Return a batch of images [N, 28, 28], uint8 or floating, or raise InputError.

    Takes an array [28, 28] or [N, 28, 28], or a list of arrays [28, 28]. Floating values are grey values too,
    0..255: an image whose values all lie in 0..1 is refused, because it was divided by 255 already.
    """
    images = inputs if isinstance(inputs, np.ndarray) else _stack(inputs)
    if images.ndim == 2:  # noqa: PLR2004
        images = images[np.newaxis]
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise InputError(f"the images are {describe(images)}; {EXPECTED}")
    if images.shape[1:] != (SIDE, SIDE):
        raise InputError(f"the images are {describe(images)}; {EXPECTED}")
    if len(images) == 0:
        raise InputError(f"the batch is empty; {EXPECTED}")
    if images.dtype.kind == "f":
        _check_floating(images)
    return images


def whole_greys(images: Array) -> Images:
    """Return checked images as uint8; raise InputError where a grey value is not whole."""
    whole = images.astype(np.uint8)
    wrong = np.flatnonzero((whole != images).any(axis=(1, 2)))
    if wrong.size:
        raise InputError(f"image {wrong[0]} has grey values that are not whole; expected uint8 0..255")
    return whole


def text_art(image: Array) -> str:
    """Draw an image as 14 lines of up to 28 characters; a character is two pixels, one above the other."""
    halved = check(image)[0].reshape(SIDE // 2, 2, SIDE).mean(axis=1)
    shades = RAMP[np.rint(halved / WHITE * (len(RAMP) - 1)).astype(int)]
    return "\n".join("".join(line).rstrip() for line in shades)


def _contrast(ink: Images, paper: int) -> Images:
    """Stretch grey values so that the paper, which is grey in a photograph, is 0 and the darkest ink 255."""
    strongest = int(ink.max())
    if strongest - paper < MIN_CONTRAST:
        return np.zeros_like(ink)
    above = np.clip(ink.astype(np.int32) - paper, 0, None)
    return (above * WHITE // (strongest - paper)).astype(np.uint8)


def _decode_npy(data: bytes, source: str) -> Images:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except NOT_AN_ARRAY as error:
        raise InputError(f"{source} is not a readable .npy file of numbers: {error}") from None
    try:
        images = whole_greys(check(array))
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    return images[0] if array.ndim == 2 else images  # noqa: PLR2004


def _pictures() -> ModuleType:
    """Import what needs Pillow only when a picture comes: who sends arrays may do without."""
    try:
        from models import pictures
    except ModuleNotFoundError as error:
        how = f"pictures need {error.name}: pip install 'kedge[images]'"
        raise ModuleNotFoundError(how, name=error.name) from None
    return pictures


def _stack(inputs: Any) -> Array:
    if isinstance(inputs, (str, bytes)) or not isinstance(inputs, Sequence):
        raise InputError(f"the images are a {type(inputs).__name__}; {EXPECTED}")
    for row, image in enumerate(inputs):
        if not isinstance(image, np.ndarray):
            raise InputError(f"image {row} is a {type(image).__name__}; {EXPECTED}")
        if image.shape != (SIDE, SIDE) or image.dtype != inputs[0].dtype:
            raise InputError(
                f"image {row} is {describe(image)}, and image 0 {describe(inputs[0])}; {EXPECTED}"
            )
    return np.stack(inputs) if inputs else np.zeros((0, SIDE, SIDE), np.uint8)


def _check_floating(images: Array) -> None:
    wrong = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2)))
    if wrong.size:
        raise InputError(f"image {wrong[0]} has a value that is not a finite number; {EXPECTED}")
    low, high = images.min(axis=(1, 2)), images.max(axis=(1, 2))
    wrong = np.flatnonzero((low < 0) | (high > WHITE))
    if wrong.size:
        row = wrong[0]
        raise InputError(f"image {row} has values from {low[row]:g} to {high[row]:g}; {EXPECTED}")
    wrong = np.flatnonzero((high > 0) & (high <= 1))
    if wrong.size:
        raise InputError(f"image {wrong[0]} has values in 0..1, as if divided by 255 already; {EXPECTED}")
