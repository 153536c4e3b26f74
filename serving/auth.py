"""Bearer tokens: who has one of those in --auth_tokens_file may use the server."""

import hashlib
import hmac
import logging
import re
from collections import Counter
from pathlib import Path

from grpc_health.v1 import health_pb2

from serving.grpc_methods import Handle, Methods
from serving.grpc_stream import Stream
from wire.errors import Code, StatusError

_log = logging.getLogger(__name__)

FLAG = "--auth_tokens_file"
CHALLENGE = 'Bearer realm="kedge"'
# RFC 6750's b68token, which leaves # to comments.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_BEARER = "bearer "
_OPEN_SERVICE = f"/{health_pb2.DESCRIPTOR.services_by_name['Health'].full_name}/".encode()

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


def guarded(methods: Methods, tokens: Tokens) -> Methods:
    """These methods, for calls with a token; others are turned away before anything of them is read.

    Health stays open.
    """
    return {
        path: handle if path.startswith(_OPEN_SERVICE) else _guarded(handle, tokens)
        for path, handle in methods.items()
    }


def _guarded(handle: Handle, tokens: Tokens) -> Handle:
    async def serve(stream: Stream) -> None:
        try:
            tokens.check(stream.metadata().get("authorization"))
        except StatusError as error:
            stream.refuse(error, (("www-authenticate", CHALLENGE),))
            return
        await handle(stream)

    return serve


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
