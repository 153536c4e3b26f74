"""Services whose servicers come with gRPC's own packages (health, reflection), as methods of our port."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from serving import grpc_methods
from serving.grpc_methods import Handle, Methods, path
from serving.grpc_stream import Stream
from serving.patience import Patience
from wire.errors import Code, StatusError

# More than any request of these services takes; they are not counted among those that take memory.
MAX_REQUEST_BYTES = 64 * 1024
# So much of a stream of answers waits for its client.
MAX_UNSENT_BYTES = 256 * 1024


def methods(service: ServiceDescriptor, servicer: object, patience: Patience) -> Methods:
    """The methods of a service, answered by a servicer made for grpc.aio.

    Where a request is one message, it may take as long to come as `patience` has.
    """
    return {
        path(service.full_name, method.name): _handle(method, getattr(servicer, method.name), patience)
        for method in service.methods
    }


class _Context:
    """What such servicers ask of a call."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def abort(self, code: grpc.StatusCode, details: str = "") -> None:
        """End the call with an error."""
        raise StatusError(Code(code.value[0]), details)

    async def write(self, message: Any) -> None:
        """Send one of several answers, once the client has taken most of the others."""
        self._stream.send(message.SerializeToString())
        await self._stream.sent(MAX_UNSENT_BYTES)
        # Others have their turn, also when there is a question after the other.
        await asyncio.sleep(0)

    def set_code(self, code: grpc.StatusCode) -> None:
        """Said before NotImplementedError, which says as much."""

    def set_details(self, details: str) -> None:
        """As `set_code`."""


class _Little:
    """Room for requests that are short."""

    def check(self, size: int) -> None:
        """As `grpc_stream.Room`."""
        if size > MAX_REQUEST_BYTES:
            raise StatusError(
                Code.RESOURCE_EXHAUSTED,
                f"The request has {size} bytes, the most is {MAX_REQUEST_BYTES}",
            )

    def hold(self, size: int) -> None:
        """As `grpc_stream.Room`."""
        self.check(size)


def _handle(method: MethodDescriptor, answer: Any, patience: Patience) -> Handle:
    kind = GetMessageClass(method.input_type)

    async def requests(stream: Stream) -> AsyncIterator[Any]:
        while (message := await stream.read(_Little())) is not None:
            yield grpc_methods.parsed(kind, message)

    async def serve(stream: Stream) -> None:
        if method.client_streaming:
            given: Any = requests(stream)
        else:
            message = await grpc_methods.only_message(stream, _Little(), patience)
            given = grpc_methods.parsed(kind, message)
        try:
            await _answer(_Context(stream), answer, given, several=method.server_streaming)
        except NotImplementedError:
            await grpc_methods.unknown(stream)
        else:
            stream.finish()

    return serve


async def _answer(context: _Context, answer: Any, given: Any, *, several: bool) -> None:
    """Have a servicer answer, which sends several messages itself or by being asked for them."""
    answering = answer(given, context)
    if hasattr(answering, "__aiter__"):
        async for message in answering:
            await context.write(message)
        return
    answered = await answering
    if not several:
        await context.write(answered)
