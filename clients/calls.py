"""One call of a client: what all its requests share, and what is decided between one try and the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import DecodeError

from clients import errors, tracing
from clients.address import Address
from clients.deadline import Clock, Deadline, checked_timeout
from clients.exchange import Answer, Exchange
from clients.options import Settings
from wire.errors import Code, StatusError

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """The deadline and the headers of a call, and how its requests are tried, counted and read."""

    address: Address
    settings: Settings
    deadline: Deadline
    headers: Mapping[str, str]
    clock: Clock

    def wait(self, exchange: Exchange[Any], failures: int, error: StatusError) -> float:
        """The seconds until the request is sent again; ClientError if it is not."""
        seconds = self.settings.retry.wait(failures, error, self.deadline)
        if seconds is None:
            raise errors.of_status(error, str(self.address), self.deadline.seconds, failures) from error
        if self.settings.metrics is not None:
            self.settings.metrics.retry(self.address.protocol, exchange.name)
        return seconds

    def observe(self, exchange: Exchange[Any], code: Code, started: float) -> None:
        """Count a try that ended, where somebody wants to know."""
        if self.settings.metrics is not None:
            self.settings.metrics.observe(
                self.address.protocol,
                exchange.name,
                code=code,
                seconds=self.clock() - started,
                size=len(exchange.body),
            )

    def read(self, exchange: Exchange[T], answer: Answer) -> T:
        """Decode an answer; UnexpectedAnswer if it is none of this API's."""
        try:
            return exchange.decode(answer)
        except (StatusError, DecodeError, ValueError, LookupError, TypeError) as error:
            raise errors.of_answer(error, str(self.address)) from error


def begin(
    address: Address, settings: Settings, clock: Clock, timeout: float | None, traceparent: str | None
) -> Call:
    """Start a call now."""
    seconds = settings.timeout if timeout is None else checked_timeout(timeout)
    headers = {**settings.headers(), **tracing.headers(traceparent)}
    return Call(address, settings, Deadline(seconds, clock), headers, clock)
