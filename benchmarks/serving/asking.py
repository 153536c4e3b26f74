"""Single requests to a server, to see that it answers and that it answers right."""

import http.client
import socket
import time
from collections.abc import Callable, Mapping

import grpc

from benchmarks.serving.processes import Processes, ServerFailed
from benchmarks.serving.requests import Request

START_SECONDS = 180.0
BETWEEN_SECONDS = 0.01
ANSWER_SECONDS = 30.0


def ask_rest(port: int, request: Request) -> bytes:
    """The body of the answer; OSError or HTTPException where there is none, ServerFailed if it is refused."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST", request.path, request.body, dict(request.headers))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise ServerFailed(f"HTTP {response.status}: {body[:300].decode(errors='replace')}")
    return body


def ask_grpc(port: int, request: Request) -> bytes:
    """The message of the answer; ServerFailed if it is refused."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    # A channel that finds nobody waits a second before it tries again.
    socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS).close()
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        try:
            method: Callable[..., bytes] = channel.unary_unary(request.path)
            answer = method(request.body, timeout=ANSWER_SECONDS)
        except grpc.RpcError as error:
            raise ServerFailed(f"{error.code().name}: {error.details()}") from None
    return answer


class WrongAnswer(ServerFailed):
    """A server answered, and not with what the model gives."""


ASK = {"grpc": ask_grpc, "rest": ask_rest}


def checked(protocol: str, port: int, request: Request) -> bytes:
    """Ask, and return an answer that is right; ServerFailed, WrongAnswer."""
    answer = ASK[protocol](port, request)
    if not request.right(answer):
        raise WrongAnswer(f"{request.path} gave a wrong answer: {answer[:300]!r}")
    return answer


def await_first_answers(
    processes: Processes, wanted: Mapping[tuple[str, str], Request], ports: Mapping[str, int]
) -> None:
    """Return when the server has answered each request (by protocol and name) rightly once; ServerFailed."""
    deadline = time.monotonic() + START_SECONDS
    for (protocol, _), request in wanted.items():
        while True:
            processes.check()
            try:
                checked(protocol, ports[protocol], request)
                break
            except WrongAnswer:
                raise
            except (OSError, http.client.HTTPException, ServerFailed) as error:
                if time.monotonic() > deadline:
                    raise ServerFailed(f"no answer in {START_SECONDS:g} s, the last: {error}") from None
                time.sleep(BETWEEN_SECONDS)
