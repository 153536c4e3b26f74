"""Health and reflection on our port: what one client may do to the others."""

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from serving import grpc_services
from tests.serving import saved_models
from tests.serving.http2 import connected, framed
from tests.serving.servers import Endpoint, serving
from wire.errors import Code

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHECK = "/grpc.health.v1.Health/Check"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
LIST = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
PATIENCE = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Endpoint]:
    base = tmp_path_factory.mktemp("model")
    saved_models.half_plus_two(base / "1")
    async with serving(f"--model_base_path={base}", "--grpc_read_timeout_seconds=0.2") as running:
        yield running


async def test_reflection_without_a_question_ends_well(endpoint: Endpoint) -> None:
    stream = endpoint.channel.stream_stream(REFLECT)(timeout=PATIENCE)
    await stream.done_writing()
    assert await stream.read() == grpc.aio.EOF
    assert await stream.code() == grpc.StatusCode.OK


async def test_questions_of_one_stream_do_not_hold_up_others(endpoint: Endpoint) -> None:
    """Nor does it matter that the answers are not taken."""
    port = endpoint.server.grpc_port
    async with connected(port, 65535, PATIENCE) as other, connected(port, 0, PATIENCE) as client:
        stream = client.begin(REFLECT, framed(LIST) * 5000, end=False)
        await client.until(lambda: bool(client.answers[stream].headers))
        answer = await other.ask(CHECK, b"")
        assert health_pb2.HealthCheckResponse.FromString(answer.data[5:]).status == 1
        assert client.answers[stream].error is None


@pytest.mark.parametrize("path", [CHECK, REFLECT])
async def test_request_that_is_too_long_is_refused(endpoint: Endpoint, path: str) -> None:
    async with connected(endpoint.server.grpc_port, 65535, PATIENCE) as client:
        size = grpc_services.MAX_REQUEST_BYTES + 1
        answer = await client.answer(client.begin(path, framed(bytes(size))[:10], end=False))
        assert answer.status[0] == Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("sent", [None, framed(b"abc")[:-1]], ids=["nothing", "half"])
async def test_request_that_does_not_come_ends_its_call(endpoint: Endpoint, sent: bytes | None) -> None:
    async with connected(endpoint.server.grpc_port, 65535, PATIENCE) as client:
        answer = await client.answer(client.begin(CHECK, sent, end=False))
        assert answer.status[0] == Code.DEADLINE_EXCEEDED
        assert "did not come in 0.2 s" in answer.status[1]


async def test_method_that_a_servicer_has_not_is_unimplemented(endpoint: Endpoint) -> None:
    async with connected(endpoint.server.grpc_port, 65535, PATIENCE) as client:
        assert (await client.ask("/grpc.health.v1.Health/List", b"")).status[0] == Code.UNIMPLEMENTED


async def test_bytes_that_are_no_message_are_refused(endpoint: Endpoint) -> None:
    async with connected(endpoint.server.grpc_port, 65535, PATIENCE) as client:
        assert (await client.ask(CHECK, b"\xff\xff")).status == (Code.INTERNAL, "Unable to parse request")
