"""A request and how its answer is read, without a connection: what both protocols, and both a blocking and an
asynchronous client, share.

A *flow* is a generator that yields exchanges, one or several that may be under way at a time, and is sent
the list of what they decode to: a conversation with a server that knows neither sockets nor threads. The
blocking and the asynchronous clients drive the same flows.
"""

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from clients.errors import ClientError
from clients.results import Metadata, Outputs, SignatureInfo, VersionStatus
from models.model import Arrays, InputError

T = TypeVar("T")

SERVING_DEFAULT = "serving_default"


@dataclass(frozen=True)
class ModelSpec:
    """Which model is asked: by default its latest version, and the signature `serving_default`."""

    name: str
    version: int | None = None
    label: str | None = None
    signature: str | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise InputError("the name of the model is empty; expected one such as 'mnist'")
        for what, name in (("model", self.name), ("label", self.label), ("signature", self.signature)):
            try:
                (name or "").encode()
            except UnicodeEncodeError as error:
                raise InputError(
                    f"the {what} {name!r} is no valid Unicode text: {error.reason}; expected a name in UTF-8"
                ) from None
        if self.version is not None and self.label is not None:
            raise InputError(
                f"version {self.version} and label {self.label!r} were both given; expected one at most"
            )

    def __str__(self) -> str:
        if self.label is not None:
            return f"{self.name} (label {self.label})"
        return self.name if self.version is None else f"{self.name} (version {self.version})"


@dataclass(frozen=True)
class Answer:
    """An answer that is OK: its body, and its headers by name in small letters where there are any."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Exchange(Generic[T]):
    """One request and the reading of its answer.

    `name` says what is asked: predict, status, metadata or models.
    `path` is an URL's or the full name of a gRPC method. `decode` gets an answer that is OK; the errors that
    it raises (ValueError, KeyError, TypeError, StatusError, ...) mean that the answer is no good.
    """

    name: str
    method: str
    path: str
    body: bytes = field(repr=False)
    decode: Callable[[Answer], T]


Exchanges = Iterable[Exchange[Any]]
Flow = Generator[Exchanges, list[Any], T]


def ask(exchange: Exchange[T]) -> Flow[T]:
    """Carry out one exchange and return its answer."""
    (answer,) = yield (exchange,)
    decoded: T = answer
    return decoded


class Encoding(Protocol):
    """A protocol's side of the exchanges; `clients.grpc_encoding` and `clients.rest_encoding` are such."""

    NAMES_OUTPUTS: bool
    """Whether an answer tells its tensors' names and dtypes; where it does not, the signature must."""

    GROWTH: float
    """By how much a request may be longer than its tensors' memory."""

    def predict(self, spec: ModelSpec, inputs: Arrays, signature: SignatureInfo | None) -> Exchange[Outputs]:
        """Ask for a signature's outputs."""

    def status(self, spec: ModelSpec) -> Exchange[list[VersionStatus]]:
        """Ask for the states of a model's versions, of one where the spec has a version."""

    def metadata(self, spec: ModelSpec) -> Exchange[Metadata]:
        """Ask for a version's signatures."""

    def models(self) -> Exchange[list[str]] | None:
        """Ask for the names of all models, where the protocol has such a question."""


def run(flow: Flow[T], perform: Callable[[Exchanges], list[Any]]) -> T:
    """Drive a flow to its end with a function that carries out exchanges, and answers in their order."""
    try:
        exchanges = next(flow)
        while True:
            try:
                answers = perform(exchanges)
            except ClientError as error:
                exchanges = flow.throw(error)
            else:
                exchanges = flow.send(answers)
    except StopIteration as end:
        result: T = end.value
        return result


async def run_async(flow: Flow[T], perform: Callable[[Exchanges], Awaitable[list[Any]]]) -> T:
    """Do what `run` does with a function that waits without blocking."""
    try:
        exchanges = next(flow)
        while True:
            try:
                answers = await perform(exchanges)
            except ClientError as error:
                exchanges = flow.throw(error)
            else:
                exchanges = flow.send(answers)
    except StopIteration as end:
        result: T = end.value
        return result
