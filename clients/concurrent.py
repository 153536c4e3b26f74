"""Several exchanges under way at a time, their answers in order.

Each of a few workers takes the next exchange when it has the answer to its last one, so that no more requests
are in memory than are under way. The first error ends the work.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from itertools import chain, islice
from typing import Any

from clients.exchange import Exchange, Exchanges

Numbered = tuple[int, Exchange[Any]]


def in_threads(exchanges: Exchanges, perform: Callable[[Exchange[Any]], Any], limit: int) -> list[Any]:
    """Perform exchanges in up to `limit` threads; one alone in the caller's.

    An interrupt of the caller (Ctrl-C) waits for none of them.
    """
    exchanges = iter(exchanges)
    first = list(islice(exchanges, 2))
    if len(first) == 1 or limit == 1:
        return [perform(exchange) for exchange in chain(first, exchanges)]
    numbered = enumerate(chain(first, exchanges))
    answers: dict[int, Any] = {}
    errors: list[BaseException] = []
    lock, stopped = threading.Lock(), threading.Event()

    def take() -> Numbered | None:
        with lock:
            return None if stopped.is_set() else next(numbered, None)

    def work() -> None:
        try:
            while (taken := take()) is not None:
                number, exchange = taken
                answers[number] = perform(exchange)
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            errors.append(error)
        finally:
            # Nothing is left, or something went wrong: either way nobody takes another.
            stopped.set()

    # Threads of an executor would be waited for, here and as Python ends, though they wait for a server.
    workers = [threading.Thread(target=work, name="kedge-client", daemon=True) for _ in range(limit)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        stopped.set()
    if errors:
        raise errors.pop(0)
    return [answers[number] for number in range(len(answers))]


async def in_tasks(
    exchanges: Exchanges, perform: Callable[[Exchange[Any]], Awaitable[Any]], limit: int
) -> list[Any]:
    """Perform exchanges in up to `limit` tasks; one alone in the caller's."""
    exchanges = iter(exchanges)
    first = list(islice(exchanges, 2))
    if len(first) == 1 or limit == 1:
        return [await perform(exchange) for exchange in chain(first, exchanges)]
    numbered = enumerate(chain(first, exchanges))
    answers: dict[int, Any] = {}

    async def work() -> None:
        for number, exchange in numbered:
            answers[number] = await perform(exchange)

    workers = [asyncio.create_task(work()) for _ in range(limit)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [answers[number] for number in range(len(answers))]
