"""The code that the page shows asks the same question: it is run, and what it sends is looked at."""

import json
import subprocess
import sys

import numpy as np
import pytest

from clients import connect
from clients.playground import code
from models import images, mnist
from tests.clients import exchanges
from tests.clients.playground.model_servers import VERSION, answer
from tests.clients.stubs import Stub
from wire import messages, tensors

IMAGE = images.fit(np.pad(np.full((30, 8), 200, np.uint8), 20))
TEXT = """It's "good", isn't it? $HOME `ls` \\ 100% ü\nEnd"""


def run(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def arguments_of_curl(command: str) -> list[str]:
    """What a shell hands to curl."""
    script = f"curl() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    done = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("version", [None, VERSION])
def test_python_asks_about_the_same_picture(stub: Stub, version: int | None) -> None:
    with connect(answer(stub).url) as client:
        printed = run(code.python(client, "mnist", code.of_picture(IMAGE), version))
    assert printed.startswith("Prediction(label='7', probability=0.7500, model='mnist'")
    body = stub.requests[-1][1]
    if exchanges.is_grpc(stub):
        request = messages.PredictRequest.FromString(body)
        assert request.model_spec.version.value == (version or 0)
        pixels = tensors.to_array(request.inputs["pixels"])
    else:
        assert ("versions" in stub.paths[-1]) == (version is not None)
        pixels = np.asarray(json.loads(body)["inputs"]["pixels"], np.float32)
    assert (pixels == mnist.preprocess(IMAGE)["pixels"]).all()


def test_python_asks_about_the_same_text(stub: Stub) -> None:
    with connect(answer(stub).url) as client:
        printed = run(code.python(client, "imdb", code.of_text(TEXT), None))
    assert printed.startswith("Prediction(label='positive'")
    body = stub.requests[-1][1]
    if exchanges.is_grpc(stub):
        (sent,) = tensors.to_array(messages.PredictRequest.FromString(body).inputs["text"]).tolist()
        assert sent.decode() == TEXT
    else:
        assert json.loads(body)["inputs"] == {"text": [TEXT]}


@pytest.mark.parametrize(("model", "inputs"), [("mnist", IMAGE[np.newaxis]), ("imdb", [TEXT])])
def test_curl_sends_what_the_client_sends(http_stub: Stub, model: str, inputs: object) -> None:
    with connect(answer(http_stub).url) as client:
        url, option, body = arguments_of_curl(code.curl({"http": client}, model, inputs, VERSION))
        client.predict_many(model, inputs, version=VERSION)
    assert option == "-d"
    assert url == f"{http_stub.url}/v1/models/{model}/versions/{VERSION}:predict"
    assert http_stub.requests[-1] == (f"/v1/models/{model}/versions/{VERSION}:predict", body.encode())


def test_curl_without_a_rest_address_takes_the_usual_port_and_says_so() -> None:
    with connect("grpc://models.example:9000") as client:
        text = code.curl({"grpc": client}, "imdb", ["good"], None)
    assert text.startswith("# the usual port of REST")
    assert "http://models.example:8501/v1/models/imdb:predict" in text


def test_token_stays_secret() -> None:
    with connect("grpc://localhost", token="s3cret") as client:  # noqa: S106
        shown = code.curl({"grpc": client}, "imdb", ["good"], None)
        program = code.python(client, "imdb", code.of_text("good"), None)
    assert "s3cret" not in shown + program
    assert '"Authorization: Bearer $TOKEN"' in shown
    assert 'connect("grpc://localhost:8500", token=os.environ["TOKEN"])' in program
    assert program.startswith("import os\n")


def test_headers_stay_secret_and_are_told_of() -> None:
    with connect("grpc://localhost", metadata={"x-key": "s3cret"}) as client:
        shown = code.curl({"grpc": client}, "imdb", ["good"], None)
        shown += code.python(client, "imdb", code.of_text("good"), None)
    assert "s3cret" not in shown
    assert shown.count(code.OPTIONS) == 2
