import asyncio
import gc
import weakref

import pytest

from serving.patience import Patience


async def test_what_comes_in_time_is_given() -> None:
    patience = Patience(30)
    assert await patience.wait(asyncio.sleep(0, "here")) == "here"


async def test_what_does_not_come_ends_with_a_timeout_for_each() -> None:
    patience = Patience(0.02)
    waits = [asyncio.create_task(patience.wait(asyncio.Event().wait())) for _ in range(3)]
    outcomes = await asyncio.wait_for(asyncio.gather(*waits, return_exceptions=True), 10)
    assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 3
    with pytest.raises(TimeoutError):
        await patience.wait(asyncio.Event().wait())


async def test_later_wait_has_its_own_time() -> None:
    patience, first = Patience(0.2), asyncio.Event()
    waiting = asyncio.create_task(patience.wait(asyncio.Event().wait()))
    await asyncio.wait({waiting}, timeout=0.1)
    later = asyncio.create_task(patience.wait(first.wait()))
    with pytest.raises(TimeoutError):
        await waiting
    first.set()
    assert await later


async def test_who_is_cancelled_by_another_is_cancelled() -> None:
    waiting = asyncio.create_task(Patience(30).wait(asyncio.Event().wait()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


class Kept:
    pass


@pytest.mark.parametrize("seconds", [0.01, 60.0], ids=["in-vain", "cancelled"])
async def test_wait_that_was_ended_keeps_nothing(seconds: float) -> None:
    """Without the garbage collector, which may take its time."""
    patience = Patience(seconds)
    never = asyncio.get_running_loop().create_future()

    async def wait(kept: Kept) -> None:
        await patience.wait(asyncio.shield(never))

    gc.collect()
    gc.disable()
    try:
        kept = Kept()
        seen = weakref.ref(kept)
        task = asyncio.create_task(wait(kept))
        del kept
        await asyncio.sleep(0)
        if seconds > 1:
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or isinstance(task.exception(), TimeoutError)
        del task
        assert seen() is None
    finally:
        gc.enable()
    never.cancel()
