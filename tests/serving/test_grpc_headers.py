"""The headers and trailers of gRPC calls."""

import pytest

from serving import grpc_headers
from serving.grpc_headers import truncated
from wire.errors import Code, StatusError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"1H", 3600),
        (b"2M", 120),
        (b"3S", 3),
        (b"4m", 0.004),
        (b"5u", 5e-6),
        (b"6n", 6e-9),
        (b"99999999S", 99_999_999),
        (b"123456789S", None),
        (b"S", None),
        (b"1", None),
        (b"-1S", None),
        (b"1.5S", None),
        (b"", None),
    ],
)
def test_timeout_is_read_as_seconds(text: bytes, seconds: float | None) -> None:
    assert grpc_headers.timeout_seconds({b"grpc-timeout": text}) == (
        None if seconds is None else pytest.approx(seconds)
    )


def test_call_without_a_timeout_has_none() -> None:
    assert grpc_headers.timeout_seconds({}) is None


def test_metadata_is_without_http2s_own_headers() -> None:
    fields = {b":path": b"/s/m", b"traceparent": b"00-1", b"some-bin": b"AAE="}
    assert grpc_headers.metadata(fields) == {"traceparent": "00-1", "some-bin": "AAE="}


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ("plain, with ~ and \"quotes\" & 'more'", b"plain, with ~ and \"quotes\" & 'more'"),
        ("100%\r\n\u00fc", b"100%25%0D%0A%C3%BC"),
        ("x" * 1025, b"x" * 1024 + b"...TRUNCATED"),
    ],
)
def test_status_has_its_text_percent_encoded(message: str, sent: bytes) -> None:
    trailers = dict(grpc_headers.status(StatusError(Code.NOT_FOUND, message), (("retry-after", "1"),)))
    assert trailers == {b"grpc-status": b"5", b"grpc-message": sent, b"retry-after": b"1"}


@pytest.mark.parametrize(("length", "expected"), [(1024, "x" * 1024), (1025, "x" * 1024 + "...TRUNCATED")])
def test_truncated_error_has_1024_bytes_at_most(length: int, expected: str) -> None:
    assert truncated("x" * length) == expected


def test_truncated_error_does_not_split_a_character() -> None:
    assert truncated("x" * 1023 + "\u00e4\u00e4") == "x" * 1023 + "...TRUNCATED"
