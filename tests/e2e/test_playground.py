"""The playground's page in headless Chromium, before the embedded server and before servers in trouble."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from clients import connect
from clients.playground.routes import Playground
from clients.playground.server import PageServer, serving
from models import images, mnist
from serving import embedded
from tests.clients import exchanges, stubs
from tests.clients.playground import browser as browsers
from tests.clients.playground import model_servers
from tests.clients.playground.browser import draw, opened
from tests.clients.stubs import HttpAnswer, Stub
from tests.e2e.conftest import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = browsers.needs_chromium
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
PRAISE = "A wonderful film: superb, moving, and beautiful."
BLAME = "Boring and awful, the worst waste of time."


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(browser: "Browser", server: embedded.Server) -> Iterator[PageServer]:
    """The playground before the embedded server, which serves models fitted on the sample."""
    with (
        connect(f"grpc://127.0.0.1:{server.grpc_port}") as rpc,
        connect(f"http://127.0.0.1:{server.rest_port}") as rest,
        serving("127.0.0.1", 0, Playground({"grpc": rpc, "http": rest})) as page,
    ):
        yield page


@pytest.fixture
def page(browser: "Browser", site: PageServer) -> Iterator["Page"]:
    with opened(browser, site.url) as page:
        state(page, "The server is ready.")
        yield page


@pytest.fixture
def http_stub() -> Iterator[Stub]:
    with stubs.http_server() as stub:
        yield stub


def state(page: "Page", text: str | re.Pattern[str]) -> None:
    expect(page, "#state", text)


def expect(page: "Page", selector: str, text: str | re.Pattern[str]) -> None:
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_text(text, timeout=browsers.PATIENCE)


def sample_of_each_digit() -> dict[int, np.ndarray]:
    test = mnist.MODEL.dataset.sample(7).test
    return {digit: test.inputs[int(np.flatnonzero(test.labels == digit)[0])] for digit in range(10)}


@pytest.mark.parametrize("digit", [2, 7])
def test_drawn_digit_is_read(page: "Page", digit: int) -> None:
    draw(page, sample_of_each_digit()[digit])
    expect(page, "#digit-answer .label", str(digit))
    expect(page, "#digit-said", re.compile(f"It is a {digit}, "))
    bars = [item.get_attribute("aria-label") or "" for item in page.locator("#bars li").all()]
    assert [bar[:3] for bar in bars] == [f"{label}: " for label in range(10)]
    assert page.locator("#bars .best .name").inner_text() == str(digit)


def test_answer_comes_while_the_pen_is_down_and_shows_what_the_model_sees(page: "Page") -> None:
    box = page.locator("#pad").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] - 20)
    expect(page, "#digit-answer .label", re.compile(r"\d"))
    seen = np.array(page.evaluate("[...seen.getContext('2d').getImageData(0, 0, 28, 28).data]"), np.uint8)
    image = seen.reshape(28, 28, 4)[:, :, 0]
    rows, columns = np.nonzero(image)
    assert np.ptp(rows) + 1 == images.BOX
    assert columns.mean() == pytest.approx(13.5, abs=1)
    page.mouse.up()
    page.get_by_role("button", name="Clear").click()
    expect(page, "#digit-answer .share", "no drawing yet")
    assert page.get_by_role("button", name="Undo").is_disabled()


@pytest.mark.parametrize(
    ("text", "label", "side"), [(PRAISE, "positive", "toward"), (BLAME, "negative", "away")]
)
def test_review_is_judged_and_its_words_are_coloured(page: "Page", text: str, label: str, side: str) -> None:
    page.get_by_label("Your review of a film").fill(text)
    expect(page, "#review-answer .label", label)
    assert page.locator("#marked").inner_text() == text
    words = page.locator(f"#marked mark.{side}").all_inner_texts()
    assert {"positive": "superb", "negative": "awful"}[label] in words
    colours = page.locator("#marked mark").evaluate_all(
        "all => all.map(one => getComputedStyle(one).backgroundColor)"
    )
    assert len(set(colours)) > 1
    assert "rows in one batch" in page.locator("#review-meta").inner_text()


def test_protocol_and_version_are_chosen(page: "Page") -> None:
    page.get_by_label("Your review of a film").fill(PRAISE)
    expect(page, "#review-meta", re.compile(r"^gRPC, .* ms .*version \d+ answered"))
    page.get_by_label("REST").check()
    expect(page, "#review-meta", re.compile("^REST, .* ms "))
    version = page.get_by_label("imdb version")
    # Other tests publish further versions into the store that is served.
    latest, number, *_ = version.locator("option").all_inner_texts()
    assert latest == "latest"
    version.select_option(number)
    page.get_by_text("This request as code").last.click()
    expect(page, "#review-request code", re.compile(f"/v1/models/imdb/versions/{number}:predict"))
    expect(page, "#review-meta", re.compile(f"^REST, .* ms .*version {number} answered"))


def test_code_that_is_shown_runs_and_is_copied(page: "Page", site: PageServer) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    draw(page, sample_of_each_digit()[4])
    expect(page, "#digit-answer .label", "4")
    page.get_by_text("This request as code").first.click()
    page.get_by_role("tab", name="Python").first.click()
    page.get_by_role("button", name="Copy").first.click()
    expect(page, "#digit-request .copy", "Copied")
    program = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.stdout.startswith("Prediction(label='4', probability="), done.stderr


def test_everything_is_done_with_the_keyboard(page: "Page") -> None:
    page.locator("body").press("Tab")
    assert page.evaluate("document.activeElement.value") == "grpc"
    page.keyboard.press("ArrowRight")
    assert page.get_by_label("REST").is_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "pad"
    assert page.locator("#pad").evaluate("pad => getComputedStyle(pad).outlineStyle") == "solid"
    page.keyboard.press("Space")
    expect(page, "#pen-said", "Pen down")
    for _ in range(16):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page, "#digit-answer .label", "1")
    page.keyboard.press("Backspace")
    expect(page, "#digit-answer .share", "no drawing yet")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type(PRAISE)
    expect(page, "#review-said", re.compile("The review is positive"))


def test_every_control_has_a_name(page: "Page") -> None:
    page.get_by_label("Your review of a film").fill(PRAISE)
    expect(page, "#review-answer .label", "positive")
    told = page.locator("body").aria_snapshot()
    for name in (
        'radio "gRPC"',
        'combobox "mnist version"',
        'application "Paper to draw a digit on"',
        'list "Probability',
        'textbox "Your review of a film"',
        'img "The picture that the model sees',
        'group "What each word says"',
    ):
        assert name in told, told
    nameless = re.findall(r"- (?:button|textbox|combobox|radio|img|tab|application)(?!.* \")", told)
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screen_fits_and_is_drawn_on_with_a_finger(
    browser: "Browser", site: PageServer, scheme: str
) -> None:
    with opened(browser, site.url, color_scheme=scheme, **PHONE) as page:
        state(page, "The server is ready.")
        page.get_by_role("button", name="a bit of both").tap()
        expect(page, "#review-answer .label", re.compile("positive|negative"))
        page.evaluate("scrollTo(0, 0)")
        box = page.locator("#pad").bounding_box()
        assert box is not None
        at, top = box["x"] + box["width"] / 2, box["y"]
        finger = page.context.new_cdp_session(page)
        for kind, y in [
            ("touchStart", 40),
            *(("touchMove", 40 + 20 * step) for step in range(1, 11)),
            ("touchEnd", 0),
        ]:
            points = [] if kind == "touchEnd" else [{"x": at, "y": top + y}]
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        expect(page, "#digit-answer .label", "1")
        assert page.evaluate("scrollY") == 0
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        small = page.locator("button:visible, select:visible, summary:visible").evaluate_all(
            "all => all.filter(one => one.getBoundingClientRect().height < 24).map(one => one.textContent)"
        )
        assert small == []
        ink, paper = page.evaluate(
            "[getComputedStyle(pad).color, getComputedStyle(document.body).backgroundColor]"
        )
        light = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
        assert (light[0] < light[1]) == (scheme == "light")


def test_wrong_input_is_told_calmly(page: "Page") -> None:
    review = page.get_by_label("Your review of a film")
    review.fill("?! ...")
    expect(page, "#review-trouble", "There is no word in this review yet.")
    review.fill("long " * 5_000)
    expect(page, "#review-trouble", "The review has 25,000 characters; expected up to 20,000.")
    review.fill(PRAISE)
    expect(page, "#review-answer .label", "positive")
    assert page.locator("#review-trouble").is_hidden()


@contextlib.contextmanager
def before(browser: "Browser", *servers: Stub) -> Iterator["Page"]:
    """The page before stubs, with a clock that the test moves on."""
    with model_servers.playground(*servers) as site, opened(browser, site.url, clock=True) as page:
        yield page


def test_server_that_is_down_is_told_and_asked_again_until_it_is_back(
    browser: "Browser", http_stub: Stub
) -> None:
    model_servers.answer(http_stub)
    answers = dict(http_stub.answers)
    for path in answers:
        http_stub.answers[path] = HttpAnswer('{"error": "not now"}', 503)
    with before(browser, http_stub) as page:
        state(page, re.compile("is not available: not now .*is a server running there?"))
        page.get_by_label("Your review of a film").fill("A good film")
        page.clock.run_for(400)
        expect(page, "#review-trouble", re.compile("No answer from the model server"))
        http_stub.answers.update(answers)
        page.clock.run_for(3_000)
        state(page, "The server is ready.")
        page.clock.run_for(400)
        expect(page, "#review-answer .label", "positive")
        assert page.locator("#review-trouble").is_hidden()


def test_model_that_is_not_served_is_told(browser: "Browser", http_stub: Stub) -> None:
    model_servers.answer(http_stub)
    exchanges.answer_error(http_stub, ("", "/v1/models/imdb"), grpc.StatusCode.NOT_FOUND, "no imdb")
    exchanges.answer_error(http_stub, ("", "/v1/models/imdb/metadata"), grpc.StatusCode.NOT_FOUND, "no imdb")
    with before(browser, http_stub) as page:
        state(page, "The server has no model imdb that it serves now.")
        page.get_by_label("Your review of a film").fill("A good film")
        page.clock.run_for(400)
        expect(page, "#review-trouble", re.compile("refused: NOT_FOUND: no imdb"))
        draw(page, sample_of_each_digit()[7])
        expect(page, "#digit-answer .label", "7")
        assert page.get_by_label("gRPC").is_disabled()


def test_playground_that_has_ended_is_told(browser: "Browser", http_stub: Stub) -> None:
    with contextlib.ExitStack() as stack:
        site = stack.enter_context(model_servers.playground(model_servers.answer(http_stub)))
        page = stack.enter_context(opened(browser, site.url))
        state(page, "The server is ready.")
        site.shutdown()
        site.server_close()
        page.get_by_label("Your review of a film").fill("A good film")
        expect(
            page, "#review-trouble", "The playground does not answer. Is `kedge playground` still running?"
        )
