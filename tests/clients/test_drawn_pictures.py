"""A digit drawn in any way arrives at the server as MNIST has them: 28x28, ink on paper of 0, centred."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from clients import connect
from tests.clients import exchanges
from tests.clients.stubs import Stub
from wire import messages, tensors


def drawing(
    side: int = 200, *, ink: int = 255, paper: int = 0, at: tuple[int, int] = (10, 20)
) -> Image.Image:
    """A seven of three strokes, off centre."""
    picture = Image.new("L", (side, int(side * 1.5)), paper)
    x, y = at
    draw = ImageDraw.Draw(picture)
    draw.line([(x, y), (x + 90, y), (x + 40, y + 120)], fill=ink, width=14, joint="curve")
    draw.line([(x + 30, y + 60), (x + 90, y + 60)], fill=ink, width=10)
    return picture


def transparent(picture: Image.Image) -> Image.Image:
    """Black ink on nothing."""
    return Image.merge("LA", (Image.new("L", picture.size, 0), picture))


def on_a_table(picture: Image.Image) -> Image.Image:
    """A photograph: grey paper, dark ink, a little noise."""
    grey = 200 - np.asarray(picture, np.int16) * 150 // 255
    noise = np.random.default_rng(0).integers(-5, 6, grey.shape)
    return Image.fromarray((grey + noise).astype(np.uint8))


WAYS: dict[str, Callable[[], Image.Image]] = {
    "white on black": drawing,
    "black on white": lambda: drawing(ink=0, paper=255),
    "elsewhere on the paper": lambda: drawing(at=(70, 130)),
    "on larger paper": lambda: drawing(900, at=(600, 50)),
    "colours": lambda: drawing(ink=0, paper=255).convert("RGB"),
    "palette": lambda: drawing(ink=0, paper=255).convert("P"),
    "one bit": lambda: drawing(ink=0, paper=255).convert("1"),
    "16 bits": lambda: Image.fromarray(np.asarray(drawing()).astype(np.uint16) * 257),
    "transparent paper": lambda: transparent(drawing()),
    "blue ink": lambda: Image.merge(
        "RGB", (drawing(ink=0, paper=255),) * 2 + (Image.new("L", (200, 300), 255),)
    ),
}


def sent(stub: Stub, raw: bytes) -> np.ndarray:
    row = [0.1] * 10
    exchanges.answer_outputs(stub, "mnist", {"probabilities": [row]}, str([row]))
    with connect(stub.url) as client:
        client.predict("mnist", raw)
    request = messages.PredictRequest.FromString(stub.requests[-1][1])
    return tensors.to_array(request.inputs["pixels"]).reshape(28, 28)


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_drawing_arrives_as_the_same_image(grpc_stub: Stub, way: str) -> None:
    wanted = sent(grpc_stub, png(drawing()))
    found = sent(grpc_stub, png(WAYS[way]()))
    assert np.abs(found - wanted).mean() < 0.02


def test_image_is_as_mnists_are(grpc_stub: Stub) -> None:
    image = sent(grpc_stub, png(drawing()))
    rows, columns = np.nonzero(image)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    mass = image.sum()
    centre = [(image.sum(axis=1 - axis) * np.arange(28)).sum() / mass for axis in (0, 1)]
    assert centre == pytest.approx([13.5, 13.5], abs=0.6)
    assert image.max() > 0.9
    assert image[0].max() == 0


def test_photograph_as_jpeg_has_its_digit(grpc_stub: Stub, tmp_path: Path) -> None:
    on_a_table(drawing()).save(tmp_path / "photograph.jpg", quality=90)
    found = sent(grpc_stub, (tmp_path / "photograph.jpg").read_bytes())
    wanted = sent(grpc_stub, png(drawing()))
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.9
