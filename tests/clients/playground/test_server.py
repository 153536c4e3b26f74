"""The playground's HTTP server at stub model servers: answers, statuses, and what it does not let in."""

import base64
import functools
import io
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw

from clients import Batching
from clients.playground import answers, server
from clients.playground.server import PageServer
from models import images
from tests.clients import exchanges, stubs
from tests.clients.playground.model_servers import VERSION, WEIGHTS, answer, playground
from tests.clients.stubs import SILENCE, HttpAnswer, Stub


@pytest.fixture
def page(stub: Stub) -> Iterator[PageServer]:
    """The playground before a stub of each protocol in turn."""
    with playground(answer(stub)) as page:
        yield page


@pytest.fixture
def fixed(http_stub: Stub) -> Iterator[PageServer]:
    """The playground before a REST stub, where the protocol does not matter."""
    with playground(answer(http_stub)) as page:
        yield page


@functools.cache
def web() -> httpx.Client:
    """One client for all tests: making one reads all certificate authorities."""
    return httpx.Client()


def protocol(page: PageServer) -> str:
    return next(iter(page.playground.servers))


def png(side: int = 280) -> bytes:
    picture = Image.new("L", (side, side), 0)
    ImageDraw.Draw(picture).line([(60, 40), (200, 40), (120, 250)], fill=255, width=22)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def drawing(page: PageServer, picture: bytes | None = None, **more: Any) -> dict[str, Any]:
    encoded = base64.b64encode(png() if picture is None else picture).decode()
    return {"protocol": protocol(page), "picture": encoded, **more}


def ask(page: PageServer, path: str, document: Any, status: int = 200, **options: Any) -> Any:
    response = web().post(page.url + path, json=document, **options)
    assert response.status_code == status, response.text
    return response.json()


def test_drawing_is_answered_with_the_picture_that_the_model_saw(page: PageServer) -> None:
    found = ask(page, "/api/digit", drawing(page))
    assert (found["label"], found["probability"], found["version"]) == (
        "7",
        0.75,
        VERSION if protocol(page) == "grpc" else None,
    )
    assert list(found["probabilities"].values()) == [0] * 7 + [0.75, 0.25, 0]
    assert found["pixels"] == images.decode(png(), "it").ravel().tolist()
    assert found["milliseconds"] > 0


def test_review_is_answered_with_the_weight_of_each_word(page: PageServer, stub: Stub) -> None:
    text = "Good acting, good pace. A bad end!"
    found = ask(page, "/api/review", {"protocol": protocol(page), "text": text})
    assert found["label"] == "positive"
    assert "".join(piece for piece, _ in found["pieces"]) == text
    weights = {piece.lower(): weight for piece, weight in found["pieces"] if weight is not None}
    assert weights == pytest.approx(
        {"good": WEIGHTS[b"good"], "bad": WEIGHTS[b"bad"], "acting": 0, "pace": 0, "a": 0, "end": 0}, abs=1e-5
    )
    assert (found["rows"], found["words"], found["weighed"]) == (7, 6, 6)
    assert stub.paths.count(exchanges.predict_path(stub, "imdb")) == 1


def test_version_that_is_chosen_is_asked(page: PageServer, stub: Stub) -> None:
    ask(page, "/api/digit", drawing(page, version=VERSION))
    path, body = stub.requests[-1]
    if exchanges.is_grpc(stub):
        assert exchanges.messages.PredictRequest.FromString(body).model_spec.version.value == VERSION
    else:
        assert path == f"/v1/models/mnist/versions/{VERSION}:predict"


def test_long_review_has_its_first_words_weighed_in_requests_of_limited_rows(
    fixed: PageServer, http_stub: Stub
) -> None:
    text = " ".join(f"w{number}" for number in range(answers.MOST_WORDS + 50))
    found = ask(fixed, "/api/review", {"protocol": "http", "text": text})
    assert (found["words"], found["weighed"]) == (answers.MOST_WORDS + 50, answers.MOST_WORDS)
    assert found["pieces"][0][1] == 0
    assert found["pieces"][-1] == [f"w{answers.MOST_WORDS + 49}", None]
    rows = [len(json.loads(body)["inputs"]["text"]) for path, body in http_stub.requests if "predict" in path]
    assert sum(rows) == answers.MOST_WORDS + 1
    assert max(rows) <= Batching().rows


def test_single_word_is_answered_and_not_left_out(fixed: PageServer) -> None:
    found = ask(fixed, "/api/review", {"protocol": "http", "text": "good"})
    assert (found["label"], found["pieces"]) == ("positive", [["good", None]])


def test_status_tells_the_versions_of_both_models_and_of_a_missing_one_none(
    fixed: PageServer, http_stub: Stub
) -> None:
    del http_stub.answers["/v1/models/imdb"]
    exchanges.answer_error(http_stub, ("", "/v1/models/imdb"), grpc.StatusCode.NOT_FOUND, "no imdb")
    found = web().get(f"{fixed.url}/api/status?protocol=http").json()["models"]
    assert found == {
        "mnist": [{"version": 3, "state": "AVAILABLE"}, {"version": 2, "state": "END"}],
        "imdb": [],
    }


