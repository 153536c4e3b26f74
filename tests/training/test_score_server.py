"""Asking through a server: what is tried again, what is a bad row, and what ends the job."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import clients
from clients.errors import ClientError, DeadlineExceeded, Refused, Unreachable
from models import catalogue
from models.model import InputError
from training.scoring.server import Server
from wire.errors import Code

ANSWER = SimpleNamespace(label="3", probability=0.9, probabilities={"3": 0.9})


class Client:
    """Raises its errors one after the other, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked: list[Any] = []
        self.closed = False

    def metadata(self, model: str, *, version: int | None, label: str | None) -> Any:
        self.asked.append((model, version, label))
        return SimpleNamespace(version=4)

    def predict_many(self, model: str, rows: Any, *, version: int) -> list[Any]:
        self.asked.append((model, len(rows), version))
        if self.errors:
            raise self.errors.pop(0)
        return [ANSWER] * len(rows)

    def close(self) -> None:
        self.closed = True


def connected(monkeypatch: pytest.MonkeyPatch, client: Client, **options: Any) -> Server:
    monkeypatch.setattr(clients, "connect", lambda url, *, timeout: client)
    given = {"version": None, "label": "stable", "timeout": 1.0, "pauses": (0.0, 0.0), **options}
    return Server(catalogue.find("mnist"), "grpc://there", **given)


IMAGES = np.zeros((2, 28, 28), np.uint8)


def test_version_of_the_label_is_asked_once_and_gives_all_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    server = connected(monkeypatch, client)
    assert [reading.label for reading in server.predict(IMAGES)] == ["3", "3"]
    assert server.version == 4
    assert client.asked == [("mnist", None, "stable"), ("mnist", 2, 4)]


@pytest.mark.parametrize(
    "error",
    [Unreachable("down", Code.UNAVAILABLE), DeadlineExceeded("late", Code.DEADLINE_EXCEEDED),
     Refused("too much", Code.RESOURCE_EXHAUSTED)],
)  # fmt: skip
def test_what_may_pass_is_tried_again_and_given_up_in_the_end(
    monkeypatch: pytest.MonkeyPatch, error: ClientError
) -> None:
    assert len(connected(monkeypatch, Client(error, error)).predict(IMAGES)) == 2
    with pytest.raises(type(error)):
        connected(monkeypatch, Client(error, error, error)).predict(IMAGES)


def test_refused_input_is_a_bad_row_and_a_lost_version_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="wrong"):
        connected(monkeypatch, Client(Refused("wrong", Code.INVALID_ARGUMENT))).predict(IMAGES)
    gone = Client(Refused("gone", Code.NOT_FOUND))
    with pytest.raises(Refused, match="gone"):
        connected(monkeypatch, gone).predict(IMAGES)
    assert len(gone.asked) == 2


def test_closed_one_does_not_wait_for_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(Unreachable("down", Code.UNAVAILABLE))
    server = connected(monkeypatch, client, pauses=(3600.0,))
    server.close()
    with pytest.raises(Unreachable):
        server.predict(IMAGES)
    assert client.closed
