"""grpc.health.v1.Health: "" for the whole server, each model by its name, TensorFlow Serving's two names."""

import asyncio

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

from serving.served import Served
from serving.states import State

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
# Without their package, as TensorFlow Serving names them.
SERVICES = ("ModelService", "PredictionService")


class Health:
    """Serving is the whole while every configured model has an available version, a model while it has one.

    TensorFlow Serving's names, where they are wanted, serve whatever becomes of the models. `leave` turns all
    to NOT_SERVING. Made and used on the event loop, but for `changed`.
    """

    def __init__(self, lifecycle: Served, *, name_services: bool = False) -> None:
        self.servicer = aio.HealthServicer()
        self._lifecycle = lifecycle
        self._services = SERVICES if name_services else ()
        self._loop = asyncio.get_running_loop()
        self._stale = asyncio.Event()

    def changed(self) -> None:
        """Look at the states soon; may be called on any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stale.set)

    async def follow(self) -> None:
        """Look at the states whenever they change, until cancelled."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            await self.refresh()

    async def refresh(self) -> None:
        """Look at the states now."""
        for name, versions in self._lifecycle.statuses().items():
            await self._set(name, any(each.state == State.AVAILABLE for each in versions))
        await self._set("", self._lifecycle.ready())
        for name in self._services:
            await self._set(name, True)

    async def leave(self) -> None:
        """Turn all names to NOT_SERVING, for good."""
        await self.servicer.enter_graceful_shutdown()

    async def _set(self, name: str, serving: bool) -> None:
        await self.servicer.set(name, SERVING if serving else NOT_SERVING)