def test_servers_are_told_by_protocol(grpc_stub: Stub, http_stub: Stub) -> None:
    with playground(grpc_stub, http_stub) as page:
        found = web().get(f"{page.url}/api/servers").json()
    assert found["servers"] == {"grpc": grpc_stub.url, "http": http_stub.url}
    assert found["labels"]["mnist"] == list("0123456789")


WRONG_QUESTIONS = {
    "no picture": ({"picture": None}, "picture is NoneType"),
    "not base64": ({"picture": "§"}, "not in base64"),
    "no image": ({"picture": "aGVsbG8="}, "the drawing is not an image"),
    "unknown protocol": ({"protocol": "ftp"}, "the protocol is 'ftp'; expected http"),
    "version that is no number": ({"version": "3"}, "the version is '3'"),
    "version that is a truth": ({"version": True}, "the version is True"),
    "version below 0": ({"version": -1}, "the version is -1"),
}


@pytest.mark.parametrize("name", WRONG_QUESTIONS)
def test_wrong_question_about_a_drawing_is_refused(fixed: PageServer, name: str) -> None:
    change, message = WRONG_QUESTIONS[name]
    assert message in ask(fixed, "/api/digit", {**drawing(fixed), **change}, 400)["error"]


def array_file(count: int) -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros((count, 28, 28), np.uint8))
    return file.getvalue()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (array_file(2), "an array of 2 images; expected one PNG or JPEG"),
        (stubs.NOT_TENSORFLOW_SERVING.body, "not an image"),
    ],
)
def test_what_is_no_picture_is_refused(fixed: PageServer, picture: bytes | str, message: str) -> None:
    data = picture.encode() if isinstance(picture, str) else picture
    assert message in ask(fixed, "/api/digit", drawing(fixed, data), 400)["error"]


def test_picture_that_unpacks_into_too_much_is_refused(fixed: PageServer) -> None:
    file = io.BytesIO()
    Image.new("1", (5000, 5000)).save(file, "PNG")
    assert (
        "expected up to 4,000,000 pixels"
        in ask(fixed, "/api/digit", drawing(fixed, file.getvalue()), 400)["error"]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "review 0 is empty"),
        ("?!", "has no word in it"),
        ("x" * 20_001, "20,001 characters; expected up to 20,000"),
    ],
)
def test_wrong_review_is_refused(fixed: PageServer, text: str, message: str) -> None:
    assert message in ask(fixed, "/api/review", {"protocol": "http", "text": text}, 400)["error"]


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"digit=7", "no JSON"), (b"[]", "no object"), (b"\xff\xfe", "no JSON"), (b"", "no JSON")],
)
def test_body_that_is_no_json_object_is_refused(fixed: PageServer, body: bytes, message: str) -> None:
    response = web().post(
        f"{fixed.url}/api/review", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code == 400
    assert message in response.json()["error"]


def test_form_of_another_site_is_refused(fixed: PageServer) -> None:
    response = web().post(f"{fixed.url}/api/review", data={"text": "good"})
    assert response.status_code == 415
    assert "expected application/json" in response.json()["error"]
    assert ask(fixed, "/api/review", {}, 403, headers={"Origin": "http://example.org"})["error"]
    assert ask(fixed, "/api/review", {"protocol": "http", "text": "good"}, headers={"Origin": fixed.url})


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:8600", 200),
        ("192.0.2.7:80", 200),
        ("kedge.example:80", 200),
        ("rebound.example", 421),
        ("127.0.0.1.rebound.example", 421),
        ("localhost.rebound.example", 421),
        ("user@localhost", 421),
        ("localhost:port", 421),
        ("", 421),
    ],
)
def test_only_hosts_of_this_page_are_answered(http_stub: Stub, host: str, status: int) -> None:
    with playground(http_stub, names=["kedge.example"]) as page:
        response = web().get(page.url, headers={"Host": host})
    assert response.status_code == status


@pytest.mark.parametrize(
    "path", ["/", "/style.css", "/page.js", "/icon.svg", "/api/servers", "/healthz", "/none"]
)
def test_every_answer_has_the_headers_that_keep_others_out(fixed: PageServer, path: str) -> None:
    headers = web().get(fixed.url + path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert not {name for name in headers if name.startswith("access-control")}


def test_page_has_no_inline_script_or_style_and_names_no_other_host(fixed: PageServer) -> None:
    for path in fixed.playground.files:
        text = web().get(fixed.url + path).text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text.replace("http:// address", "")
        assert "https://" not in text
        if path == "/":
            assert " style=" not in text
            assert "<style" not in text
            assert not re.search(r"<[^>]*\bon\w+=", text)
            assert text.count("<script") == text.count('<script type="module" src="')


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nothing", 404, None),
        ("GET", "/../routes.py", 404, None),
        ("GET", "/%2e%2e/routes.py", 404, None),
        ("GET", "/page.html", 404, None),
        ("POST", "/", 405, "GET, HEAD"),
        ("PUT", "/api/servers", 405, "GET, HEAD"),
        ("GET", "/api/digit", 405, "POST"),
        ("OPTIONS", "/api/digit", 405, "POST"),
        ("BREW", "/", 501, None),
    ],
)
def test_paths_and_methods_that_are_not_there(
    fixed: PageServer, method: str, path: str, status: int, allow: str | None
) -> None:
    with socket.create_connection(("127.0.0.1", fixed.server_port)) as connection:
        connection.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()
        )
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0].split()[1] == str(status)
    assert json.loads(body)["error"]
    assert any(line.startswith("Content-Security-Policy") for line in lines)
    assert [line for line in lines if line.startswith("Allow")] == ([f"Allow: {allow}"] if allow else [])


