"""When a request is sent again: decided without a clock, and seen at real servers."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from clients import (
    DeadlineExceeded,
    OptionError,
    Refused,
    Retry,
    Unreachable,
    address,
    grpc_encoding,
    rest_encoding,
)
from clients.async_client import AsyncClient
from clients.client import Client
from clients.deadline import Deadline
from clients.exchange import Answer
from clients.options import Settings
from clients.retry import Failure
from tests.clients import exchanges
from tests.clients.conftest import Connecting
from tests.clients.stubs import GrpcError, HttpAnswer, Stub
from wire import messages
from wire.errors import Code

AT_ONCE = Retry(first=0)
AVAILABLE = '{"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": {}}]}'


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


def a_client(kind: str, failures: list[Failure], at: Time, retry: Retry, timeout: float = 10) -> Any:
    """A client whose server fails so, one request after the other, and then answers."""
    remaining = iter(failures)
    answer = Answer(messages.GetModelStatusResponse().SerializeToString())

    class Blocking:
        def send(self, *_: Any) -> Answer:
            if (failure := next(remaining, None)) is not None:
                raise failure
            return answer

    class Asynchronous:
        async def send(self, *_: Any) -> Answer:
            return Blocking().send()

    settings = Settings(retry=retry, timeout=timeout)
    where = address.parse("grpc://host")
    if kind == "blocking":
        return Client(where, grpc_encoding, Blocking(), settings, clock=at.clock, sleep=at.sleep)
    return AsyncClient(where, grpc_encoding, Asynchronous(), settings, clock=at.clock, sleep=at.asleep)


def status(client: Any) -> Any:
    answer = client.status("mnist")
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


def unavailable(retry_after: float | None = None) -> Failure:
    return Failure(Code.UNAVAILABLE, "busy", retry_after)


@pytest.fixture(params=["blocking", "asynchronous"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_waits_grow_and_are_jittered_from_zero(kind: str) -> None:
    at = Time()
    client = a_client(
        kind, [unavailable()] * 5, at, Retry(attempts=6, first=0.5, longest=3, random=lambda: 0.5)
    )
    assert status(client) == []
    assert at.slept == [0.25, 0.5, 1.0, 1.5, 1.5]


def test_last_attempt_that_fails_is_told_with_their_number(kind: str) -> None:
    at = Time()
    client = a_client(kind, [unavailable()] * 9, at, Retry(attempts=3))
    with pytest.raises(Unreachable, match=r"busy \(3 tries\)") as failed:
        status(client)
    assert len(at.slept) == 2
    assert failed.value.server_message == "busy"


@pytest.mark.parametrize(
    ("failure", "retried"),
    [
        (Failure(Code.UNAVAILABLE, ""), True),
        (Failure(Code.RESOURCE_EXHAUSTED, "", 0.0), True),
        (Failure(Code.INTERNAL, "", 0.5), True),
        (Failure(Code.UNAVAILABLE, "", -1.0), False),
        (Failure(Code.RESOURCE_EXHAUSTED, ""), False),
        (Failure(Code.DEADLINE_EXCEEDED, ""), False),
        (Failure(Code.NOT_FOUND, ""), False),
        (Failure(Code.INVALID_ARGUMENT, ""), False),
        (Failure(Code.INTERNAL, ""), False),
        (Failure(Code.UNKNOWN, ""), False),
    ],
    ids=lambda value: f"{value.code.name} {value.retry_after}" if isinstance(value, Failure) else None,
)
def test_only_a_failure_that_may_pass_is_tried_again(failure: Failure, retried: bool) -> None:
    wait = Retry().wait(1, failure, Deadline(10))
    assert (wait is not None) == retried


def test_wait_is_as_long_as_the_server_asks(kind: str) -> None:
    at = Time()
    status(a_client(kind, [unavailable(3.0)], at, Retry(first=0.1)))
    assert at.slept == [3.0]


def test_nothing_is_waited_for_past_the_deadline(kind: str) -> None:
    at = Time()
    client = a_client(kind, [unavailable(6.0)] * 9, at, Retry(), timeout=10)
    with pytest.raises(Unreachable, match=r"\(2 tries\)"):
        status(client)
    assert at.slept == [6.0]
    assert at.now < 110


@pytest.mark.parametrize("values", [{"attempts": 0}, {"first": -1}, {"first": 2, "longest": 1}])
def test_policy_that_is_none_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="cannot be followed"):
        Retry(**values)


def first_then(first: Any, then: Any) -> Callable[[bytes], Any]:
    answers = iter([first])
    return lambda body: next(answers, then)


def test_server_that_was_not_available_for_a_moment_answers(stub: Stub, connecting: Connecting) -> None:
    exchanges.answer_status(stub, "mnist", [(1, "AVAILABLE", "OK", "")])
    place = exchanges.STATUS if exchanges.is_grpc(stub) else "/v1/models/mnist"
    busy = (
        GrpcError(grpc.StatusCode.UNAVAILABLE, "busy") if exchanges.is_grpc(stub) else HttpAnswer("busy", 503)
    )
    stub.answers[place] = first_then(busy, stub.answers[place])
    with connecting(stub.url, retry=AT_ONCE) as client:
        assert client.status("mnist")[0].version == 1
    assert stub.paths == [place] * 2


@pytest.mark.parametrize(("status_code", "headers"), [(429, ()), (503, (("Retry-After", "0"),))])
def test_http_answers_that_ask_to_come_again_are_followed(
    http_stub: Stub, connecting: Connecting, status_code: int, headers: Any
) -> None:
    later = HttpAnswer("later", status_code, headers=headers)
    http_stub.answers["/v1/models/mnist"] = first_then(later, HttpAnswer(AVAILABLE))
    with connecting(http_stub.url, retry=AT_ONCE) as client:
        assert client.status("mnist")[0].state == "AVAILABLE"


def test_refusal_is_not_sent_again(stub: Stub, connecting: Connecting) -> None:
    paths = (exchanges.PREDICT, "/v1/models/mnist:predict")
    exchanges.answer_error(stub, paths, grpc.StatusCode.INVALID_ARGUMENT, "no")
    with connecting(stub.url, retry=AT_ONCE) as client, pytest.raises(Refused):
        client.predict("mnist", np.zeros((28, 28), np.uint8))
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7),
        (" 0 ", 0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0),
        ("soon", None),
        ("-3", None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(value: str | None, seconds: float | None) -> None:
    assert rest_encoding.retry_after(value, now=lambda: 60.0) == seconds


def test_deadline_of_a_call_reaches_the_server(grpc_stub: Stub, connecting: Connecting) -> None:
    exchanges.answer_status(grpc_stub, "mnist", [])
    with connecting(grpc_stub.url) as client:
        client.status("mnist", timeout=30)
    # gRPC sends a deadline in few digits, rounded up.
    assert 0 < grpc_stub.times_left[0] < 31


def test_time_spent_counts_for_all_tries(stub: Stub, connecting: Connecting) -> None:
    """With a server that is never available, the deadline ends the tries and not their number."""
    paths = (exchanges.STATUS, "/v1/models/mnist")
    exchanges.answer_error(stub, paths, grpc.StatusCode.UNAVAILABLE, "busy")
    started = time.monotonic()
    retry = Retry(attempts=10**6, first=0.05, longest=0.05)
    with connecting(stub.url, retry=retry) as client, pytest.raises((Unreachable, DeadlineExceeded)):
        client.status("mnist", timeout=0.3)
    assert time.monotonic() - started < 5
    assert len(stub.requests) > 1
