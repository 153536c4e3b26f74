"""Bodies of HTTP requests and answers: read whole, inflated within bounds, compressed for who asks."""

import asyncio
import gzip
import zlib

from aiohttp import web

from serving import errors
from wire.errors import StatusError

# Answers from this size on are compressed for who accepts it; smaller ones would hardly shrink.
COMPRESSED_FROM = 1024
# Work on a body from this size on leaves the event loop alone.
OFF_LOOP_FROM = 64 * 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


async def read(request: web.BaseRequest, most_inflated: int) -> bytes:
    """A request's body, inflated where its Content-Encoding says gzip.

    StatusError (INVALID_ARGUMENT): it does not inflate, or to more than `most_inflated` bytes.
    """
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    if "gzip" not in request.headers.get("Content-Encoding", ""):
        return await _received(request, None)
    compressed = await _received(request, most_inflated)
    if len(compressed) < OFF_LOOP_FROM:
        return inflate(compressed, most_inflated)
    return await asyncio.to_thread(inflate, compressed, most_inflated)


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


async def compressed(body: bytes, accepted: str) -> bytes | None:
    """A body compressed for a client that accepts gzip; None where it goes out as it is."""
    if len(body) < COMPRESSED_FROM or not _accepts_gzip(accepted):
        return None
    if len(body) < OFF_LOOP_FROM:
        return gzip.compress(body, 1)
    return await asyncio.to_thread(gzip.compress, body, 1)


async def _received(request: web.BaseRequest, most: int | None) -> bytes:
    chunks = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if most is not None and size > most:
            raise _too_large(most)
        chunks.append(chunk)
    return b"".join(chunks)


def _accepts_gzip(accepted: str) -> bool:
    for each in accepted.split(","):
        coding, _, weight = each.replace(" ", "").partition(";q=")
        if coding.lower() == "gzip":
            return weight.rstrip("0.") != "" if weight else True
    return False


def _too_large(most: int) -> StatusError:
    return errors.invalid_argument(
        f"JSON Parse error: the gzip body has more than {most} bytes when inflated, the most that is taken "
        "(--rest_api_max_inflated_bytes)"
    )
