"""When a request is sent again, and after how long.

Every request of the API asks and changes nothing, so that sending one twice does no harm. It helps only where
the server said, or it is plain, that it did not answer for now: not where it refused.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from clients.deadline import Deadline
from clients.errors import OptionError
from wire.errors import Code, StatusError


class Failure(StatusError):  # noqa: N818 - a status, told by a transport
    """An answer that is not OK, or none, as a transport met it.

    `retry_after` is how many seconds the server asks to wait before the next try (0: it only said that there
    may be one), or None where it said nothing. A negative number asks for no further try.
    """

    def __init__(self, code: Code, message: str, retry_after: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Retry:
    """How often a request is sent, and how long is waited between.

    The wait is exponential backoff with full jitter: evenly distributed between 0 and `first` * 2**failures
    seconds, at most `longest`
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter). Where the server says how long
    to wait it is at least that. `attempts` = 1 sends nothing twice. `random` gives numbers in [0, 1).
    """

    attempts: int = 4
    first: float = 0.1
    longest: float = 5.0
    random: Callable[[], float] = field(default=random.random, repr=False)

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 <= self.first <= self.longest:
            raise OptionError(
                f"{self!r} cannot be followed; expected 1 attempt or more, and seconds 0 <= first <= longest"
            )

    def wait(self, failures: int, error: StatusError, deadline: Deadline) -> float | None:
        """The seconds until the request is sent again after so many failures, or None if it is not."""
        asked = error.retry_after if isinstance(error, Failure) else None
        transient = error.code is Code.UNAVAILABLE if asked is None else asked >= 0
        if not transient or failures >= self.attempts:
            return None
        ceiling = min(self.longest, self.first * 2.0 ** (failures - 1))
        seconds = max(asked or 0.0, self.random() * ceiling)
        return seconds if deadline.allows(seconds) else None
