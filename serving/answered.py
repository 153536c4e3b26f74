"""What the fronts tell of each request once it has been answered, to whoever is asked to watch."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from serving.inference import Call
from wire.errors import Code, StatusError


class Answered(NamedTuple):
    """A request with its answer: by "grpc" or "rest", for which API and call, when, and with which code.

    `started` and `ended` are times of `time.monotonic`. `error` is None where the code is OK or the client
    has gone.
    """

    transport: str
    api: str
    call: Call
    started: float
    ended: float
    code: Code
    error: StatusError | None = None


class Caller(NamedTuple):
    """Where a request came from: read only by who needs it, as neither comes for nothing.

    `headers` gives the HTTP headers or gRPC metadata, their names in lower case; `address` the client's.
    """

    headers: Callable[[], Mapping[str, str]]
    address: Callable[[], str]


# Called on the event loop for each answered request.
Watcher = Callable[[Answered, Caller], None]
