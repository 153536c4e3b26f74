"""From data to an answer: train, publish, serve, ask."""

import json
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clients
from clients.errors import Refused
from models import catalogue
from serving import embedded
from tests.e2e.conftest import kedge

PROTOCOLS = ("grpc", "http")


def url(server: embedded.Server, protocol: str) -> str:
    return f"{protocol}://127.0.0.1:{server.grpc_port if protocol == 'grpc' else server.rest_port}"


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 28, 28] that the sample model was not trained on, with their labels."""
    test = catalogue.find("mnist").dataset.sample(0).test
    return test.inputs[:50], test.labels[:50]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_raw_images_get_their_labels(server: embedded.Server, protocol: str, digits: tuple) -> None:
    images, labels = digits
    with clients.connect(url(server, protocol)) as client:
        answers = client.predict("mnist", images)
    right = sum(answer.label == str(label) for answer, label in zip(answers, labels, strict=True))
    assert right >= 45
    assert all(answer.version == 1 for answer in answers)
    assert sum(answers[0].probabilities.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_preprocessed_tensors_and_raw_inputs_get_the_same_answer(
    server: embedded.Server, protocol: str, digits: tuple
) -> None:
    images, _ = digits
    pixels = images.reshape(-1, 784).astype(np.float32) / 255
    with clients.connect(url(server, protocol)) as client:
        outputs = client.predict("mnist", {"pixels": pixels})
        answers = client.predict("mnist", images)
    raw = np.array([list(answer.probabilities.values()) for answer in answers])
    np.testing.assert_allclose(outputs["probabilities"], raw, atol=1e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_texts_get_their_sentiment(server: embedded.Server, protocol: str) -> None:
    with clients.connect(url(server, protocol)) as client:
        good, bad = client.predict(
            "imdb", ["a wonderful, brilliant and excellent film", "an awful, boring and terrible film"]
        )
    assert (good.label, bad.label) == ("positive", "negative")


def test_both_protocols_give_the_same_answer(server: embedded.Server, digits: tuple) -> None:
    images, _ = digits
    answers = []
    for protocol in PROTOCOLS:
        with clients.connect(url(server, protocol)) as client:
            answers.append(client.predict("mnist", images))
    for one, other in zip(*answers, strict=True):
        assert one.label == other.label
        assert one.probability == pytest.approx(other.probability, abs=1e-6)


def test_curl_gets_an_answer(server: embedded.Server) -> None:
    """The line that the demo prints: any HTTP client can ask."""
    body = json.dumps({"signature_name": "text", "instances": ["what a wonderful film"]}).encode()
    with urllib.request.urlopen(f"{url(server, 'http')}/v1/models/imdb:predict", body) as answer:
        ((probability,),) = json.load(answer)["predictions"]
    assert probability > 0.5


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_predict_command_reads_a_png_and_prints_json(
    server: embedded.Server, protocol: str, digits: tuple, tmp_path: Path
) -> None:
    images, labels = digits
    Image.fromarray(images[0]).save(tmp_path / "digit.png")
    outcome = kedge("predict", "mnist", str(tmp_path / "digit.png"), "--url", url(server, protocol), "--json")
    assert outcome.exit_code == 0, outcome.stderr
    (prediction,) = outcome.document["predictions"]
    assert prediction["label"] == str(labels[0])


def test_predict_command_reads_reviews_from_standard_input(server: embedded.Server) -> None:
    outcome = kedge(
        "predict", "imdb", "-", "--url", url(server, "grpc"), "--json",
        stdin=b"a wonderful brilliant film\nan awful boring film\n",
    )  # fmt: skip
    assert [prediction["label"] for prediction in outcome.document["predictions"]] == ["positive", "negative"]


def test_status_command_shows_the_published_versions(server: embedded.Server) -> None:
    outcome = kedge("status", "mnist", "--url", url(server, "http"), "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert "AVAILABLE" in outcome.stdout


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        ("nosuch", {"pixels": np.zeros((1, 784), np.float32)}, "nosuch"),
        ("mnist", {"pixels": np.zeros((1, 10), np.float32)}, "pixels"),
        ("mnist", {"pixels": np.full((1, 784), "a", object)}, "float"),
    ],
    ids=["unknown model", "wrong shape", "wrong type"],
)
def test_wrong_request_is_refused_by_name(
    server: embedded.Server, protocol: str, model: str, inputs: dict, words: str
) -> None:
    with clients.connect(url(server, protocol)) as client, pytest.raises(Refused, match=words):
        client.predict(model, inputs)


def test_server_that_is_not_there_is_exit_code_5() -> None:
    outcome = kedge("predict", "imdb", "a film", "--url", "grpc://127.0.0.1:1", "--timeout", "5")
    assert outcome.exit_code == 5
    assert len(outcome.stderr.splitlines()) == 1
    assert outcome.stdout == ""


def test_unknown_model_on_the_server_is_exit_code_6(tmp_path: Path, server: embedded.Server) -> None:
    outcome = kedge("status", "nosuch", "--url", url(server, "grpc"))
    assert outcome.exit_code == 6
    assert "nosuch" in outcome.stderr


def test_second_version_is_served_without_a_restart(server: embedded.Server, store: Path) -> None:
    outcome = kedge("train", "imdb", "--sample", "--seed", "1", "--model-store", str(store), "--json")
    assert outcome.document["version"] == 2, outcome.stderr
    with clients.connect(url(server, "grpc")) as client:
        give_up = time.monotonic() + 60
        while (answer := client.predict("imdb", "a wonderful film")).version == 1:
            assert time.monotonic() < give_up
    assert answer.version == 2
