import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import images
from models.model import InputError


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def digit() -> np.ndarray:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 12:16] = 250
    return image


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to have that size, and has no pixel."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b""))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def test_a_grey_28x28_png_is_read_as_it_is(digit: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "digit.png"
    path.write_bytes(encoded(Image.fromarray(digit)))
    np.testing.assert_array_equal(images.read_file(str(path)), digit)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA"])
def test_colour_modes_are_read_as_grey(digit: np.ndarray, mode: str) -> None:
    read = images.decode(encoded(Image.fromarray(digit).convert(mode)), "digit")
    np.testing.assert_array_equal(read, digit)


def test_sixteen_bits_are_scaled_to_eight(digit: np.ndarray) -> None:
    wide = Image.fromarray(digit.astype(np.uint16) * 257)
    np.testing.assert_array_equal(images.decode(encoded(wide), "digit"), digit)


def test_black_on_white_is_inverted(digit: np.ndarray) -> None:
    np.testing.assert_array_equal(images.decode(encoded(Image.fromarray(255 - digit)), "digit"), digit)


def test_black_on_transparent_is_ink(digit: np.ndarray) -> None:
    drawn = np.zeros((28, 28, 4), np.uint8)
    drawn[:, :, 3] = digit
    np.testing.assert_array_equal(images.decode(encoded(Image.fromarray(drawn)), "digit"), digit)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(("left", "top"), [(10, 10), (120, 200)])
def test_a_large_picture_is_fitted_into_the_middle(kind: str, left: int, top: int) -> None:
    paper = np.full((300, 240), 255, np.uint8)
    paper[top : top + 80, left : left + 40] = 0
    read = images.decode(encoded(Image.fromarray(paper), kind), "photo")
    rows, columns = np.nonzero(read > 100)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (20, 10)
    assert rows.mean() == pytest.approx(13.5, abs=0.6)
    assert columns.mean() == pytest.approx(13.5, abs=0.6)


def test_the_centre_of_mass_is_in_the_middle() -> None:
    paper = np.zeros((56, 56), np.uint8)
    paper[8:48, 20:24] = 255
    paper[44:48, 20:36] = 255
    fitted = images.fit(paper).astype(float)
    centre = [(fitted.sum(axis=1 - axis) * np.arange(28)).sum() / fitted.sum() for axis in (0, 1)]
    assert centre == pytest.approx([13.5, 13.5], abs=0.6)


def test_a_blank_picture_is_refused() -> None:
    with pytest.raises(InputError, match="page: the picture is blank"):
        images.decode(encoded(Image.new("L", (99, 99), 255)), "page")


@pytest.mark.parametrize("shape", [(28, 28), (3, 28, 28)])
def test_an_npy_file_gives_its_images(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "digits.npy"
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    np.save(path, array)
    np.testing.assert_array_equal(images.read_file(str(path)), array)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


NOISE = np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not an image; expected a PNG, JPEG or .npy file"),
        (b"GIF89a" + bytes(64), "is not an image"),
        (encoded(Image.fromarray(NOISE))[:800], "is a damaged image"),
        (encoded(Image.fromarray(NOISE), "JPEG")[:800], "is a damaged image"),
        (png_header(8_000, 8_000), r"8000x8000 pixels; expected up to 50,000,000"),
        (png_header(11_000, 11_000), r"11000x11000 pixels; expected up to 50,000,000"),
        (png_header(60_000, 60_000), "too many pixels"),
        (npy(np.array([{}], dtype=object)), "not a readable .npy file of numbers: .*allow_pickle"),
        (npy(np.zeros((28, 28), np.uint8))[:300], "not a readable .npy"),
        (npy(np.zeros((28, 28), np.uint8)).replace(b"(28, 28)", b"(28, 28("), "not a readable .npy"),
        (npy(np.zeros((28, 28), np.uint8)).replace(b"(28, 28), }  ", b"(28, 10**9)}"), "not a readable .npy"),
        (
            npy(np.zeros((28, 28), np.uint8)).replace(b"(28, 28), }   ", b"(28, 10000), }"),
            "not a readable .npy",
        ),
        (npy(np.zeros((27, 28), np.uint8)), r"uint8\[1, 27, 28\]"),
        (npy(np.full((28, 28), 0.5)), "divided by 255"),
        (npy(np.full((28, 28), 2.5)), "grey values that are not whole"),
    ],
)
def test_a_file_that_is_no_image_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        images.decode(data, "it")


@pytest.mark.parametrize(
    ("name", "message"), [("none.png", "No such file"), ("", "Is a directory"), ("a\0", "null")]
)
def test_a_path_that_cannot_be_read_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        images.read_file(f"{tmp_path}/{name}")


def test_text_art_shows_the_ink(digit: np.ndarray) -> None:
    lines = images.text_art(digit).split("\n")
    assert len(lines) == 14
    assert lines[0] == ""
    assert lines[5] == " " * 12 + "@@@@"
