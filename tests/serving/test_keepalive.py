"""Which clients are taken for gone."""

from dataclasses import dataclass

import pytest

from serving.grpc_limits import GrpcLimits
from serving.keepalive import Keepalive


@dataclass
class Connection:
    unsent: int = 0
    pings: int = 0
    ended: bool = False

    def ping(self) -> None:
        self.pings += 1

    def end(self) -> None:
        self.ended = True


def _looked_after(connection: Connection, *, greeted: bool = True) -> Keepalive:
    made = Keepalive(GrpcLimits(), lambda: connection.unsent, connection.ping, connection.end)
    made.greeted = greeted
    return made


async def test_client_that_never_greeted_is_given_up_whatever_it_sent() -> None:
    connection = Connection()
    keepalive = _looked_after(connection, greeted=False)
    keepalive.heard()
    keepalive.look()
    assert (connection.ended, connection.pings) == (True, 0)


async def test_silent_client_is_asked_once_and_then_given_up() -> None:
    connection = Connection()
    keepalive = _looked_after(connection)
    keepalive.look()
    assert (connection.ended, connection.pings) == (False, 1)
    keepalive.look()
    assert connection.ended
    keepalive.stop()


async def test_client_that_answers_is_asked_again_later() -> None:
    connection = Connection()
    keepalive = _looked_after(connection)
    for _ in range(3):
        keepalive.look()
        keepalive.heard()
        keepalive.look()
    assert (connection.ended, connection.pings) == (False, 3)
    keepalive.stop()


@pytest.mark.parametrize(("unsent", "ended"), [((9, 9, 9), True), ((9, 8, 7), False), ((0, 0, 0), True)])
async def test_client_that_only_receives_is_there_as_long_as_it_does(
    unsent: tuple[int, ...], ended: bool
) -> None:
    connection = Connection()
    keepalive = _looked_after(connection)
    for connection.unsent in unsent:
        keepalive.look()
    assert connection.ended == ended
    keepalive.stop()
