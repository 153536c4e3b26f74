"""Bodies of HTTP requests and answers: read whole, inflated within bounds, compressed for who asks."""

import asyncio
import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from serving import errors
from serving.admission import Admitted
from serving.http_messages import CONTINUE, BodyBroken, Request, Response
from serving.patience import Patience
from wire.errors import Code, StatusError

# Answers from this size on are compressed for who accepts it; smaller ones would hardly shrink.
COMPRESSED_FROM = 1024
# Work on a body from this size on leaves the event loop alone.
OFF_LOOP_FROM = 64 * 1024
# An answer of fewer bytes, and its header, never waits for a client that has read all earlier ones.
UNREAD_AT_ONCE = 16 * 1024
# A body, or the reading of an answer, must go on at such a rate once its patience is used up.
LEAST_BYTES_PER_SECOND = 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


@dataclass(frozen=True, kw_only=True)
class BodyLimits:
    """The most bytes of a body as it comes, and of one that was inflated; the seconds that it may stall."""

    most: int = 2**31 - 1
    most_inflated: int = 100 * 2**20
    patience: float = 75.0


class BodyError(errors.Refusal):
    """A body that is not taken for its size or its slowness, for which HTTP has a status of its own."""

    def __init__(self, reason: str, code: Code, message: str, http_status: int) -> None:
        super().__init__(reason, code, message)
        self.http_status = http_status


async def read(request: Request, limits: BodyLimits, admitted: Admitted) -> bytes:
    """A request's body, inflated where its Content-Encoding says gzip; its bytes are held in `admitted`.

    StatusError, INVALID_ARGUMENT: it breaks off, does not inflate, or to more bytes than may be; UNAVAILABLE:
    there is no room for it now. BodyError: it is too large, or too slow.
    """
    gzipped = "gzip" in request.headers.get("content-encoding", "")
    asks_first = request.headers.get("expect", "").lower() == "100-continue"
    if request.body.complete and not gzipped and not asks_first:
        return _arrived(request, limits.most, admitted)
    _refuse_by_length(request, limits.most, admitted)
    if asks_first:
        request.sender.write(CONTINUE)
    if not gzipped:
        return await _received(request, limits, admitted, _too_large_body(limits.most), limits.most)
    too_large, most = _too_large(limits.most_inflated), min(limits.most, limits.most_inflated)
    compressed = await _received(request, limits, admitted, too_large, most)
    if len(compressed) < OFF_LOOP_FROM:
        inflated = inflate(compressed, limits.most_inflated)
    else:
        inflated = await asyncio.to_thread(inflate, compressed, limits.most_inflated)
    admitted.hold(len(inflated))
    return inflated


def inflate(compressed: bytes, most: int) -> bytes:
    """What a gzip body holds, at most `most` bytes of it; StatusError (INVALID_ARGUMENT)."""
    decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        inflated = decompressor.decompress(compressed, most + 1)
    except zlib.error as error:
        raise errors.invalid_argument(f"JSON Parse error: the gzip body does not inflate: {error}") from error
    if len(inflated) > most:
        raise _too_large(most)
    if not decompressor.eof:
        raise errors.invalid_argument("JSON Parse error: the gzip body ends too early")
    return inflated


async def compressed(body: bytes, headers: Mapping[str, str]) -> bytes | None:
    """A body compressed for a client whose headers accept gzip; None where it goes out as it is."""
    if len(body) < COMPRESSED_FROM or not _accepts_gzip(headers.get("accept-encoding", "")):
        return None
    if len(body) < OFF_LOOP_FROM:
        return gzip.compress(body, 1)
    return await asyncio.to_thread(gzip.compress, body, 1)


async def send(response: Response, request: Request, patience: Patience) -> None:
    """Write an answer to its end; a client that does not read on for so long is hung up on."""
    size = len(response.body)
    if size >= OFF_LOOP_FROM:
        await _send_on(response, request, patience.seconds)
    elif size < UNREAD_AT_ONCE and not request.sender.unread():
        # The connection takes it at once, whether or not the client reads it.
        response.write(request)
    else:
        try:
            await patience.wait(_write(response, request))
        except TimeoutError:
            request.sender.abort()


async def _send_on(response: Response, request: Request, patience: float) -> None:
    """Write an answer of many bytes, as long as the client goes on reading."""
    unsent, sender = len(response.body), request.sender

    async def write() -> None:
        nonlocal unsent
        for piece in response.pieces(request):
            sender.write(piece)
            unsent -= len(piece)
            await sender.taken()

    writing = asyncio.create_task(write())
    try:
        unread = unsent
        while not (await asyncio.wait((writing,), timeout=patience))[0]:
            before, unread = unread, unsent + sender.unread()
            if before - unread < patience * LEAST_BYTES_PER_SECOND:
                sender.abort()
                return
        await writing
    finally:
        writing.cancel()


async def _write(response: Response, request: Request) -> None:
    response.write(request)
    await request.sender.taken()


def _refuse_by_length(request: Request, most: int, admitted: Admitted) -> None:
    """Refuse a body by the length that its header gives, before any of it is read.

    Room is taken as the body comes only: who announced much and sent nothing would keep it from the others.
    """
    length = int(request.headers.get("content-length", "0"))
    if length > most:
        raise _too_large_body(most)
    admitted.check(length)


def _arrived(request: Request, most: int, admitted: Admitted) -> bytes:
    """A body that is here already, as most short ones are once their header has been read."""
    body = request.body.take()
    if len(body) > most:
        raise _too_large_body(most)
    admitted.hold(len(body))
    return body


async def _received(
    request: Request, limits: BodyLimits, admitted: Admitted, too_large: StatusError, most: int
) -> bytes:
    began = asyncio.get_running_loop().time()
    chunks, size = [], 0
    try:
        async with asyncio.timeout_at(began + limits.patience) as time_left:
            while request.body.unread or not request.body.complete:
                await request.body.come()
                chunk = request.body.take()
                chunks.append(chunk)
                size += len(chunk)
                if size > most:
                    raise too_large
                admitted.hold(size)
                time_left.reschedule(began + limits.patience + size / LEAST_BYTES_PER_SECOND)
    except BodyBroken as broken:
        raise errors.invalid_argument(f"The body is not HTTP/1.1: {broken}") from broken
    except TimeoutError:
        raise BodyError(
            "slow", Code.DEADLINE_EXCEEDED, f"The body did not come in time: {size} bytes of it did", 408
        ) from None
    return b"".join(chunks)


def _accepts_gzip(accepted: str) -> bool:
    for each in accepted.split(","):
        coding, _, weight = each.replace(" ", "").partition(";q=")
        if coding.lower() == "gzip":
            return weight.rstrip("0.") != "" if weight else True
    return False


def _too_large_body(most: int) -> BodyError:
    return BodyError(
        "size",
        Code.RESOURCE_EXHAUSTED,
        f"The body has more than {most} bytes, the most that is taken (--rest_api_max_body_bytes)",
        413,
    )


def _too_large(most: int) -> StatusError:
    return errors.invalid_argument(
        f"JSON Parse error: the gzip body has more than {most} bytes when inflated, the most that is taken "
        "(--rest_api_max_inflated_bytes)"
    )
