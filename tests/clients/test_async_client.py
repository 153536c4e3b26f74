"""What only an event loop has: many calls at a time, calls that are given up."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from clients import Batching, connect_async
from tests.clients import exchanges
from tests.clients.stubs import SILENCE, Stub


async def test_many_calls_of_one_client_are_under_way_at_a_time(stub: Stub) -> None:
    """Four answers wait for each other: one call after the other would never end."""
    exchanges.answer_status(stub, "mnist", [(1, "AVAILABLE", "OK", "")])
    place = exchanges.STATUS if exchanges.is_grpc(stub) else "/v1/models/mnist"
    answer, together = stub.answers[place], threading.Barrier(4, timeout=20)

    def meet(body: bytes) -> Any:
        together.wait()
        return answer

    stub.answers[place] = meet
    async with connect_async(stub.url) as client:
        answers = await asyncio.gather(*(client.status("mnist") for _ in range(4)))
    assert [found[0].version for found in answers] == [1] * 4


@pytest.mark.parametrize("rows", [1, 8], ids=["one request", "several"])
async def test_call_that_is_given_up_ends_at_once(stub: Stub, rows: int) -> None:
    asked = threading.Event()

    def silent(body: bytes) -> Any:
        asked.set()
        return SILENCE

    stub.answers[exchanges.predict_path(stub, "mnist")] = silent
    async with connect_async(stub.url, timeout=60, batching=Batching(rows=1)) as client:
        call = asyncio.create_task(client.predict("mnist", np.zeros((rows, 28, 28), np.uint8)))
        await asyncio.to_thread(asked.wait, 20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(call, 20)
    assert len(asyncio.all_tasks()) == 1


def test_client_of_a_loop_that_has_ended_is_closed_with_it(stub: Stub) -> None:
    exchanges.answer_status(stub, "mnist", [(1, "AVAILABLE", "OK", "")])

    async def ask() -> int:
        async with connect_async(stub.url) as client:
            return (await client.status("mnist"))[0].version

    assert [asyncio.run(ask()), asyncio.run(ask())] == [1, 1]
