"""Many rows as several requests, in order, a few at a time."""

import json
import signal
import threading
import time
from typing import Any

import grpc
import numpy as np
import pytest

from clients import Batching, OptionError, Refused, Retry, batches, connect
from models.model import InputError
from tests.clients import exchanges
from tests.clients.conftest import Connecting
from tests.clients.stubs import SILENCE, GrpcError, HttpAnswer, Stub
from wire import messages, tensors

ROWS = np.arange(100, dtype=np.float32)


def doubled(stub: Stub, version: int = 3) -> Any:
    """A server that answers y = 2 x."""

    def answer(body: bytes) -> Any:
        if not exchanges.is_grpc(stub):
            return HttpAnswer(json.dumps({"outputs": [2 * x for x in json.loads(body)["inputs"]["x"]]}))
        x = tensors.to_array(messages.PredictRequest.FromString(body).inputs["x"])
        response = messages.PredictResponse()
        response.model_spec.version.value = version
        tensors.fill(response.outputs["y"], 2 * x, as_content=True)
        return response

    return answer


def sizes(stub: Stub) -> list[int]:
    """How many rows each predict request brought."""
    bodies = [body for path, body in stub.requests if path == exchanges.predict_path(stub, "line")]
    if exchanges.is_grpc(stub):
        return [messages.PredictRequest.FromString(b).inputs["x"].tensor_shape.dim[0].size for b in bodies]
    return [len(json.loads(body)["inputs"]["x"]) for body in bodies]


@pytest.fixture
def line(stub: Stub) -> Stub:
    exchanges.answer_metadata(stub, "line")
    stub.answers[exchanges.predict_path(stub, "line")] = doubled(stub)
    return stub


@pytest.mark.parametrize("concurrency", [1, 3])
def test_answers_come_in_the_order_of_the_rows(line: Stub, connecting: Connecting, concurrency: int) -> None:
    with connecting(line.url, batching=Batching(rows=7, concurrency=concurrency)) as client:
        outputs = client.predict("line", {"x": ROWS})
    np.testing.assert_array_equal(outputs["y"], 2 * ROWS)
    assert sorted(sizes(line)) == sorted([7] * 14 + [2])


def test_no_more_requests_are_under_way_than_asked_for(line: Stub, connecting: Connecting) -> None:
    """Three requests meet at a barrier, so three are under way at once; a fourth would break it."""
    answer = line.answers[exchanges.predict_path(line, "line")]
    together = threading.Barrier(3, timeout=20)

    def meet(body: bytes) -> Any:
        together.wait()
        return answer(body)

    line.answers[exchanges.predict_path(line, "line")] = meet
    with connecting(line.url, batching=Batching(rows=10, concurrency=3)) as client:
        outputs = client.predict("line", {"x": ROWS[:90]})
    np.testing.assert_array_equal(outputs["y"], 2 * ROWS[:90])
    assert len(sizes(line)) == 9


def test_requests_stay_below_the_message_limit(line: Stub, connecting: Connecting) -> None:
    wide = Batching(rows=10**6, message_bytes=100_000)
    with connecting(line.url, batching=wide) as client:
        x = np.full(30_000, 0.1, np.float32)
        np.testing.assert_array_equal(client.predict("line", {"x": x})["y"].shape, x.shape)
    assert len(line.requests) > 2
    assert max(len(body) for _, body in line.requests) <= 100_000


@pytest.mark.parametrize(
    ("arrays", "batching", "growth", "lengths"),
    [
        ({"x": np.zeros((5, 3))}, Batching(rows=2), 1, [2, 2, 1]),
        ({"x": np.zeros((4, 1 << 20), np.uint8)}, Batching(), 1, [3, 1]),
        ({"x": np.zeros((4, 1 << 20), np.uint8)}, Batching(), 2, [1, 1, 1, 1]),
        ({"x": np.zeros((2, 8 << 20), np.uint8)}, Batching(), 1, [1, 1]),
        ({"x": np.array([b"a" * 3_000_000, b"b", b"c", b"d" * 3_000_000], object)}, Batching(), 1, [3, 1]),
        ({"x": np.zeros((2, 4)), "y": np.zeros(2)}, Batching(rows=1), 1, [1, 1]),
    ],
    ids=["rows", "bytes", "longer when encoded", "row above the limit", "long texts", "two inputs"],
)
def test_cuts(arrays: Any, batching: Batching, growth: float, lengths: list[int]) -> None:
    slices = batches.cuts(arrays, batching, growth)
    assert [part.stop - part.start for part in slices] == lengths
    assert [part.start for part in slices] == [0, *(part.stop for part in slices[:-1])]


