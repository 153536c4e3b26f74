"""Asynchronous clients behind the face of the blocking ones, so that one table of tests asks all four."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Self

from clients import AsyncClient


class Awaited:
    """A client whose every method runs the event loop until it has its answer."""

    def __init__(self, make: Callable[[], AsyncClient]) -> None:
        # Made outside of the loop, as a program may.
        self._client = make()
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def __repr__(self) -> str:
        return repr(self._client)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not inspect.iscoroutinefunction(attribute):
            return attribute
        return lambda *arguments, **options: self._runner.run(attribute(*arguments, **options))
