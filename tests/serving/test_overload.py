"""Ten times the load that a server can serve: its memory stays bounded, and what it answers is right."""

import asyncio
import io
import json
from pathlib import Path

import aiohttp
import grpc
import numpy as np
import pytest

from serving import embedded
from serving.embedded import Server
from tests.serving import saved_models
from tests.serving.servers import PREDICTION, Question
from wire import messages

MEBIBYTE = 2**20
ROOM = 16 * MEBIBYTE
# Requests over each transport, of a mebibyte each: together ten times the room that there is for them.
REQUESTS = 80
# Bodies, their messages and arrays, the joined batch, JSON's objects and what gRPC has read take many times
# the room; without a bound all requests together take about 62 times as much.
MOST_GROWTH = 24 * ROOM
OPEN = json.dumps({"signature_name": "open", "instances": [0.0]})


def _memory(server: Server, field: str) -> int:
    """A figure of the process in bytes: VmRSS is what it has now, VmHWM the most that it ever had."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


async def _by_grpc(channel: grpc.aio.Channel, number: int) -> float | None:
    """The answer, None when it was refused for the load."""
    rows = np.zeros((1, MEBIBYTE // 4), np.float32)
    rows[0, 0] = number
    request = Question("gate", {"rows": rows}, signature="wait").request()
    try:
        answer = await channel.unary_unary(f"/{PREDICTION}/Predict")(request.SerializeToString(), timeout=90)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            raise
        return None
    value: float = messages.PredictResponse.FromString(answer).outputs["y"].float_val[0]
    return value


async def _by_rest(session: aiohttp.ClientSession, url: str, number: int) -> float | None:
    body = b'{"signature_name": "wait", "instances": [[%d' % number + b", 0" * (MEBIBYTE // 3) + b"]]}"
    try:
        async with session.post(url, data=io.BytesIO(body)) as answer:
            document = await answer.json()
            if answer.status == 503:
                assert answer.headers["Retry-After"] == "1"
                return None
            assert answer.status == 200, document
            value: float = document["predictions"][0]
            return value
    except aiohttp.ClientOSError:
        # Refused and hung up on while it was still sending.
        return None


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory from Linux's /proc")
async def test_memory_is_bounded_at_ten_times_the_load(tmp_path: Path) -> None:
    saved_models.gate(tmp_path / "1")
    flags = (f"--model_base_path={tmp_path}", "--model_name=gate", "--rest_api_timeout_in_ms=90000")
    running = embedded.running([*flags, f"--max_request_bytes_in_flight={ROOM}"])
    with running as server:
        before = _memory(server, "VmRSS")
        base = f"http://127.0.0.1:{server.rest_port}"
        url = f"{base}/v1/models/gate:predict"
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            numbers = range(1, REQUESTS + 1)
            flood = [asyncio.create_task(_by_grpc(channel, number)) for number in numbers]
            flood += [asyncio.create_task(_by_rest(session, url, number)) for number in numbers]
            async with asyncio.timeout(90):
                while sum(task.done() for task in flood) < len(flood) - 2 * ROOM // MEBIBYTE:
                    await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED, timeout=0.05)
                async with session.get(f"{base}/readyz") as ready:
                    assert ready.status == 200
                async with session.post(url, data=OPEN) as opened:
                    assert opened.status == 200
                answers = await asyncio.gather(*flood)
            async with session.get(f"{base}/monitoring/prometheus/metrics") as metrics:
                page = await metrics.text()
        growth = _memory(server, "VmHWM") - before
    refused = [answer for answer in answers if answer is None]
    wrong = [
        (answer, number)
        for answer, number in zip(answers, [*numbers, *numbers], strict=True)
        if answer not in (None, number)
    ]
    counted = [
        line for line in page.splitlines() if line.startswith('kedge_requests_refused_total{reason="bytes"')
    ]
    print(f"{len(refused)} of {len(answers)} refused, {growth / MEBIBYTE:.0f} MiB more than at the start")
    assert wrong == []
    assert 0 < len(refused) < len(answers)
    assert sum(int(line.split()[-1]) for line in counted) >= len(refused) * 0.9
    assert growth < MOST_GROWTH, f"{growth / MEBIBYTE:.0f} MiB more than at the start"
