"""Bearer tokens: who has one is answered, who has none gets only the health."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from serving import command_line
from serving.auth import Tokens
from tests.serving import saved_models
from tests.serving.servers import PREDICTION, Endpoint, Question, serving
from wire.errors import Code, StatusError

TOKEN = "secret.Token-1~+/=="  # noqa: S105 - the tests' own.
PREDICT = f"/{PREDICTION}/Predict"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
HALF = Question("default")
METRICS = "/monitoring/prometheus/metrics"
Grpc = Callable[[Endpoint, str | None], Awaitable[object]]


@pytest.fixture
def base_path(tmp_path: Path) -> Path:
    saved_models.half_plus_two(tmp_path / "model" / "1")
    return tmp_path / "model"


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# for the tests\n{TOKEN}\n\n  another-token  \n")
    return path


def _flags(base_path: Path, tokens_file: Path) -> tuple[str, ...]:
    return f"--model_base_path={base_path}", f"--auth_tokens_file={tokens_file}"


def _metadata(authorization: str | None) -> tuple[tuple[str, str], ...]:
    return (("authorization", authorization),) if authorization is not None else ()


async def _predict(endpoint: Endpoint, authorization: str | None) -> object:
    call = endpoint.channel.unary_unary(PREDICT)
    return await call(HALF.request().SerializeToString(), metadata=_metadata(authorization), timeout=20)


async def _reflect(endpoint: Endpoint, authorization: str | None) -> object:
    """By the blocking client: a stream of the other may tell of a message that could not be sent any more."""
    request = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()

    def ask() -> object:
        with grpc.insecure_channel(f"127.0.0.1:{endpoint.server.grpc_port}") as channel:
            stream = channel.stream_stream(REFLECTION)
            return next(stream(iter([request]), metadata=_metadata(authorization), timeout=20))

    return await asyncio.to_thread(ask)


async def _unknown(endpoint: Endpoint, authorization: str | None) -> object:
    call = endpoint.channel.unary_unary("/no.such.Service/Method")
    try:
        return await call(b"", metadata=_metadata(authorization), timeout=20)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.UNIMPLEMENTED:
            raise
        return "let in"


@pytest.mark.parametrize("ask", [_predict, _reflect, _unknown])
@pytest.mark.parametrize(
    "wrong", [None, TOKEN, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"]
)
async def test_grpc_asks_for_a_token(
    base_path: Path, tokens_file: Path, ask: Grpc, wrong: str | None
) -> None:
    async with serving(*_flags(base_path, tokens_file)) as endpoint:
        with pytest.raises(grpc.RpcError) as refusal:
            await ask(endpoint, wrong)
        assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert dict(refusal.value.trailing_metadata())["www-authenticate"].startswith("Bearer")
        assert await ask(endpoint, f"Bearer {TOKEN}")
        assert await ask(endpoint, "bearer another-token")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/default:predict"),
        ("GET", "/v1/models/default"),
        ("GET", "/v1/models/default/metadata"),
        ("GET", "/v1/models"),
        ("GET", "/v1/nonsense"),
        ("GET", METRICS),
    ],
)
async def test_rest_asks_for_a_token(base_path: Path, tokens_file: Path, method: str, path: str) -> None:
    async with serving(*_flags(base_path, tokens_file)) as endpoint:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            refused = await endpoint.rest(method, path, HALF.body(), **headers)
            assert refused.status == 401
            assert refused.headers["WWW-Authenticate"].startswith("Bearer")
            assert TOKEN.encode() not in refused.body
        allowed = await endpoint.rest(method, path, HALF.body(), Authorization=f"Bearer {TOKEN}")
        assert allowed.status == (400 if "nonsense" in path else 200)
        if path == METRICS:
            assert b'kedge_requests_refused_total{reason="token",' in allowed.body


async def test_health_is_open_and_metrics_where_the_flag_says(base_path: Path, tokens_file: Path) -> None:
    async with serving(*_flags(base_path, tokens_file), "--auth_open_metrics") as endpoint:
        for path in ("/healthz", "/readyz", METRICS):
            assert (await endpoint.rest("GET", path)).status == 200
        check = health_pb2.HealthCheckRequest()
        health = await endpoint.call("grpc.health.v1.Health/Check", check, health_pb2.HealthCheckResponse)
        assert health.status == health_pb2.HealthCheckResponse.SERVING


async def test_browsers_may_ask_whether_they_may_send_a_token(base_path: Path, tokens_file: Path) -> None:
    flags = (*_flags(base_path, tokens_file), "--rest_api_enable_cors_support")
    async with serving(*flags) as endpoint:
        answer = await endpoint.rest("OPTIONS", HALF.path, Origin="https://a.page")
        assert answer.status == 200
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


async def test_changed_file_is_in_force_at_once(base_path: Path, tokens_file: Path) -> None:
    async with serving(*_flags(base_path, tokens_file)) as endpoint:
        await _predict(endpoint, f"Bearer {TOKEN}")
        await asyncio.to_thread(tokens_file.write_text, "new")
        with pytest.raises(grpc.aio.AioRpcError, match="not one of"):
            await _predict(endpoint, f"Bearer {TOKEN}")
        await _predict(endpoint, "Bearer new")


@pytest.mark.parametrize("content", [None, "", "not a token\n"], ids=["gone", "empty", "garbage"])
def test_changed_file_that_is_no_good_leaves_the_tokens_as_they_were(
    tokens_file: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    tokens = Tokens(tokens_file)
    if content is None:
        tokens_file.unlink()
    else:
        tokens_file.write_text(content)
    for _ in range(3):
        tokens.check(f"Bearer {TOKEN}")
    with pytest.raises(StatusError) as refusal:
        tokens.check("Bearer ")
    assert refusal.value.code == Code.UNAUTHENTICATED
    assert len(caplog.messages) == 1
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "has no token"), ("# only\n", "has no token"), ("a\nb c\n", "line 2"), (None, "No such file")],
)
def test_server_does_not_start_with_a_file_that_is_no_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, words: str
) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SystemExit) as ending:
        command_line.main([f"--model_base_path={tmp_path}", f"--auth_tokens_file={file}"])
    lines = capsys.readouterr().err.splitlines()
    assert ending.value.code == 2
    assert len(lines) == 1
    assert lines[0].startswith("kedge: --auth_tokens_file=")
    assert words in lines[0]


async def test_refused_calls_are_not_read(base_path: Path, tokens_file: Path) -> None:
    """The refusal comes although the message never does."""
    async with serving(*_flags(base_path, tokens_file)) as endpoint, asyncio.timeout(20):
        with pytest.raises(grpc.aio.AioRpcError, match="token is needed"):
            await endpoint.channel.stream_unary(PREDICT)()
