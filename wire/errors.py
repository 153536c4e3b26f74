"""The outcome of a call: gRPC's canonical codes, what they are in HTTP, and the error that carries one."""

import enum


class Code(enum.IntEnum):
    """gRPC's canonical status codes, which are also `tensorflow.error.Code`."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class StatusError(Exception):
    """An answer that is not OK: its code, and the message the caller is told."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def bare(self) -> "StatusError":
        """Itself, without the frames that it came through: whoever keeps it would keep all that they hold."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


# Of the codes that share an HTTP status the first one here is what the status is read back as.
_HTTP_STATUS: dict[int, int] = {
    Code.OK: 200,
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ABORTED: 409,
    Code.ALREADY_EXISTS: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.CANCELLED: 499,
    Code.INTERNAL: 500,
    Code.UNKNOWN: 500,
    Code.DATA_LOSS: 500,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}
_CODE = {status: Code(code) for code, status in reversed(_HTTP_STATUS.items())}


def http_status(code: int) -> int:
    """The HTTP status of a canonical code; 500 for a number that is none."""
    return _HTTP_STATUS.get(code, 500)


def code_of_http(status: int) -> Code:
    """The canonical code that an HTTP status most likely stands for.

    A status outside the table comes from something between client and server: 2xx is OK, other 4xx are
    INVALID_ARGUMENT, a bad gateway (502) is UNAVAILABLE, and the rest is UNKNOWN.
    """
    if status in _CODE:
        return _CODE[status]
    if 200 <= status < 300:  # noqa: PLR2004
        return Code.OK
    if 400 <= status < 500:  # noqa: PLR2004
        return Code.INVALID_ARGUMENT
    return Code.UNAVAILABLE if status == 502 else Code.UNKNOWN  # noqa: PLR2004
