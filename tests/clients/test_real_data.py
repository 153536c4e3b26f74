"""What a person has, PNG files and plain texts, is answered as accurately as training's evaluation says.

The networks are fitted for one epoch: what is held is that nothing gets lost on the way from a file or a text
through a client and a server, whatever the network has learnt.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clients import connect
from clients.playground.routes import Playground
from clients.playground.server import serving
from models import catalogue
from models.model import Examples, Splits
from serving import embedded
from tests.clients.playground import browser as browsers

pytestmark = pytest.mark.real_data
TOLERANCE = 0.002
REVIEWS = 1000


@dataclass(frozen=True)
class Served:
    """A server, and for each model its data and the accuracy on its test set that training published."""

    server: embedded.Server
    store: Path
    splits: dict[str, Splits]
    accuracy: dict[str, float]

    def url(self, protocol: str) -> str:
        port = self.server.grpc_port if protocol == "grpc" else self.server.rest_port
        return f"{protocol}://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def served(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from training import data, serve_once, verify
    from training.job import JobOptions, train

    store = tmp_path_factory.mktemp("store")
    splits, accuracy = {}, {}
    with pytest.MonkeyPatch.context() as patch:
        # What is exported is tried in this process, and by the tests themselves.
        patch.setattr(verify, "in_process_of_its_own", serve_once.answer)
        for name in ("mnist", "imdb"):
            model = catalogue.find(name)
            splits[name] = data.load(model.dataset, data_dir=real_data).splits
            accuracy[name] = train(
                JobOptions(
                    model=replace(model, recipe=replace(model.recipe, epochs=1)),
                    model_store=store,
                    data_dir=real_data,
                    min_accuracy=0.0,
                )
            ).accuracy
    with embedded.running([f"--model_store_root={store}"]) as server:
        yield Served(server, store, splits, accuracy)


@pytest.fixture(scope="module")
def pictures(served: Served, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every test image of MNIST as a PNG file."""
    directory = tmp_path_factory.mktemp("pictures")
    paths = []
    for number, image in enumerate(served.splits["mnist"].test.inputs):
        paths.append(str(directory / f"{number:05}.png"))
        Image.fromarray(image).save(paths[-1])
    return paths


@pytest.mark.parametrize(("protocol", "signature"), [("grpc", None), ("http", "uint8_images")])
def test_png_files_are_answered_as_accurately_as_evaluated(
    served: Served, pictures: list[str], protocol: str, signature: str | None
) -> None:
    labels = served.splits["mnist"].test.labels
    with connect(served.url(protocol), timeout=60) as client:
        answers = client.predict("mnist", pictures, signature=signature)
    assert len(answers) == 10_000
    found = np.mean([int(answer.label) == label for answer, label in zip(answers, labels, strict=True)])
    assert found == pytest.approx(served.accuracy["mnist"], abs=TOLERANCE)


@pytest.fixture(scope="module")
def texts(real_data: Path) -> list[str]:
    """The first test reviews, every word of them, decoded through the whole word index."""
    index = json.loads((real_data / "imdb_word_index.json").read_text())
    word = {rank: name for name, rank in index.items()}
    with np.load(real_data / "imdb.npz", allow_pickle=True) as arrays:
        return [" ".join(word[rank] for rank in review) for review in arrays["x_test"][:REVIEWS]]


@pytest.fixture(scope="module")
def evaluated(served: Served) -> float:
    """The accuracy that training's evaluation finds on the same reviews, for the network as exported."""
    import tensorflow as tf

    from training.evaluate import evaluate

    model, test = catalogue.find("imdb"), served.splits["imdb"].test
    loaded = tf.saved_model.load(str(served.store / "imdb" / "1"))

    def network(multi_hot: Any) -> Any:
        return loaded.signatures["serving_default"](multi_hot=multi_hot)["probability"]

    examples = Examples(test.inputs[:REVIEWS], test.labels[:REVIEWS])
    return evaluate(model, network, examples, served.splits["imdb"].vocabulary).accuracy


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("form", ["text", "text by the vocabulary", "token ids"])
def test_plain_texts_are_answered_as_accurately_as_evaluated(
    served: Served, texts: list[str], evaluated: float, protocol: str, form: str
) -> None:
    splits = served.splits["imdb"]
    raw: Any = splits.test.inputs[:REVIEWS] if form == "token ids" else texts
    options: dict[str, Any] = {}
    if form == "text by the vocabulary":
        options = {"vocabulary": splits.vocabulary, "signature": "serving_default"}
    with connect(served.url(protocol), timeout=60) as client:
        answers = client.predict_many("imdb", raw, **options)
    positive = [answer.label == "positive" for answer in answers]
    assert np.mean(positive == splits.test.labels[:REVIEWS]) == pytest.approx(evaluated, abs=TOLERANCE)
    assert evaluated == pytest.approx(served.accuracy["imdb"], abs=0.03)


@browsers.needs_chromium
def test_digits_that_are_drawn_and_reviews_that_are_written_are_read_on_the_page(
    served: Served,
) -> None:
    """A digit of the test set is thinned to lines, which are drawn: that costs a little of the accuracy."""
    from playwright.sync_api import expect

    test = served.splits["mnist"].test
    with (
        browsers.chromium() as browser,
        connect(served.url("grpc")) as client,
        serving("127.0.0.1", 0, Playground({"grpc": client})) as site,
        browsers.opened(browser, site.url) as page,
    ):
        found = []
        for digit in range(10):
            image = test.inputs[int(np.flatnonzero(test.labels == digit)[0])]
            browsers.draw(page, image)
            expect(page.locator("#digit-answer")).to_have_attribute("aria-busy", "false")
            found.append(page.locator("#digit-answer .label").inner_text())
            page.get_by_role("button", name="Clear").click()
        assert sum(label == str(digit) for digit, label in enumerate(found)) >= 8, found
        for button, label in (("praise", "positive"), ("blame", "negative")):
            page.get_by_role("button", name=button).click()
            expect(page.locator("#review-answer .label")).to_have_text(label)