@pytest.mark.parametrize(
    "arrays",
    [{"x": np.float32(1)}, {"x": np.zeros(3), "y": np.zeros(2)}, {"x": np.zeros((0, 2))}, {}],
    ids=["scalar", "unequal", "empty", "none"],
)
def test_what_has_no_rows_in_common_is_sent_whole(arrays: Any) -> None:
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    assert batches.cuts(arrays, Batching(rows=1), 1) == [slice(None)]


def test_model_whose_batch_is_not_free_gets_all_in_one_request(stub: Stub, connecting: Connecting) -> None:
    """The signature of "pair" takes a scalar beside its vector: rows of it cannot be asked apart."""
    exchanges.answer_metadata(stub, "pair")
    exchanges.answer_outputs(
        stub, "pair", {"y": [1.0], "name": [b""], "raw_bytes": [b""]},
        '{"y": [1.0], "name": [""], "raw_bytes": [""]}',
    )  # fmt: skip
    with connecting(stub.url, batching=Batching(rows=1)) as client:
        client.predict("pair", {"x": [1.0, 2.0], "count": np.int32(1)})
    assert stub.paths.count(exchanges.predict_path(stub, "pair")) == 1


def test_first_error_ends_the_rest(line: Stub, connecting: Connecting) -> None:
    place = exchanges.predict_path(line, "line")
    error = (
        GrpcError(grpc.StatusCode.INVALID_ARGUMENT, "no")
        if exchanges.is_grpc(line)
        else HttpAnswer("no", 400)
    )
    line.answers[place] = error
    with (
        connecting(line.url, batching=Batching(rows=1, concurrency=2), retry=Retry(attempts=1)) as client,
        pytest.raises(Refused, match="no"),
    ):
        client.predict("line", {"x": ROWS})
    assert len(sizes(line)) <= 4


def test_interrupt_waits_for_no_request(line: Stub) -> None:
    """Ctrl-C, as it comes to a program that asks, once all requests wait for a server that says nothing."""
    together = threading.Barrier(
        3, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT), timeout=20
    )

    def stall(body: bytes) -> Any:
        together.wait()
        return SILENCE

    line.answers[exchanges.predict_path(line, "line")] = stall
    with connect(line.url, batching=Batching(rows=1, concurrency=3)) as client:
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            client.predict("line", {"x": ROWS}, timeout=20)
        assert time.monotonic() - started < 10


def test_many_images_come_back_in_order(stub: Stub, connecting: Connecting) -> None:
    def answer(body: bytes) -> Any:
        if exchanges.is_grpc(stub):
            pixels = tensors.to_array(messages.PredictRequest.FromString(body).inputs["pixels"])
        else:
            pixels = np.array(json.loads(body)["inputs"]["pixels"])
        rows = np.eye(10, dtype=np.float32)[np.rint(pixels[:, 0] * 255).astype(int)]
        if not exchanges.is_grpc(stub):
            return HttpAnswer(json.dumps({"outputs": rows.tolist()}))
        response = messages.PredictResponse()
        tensors.fill(response.outputs["probabilities"], rows, as_content=True)
        return response

    stub.answers[exchanges.predict_path(stub, "mnist")] = answer
    images = np.zeros((35, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(35) % 10
    with connecting(stub.url, batching=Batching(rows=4)) as client:
        answers = client.predict("mnist", images)
    assert [a.label for a in answers] == [str(number % 10) for number in range(35)]
    assert len(stub.requests) == 9


def test_input_that_cannot_be_sent_is_an_input_error_in_any_part(line: Stub, connecting: Connecting) -> None:
    with (
        connecting(line.url, batching=Batching(rows=2)) as client,
        pytest.raises(InputError, match="cannot be sent"),
    ):
        client.predict("line", {"x": np.array(["a", 1, 2.5, None], object)})


@pytest.mark.parametrize("values", [{"rows": 0}, {"concurrency": 0}, {"message_bytes": 1}])
def test_batching_that_is_none_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="cannot be followed"):
        Batching(**values)
