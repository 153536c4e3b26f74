"""One table from gRPC's codes to HTTP's statuses, and back."""

import grpc
import pytest

from wire.errors import Code, StatusError, code_of_http, http_status

CONTRACT = {
    200: {Code.OK},
    400: {Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION, Code.OUT_OF_RANGE},
    401: {Code.UNAUTHENTICATED},
    403: {Code.PERMISSION_DENIED},
    404: {Code.NOT_FOUND},
    409: {Code.ALREADY_EXISTS, Code.ABORTED},
    429: {Code.RESOURCE_EXHAUSTED},
    499: {Code.CANCELLED},
    500: {Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS},
    501: {Code.UNIMPLEMENTED},
    503: {Code.UNAVAILABLE},
    504: {Code.DEADLINE_EXCEEDED},
}


def test_http_status_is_the_contracts_for_every_code() -> None:
    found: dict[int, set[Code]] = {}
    for code in Code:
        found.setdefault(http_status(code), set()).add(code)
    assert found == CONTRACT


def test_codes_are_grpcs() -> None:
    assert {code.name: code.value for code in Code} == {code.name: code.value[0] for code in grpc.StatusCode}


def test_http_status_of_an_unknown_number_is_internal() -> None:
    assert http_status(99) == 500


@pytest.mark.parametrize("status", CONTRACT)
def test_code_of_http_gives_a_code_of_that_status(status: int) -> None:
    assert http_status(code_of_http(status)) == status


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Code.INVALID_ARGUMENT),
        (500, Code.INTERNAL),
        (204, Code.OK),
        (413, Code.INVALID_ARGUMENT),
        (502, Code.UNAVAILABLE),
        (302, Code.UNKNOWN),
    ],
)
def test_code_of_http_status_shared_or_foreign_is_the_likely_one(status: int, code: Code) -> None:
    assert code_of_http(status) is code


def test_status_error_shows_its_message() -> None:
    error = StatusError(Code.NOT_FOUND, "no such model")
    assert (error.code, error.message, str(error)) == (Code.NOT_FOUND, "no such model", "no such model")
