"""Headless Chromium for tests of the page: Debian's, driven by Playwright."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.clients.playground.strokes import strokes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PROGRAM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(
    PROGRAM is None, reason="no chromium is installed (`make browser` installs Debian's)"
)
PATIENCE = 15_000.0
"""Milliseconds that a busy machine may need for what takes a moment."""


@contextlib.contextmanager
def chromium() -> Iterator["Browser"]:
    """A browser, for tests that are marked with `needs_chromium`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(browser: "Browser", url: str, *, clock: bool = False, **options: Any) -> Iterator["Page"]:
    """The page in a window of its own. It may load nothing from elsewhere, and report no error.

    With `clock` its time stands still until the test moves it on.
    """
    with browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if _is_fault(line) else None)
        page.on("request", lambda asked: None if asked.url.startswith(url) else wrong.append(asked.url))
        if clock:
            page.clock.install()
        page.goto(url)
        yield page
        assert wrong == []


def _is_fault(line: Any) -> bool:
    """Whether a line of the console tells of more than an answer that is an error, which the page shows."""
    return line.type in ("error", "warning") and "Failed to load resource" not in line.text


def draw(page: "Page", image: NDArray[np.uint8]) -> None:
    """Draw a picture uint8 [28, 28] with the mouse, stroke by stroke."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    for line in strokes(image):
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in line]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()
