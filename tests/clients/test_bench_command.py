"""kedge bench at stub servers: what is asked, and what is shown."""

import json
import sys
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

import kedge
from clients import load_input
from clients.results import SignatureInfo
from models import catalogue
from models.model import InputError
from tests.clients import exchanges, stubs
from tests.clients.stubs import GrpcError, HttpAnswer, Stub
from tests.clients.test_client import SEVEN, SEVEN_JSON
from tests.clients.test_command_line import Outcome, run
from wire import messages, tensors
from wire.tensors import TensorInfo

SHORT = ("--duration", "0.2", "--warmup", "0", "--concurrency", "2")


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kedge.COMMANDS, "bench", ("clients.bench_command:bench", "Put load on a server."))


@pytest.fixture
def mnist(stub: Stub) -> Stub:
    exchanges.answer_metadata(stub, "mnist", version=12)
    exchanges.answer_outputs(stub, "mnist", {"probabilities": SEVEN}, SEVEN_JSON)
    return stub


def bench(stub: Stub, *arguments: str, model: str = "mnist") -> Outcome:
    return run("bench", model, "--url", stub.url, *SHORT, *arguments)


def test_table_has_counts_and_percentiles(mnist: Stub) -> None:
    outcome = bench(mnist)
    assert outcome.exit_code == 0, outcome.stderr
    lines = outcome.stdout.splitlines()
    assert lines[0] == f"mnist version 12, signature serving_default, at {mnist.url}"
    assert lines[1].startswith("closed loop; at most 2 under way; a request has 1 rows and ")
    for words in ("answers", "rows", "ms mean", "ms p50", "ms p99.9", "ms max"):
        assert any(words in line for line in lines), words


@pytest.mark.parametrize("options", [(), ("--rate", "50")], ids=["closed", "open"])
def test_json_is_one_document(mnist: Stub, options: tuple[str, ...]) -> None:
    document = json.loads(bench(mnist, "--json", "--rows", "3", *options).stdout)
    assert document["loop"] == ("open" if options else "closed")
    assert document["answered"] >= 2
    assert document["rows_per_second"] == pytest.approx(3 * document["answers_per_second"])
    assert document["errors"] == {}
    assert 0 < document["latency_ms"]["p50"] <= document["latency_ms"]["p99"] <= document["latency_ms"]["max"]
    sent = mnist.requests[-1][1]
    if exchanges.is_grpc(mnist):
        assert tensors.to_array(messages.PredictRequest.FromString(sent).inputs["pixels"]).shape == (3, 784)
    assert document["request_bytes"] == len(sent)


def test_errors_under_load_are_counted_by_kind(mnist: Stub) -> None:
    place = exchanges.predict_path(mnist, "mnist")
    probe = iter([mnist.answers[place]])
    busy = (
        GrpcError(grpc.StatusCode.UNAVAILABLE, "busy")
        if exchanges.is_grpc(mnist)
        else HttpAnswer("busy", 503)
    )
    mnist.answers[place] = lambda body: next(probe, busy)
    outcome = bench(mnist, "--json")
    document = json.loads(outcome.stdout)
    assert outcome.exit_code == 6
    assert list(document["errors"]) == ["UNAVAILABLE"]
    assert document["answered"] == 0


def test_request_that_is_refused_is_told_before_any_load(mnist: Stub) -> None:
    paths = (exchanges.PREDICT, "/v1/models/mnist:predict")
    exchanges.answer_error(mnist, paths, grpc.StatusCode.INVALID_ARGUMENT, "wrong shape")
    outcome = bench(mnist)
    assert (outcome.exit_code, outcome.stdout) == (6, "")
    assert "wrong shape" in outcome.stderr
    assert len(mnist.requests) == 2


def test_request_of_many_rows_is_tried_as_it_will_be_sent(mnist: Stub) -> None:
    """In parts it may be taken where the server refuses the whole."""
    outcome = bench(mnist, "--rows", "300")
    assert outcome.exit_code == 0, outcome.stderr
    place = exchanges.predict_path(mnist, "mnist")
    assert len({body for path, body in mnist.requests if path == place}) == 1


def test_unknown_signature_is_refused_with_those_that_there_are(mnist: Stub) -> None:
    outcome = bench(mnist, "--signature", "nope")
    assert outcome.exit_code == 6
    assert "mnist has the signatures serving_default; nope was asked for" in outcome.stderr


def test_server_that_is_not_there_is_exit_code_5() -> None:
    with stubs.closed_port() as port:
        outcome = run("bench", "mnist", "--url", f"http://127.0.0.1:{port}", *SHORT)
    assert (outcome.exit_code, outcome.stdout) == (5, "")


def test_input_of_the_model_is_what_is_asked(stub: Stub) -> None:
    exchanges.answer_metadata(stub, "imdb")
    exchanges.answer_outputs(stub, "imdb", {"probability": [[0.75]]}, "[[0.75]]")
    outcome = bench(stub, "--input", "A fine film", model="imdb")
    assert outcome.exit_code == 0, outcome.stderr
    assert b"A fine film" in stub.requests[-1][1]
    assert "signature text" in outcome.stdout


def test_plot_is_a_png_file(mnist: Stub, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    outcome = bench(mnist, "--plot", str(tmp_path / "latency.png"))
    assert outcome.exit_code == 0, outcome.stderr
    assert (tmp_path / "latency.png").read_bytes().startswith(b"\x89PNG")


def test_plot_without_matplotlib_is_told_before_any_load(
    mnist: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = bench(mnist, "--plot", str(tmp_path / "latency.png"))
    assert outcome.exit_code == 2
    assert "--plot needs matplotlib" in outcome.stderr
    assert mnist.requests == []


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        (1, (None, 4), ("float32", (3, 4))),
        (2, (None,), ("float64", (3,))),
        (3, (None, None), ("int32", (3, 16))),
        (10, (2,), ("bool", (2,))),
        (7, (None,), ("object", (3,))),
        (4, (), ("uint8", ())),
    ],
)
def test_made_up_values_have_the_form_of_the_signature(dtype: int, shape: Any, expected: Any) -> None:
    signature = SignatureInfo({"x": TensorInfo("x:0", dtype, shape)}, {}, "")
    array = load_input.of_signature(signature, 3)["x"]
    assert (array.dtype.name, array.shape) == expected


def test_values_of_an_unknown_shape_are_not_made_up() -> None:
    with pytest.raises(InputError, match="--input"):
        load_input.of_signature(SignatureInfo({"x": TensorInfo("x:0", 1, None)}, {}, ""), 1)


def test_few_inputs_are_repeated_to_fill_the_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "two.npy", np.stack([np.full((28, 28), grey, np.uint8) for grey in (10, 20)]))
    name, arrays = load_input.of_words(catalogue.find("mnist"), [str(tmp_path / "two.npy")], None, 5)
    assert name == "serving_default"
    assert np.rint(arrays["pixels"][:, 0] * 255).tolist() == [10, 20, 10, 20, 10]
