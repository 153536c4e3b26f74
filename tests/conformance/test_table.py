"""The tables themselves: enough rows, one id each, every section and every trap of the contract."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import pytest

from .table import Grpc, Rest
from .tables import ROWS

SECTIONS = (
    *(f"1.{number}" for number in range(1, 10)),
    *(f"2.{number}" for number in range(1, 11)),
    *("3.1", "3.2", "3.3"),
    *(f"4.{number}" for number in range(1, 8)),
    *("5", "6", "7.1", "7.2", "7.3", "7.4", "8"),
)
"""Every section with rules that a client, or whoever starts the server, can see."""


def test_table_has_at_least_250_rows() -> None:
    assert len(ROWS) >= 250


def test_ids_are_unique() -> None:
    assert [row_id for row_id, count in Counter(row.id for row in ROWS).items() if count > 1] == []


@pytest.mark.parametrize("section", SECTIONS)
def test_section_has_rows(section: str) -> None:
    assert [row for row in ROWS if row.rule == section]


def test_no_row_is_of_an_unknown_section() -> None:
    assert {row.rule for row in ROWS} - set(SECTIONS) == set()


@pytest.mark.parametrize("trap", range(1, 26))
def test_trap_has_rows(trap: int) -> None:
    assert [row for row in ROWS if re.match(rf"trap{trap}\b", row.id)]


def test_rows_that_only_hold_for_us_say_why() -> None:
    assert [row.id for row in ROWS if not row.real and not row.note] == []


def test_most_rows_can_be_asked_of_any_server() -> None:
    portable = [row for row in ROWS if row.real and row.confirmed and row.server == "plain"]
    assert len(portable) >= 250


def test_no_call_is_in_two_rows() -> None:
    rows = [row for row in ROWS if isinstance(row, Grpc | Rest)]
    asked = Counter(repr(dataclasses.replace(row, id="", rule="", note="")) for row in rows)
    assert [
        row.id for row in rows if asked[repr(dataclasses.replace(row, id="", rule="", note=""))] > 1
    ] == []
