"""What can go wrong when a server is asked: one family, each error with its code and with what to try.

    ClientError
    ├── UrlError            not the address of a server               exit code 2
    ├── OptionError         an option that a client cannot follow     exit code 2
    ├── Unreachable         no server there, or it is not available   exit code 5
    ├── DeadlineExceeded    no whole answer in time                   exit code 5
    ├── Refused             the server says no                        exit code 6
    └── UnexpectedAnswer    an answer, but not one of this API's      exit code 6

Input that is not a model's is `models.model.InputError`, raised before anything is sent.
"""

import re
from typing import ClassVar

from wire.errors import Code, StatusError

LONGEST = 1024
"""How much of a server's message is shown, in characters; gRPC cuts messages off there too."""

HINTS = {
    Code.NOT_FOUND: "`kedge status` shows which models and versions it has",
    Code.INVALID_ARGUMENT: "`kedge metadata MODEL` shows the tensors that each signature takes",
    Code.FAILED_PRECONDITION: "`kedge metadata MODEL` shows the signatures of the model",
    Code.RESOURCE_EXHAUSTED: "send smaller or fewer requests, or try again later",
    Code.UNIMPLEMENTED: "is this the port of a TensorFlow Serving API?",
    Code.UNAUTHENTICATED: "the server wants credentials",
    Code.PERMISSION_DENIED: "these credentials do not allow it",
}
CERTIFICATE = re.compile("CERTIFICATE|SSL_ERROR|handshake", re.IGNORECASE)
UNTRUSTED = "does the server use TLS, and is its authority among those trusted (--ca, Tls(ca=...))?"
SEE_LOG = "the server's log says more"


class ClientError(Exception):
    """No usable answer: `code` is gRPC's canonical code, `server_message` what the server said, whole."""

    exit_code: ClassVar[int] = 6

    def __init__(self, message: str, code: Code, server_message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.server_message = server_message

    def __reduce__(self) -> tuple[type["ClientError"], tuple[str, Code, str]]:
        """Let the error cross from one process to another, as errors of workers do."""
        return type(self), (str(self), self.code, self.server_message)


class UrlError(ClientError, ValueError):
    """The address is not one that a client can use."""

    exit_code = 2


class OptionError(ClientError, ValueError):
    """An option of a client is wrong: a certificate, a header, a number."""

    exit_code = 2

    def __init__(self, message: str, code: Code = Code.INVALID_ARGUMENT, server_message: str = "") -> None:
        super().__init__(message, code, server_message)


class Unreachable(ClientError):  # noqa: N818 - named for what happened, as the caller meets it
    """There is no server at the address, it went away, or it says that it is not available now."""

    exit_code = 5


class DeadlineExceeded(ClientError):  # noqa: N818 - the name of the code
    """The answer was not there, whole, within the timeout."""

    exit_code = 5


class Refused(ClientError):  # noqa: N818
    """The server answered that it will not: an unknown model, a wrong tensor, a fault of its own, ..."""


class UnexpectedAnswer(ClientError):  # noqa: N818
    """The answer is not one of TensorFlow Serving's API, or not one of the model that was asked."""


def of_status(error: StatusError, address: str, timeout: float, attempts: int = 1) -> ClientError:
    """Turn a status that is not OK into an error that names the server, its message and what to try."""
    said = one_line(error.message)
    if error.code is Code.UNAVAILABLE:
        tries = f" ({attempts} tries)" if attempts > 1 else ""
        hint = UNTRUSTED if CERTIFICATE.search(said) else "is a server running there?"
        message = f"{address} is not available: {said or 'no reason given'}{tries}; {hint}"
        return Unreachable(message, error.code, error.message)
    if error.code is Code.DEADLINE_EXCEEDED:
        detail = f" ({said})" if said else ""
        message = f"{address} did not answer within {timeout:g} s{detail}; a longer timeout may help"
        return DeadlineExceeded(message, error.code, error.message)
    hint = HINTS.get(error.code, SEE_LOG)
    return Refused(f"{address} refused: {error.code.name}: {said}; {hint}", error.code, error.message)


def of_answer(error: Exception, address: str) -> UnexpectedAnswer:
    """Turn the failure to read an answer into an error that says what to look at."""
    reason = one_line(str(error)) or type(error).__name__
    message = f"{address} gave no answer of TensorFlow Serving's API: {reason}"
    return UnexpectedAnswer(message, Code.UNKNOWN, str(error))


def one_line(message: str) -> str:
    """Put a server's message on one line without control characters, and cut it off where it is long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