def test_head_has_no_body(fixed: PageServer) -> None:
    response = web().head(fixed.url)
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 1000


def test_body_beyond_the_limit_is_refused(fixed: PageServer) -> None:
    document = {"protocol": "http", "text": "x" * server.MAX_BODY}
    assert "expected up to 1,048,576" in ask(fixed, "/api/review", document, 413)["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Transfer-Encoding: chunked", 411),
        ("Content-Length: many", 400),
        ("Content-Length: 99999999999", 413),
    ],
)
def test_body_of_no_known_length_is_refused(fixed: PageServer, headers: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", fixed.server_port)) as connection:
        request = f"POST /api/review HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n"
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        answered = connection.makefile("rb").read()
    assert answered.split()[1] == str(status).encode()


def test_callers_who_say_nothing_hold_up_nobody(fixed: PageServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", fixed.server_port)) for _ in range(server.WORK + 4)]
    try:
        assert web().get(f"{fixed.url}/healthz").json() == {"status": "ok"}
    finally:
        for connection in silent:
            connection.close()


def begin_body(page: PageServer) -> socket.socket:
    """Send the head of a question, and nothing yet of its body of 1000 bytes."""
    connection = socket.create_connection(("127.0.0.1", page.server_port))
    connection.sendall(b"POST /api/review HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
    return connection


def test_bodies_that_do_not_come_hold_up_nobody(fixed: PageServer) -> None:
    slow = [begin_body(fixed) for _ in range(server.WORK + 4)]
    try:
        assert web().get(f"{fixed.url}/healthz").json() == {"status": "ok"}
    finally:
        for connection in slow:
            connection.close()


def test_body_that_trickles_is_cut_off(fixed: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte comes many times within the patience, and the body does not."""
    monkeypatch.setattr(server, "PATIENCE", 0.2)
    with begin_body(fixed) as connection:
        connection.settimeout(0.02)
        for _ in range(150):
            try:
                connection.sendall(b" ")
                assert connection.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                pass
            return
    pytest.fail("the connection is still open")


def test_connections_beyond_the_bound_are_dropped(fixed: PageServer) -> None:
    held = [socket.create_connection(("127.0.0.1", fixed.server_port)) for _ in range(server.CONNECTIONS)]
    try:
        with socket.create_connection(("127.0.0.1", fixed.server_port)) as one_more:
            assert one_more.recv(1) == b""
    finally:
        for connection in held:
            connection.close()


def test_fault_is_told_and_shown_where_the_playground_runs(
    fixed: PageServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(answers, "review", lambda *_: 1 / 0)
    assert "a fault" in ask(fixed, "/api/review", {"protocol": "http", "text": "good"}, 500)["error"]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_server_that_is_down_is_503(grpc_stub: Stub) -> None:
    with stubs.closed_port() as port:
        grpc_stub.url = f"grpc://127.0.0.1:{port}"
        with playground(grpc_stub) as page:
            assert "is a server running there?" in ask(page, "/api/digit", drawing(page), 503)["error"]
            assert web().get(f"{page.url}/api/status?protocol=grpc").status_code == 503


def test_server_that_does_not_answer_in_time_is_504(stub: Stub) -> None:
    answer(stub)
    stub.answers[exchanges.predict_path(stub, "mnist")] = SILENCE
    with playground(stub, timeout=0.2) as page:
        assert "did not answer within 0.2 s" in ask(page, "/api/digit", drawing(page), 504)["error"]


def test_model_that_is_not_loaded_is_404(page: PageServer, stub: Stub) -> None:
    message = "Servable not found for request: Latest(mnist)"
    paths = (exchanges.PREDICT, "/v1/models/mnist:predict")
    exchanges.answer_error(stub, paths, grpc.StatusCode.NOT_FOUND, message)
    assert message in ask(page, "/api/digit", drawing(page), 404)["error"]


def test_server_that_is_no_model_server_is_502(fixed: PageServer, http_stub: Stub) -> None:
    http_stub.answers["/v1/models/mnist:predict"] = HttpAnswer("<html>hello</html>")
    assert "no answer of TensorFlow Serving" in ask(fixed, "/api/digit", drawing(fixed), 502)["error"]
