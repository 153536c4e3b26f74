"""Bearer tokens: who has one of those in --auth_tokens_file may use the server."""

import hashlib
import hmac
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from wire.errors import Code, StatusError

_log = logging.getLogger(__name__)

FLAG = "--auth_tokens_file"
CHALLENGE = 'Bearer realm="kedge"'
# RFC 6750's b68token, which leaves # to comments.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_BEARER = "bearer "
_OPEN_SERVICE = f"/{health_pb2.DESCRIPTOR.services_by_name['Health'].full_name}/"

Stamp = tuple[int, int, int]


class Tokens:
    """The tokens in a file, one a line, read again whenever the file has changed.

    Empty lines and those that begin with # are left out. While a changed file cannot be read, or is not
    valid, the tokens read before stay in force.
    """

    def __init__(self, path: Path, refused: Counter[str] | None = None) -> None:
        """Refusals are counted in `refused` as "token".

        StatusError: the file cannot be read, has a line that is no token, or no token at all.
        """
        self._path = path
        self._stamp: Stamp | None = _stamp(path)
        self._digests = _read(path)
        self._refused: Counter[str] = Counter() if refused is None else refused

    def check(self, authorization: str | None) -> None:
        """StatusError (UNAUTHENTICATED) unless an Authorization header has one of the tokens."""
        self._renew()
        if authorization is None or authorization[: len(_BEARER)].lower() != _BEARER:
            self._refused["token"] += 1
            raise StatusError(Code.UNAUTHENTICATED, "A bearer token is needed: 'Authorization: Bearer TOKEN'")
        given = _digest(authorization[len(_BEARER) :].strip())
        # All are compared, each in constant time, so that the time tells nothing of any.
        if not sum(hmac.compare_digest(given, known) for known in self._digests):
            self._refused["token"] += 1
            raise StatusError(Code.UNAUTHENTICATED, "The bearer token is not one of this server's")

    def _renew(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._digests = _read(self._path)
        except StatusError as error:
            _log.warning("the tokens stay as they were: %s", error.message)
            return
        _log.info("%s has changed: %d tokens", self._path, len(self._digests))


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc, unused-ignore] # grpc.aio publishes Any here.
    """Turns away gRPC calls without a token before anything of them is read; health stays open."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method's own handler, or one that refuses."""
        metadata: Mapping[str, Any] = dict(details.invocation_metadata or ())
        if not str(details.method).startswith(_OPEN_SERVICE):
            try:
                self._tokens.check(metadata.get("authorization"))
            except StatusError as error:
                return _refusing(error.message)
        return await continuation(details)


def _refusing(message: str) -> Any:
    async def refuse(_: Any, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        await context.abort(
            grpc.StatusCode.UNAUTHENTICATED, message, trailing_metadata=(("www-authenticate", CHALLENGE),)
        )

    return grpc.stream_unary_rpc_method_handler(refuse)


def _read(path: Path) -> tuple[bytes, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(path, getattr(error, "strerror", None) or str(error)) from error
    digests = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        if not _TOKEN.fullmatch(line):
            raise _invalid(path, f"line {number} is no bearer token: letters, digits and -._~+/ only")
        digests.append(_digest(line))
    if not digests:
        raise _invalid(path, "has no token; write one a line")
    return tuple(digests)


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _invalid(path: Path, reason: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, f"{FLAG}={path}: {reason}")
