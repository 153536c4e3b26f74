"""Every row of the tables that one call or a few decide, on a server that stays as it is."""

from __future__ import annotations

import pytest

from . import tables, talk
from .table import Counted, Grpc, Raw, Rest, Together


@tables.each(Grpc)
def test_grpc(row: Grpc, server: talk.Server) -> None:
    talk.check(server, row)


@tables.each(Rest)
def test_rest(row: Rest, server: talk.Server) -> None:
    talk.check(server, row)


@tables.each(Raw)
def test_raw(row: Raw, server: talk.Server) -> None:
    talk.check_raw(server, row)


@tables.each(Counted)
def test_counted(row: Counted, server: talk.Server) -> None:
    talk.check_counted(server, row)


@tables.each(Together)
def test_together(row: Together, server: talk.Server) -> None:
    talk.check_together(server, row)


@pytest.fixture
def server(row: Grpc | Rest, request: pytest.FixtureRequest) -> talk.Server:
    """The server with the row's flags."""
    return request.getfixturevalue(row.server)
