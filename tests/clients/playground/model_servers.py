"""Stub model servers whose reviews are judged by their words, and the playground before them."""

import contextlib
import json
from collections.abc import Iterator, Sequence

import numpy as np

from clients import connect
from clients.playground.routes import Playground
from clients.playground.server import PageServer, serving
from clients.retry import Retry
from models import words
from tests.clients import exchanges
from tests.clients.stubs import HttpAnswer, Stub
from wire import messages, tensors

VERSION = 3
WEIGHTS = {b"good": 2.0, b"bad": -1.5}
SEVEN = [[0.0] * 7 + [0.75, 0.25, 0.0]]


def positive(review: str) -> float:
    """The probability of a review: words count once each, however often they occur."""
    return float(1 / (1 + np.exp(-sum(WEIGHTS.get(word, 0.0) for word in set(words.split(review))))))


def answer(stub: Stub) -> Stub:
    """Answer for both models: every digit is a 7, a review is judged by its words."""
    for model in ("mnist", "imdb"):
        exchanges.answer_metadata(stub, model, version=VERSION)
        exchanges.answer_status(stub, model, [(VERSION, "AVAILABLE", "OK", ""), (2, "END", "OK", "")])
    if exchanges.is_grpc(stub):
        stub.answers[exchanges.METADATA] = _metadata_by_name(stub)
        stub.answers[exchanges.PREDICT] = _predict
    else:
        for place in ("mnist", f"mnist/versions/{VERSION}"):
            stub.answers[f"/v1/models/{place}:predict"] = HttpAnswer(json.dumps({"outputs": SEVEN}))
        for place in ("imdb", f"imdb/versions/{VERSION}"):
            stub.answers[f"/v1/models/{place}:predict"] = _predict_json
        told = stub.answers["/v1/models/imdb/metadata"]
        stub.answers[f"/v1/models/imdb/versions/{VERSION}/metadata"] = told
    return stub


@contextlib.contextmanager
def playground(*stubs: Stub, names: Sequence[str] = (), **options: float) -> Iterator[PageServer]:
    """The playground before these model servers, on a free port."""
    with contextlib.ExitStack() as stack:
        servers = {}
        for stub in stubs:
            client = stack.enter_context(connect(stub.url, retry=Retry(attempts=1), **options))
            servers[client.address.protocol] = client
        yield stack.enter_context(serving("127.0.0.1", 0, Playground(servers, names)))


def _metadata_by_name(stub: Stub) -> object:
    told = {}
    for model in ("mnist", "imdb"):
        exchanges.answer_metadata(stub, model, version=VERSION)
        told[model] = stub.answers[exchanges.METADATA]
    return lambda body: told[messages.GetModelMetadataRequest.FromString(body).model_spec.name]


def _predict(body: bytes) -> messages.PredictResponse:
    request = messages.PredictRequest.FromString(body)
    response = messages.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = VERSION
    if request.model_spec.name == "mnist":
        tensors.fill(response.outputs["probabilities"], np.asarray(SEVEN, np.float32), as_content=True)
        return response
    texts = tensors.to_array(request.inputs["text"]).tolist()
    rows = np.asarray([[positive(text.decode())] for text in texts], np.float32)
    tensors.fill(response.outputs["probability"], rows, as_content=True)
    return response


def _predict_json(body: bytes) -> HttpAnswer:
    texts = json.loads(body)["inputs"]["text"]
    return HttpAnswer(json.dumps({"outputs": [[positive(text)] for text in texts]}))
