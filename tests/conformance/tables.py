"""All rows of all tables, and the decorator that makes a test of each."""

from __future__ import annotations

from typing import Any

import pytest

from . import (
    rows_batching,
    rows_classify_regress,
    rows_headers,
    rows_lifecycle,
    rows_metadata_status,
    rows_metrics,
    rows_predict_grpc,
    rows_rest_json,
    rows_rest_urls,
    rows_services,
    rows_startup,
    rows_values,
)
from .table import Row

TABLES = (
    *(rows_services, rows_predict_grpc, rows_classify_regress, rows_metadata_status),
    *(rows_rest_urls, rows_headers, rows_rest_json, rows_values),
    *(rows_metrics, rows_batching, rows_lifecycle, rows_startup),
)
ROWS: tuple[Row, ...] = tuple(row for table in TABLES for row in table.ROWS)


def each(kind: type[Row]) -> Any:
    """Run a test once for every row of a kind, under the row's id."""
    rows = [row for row in ROWS if type(row) is kind]
    return pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.rule}-{row.id}") for row in rows])
