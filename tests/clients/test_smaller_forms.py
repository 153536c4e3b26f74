"""In which form raw inputs go to the server: fewer bytes where it takes them."""

import json
from typing import Any

import grpc
import numpy as np
import pytest

from clients import Batching, Refused
from models.model import InputError
from tests.clients import exchanges
from tests.clients.conftest import Connecting
from tests.clients.stubs import GrpcError, HttpAnswer, Stub
from wire import messages, tensors

TOKENS = [[1, 14, 22], [1, 9]]
NO_SIGNATURE = "Serving signature key not found."


def signatures_asked(stub: Stub) -> list[str]:
    """The signature of each predict request, and "?" for each question about the metadata."""
    asked = []
    for path, body in stub.requests:
        if path in (exchanges.METADATA, "/v1/models/imdb/metadata"):
            asked.append("?")
        elif exchanges.is_grpc(stub):
            asked.append(messages.PredictRequest.FromString(body).model_spec.signature_name)
        else:
            asked.append(json.loads(body)["signature_name"])
    return asked


def serve(stub: Stub, *, version: int = 3, without: list[str] | tuple[str, ...] = ()) -> None:
    """Serve a version of imdb that finds every review positive, and has not all signatures."""
    exchanges.answer_metadata(stub, "imdb", version=version, without=without)

    def answer(body: bytes) -> Any:
        if exchanges.is_grpc(stub):
            request = messages.PredictRequest.FromString(body)
            if request.model_spec.signature_name in without:
                return GrpcError(grpc.StatusCode.FAILED_PRECONDITION, NO_SIGNATURE)
            (proto,) = request.inputs.values()
            response = messages.PredictResponse()
            response.model_spec.version.value = version
            rows = np.full((len(tensors.to_array(proto)), 1), 0.75, np.float32)
            tensors.fill(response.outputs["probability"], rows, as_content=True)
            return response
        document = json.loads(body)
        if document["signature_name"] in without:
            return HttpAnswer(json.dumps({"error": NO_SIGNATURE}), 400)
        ((_, rows),) = document["inputs"].items()
        headers = (("X-Kedge-Model-Version", str(version)),)
        return HttpAnswer(json.dumps({"outputs": [[0.75]] * len(rows)}), headers=headers)

    stub.answers[exchanges.predict_path(stub, "imdb")] = answer


def test_token_ids_go_as_they_are_and_the_server_is_asked_once(stub: Stub, connecting: Connecting) -> None:
    serve(stub)
    with connecting(stub.url) as client:
        for _ in range(3):
            assert [a.label for a in client.predict("imdb", TOKENS)] == ["positive"] * 2
    assert signatures_asked(stub) == ["?", "token_ids", "token_ids", "token_ids"]
    assert len(stub.requests[-1][1]) < 300


def test_token_ids_are_preprocessed_where_the_server_does_not_take_them(
    stub: Stub, connecting: Connecting
) -> None:
    serve(stub, without=["token_ids", "text"])
    with connecting(stub.url) as client:
        client.predict("imdb", TOKENS)
        client.predict("imdb", TOKENS)
    assert signatures_asked(stub) == ["?", "serving_default", "serving_default"]


def test_token_ids_are_preprocessed_where_the_server_does_not_tell(
    stub: Stub, connecting: Connecting
) -> None:
    serve(stub)
    stub.answers.pop(exchanges.METADATA if exchanges.is_grpc(stub) else "/v1/models/imdb/metadata")
    with connecting(stub.url) as client:
        client.predict("imdb", TOKENS)
    assert signatures_asked(stub) == ["?", "serving_default"]


@pytest.mark.parametrize("signature", ["serving_default", "token_ids"])
def test_signature_is_chosen_by_hand_without_a_question(
    stub: Stub, connecting: Connecting, signature: str
) -> None:
    serve(stub)
    with connecting(stub.url) as client:
        client.predict("imdb", TOKENS, signature=signature)
    assert signatures_asked(stub) == [signature]


