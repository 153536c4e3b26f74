"""What --grpc_channel_arguments and the flags beside it allow a connection."""

import logging

import pytest

from serving import grpc_limits, options
from serving.grpc_limits import GrpcLimits

STORE = "--model_store_root=models"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], GrpcLimits()),
        (
            [
                "--grpc_max_connections=1",
                "--grpc_max_concurrent_streams=2",
                "--grpc_max_message_bytes=3",
            ],
            GrpcLimits(connections=1, streams=2, message=3),
        ),
        (
            ["--grpc_channel_arguments=grpc.max_connection_age_ms=1500, grpc.keepalive_time_ms=20000"],
            GrpcLimits(age=1.5, ping=20.0),
        ),
        (
            ["--grpc_max_message_bytes=3", "--grpc_channel_arguments=grpc.max_receive_message_length=-1"],
            GrpcLimits(message=2**31 - 1),
        ),
        (
            ["--grpc_max_concurrent_streams=2", "--grpc_channel_arguments=grpc.max_concurrent_streams=9,"],
            GrpcLimits(streams=9),
        ),
    ],
)
def test_limits_are_those_of_the_flags_and_arguments(flags: list[str], expected: GrpcLimits) -> None:
    assert grpc_limits.of(options.parse([STORE, *flags])) == expected


@pytest.mark.parametrize(
    "flag",
    [
        "--grpc_max_concurrent_streams=5000000000",
        "--grpc_channel_arguments=grpc.max_metadata_size=5000000000",
    ],
)
def test_number_that_http2_has_not_is_refused(flag: str) -> None:
    with pytest.raises(options.OptionsError, match="2147483647"):
        grpc_limits.of(options.parse([STORE, flag]))


@pytest.mark.parametrize(
    "argument",
    ["grpc.http2.bdp_probe=0", "grpc.keepalive_time_ms=soon", "grpc.keepalive_time_ms=-1", "nonsense"],
)
def test_argument_without_effect_is_a_warning(argument: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert grpc_limits.of(options.parse([STORE, f"--grpc_channel_arguments={argument}"])) == GrpcLimits()
    name = argument.partition("=")[0]
    assert f"--grpc_channel_arguments: {name} has no effect" in caplog.text
