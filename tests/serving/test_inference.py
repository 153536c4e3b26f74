"""The core, asked over both transports: the same table of cases for gRPC and REST."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from tests.serving.servers import Endpoint, Question, make_store, serving
from wire.errors import Code, StatusError, code_of_http, http_status

pytestmark = pytest.mark.asyncio(loop_scope="module")

HALVES = {"y": [2.5, 3.0, 4.5]}
A = np.array([[1, 2], [3, 4]], np.float32)
B = np.array([10, 100], np.int64)
X = np.array([1], np.float32)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Endpoint]:
    store = make_store(tmp_path_factory.mktemp("store"))
    async with serving(f"--model_config_file={store}/models.config") as running:
        yield running


@dataclass(frozen=True)
class Case:
    """A question and its answer: outputs, or a code with words of the message, which may differ over REST."""

    id: str
    question: Question
    outputs: dict[str, Any] = field(default_factory=dict)
    code: Code = Code.OK
    words: str = ""
    rest_words: str = ""


def _refused(name: str, code: Code, words: str, rest_words: str = "", **question: Any) -> Case:
    return Case(name, Question(**question), code=code, words=words, rest_words=rest_words or words)


CASES = (
    Case("latest", Question(), HALVES),
    Case("version", Question(version=1), HALVES),
    Case("label", Question(label="stable"), HALVES),
    Case("signature-by-name", Question(signature="serving_default"), HALVES),
    Case("no-rows", Question(inputs={"x": np.empty(0, np.float32)}), {"y": []}),
    Case(
        "several-inputs-and-outputs",
        Question("two", {"a": A, "b": B}),
        {"scaled": [[10, 20], [300, 400]], "count": [11, 101]},
    ),
    _refused("unknown-model", Code.NOT_FOUND, "Servable not found for request: Latest(nope)", model="nope"),
    _refused(
        "unknown-version",
        Code.NOT_FOUND,
        "Servable not found for request: Specific(half_plus_two, 7)",
        version=7,
    ),
    _refused(
        "version-0-is-not-the-latest",
        Code.NOT_FOUND,
        "Servable not found for request: Specific(half_plus_two, 0)",
        version=0,
    ),
    _refused(
        "unknown-label", Code.INVALID_ARGUMENT, "Unrecognized servable version label: nope", label="nope"
    ),
    _refused(
        "unknown-signature",
        Code.FAILED_PRECONDITION,
        'Serving signature key "nope" not found.',
        'Serving signature name: "nope" not found in signature def',
        signature="nope",
    ),
    _refused(
        "missing-input",
        Code.INVALID_ARGUMENT,
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. "
        "Missing but required: {b}.",
        "Missing named input: b in 'inputs' object.",
        model="two",
        inputs={"a": A},
    ),
    _refused(
        "unknown-model-before-unknown-signature",
        Code.NOT_FOUND,
        "Latest(nope)",
        model="nope",
        signature="nope",
    ),
    _refused(
        "unknown-signature-before-inputs",
        Code.FAILED_PRECONDITION,
        "nope",
        inputs={"foreign": X},
        signature="nope",
    ),
    _refused(
        "graph-refuses-the-value",
        Code.INVALID_ARGUMENT,
        "below 0",
        model="peculiar",
        inputs={"x": -X},
        signature="positive",
    ),
)


@pytest.mark.parametrize("transport", ["grpc", "rest"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_predict_is_answered_alike_over_both_transports(
    endpoint: Endpoint, case: Case, transport: str
) -> None:
    if case.code == Code.OK:
        assert await endpoint.predict(transport, case.question) == case.outputs
        return
    with pytest.raises(StatusError) as refusal:
        await endpoint.predict(transport, case.question)
    expected = case.code if transport == "grpc" else code_of_http(http_status(case.code))
    assert refusal.value.code == expected
    assert (case.words if transport == "grpc" else case.rest_words) in refusal.value.message


@pytest.mark.parametrize("transport", ["grpc", "rest"])
async def test_predict_of_strings_answers_with_text(endpoint: Endpoint, transport: str) -> None:
    # Text alone, which REST sends as it is, while a name that ends in _bytes makes it base64.
    question = Question("strings", {"text": np.array(["ä", "b"], object)})
    outputs = await endpoint.predict(transport, question)
    expected = {
        "grpc": {"upper": ["ä".encode(), b"B"], "raw_bytes": ["ä".encode(), b"B"]},
        "rest": {"upper": ["ä", "B"], "raw_bytes": [{"b64": "w6Q="}, {"b64": "Qg=="}]},
    }
    assert outputs == expected[transport]


async def test_foreign_method_name_with_the_check_on_is_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    async with serving(
        f"--model_config_file={store}/models.config", "--enable_signature_method_name_check"
    ) as checking:
        assert await checking.predict("grpc", Question()) == HALVES
        body = b'{"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}]}'
        answer = await checking.rest("POST", "/v1/models/half_plus_two:classify", body)
        assert answer.status == 400
        assert (
            "method_name to be tensorflow/serving/classify. Was: tensorflow/serving/regress"
            in (answer.document["error"])
        )


async def test_foreign_method_name_without_the_check_is_served(endpoint: Endpoint) -> None:
    body = b'{"signature_name": "classify_x_to_y", "examples": [{"x": 1.0}]}'
    answer = await endpoint.rest("POST", "/v1/models/half_plus_two:regress", body)
    assert answer.document["error"] == "Expected one output Tensor."