def test_signature_chosen_by_hand_is_not_replaced(stub: Stub, connecting: Connecting) -> None:
    serve(stub, without=["token_ids"])
    with connecting(stub.url) as client, pytest.raises(Refused, match="signature key not found"):
        client.predict("imdb", TOKENS, signature="token_ids")
    assert signatures_asked(stub) == ["token_ids"]


def test_small_tensors_are_sent_without_a_question(stub: Stub, connecting: Connecting) -> None:
    exchanges.answer_outputs(stub, "mnist", {"probabilities": [[0.1] * 10]}, json.dumps([[0.1] * 10]))
    with connecting(stub.url) as client:
        client.predict("mnist", np.full((28, 28), 12.5))
    assert stub.paths == [exchanges.predict_path(stub, "mnist")]


def test_new_version_without_the_signature_is_met_once(stub: Stub, connecting: Connecting) -> None:
    """The server refuses what it told it takes: it is asked anew, and gets what it takes now."""
    serve(stub)
    with connecting(stub.url) as client:
        client.predict("imdb", TOKENS)
        serve(stub, version=4, without=["token_ids"])
        assert len(client.predict("imdb", TOKENS)) == 2
        client.predict("imdb", TOKENS)
    first, then, last = ["?", "token_ids"], ["token_ids", "?", "serving_default"], ["serving_default"]
    assert signatures_asked(stub) == [*first, *then, *last]


def test_new_version_that_answers_is_asked_anew(stub: Stub, connecting: Connecting) -> None:
    serve(stub, version=3, without=["token_ids"])
    with connecting(stub.url) as client:
        client.predict("imdb", TOKENS)
        serve(stub, version=4)
        client.predict("imdb", TOKENS)
        client.predict("imdb", TOKENS)
    first, then, last = ["?", "serving_default"], ["serving_default"], ["?", "token_ids"]
    assert signatures_asked(stub) == [*first, *then, *last]


def test_refusal_that_asking_anew_does_not_explain_is_raised(stub: Stub, connecting: Connecting) -> None:
    serve(stub)
    with connecting(stub.url) as client:
        client.predict("imdb", TOKENS)
        paths = (exchanges.PREDICT, "/v1/models/imdb:predict")
        exchanges.answer_error(stub, paths, grpc.StatusCode.INTERNAL, "out of memory")
        with pytest.raises(Refused, match="out of memory"):
            client.predict("imdb", TOKENS)
    assert signatures_asked(stub) == ["?", "token_ids", "token_ids", "?"]


def test_versions_are_known_apart(stub: Stub, connecting: Connecting) -> None:
    serve(stub)
    for place in ("imdb/versions/3", "imdb/labels/old"):
        stub.answers[exchanges.predict_path(stub, place)] = stub.answers[exchanges.predict_path(stub, "imdb")]
        metadata = exchanges.METADATA if exchanges.is_grpc(stub) else "/v1/models/imdb/metadata"
        stub.answers.setdefault(f"/v1/models/{place}/metadata", stub.answers[metadata])
    with connecting(stub.url) as client:
        client.predict("imdb", TOKENS)
        client.predict("imdb", TOKENS, version=3)
        client.predict("imdb", TOKENS, label="old")
    assert sum("etadata" in path for path in stub.paths) == 3


def test_texts_go_in_parts_by_their_length(stub: Stub, connecting: Connecting) -> None:
    serve(stub)
    texts = ["good " * 20_000] * 5
    with connecting(stub.url, batching=Batching(message_bytes=1 << 20)) as client:
        assert len(client.predict("imdb", texts)) == 5
    assert max(len(body) for _, body in stub.requests) <= 1 << 20


@pytest.mark.parametrize("value", [[[1], [1, 2]], np.array([1, None], object)], ids=["ragged", "None"])
def test_tensor_that_is_none_is_an_input_error(stub: Stub, connecting: Connecting, value: Any) -> None:
    with connecting(stub.url) as client, pytest.raises(InputError, match="the input x"):
        client.predict("any", {"x": value})
    assert stub.requests == []
