"""Options that contradict each other, or are out of range: told before anything is started."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.options import ServerOptions


class OptionsError(ValueError):
    """The options cannot be read or contradict each other; the message says which and what to do."""

    exit_code = 2


@dataclass(frozen=True)
class _Contradiction:
    holds: Callable[["ServerOptions"], bool]
    message: str


def _parallelism_set_thrice(options: "ServerOptions") -> bool:
    return (
        min(
            options.tensorflow_session_parallelism,
            options.tensorflow_intra_op_parallelism,
            options.tensorflow_inter_op_parallelism,
        )
        > 0
    )


_CONTRADICTIONS = (
    _Contradiction(
        lambda o: o.log_format not in ("text", "json"),
        "--log_format is neither text nor json; give one of them",
    ),
    _Contradiction(
        lambda o: bool(o.otlp_endpoint) and not o.otlp_endpoint.startswith(("http://", "https://")),
        "--otlp_endpoint is no URL; give http://HOST:PORT, or https:// with TLS",
    ),
    _Contradiction(
        lambda o: not 0 <= o.request_log_sampling_rate <= 1,
        "--request_log_sampling_rate is a share of the requests; give 0 to 1",
    ),
    _Contradiction(
        lambda o: min(o.request_log_max_file_bytes, o.request_log_max_files) < 1,
        "--request_log_max_file_bytes and --request_log_max_files must be 1 or more",
    ),
    _Contradiction(
        lambda o: o.port == o.rest_api_port > 0,
        "--port and --rest_api_port are the same; give one of them another",
    ),
    _Contradiction(
        lambda o: o.port == 0 and not o.grpc_socket_path,
        "--port=0 turns gRPC's port off; give --grpc_socket_path, or another --port",
    ),
    _Contradiction(
        lambda o: not (o.model_config_file or o.model_base_path or o.model_store_root),
        "there is nothing to serve; give --model_base_path, --model_config_file or --model_store_root",
    ),
    _Contradiction(
        lambda o: bool(o.batching_parameters_file) and not o.enable_batching,
        "--batching_parameters_file is given without --enable_batching; add it, or leave the file out",
    ),
    _Contradiction(
        lambda o: bool(o.ssl_config_file) and o.use_alts_credentials,
        "--ssl_config_file and --use_alts_credentials exclude each other; leave one out",
    ),
    _Contradiction(
        lambda o: o.use_alts_credentials,
        "--use_alts_credentials: Python's gRPC server has no ALTS, and the port would be open without it; "
        "use --ssl_config_file",
    ),
    _Contradiction(
        lambda o: o.rest_api_ssl and not o.ssl_config_file,
        "--rest_api_ssl is given without --ssl_config_file; add the file with certificate and key",
    ),
    _Contradiction(
        lambda o: min(o.rest_api_idle_timeout_seconds, o.grpc_read_timeout_seconds) <= 0,
        "--rest_api_idle_timeout_seconds and --grpc_read_timeout_seconds must be more than 0",
    ),
    _Contradiction(
        lambda o: (
            min(
                o.rest_api_max_body_bytes,
                o.rest_api_max_inflated_bytes,
                o.grpc_max_message_bytes,
                o.grpc_max_concurrent_streams,
            )
            <= 0
        ),
        "a limit is 0 or less; give --rest_api_max_body_bytes, --rest_api_max_inflated_bytes, "
        "--grpc_max_message_bytes and --grpc_max_concurrent_streams a positive number",
    ),
    _Contradiction(
        lambda o: (
            min(
                o.rest_api_max_connections,
                o.max_requests_in_flight,
                o.max_request_bytes_in_flight,
                o.num_load_threads,
            )
            < 0
        ),
        "a limit is less than 0; give --rest_api_max_connections, --max_requests_in_flight, "
        "--max_request_bytes_in_flight and --num_load_threads 0 or more",
    ),
    _Contradiction(
        lambda o: o.workers < 1,
        "--workers is less than 1; give the number of processes that serve",
    ),
    _Contradiction(
        lambda o: o.workers > 1 and bool(o.grpc_socket_path),
        "--grpc_socket_path is one process's, and --workers are several; leave one of them out",
    ),
    _Contradiction(
        lambda o: o.workers > o.request_log_max_files,
        "--request_log_max_files is less than --workers, each of which writes a file of its own; give more",
    ),
    _Contradiction(
        _parallelism_set_thrice,
        "--tensorflow_session_parallelism, --tensorflow_intra_op_parallelism and "
        "--tensorflow_inter_op_parallelism are all set; leave the first out, or the other two",
    ),
)


def check(options: "ServerOptions") -> None:
    """Raise OptionsError when options contradict each other, before anything is started."""
    for each in _CONTRADICTIONS:
        if each.holds(options):
            raise OptionsError(each.message)
    if not _is_port(options.port) or not _is_port(options.rest_api_port):
        raise OptionsError(
            f"--port={options.port} --rest_api_port={options.rest_api_port}: a port is 1 to 65535, "
            "0 for off or -1 for a free one"
        )


def _is_port(number: int) -> bool:
    return -1 <= number <= 65535  # noqa: PLR2004
