"""The gRPC port's methods: their paths, what answers each, and what answers a call of any other."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError

from serving import errors, grpc_headers
from serving.grpc_stream import Room, Stream
from serving.patience import Patience
from wire.errors import Code, StatusError

Handle: TypeAlias = Callable[[Stream], Awaitable[None]]
# Handlers by the paths of their methods: /SERVICE/METHOD.
Methods: TypeAlias = Mapping[bytes, Handle]
# The path under which there is one for calls of all methods that there are not.
ANY_OTHER = b""


def path(service: str, method: str) -> bytes:
    """The path of a method, its service's name in full."""
    return f"/{service}/{method}".encode()


def find(methods: Methods, fields: Mapping[bytes, bytes], most: int) -> Handle:
    """What answers a call with these headers, of which it may have so many bytes."""
    if grpc_headers.size(fields.items()) > most:
        return _refusing(Code.RESOURCE_EXHAUSTED, f"The call's metadata has more than {most} bytes")
    answer = grpc_headers.no_call(fields)
    if answer is not None:
        return _answering(answer)
    return methods.get(fields.get(b":path", ANY_OTHER), methods[ANY_OTHER])


async def only_message(stream: Stream, room: Room, patience: Patience) -> bytes:
    """The message of a call that has one; StatusError: there is none, no room for it, or it does not come."""
    reading = stream.read_only(room)
    try:
        message = await (reading if stream.ended else patience.wait(reading))
    except TimeoutError:
        words = f"The request's message did not come in {patience.seconds:g} s"
        raise errors.Refusal("slow", Code.DEADLINE_EXCEEDED, words) from None
    if message is None:
        raise StatusError(Code.INTERNAL, "The request has no message")
    return message


def parsed(kind: Any, message: bytes) -> Any:
    """A message of this kind; StatusError where it is none."""
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise StatusError(Code.INTERNAL, "Unable to parse request") from error


async def unknown(stream: Stream) -> None:
    """Answers a call of a method that there is not."""
    stream.refuse(StatusError(Code.UNIMPLEMENTED, "Method not found!"))


def _answering(headers: Iterable[grpc_headers.Header]) -> Handle:
    async def serve(stream: Stream) -> None:
        stream.respond(headers)

    return serve


def _refusing(code: Code, message: str) -> Handle:
    async def serve(stream: Stream) -> None:
        stream.refuse(StatusError(code, message))

    return serve
