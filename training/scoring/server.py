"""Answers from a server, over gRPC or REST: the one module of this package that imports `clients`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import clients
from clients.errors import ClientError
from models.model import InputError, Inputs, Model, Reading
from wire.errors import Code

T = TypeVar("T")

PASSING = {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED, Code.ABORTED}
"""What may be over soon: a server that restarts, or has too much to do."""
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try."""


class Server:
    """One version of a model on a server. The version is asked for once, so that one gives all answers."""

    def __init__(
        self,
        model: Model,
        url: str,
        *,
        version: int | None,
        label: str | None,
        timeout: float,
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        self._model, self._pauses = model, pauses
        self._closed = threading.Event()
        self._client = clients.connect(url, timeout=timeout)
        try:
            self._version = self._client.metadata(model.name, version=version, label=label).version
        except BaseException:
            self._client.close()
            raise

    @property
    def version(self) -> int:
        """The version that answers."""
        return self._version

    def predict(self, inputs: Inputs) -> list[Reading]:
        """Answer raw inputs; what fails for a reason that may pass is asked again."""

        def ask() -> list[Reading]:
            answers = self._client.predict_many(self._model.name, inputs, version=self._version)
            return [Reading(one.label, one.probability, one.probabilities) for one in answers]

        try:
            return self._patiently(ask)
        except ClientError as error:
            if error.code is Code.INVALID_ARGUMENT:
                raise InputError(str(error)) from error
            raise

    def close(self) -> None:
        """End the connections, and with them the requests that are under way."""
        self._closed.set()
        self._client.close()

    def _patiently(self, ask: Callable[[], T]) -> T:
        for pause in self._pauses:
            try:
                return ask()
            except ClientError as error:
                if error.code not in PASSING or self._closed.wait(pause):
                    raise
        return ask()
