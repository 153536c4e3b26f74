"""Picture files into grey values, and back: all that needs Pillow, of the extra `images`."""

import io
import math
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from models.model import InputError

NOT_A_PICTURE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError)

Images = NDArray[np.uint8]


def grey(data: bytes, source: str, max_pixels: int) -> Images:
    """Decode a PNG or JPEG into grey values uint8 [height, width], as they are."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        if math.prod(picture.size) <= max_pixels:
            return _grey(ImageOps.exif_transpose(picture))
    except Image.DecompressionBombError:
        raise InputError(f"{source} is a picture of too many pixels; expected up to {max_pixels:,}") from None
    except NOT_A_PICTURE as error:
        if isinstance(error, UnidentifiedImageError):
            raise InputError(f"{source} is not an image; expected a PNG, JPEG or .npy file") from None
        raise InputError(f"{source} is a damaged image: {error}") from None
    width, height = picture.size
    raise InputError(
        f"{source} is a picture of {width}x{height} pixels; expected up to {max_pixels:,} pixels"
    )


def resize(image: Images, width: int, height: int) -> Images:
    """Scale grey values uint8 to [height, width] with Lanczos' filter."""
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def png(image: Images) -> bytes:
    """Return grey values uint8 [height, width] as the bytes of a small PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return file.getvalue()


def _grey(picture: Image.Image) -> Images:
    """Return grey values uint8 [height, width]; what is transparent is white paper."""
    if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255
        return (np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8)
    if picture.has_transparency_data:
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture.convert("RGBA"))
    return np.asarray(picture.convert("L"))
