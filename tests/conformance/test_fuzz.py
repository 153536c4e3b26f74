"""Mutated requests, the same ones on every run: a proper answer goes out, and the server lives.

A refusal says whose fault it is: 4xx or 501 in REST, and in gRPC a code that blames the request.
"""

from __future__ import annotations

import gzip
import http.client
import random
import re
import socket
from collections.abc import Iterator

import pytest
from google.protobuf.message import DecodeError

from . import (
    rows_classify_regress,
    rows_metadata_status,
    rows_predict_grpc,
    rows_rest_json,
    rows_values,
    talk,
)
from .table import PREDICTION, Grpc, Rest, floats, outputs, predict, spec

SEED = 20261123
POST = b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\n" + b"Host: h\r\n"
BLAMES_THE_REQUEST = frozenset(
    {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED"}
)
ALIVE = Grpc(
    id="",
    rule="1.3",
    call=f"{PREDICTION}/Predict",
    request=predict(spec(version=1), x=floats(2)),
    answer=outputs(spec(version=1, signature="serving_default"), y=floats(3)),
)
STILL_ALIVE = Rest(
    id="",
    rule="2.5",
    path="/v1/models/half_plus_two/versions/1:predict",
    body='{"instances": [2.0]}',
    json={"predictions": [3.0]},
)
TOKENS = (
    *(b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", b"\\u", b"\\ud800", b"null", b"true", b"NaN", b"-"),
    *(b"1e999", b"-0", b"0.1", b"9" * 400, b"\x00", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"[" * 300),
    *(b'{"b64":', b'"instances"', b'"inputs"', b'"signature_name"', b'"examples"', b'"x"', b'"context"'),
)


@pytest.fixture(autouse=True)
def alive(plain: talk.Server) -> Iterator[None]:
    """After each test the server gives the right answer, both ways."""
    yield
    talk.check(plain, ALIVE)
    talk.check(plain, STILL_ALIVE)


def _chance(part: int = 0) -> random.Random:
    return random.Random(SEED + part)  # noqa: S311 - it must be the same on every run.


def _mutated(chance: random.Random, original: bytes, tokens: tuple[bytes, ...]) -> bytes:
    """One to four small changes: bytes flipped, cut, doubled, put in or moved."""
    data = bytearray(original)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.randint(1, 8))
        match chance.randrange(6):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = chance.choice(tokens)
            case 3:
                data[at:at] = data[at:end] * chance.randint(1, 3)
            case 4:
                data[at:end] = chance.choice(tokens)
            case 5:
                del data[at:]
    return bytes(data)


def _rest_rows() -> list[Rest]:
    tables = (rows_rest_json, rows_values, rows_classify_regress)
    rows = (row for table in tables for row in table.ROWS)
    return [row for row in rows if isinstance(row, Rest) and row.server == "plain" and row.body]


def _assert_proper(answer: talk.RestAnswer, what: object) -> None:
    blames = 200 <= answer.status < 500 or answer.status == 501
    assert blames, f"{what!r} gave {answer.status} {answer.body!r}"
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/json", what
        assert b'"error"' in answer.body, what


@pytest.mark.parametrize("part", range(4))
def test_mutated_rest_bodies_are_answered_or_refused(plain: talk.Server, part: int) -> None:
    chance = _chance(part)
    rows = _rest_rows()
    for _ in range(150):
        row = chance.choice(rows)
        original = row.body if isinstance(row.body, bytes) else row.body.encode()
        body = _mutated(chance, original, TOKENS)
        _assert_proper(talk.ask(plain, Rest(id="", rule="2.4", path=row.path, body=body)), (row.path, body))


def test_mutated_gzip_bodies_are_answered_or_refused(plain: talk.Server) -> None:
    chance = _chance()
    original = gzip.compress(b'{"instances": [1.0, 2.0, 3.0]}')
    for _ in range(60):
        body = _mutated(chance, original, (b"\x00", b"\xff\xff", original[:10]))
        row = Rest(id="", rule="2.2", path=STILL_ALIVE.path, body=body, headers={"Content-Encoding": "gzip"})
        _assert_proper(talk.ask(plain, row), body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": ' + b"[" * 100_000,
        b'{"instances": ' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b'{"more": ' + b'{"a":' * 100_000,
        b'{"instances": [' + b"1" * 1_000_000 + b"]}",
        b'{"instances": [1e' + b"9" * 10_000 + b"]}",
        b'{"instances": ["' + b"\\u0041" * 200_000 + b'"]}',
        b'{"inputs": {"x": ' + b"[[]," * 50_000 + b"]}}",
        b"\xef\xbb\xbf" + b'{"instances": [1.0]}',
        b'{"instances": [1.0]}'.decode().encode("utf-16"),
        b'{"signature_name": "' + b"s" * 100_000 + b'", "instances": [1.0]}',
        b'{"' + b"k" * 100_000 + b'": 1}',
    ],
    ids=lambda body: re.sub(rb"[^\w{}\[\]:.\"-]+", b"", body[:24]).decode(),
)
def test_outsized_rest_body_is_answered_or_refused(plain: talk.Server, body: bytes) -> None:
    _assert_proper(talk.ask(plain, Rest(id="", rule="2.4", path=STILL_ALIVE.path, body=body)), body[:60])


def test_mutated_urls_are_answered_or_refused(plain: talk.Server) -> None:
    chance = _chance()
    tokens = (b"%", b"%2F", b"%00", b"%zz", b"/", b"//", b":", b"?", b"..", b"~", b";", b"versions", b"%FF")
    paths = ("/v1/models/half_plus_two/versions/1:predict", "/v1/models/half_plus_two/labels/stable/metadata")
    for _ in range(200):
        mutated = _mutated(chance, chance.choice(paths).encode(), tokens)
        path = "/v1/" + re.sub(rb"[^\x21-\x7e]|#", b"", mutated).decode()
        row = Rest(id="", rule="2.1", method=chance.choice(("GET", "POST")), path=path, body=STILL_ALIVE.body)
        _assert_proper(talk.ask(plain, row), path)


def _grpc_rows() -> list[Grpc]:
    tables = (rows_predict_grpc, rows_classify_regress, rows_metadata_status)
    rows = (row for table in tables for row in table.ROWS)
    # A mutated reload could be one that takes effect.
    return [
        row
        for row in rows
        if isinstance(row, Grpc)
        and row.server == "plain"
        and "slow" not in str(row.request)
        and not row.call.endswith("HandleReloadConfigRequest")
    ]


@pytest.mark.parametrize("part", range(4))
def test_mutated_grpc_requests_are_answered_or_refused(plain: talk.Server, part: int) -> None:
    chance = _chance(part)
    requests = [(row.call, talk.serialized(row)) for row in _grpc_rows()]
    tokens = (
        b"\x00",
        b"\xff",
        b"\x80" * 9,
        b"\xff" * 9 + b"\x01",
        b"\x0a",
        b"\x12",
        b"\x1a\x00",
        b"\x08\x01",
    )
    for _ in range(250):
        method, original = chance.choice(requests)
        request = _mutated(chance, original, tokens)
        answer = talk.call_bytes(plain, method, request, 20)
        if not _decodes(method, request):
            # gRPC's own code for it, in every language.
            assert answer.code in ("INTERNAL", "INVALID_ARGUMENT"), (method, request, answer)
            continue
        assert answer.code in BLAMES_THE_REQUEST, (method, request, answer)


def _decodes(method: str, request: bytes) -> bool:
    try:
        talk.MESSAGES[method][0].FromString(request)
    except DecodeError:
        return False
    return True


@pytest.mark.parametrize(
    "tensor",
    [
        "dtype: DT_FLOAT tensor_shape { dim { size: 9223372036854775807 } }",
        "dtype: DT_FLOAT tensor_shape { dim { size: 1099511627776 } } float_val: 1",
        "dtype: DT_STRING tensor_shape { dim { size: 1099511627776 } } string_val: 'a'",
        "dtype: DT_FLOAT tensor_shape { dim { size: 3037000500 } dim { size: 3037000500 } dim { size: 4 } }",
        "dtype: DT_FLOAT tensor_shape { dim { size: 0 } dim { size: 9223372036854775807 } }",
        "dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 1 float_val: 2",
        "dtype: DT_FLOAT tensor_shape { dim { size: 1 } } tensor_content: '12345678'",
        "dtype: DT_STRING tensor_shape { dim { size: 1 } } tensor_content: '\\001a'",
        "dtype: DT_STRING tensor_shape { dim { size: 1 } } tensor_content: '\\377\\377\\377\\377'",
        "dtype: DT_RESOURCE tensor_shape { }",
        "dtype: DT_VARIANT tensor_shape { dim { size: 1 } }",
        "dtype: DT_QINT8 tensor_shape { dim { size: 1 } } int_val: 1",
        "dtype: DT_FLOAT_REF tensor_shape { dim { size: 1 } } float_val: 1",
        "dtype: DT_FLOAT tensor_shape { " + "dim { size: 1 } " * 300 + "} float_val: 1",
        "dtype: DT_FLOAT",
        "",
    ],
    ids=lambda text: re.sub(r"\W+", "-", text)[:48],
)
@pytest.mark.parametrize("signature", ["float32", "string"])
def test_outsized_or_odd_tensor_is_answered_or_refused(
    plain: talk.Server, signature: str, tensor: str
) -> None:
    request = predict(spec("echo", signature=signature), x=tensor)
    answer = talk.call(plain, Grpc(id="", rule="1.4", call=f"{PREDICTION}/Predict", request=request))
    assert answer.code in BLAMES_THE_REQUEST, answer


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v1/models/half_plus_two HTTP/9.9\r\n\r\n",
        POST + b"Content-Length: nine\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/models/" + b"m" * 100_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /v1/models/half_plus_two HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=lambda sent: re.sub(rb"\W+", b"-", sent)[:40].decode(),
)
def test_what_is_no_http_is_refused_or_hung_up_on(plain: talk.Server, sent: bytes) -> None:
    host, _, port = plain.rest_address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb").readline()
        except ConnectionError:
            answer = b""
    assert not answer or re.match(rb"HTTP/1\.[01] [24]\d\d ", answer), answer


def test_bodies_cut_off_by_the_client_do_no_harm(plain: talk.Server) -> None:
    for sent in range(0, 20, 4):
        connection = http.client.HTTPConnection(plain.rest_address, timeout=5)
        connection.putrequest("POST", STILL_ALIVE.path)
        connection.putheader("Content-Length", "20")
        connection.endheaders(b'{"instances": [2.0]}'[:sent])
        connection.close()
