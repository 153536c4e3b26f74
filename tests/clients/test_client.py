"""The same table of exchanges over all four clients: both protocols, blocking and asynchronous."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from clients import (
    Client,
    ClientError,
    DeadlineExceeded,
    Prediction,
    Refused,
    UnexpectedAnswer,
    Unreachable,
)
from models.model import InputError
from tests.clients import exchanges
from tests.clients.conftest import Connecting
from tests.clients.stubs import HttpAnswer, Stub
from wire import messages, tensors
from wire.errors import Code

SEVEN_JSON = "[[0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.91, 0.01, 0.01]\n]"
SEVEN = np.array(json.loads(SEVEN_JSON), np.float32)


@pytest.fixture
def client(stub: Stub, connecting: Connecting) -> Iterator[Client]:
    with connecting(stub.url) as connected:
        yield connected


def sent_tensors(stub: Stub, number: int = -1) -> tuple[str, dict[str, Any]]:
    """The signature and the tensors of a predict request that the stub got."""
    body = stub.requests[number][1]
    if exchanges.is_grpc(stub):
        request = messages.PredictRequest.FromString(body)
        arrays = {name: tensors.to_array(proto) for name, proto in request.inputs.items()}
        return request.model_spec.signature_name, arrays
    document = json.loads(body)
    return document["signature_name"], {name: np.array(v) for name, v in document["inputs"].items()}


class TestOutputs:
    """Tensors in, tensors out."""

    @pytest.mark.parametrize("as_content", [False, True], ids=["typed fields", "tensor_content"])
    def test_single_output_has_its_name(self, stub: Stub, client: Client, as_content: bool) -> None:
        exchanges.answer_metadata(stub, "mnist")
        exchanges.answer_outputs(stub, "mnist", {"probabilities": SEVEN}, SEVEN_JSON, as_content=as_content)
        outputs = client.predict("mnist", {"pixels": np.zeros((1, 784), np.float32)})
        assert list(outputs) == ["probabilities"]
        assert outputs["probabilities"].dtype == np.float32
        np.testing.assert_array_equal(outputs["probabilities"], SEVEN)

    @pytest.mark.parametrize("as_content", [False, True], ids=["typed fields", "tensor_content"])
    def test_several_outputs_of_several_dtypes_come_by_name(
        self, stub: Stub, client: Client, as_content: bool
    ) -> None:
        exchanges.answer_metadata(stub, "pair")
        exchanges.answer_outputs(
            stub,
            "pair",
            {
                "y": np.array([np.nan, np.inf, -np.inf, 3], np.float32),
                "name": np.array([b"a", "\u00e9".encode()], object),
                "raw_bytes": np.array([b"\xff\x00"], object),
            },
            '{"y": [NaN, Infinity, -Infinity, 3.0], "name": ["a", "\u00e9"], "raw_bytes": [{"b64": "/wA="}]}',
            as_content=as_content,
        )
        outputs = client.predict("pair", {"x": [1.5, 2], "count": np.int32(2)})
        np.testing.assert_array_equal(outputs["y"], np.array([np.nan, np.inf, -np.inf, 3], np.float32))
        assert outputs["name"].tolist() == [b"a", "\u00e9".encode()]
        assert outputs["raw_bytes"].tolist() == [b"\xff\x00"]
        _, sent = sent_tensors(stub)
        assert sent["x"].tolist() == [1.5, 2]
        assert sent["count"].shape == ()

    def test_signature_of_a_model_is_asked_for_once(self, connecting: Connecting, http_stub: Stub) -> None:
        exchanges.answer_metadata(http_stub, "mnist")
        exchanges.answer_outputs(http_stub, "mnist", {}, SEVEN_JSON)
        with connecting(http_stub.url) as client:
            for _ in range(3):
                client.predict("mnist", {"pixels": np.zeros((1, 784), np.float32)})
        assert http_stub.paths == ["/v1/models/mnist/metadata"] + ["/v1/models/mnist:predict"] * 3

    def test_signature_is_asked_for_again_after_a_refusal(
        self, connecting: Connecting, http_stub: Stub
    ) -> None:
        exchanges.answer_metadata(http_stub, "mnist")
        with connecting(http_stub.url) as client:
            for _ in range(2):
                with pytest.raises(Refused):
                    client.predict("mnist", {"pixels": np.zeros((1, 784), np.float32)})
        assert http_stub.paths.count("/v1/models/mnist/metadata") == 2

    def test_input_that_the_signature_has_not_is_not_sent_over_rest(
        self, connecting: Connecting, http_stub: Stub
    ) -> None:
        exchanges.answer_metadata(http_stub, "pair")
        with connecting(http_stub.url) as client, pytest.raises(InputError, match=r"takes count, x; z came"):
            client.predict("pair", {"x": [1.0], "count": 1, "z": [1]})

    def test_unknown_signature_is_refused(self, stub: Stub, client: Client) -> None:
        exchanges.answer_metadata(stub, "mnist")
        exchanges.answer_error(
            stub,
            (exchanges.PREDICT, "/v1/models/mnist:predict"),
            grpc.StatusCode.FAILED_PRECONDITION,
            'Serving signature key "nope" not found.',
        )
        with pytest.raises(Refused, match="nope") as refused:
            client.predict("mnist", {"pixels": [[0.0]]}, signature="nope")
        assert refused.value.code is Code.FAILED_PRECONDITION

    def test_tensor_that_cannot_travel_is_an_input_error(self, stub: Stub, client: Client) -> None:
        exchanges.answer_metadata(stub, "mnist")
        with pytest.raises(InputError, match="datetime64"):
            client.predict("mnist", {"pixels": np.array(["2020-01-01"], "datetime64[D]")})
        assert exchanges.predict_path(stub, "mnist") not in stub.paths


@pytest.fixture
def imdb(stub: Stub) -> Stub:
    exchanges.answer_metadata(stub, "imdb")
    exchanges.answer_outputs(
        stub, "imdb", {"probability": np.array([[0.875], [0.25]], np.float32)}, "[[0.875], [0.25]]"
    )
    return stub


@pytest.fixture
def mnist(stub: Stub) -> Stub:
    exchanges.answer_outputs(stub, "mnist", {"probabilities": SEVEN}, SEVEN_JSON)
    return stub


class TestRawInputs:
    """Images and reviews in, predictions out."""

    @pytest.mark.parametrize("form", ["array", "path", "path object", "bytes", "npy"])
    def test_one_image_in_any_form_gives_one_prediction(
        self, mnist: Stub, client: Client, tmp_path: Path, form: str
    ) -> None:
        image = np.zeros((28, 28), np.uint8)
        image[4:24, 10] = 255
        Image.fromarray(image).save(tmp_path / "7.png")
        np.save(tmp_path / "7.npy", image)
        raw = {
            "array": image,
            "path": str(tmp_path / "7.png"),
            "path object": tmp_path / "7.png",
            "bytes": (tmp_path / "7.png").read_bytes(),
            "npy": str(tmp_path / "7.npy"),
        }[form]
        prediction = client.predict("mnist", raw)
        assert (prediction.label, prediction.model) == ("7", "mnist")
        assert prediction.probability == pytest.approx(0.91, abs=1e-6)
        assert list(prediction.probabilities) == list("0123456789")
        signature, sent = sent_tensors(mnist)
        assert signature == "serving_default"
        assert sent["pixels"].shape == (1, 784)
        assert sent["pixels"].reshape(28, 28)[4:24, 10].tolist() == [1.0] * 20

    def test_list_of_one_image_gives_a_list(self, mnist: Stub, client: Client) -> None:
        answer = client.predict("mnist", [np.zeros((28, 28), np.uint8)])
        assert [type(prediction) for prediction in answer] == [Prediction]

    def test_texts_go_to_the_signature_text_as_they_are(self, imdb: Stub, client: Client) -> None:
        answers = client.predict("imdb", ["A wonderful film", "na\u00efve and dull"])
        assert [(a.label, a.probability) for a in answers] == [("positive", 0.875), ("negative", 0.75)]
        signature, sent = sent_tensors(imdb)
        assert signature == "text"
        texts = [t.decode() if isinstance(t, bytes) else t for t in sent["text"].tolist()]
        assert texts == ["A wonderful film", "na\u00efve and dull"]

    def test_texts_with_a_vocabulary_are_preprocessed_where_the_server_takes_none(
        self, imdb: Stub, client: Client
    ) -> None:
        exchanges.answer_metadata(imdb, "imdb", without=["text"])
        client.predict("imdb", ["the film", "film"], vocabulary={"the": 1, "film": 2})
        signature, sent = sent_tensors(imdb)
        assert signature == "serving_default"
        assert np.flatnonzero(sent["multi_hot"][0]).tolist() == [1, 4, 5]

    def test_signature_that_is_asked_for_is_used(self, imdb: Stub, client: Client) -> None:
        client.predict("imdb", [[1, 14], [1]], signature="token_ids")
        signature, sent = sent_tensors(imdb)
        assert signature == "token_ids"
        assert sent["tokens"].tolist() == [[1, 14], [1, 0]]

    def test_signature_that_does_not_take_the_inputs_is_an_input_error(
        self, imdb: Stub, client: Client
    ) -> None:
        with pytest.raises(InputError, match="serving_default or token_ids; text was asked for"):
            client.predict("imdb", [1, 14], signature="text")
        assert imdb.requests == []

    def test_texts_for_a_server_without_the_signature_say_what_to_do(
        self, stub: Stub, client: Client
    ) -> None:
        exchanges.answer_metadata(stub, "imdb", without=["text"])
        with pytest.raises(InputError, match=r"takes no text.*give the vocabulary"):
            client.predict("imdb", "a film")

    @pytest.mark.parametrize(
        ("model", "inputs"),
        [("mnist", np.zeros((3, 3), np.uint8)), ("mnist", "nosuch.png"), ("imdb", [1, 10**6]), ("imdb", 3)],
        ids=["shape", "no file", "token too large", "number"],
    )
    def test_input_that_is_not_the_models_is_not_sent(
        self, stub: Stub, client: Client, model: str, inputs: Any
    ) -> None:
        with pytest.raises(InputError):
            client.predict(model, inputs)
        assert stub.requests == []

    def test_answer_of_another_model_is_not_read(self, stub: Stub, client: Client) -> None:
        exchanges.answer_outputs(
            stub, "mnist", {"probabilities": np.zeros((1, 3), np.float32)}, "[[0.0, 0.0, 0.0]]"
        )
        with pytest.raises(UnexpectedAnswer, match="is it another model there"):
            client.predict("mnist", np.zeros((28, 28), np.uint8))

    def test_answer_with_too_few_rows_is_not_read(self, mnist: Stub, client: Client) -> None:
        with pytest.raises(UnexpectedAnswer, match="1 rows came for 2 inputs"):
            client.predict("mnist", np.zeros((2, 28, 28), np.uint8))

    def test_repr_of_a_prediction_is_short(self) -> None:
        prediction = Prediction("7", 0.91234, {"7": 0.91234}, "mnist", 3)
        assert repr(prediction) == "Prediction(label='7', probability=0.9123, model='mnist', version=3)"
        assert repr(Prediction("7", 1.0, {}, "mnist", None)).endswith("model='mnist')")


class TestVersion:
    """Which version is asked, and which answered."""

    @pytest.mark.parametrize(
        ("choice", "place"),
        [
            ({"version": 0}, "mnist/versions/0"),
            ({"version": 12}, "mnist/versions/12"),
            ({"label": "canary"}, "mnist/labels/canary"),
            ({"label": "a/b c"}, "mnist/labels/a%2Fb%20c"),
            ({}, "mnist"),
        ],
    )
    def test_version_or_label_is_asked_for(
        self, stub: Stub, client: Client, choice: dict[str, Any], place: str
    ) -> None:
        exchanges.answer_outputs(stub, place, {"probabilities": SEVEN}, SEVEN_JSON)
        client.predict("mnist", np.zeros((28, 28), np.uint8), **choice)
        path, body = stub.requests[0]
        assert path == exchanges.predict_path(stub, place)
        if exchanges.is_grpc(stub):
            spec = messages.PredictRequest.FromString(body).model_spec
            assert spec.HasField("version") == ("version" in choice)
            assert spec.version.value == choice.get("version", 0)
            assert spec.version_label == choice.get("label", "")

    def test_version_that_answered_is_told_over_grpc(self, connecting: Connecting, grpc_stub: Stub) -> None:
        exchanges.answer_outputs(grpc_stub, "mnist", {"probabilities": SEVEN}, SEVEN_JSON, version=9)
        with connecting(grpc_stub.url) as client:
            assert client.predict("mnist", np.zeros((28, 28), np.uint8)).version == 9

    @pytest.mark.parametrize(("headers", "version"), [((), None), ((("X-Kedge-Model-Version", "9"),), 9)])
    def test_version_that_answered_is_unknown_over_rest_without_a_header(
        self, connecting: Connecting, http_stub: Stub, headers: Any, version: int | None
    ) -> None:
        http_stub.answers["/v1/models/mnist:predict"] = HttpAnswer(
            '{"outputs": ' + SEVEN_JSON + "}", headers=headers
        )
        with connecting(http_stub.url) as client:
            assert client.predict("mnist", np.zeros((28, 28), np.uint8)).version == version

    def test_version_and_label_together_are_an_input_error(self, client: Client) -> None:
        with pytest.raises(InputError, match="version 1 and label 'a' were both given"):
            client.predict("mnist", {}, version=1, label="a")

    @pytest.mark.parametrize("what", ["label", "signature"])
    def test_name_that_is_no_text_is_an_input_error(self, client: Client, what: str) -> None:
        with pytest.raises(InputError, match=r"the model '.udcff' is no valid Unicode text"):
            client.status("\udcff")
        with pytest.raises(InputError, match=rf"the {what} '.udcff' is no valid Unicode text"):
            client.predict("mnist", {"x": 1.0}, **{what: "\udcff"})  # type: ignore[call-overload]

    def test_name_with_a_slash_is_one_part_of_the_url(self, connecting: Connecting, http_stub: Stub) -> None:
        exchanges.answer_status(http_stub, "a%2Fb", [(1, "AVAILABLE", "OK", "")])
        with connecting(http_stub.url) as client:
            assert client.status("a/b")[0].state == "AVAILABLE"


class TestStatus:
    """States of versions, and signatures."""

    def test_status_gives_the_newest_version_first(self, stub: Stub, client: Client) -> None:
        versions = [(1, "END", "NOT_FOUND", "no saved_model.pb"), (2, "AVAILABLE", "OK", "")]
        exchanges.answer_status(stub, "mnist", versions)
        newest, failed = client.status("mnist")
        assert (newest.version, newest.state, newest.code, newest.message) == (2, "AVAILABLE", Code.OK, "")
        assert (failed.version, failed.state) == (1, "END")
        assert (failed.code, failed.message) == (Code.NOT_FOUND, "no saved_model.pb")

    def test_statuses_are_those_of_the_catalogues_models_that_the_server_knows(
        self, stub: Stub, client: Client
    ) -> None:
        if exchanges.is_grpc(stub):
            exchanges.answer_status(stub, "imdb", [(1, "AVAILABLE", "OK", "")])
            assert set(client.statuses()) == {"imdb", "mnist"}
            return
        missing = (exchanges.STATUS, "/v1/models/mnist")
        message = "Could not find any versions of model mnist"
        exchanges.answer_error(stub, missing, grpc.StatusCode.NOT_FOUND, message)
        refusal = HttpAnswer('{ "error": "Missing model name in request." }', 400)
        stub.answers["/v1/models"] = refusal
        exchanges.answer_status(stub, "imdb", [(1, "AVAILABLE", "OK", "")])
        assert set(client.statuses()) == {"imdb"}

    def test_statuses_are_of_the_models_that_the_server_lists(
        self, connecting: Connecting, http_stub: Stub
    ) -> None:
        http_stub.answers["/v1/models"] = HttpAnswer('{"models": [{"name": "third"}]}')
        exchanges.answer_status(http_stub, "third", [(4, "LOADING", "OK", "")])
        with connecting(http_stub.url) as client:
            (status,) = client.statuses()["third"]
        assert (status.version, status.state) == (4, "LOADING")

    def test_metadata_gives_every_signatures_tensors(self, stub: Stub, client: Client) -> None:
        exchanges.answer_metadata(stub, "imdb", version=12)
        metadata = client.metadata("imdb")
        assert (metadata.name, metadata.version) == ("imdb", 12)
        assert list(metadata.signatures) == ["serving_default", "text", "token_ids"]
        info = metadata.signatures["serving_default"].inputs["multi_hot"]
        assert (info.dtype, info.shape) == (1, (None, 10000))


class TestErrors:
    """A server that says no, and one that is no TensorFlow Serving."""

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (Code.NOT_FOUND, Refused),
            (Code.INVALID_ARGUMENT, Refused),
            (Code.RESOURCE_EXHAUSTED, Refused),
            (Code.INTERNAL, Refused),
            (Code.UNIMPLEMENTED, Refused),
            (Code.UNAVAILABLE, Unreachable),
            (Code.DEADLINE_EXCEEDED, DeadlineExceeded),
        ],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_error_has_the_servers_message_and_code(
        self, stub: Stub, client: Client, code: Code, kind: type[ClientError]
    ) -> None:
        said = "Servable not found for request:\n\tLatest(mnist)"
        paths = (exchanges.PREDICT, "/v1/models/mnist:predict")
        exchanges.answer_error(stub, paths, grpc.StatusCode[code.name], said)
        with pytest.raises(kind) as refused:
            client.predict("mnist", np.zeros((28, 28), np.uint8))
        error = refused.value
        assert error.code is code
        assert said in error.server_message
        assert "Servable not found for request: Latest(mnist)" in str(error)
        assert str(error).startswith(stub.url)

    def test_page_in_place_of_an_error_is_told_without_its_tags(
        self, connecting: Connecting, http_stub: Stub
    ) -> None:
        with connecting(f"{http_stub.url}/other/") as client, pytest.raises(Refused) as refused:
            client.status("mnist")
        assert http_stub.paths == ["/other/v1/models/mnist"]
        assert refused.value.code is Code.NOT_FOUND
        assert "404 Not Found Not Found (HTTP 404)" in str(refused.value)

    @pytest.mark.parametrize(
        ("status", "body", "words"),
        [
            (502, "", r"not available: Bad Gateway \(HTTP 502\)"),
            (503, "upstream connect error", r"upstream connect error \(HTTP 503\)"),
            (500, '{"error": {"code": 3}}', r"error.*code.*\(HTTP 500\)"),
            (301, "", "HTTP 301"),
        ],
    )
    def test_error_of_something_in_between_is_told(
        self, connecting: Connecting, http_stub: Stub, status: int, body: str, words: str
    ) -> None:
        http_stub.answers["/v1/models/mnist"] = HttpAnswer(body, status, "text/plain")
        with connecting(http_stub.url) as client, pytest.raises((Refused, Unreachable), match=words):
            client.status("mnist")

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "<html></html>",
            "[]",
            '{"outputs": [["a"]]}',
            '{"predictions": "x"}',
            "{}",
            '{"outputs": [[1.0',
        ],
    )
    def test_answer_that_is_no_answer_is_unexpected(
        self, connecting: Connecting, http_stub: Stub, body: str
    ) -> None:
        http_stub.answers["/v1/models/mnist:predict"] = HttpAnswer(body)
        with connecting(http_stub.url) as client, pytest.raises(UnexpectedAnswer) as unexpected:
            client.predict("mnist", np.zeros((28, 28), np.uint8))
        assert unexpected.value.exit_code == 6

    @pytest.mark.parametrize("body", ["", "[]", '{"model_version_status": 3, "model_spec": {}}'])
    @pytest.mark.parametrize("question", ["status", "metadata"])
    def test_status_that_is_none_is_unexpected(
        self, connecting: Connecting, http_stub: Stub, body: str, question: str
    ) -> None:
        if question == "status" and body.startswith('{"model_spec'):
            pytest.skip("an object without versions is a status without versions")
        http_stub.answers["/v1/models/mnist"] = http_stub.answers["/v1/models/mnist/metadata"] = HttpAnswer(
            body
        )
        with connecting(http_stub.url) as client, pytest.raises(UnexpectedAnswer):
            getattr(client, question)("mnist")

    def test_bytes_that_are_no_message_are_unexpected(self, connecting: Connecting, grpc_stub: Stub) -> None:
        grpc_stub.answers[exchanges.PREDICT] = b"\xff\xff"
        with connecting(grpc_stub.url) as client, pytest.raises(UnexpectedAnswer, match="Error parsing"):
            client.predict("mnist", np.zeros((28, 28), np.uint8))

    def test_tensor_whose_shape_does_not_fit_is_unexpected(
        self, connecting: Connecting, grpc_stub: Stub
    ) -> None:
        exchanges.answer_outputs(grpc_stub, "mnist", {"probabilities": SEVEN}, "", as_content=True)
        response = grpc_stub.answers[exchanges.PREDICT]
        response.outputs["probabilities"].tensor_shape.dim[0].size = 2
        with connecting(grpc_stub.url) as client, pytest.raises(UnexpectedAnswer, match="tensor_content"):
            client.predict("mnist", np.zeros((28, 28), np.uint8))
