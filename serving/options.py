"""The server's options: TensorFlow Serving's flags by their own names, types and defaults, and ours.

`ServerOptions` is the one table: a field is a flag. Where ours differs, the help says so.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TextIO

from serving.option_checks import OptionsError, check

__all__ = [
    "FLAGS",
    "Flag",
    "OptionsError",
    "ServerOptions",
    "check",
    "from_values",
    "parse",
    "value_of",
    "without_effect",
]


def _flag(default: Any, help_text: str, *, kind: type | None = None, acts: bool = True) -> Any:
    """A field that is a flag; `kind` is the type of its value, that of the default unless given."""
    return field(default=default, metadata={"help": help_text, "kind": kind or type(default), "acts": acts})


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """All that can be set on the server. Empty strings mean "not given", as in TensorFlow Serving."""

    port: int = _flag(
        8500,
        "Port of the gRPC API; 0 turns it off (then --grpc_socket_path is needed), "
        "-1 takes a free one (own addition).",
    )
    grpc_socket_path: str = _flag("", "UNIX socket on which to serve gRPC as well, or alone with --port=0.")
    rest_api_port: int = _flag(
        8501,
        "Port of the REST API and the metrics; 0 turns them off, -1 takes a free one "
        "(own addition). TensorFlow Serving's image has 8501 too, its bare binary 0.",
    )
    rest_api_num_threads: int = _flag(0, "Threads of the REST API: it needs none here.", acts=False)
    rest_api_timeout_in_ms: int = _flag(
        30000, "Longest run of the model for a REST request, in ms; 0 or less: no limit."
    )
    rest_api_enable_cors_support: bool = _flag(False, "Send CORS headers in REST answers.")
    model_name: str = _flag("default", "Name of the model in --model_base_path.")
    model_base_path: str = _flag("", "Directory of one model: the one above its version directories.")
    model_config_file: str = _flag(
        "",
        "Text-format ModelServerConfig: the models to serve. It wins over --model_name, --model_base_path.",
    )
    model_config_file_poll_wait_seconds: int = _flag(
        0, "Seconds between two looks at --model_config_file; 0: read it once."
    )
    file_system_poll_wait_seconds: int = _flag(
        1,
        "Seconds between two looks for versions; 0: look at the start and on a reload only; negative: never.",
    )
    allow_version_labels_for_unavailable_models: bool = _flag(
        False,
        "Labels may name versions that are not there yet: always so here, they apply when it is.",
        acts=False,
    )
    max_num_load_retries: int = _flag(5, "How often a failed load is tried again before it is given up.")
    load_retry_interval_micros: int | None = _flag(
        None,
        "Microseconds between two attempts to load; negative: none. Not given: 1 s, doubled each time up to "
        "1 min (in TensorFlow Serving 1 min).",
        kind=int,
    )
    num_load_threads: int = _flag(
        0, "Versions that load at once; 0: 4 x CPUs. A slow one never holds up the others."
    )
    num_unload_threads: int = _flag(
        0, "Threads that unload: versions unload beside each other here.", acts=False
    )
    flush_filesystem_caches: bool = _flag(
        True, "Drop file caches after a load: left to the system here.", acts=False
    )
    enable_batching: bool = _flag(
        False,
        "Batch requests by TensorFlow Serving's rules and parameters. Without it they are "
        "batched adaptively: a lone request never waits.",
    )
    batching_parameters_file: str = _flag("", "Text-format BatchingParameters; needs --enable_batching.")
    enable_per_model_batching_parameters: bool = _flag(
        False, "Read batching_params.pbtxt in each version's directory; a version without it is not batched."
    )
    enable_model_warmup: bool = _flag(
        True, "Replay assets.extra/tf_serving_warmup_requests before a version is available."
    )
    num_request_iterations_for_warmup: int = _flag(
        0, "Times that each warm-up request is run; 0 or less: once."
    )
    monitoring_config_file: str = _flag("", "Text-format MonitoringConfig: where the Prometheus metrics are.")
    ssl_config_file: str = _flag("", "Text-format SSLConfig with the PEM texts inline: TLS on the gRPC port.")
    rest_api_ssl: bool = _flag(
        False,
        "Use --ssl_config_file on the REST port, too (own addition; TensorFlow Serving's is always plain).",
    )
    auth_tokens_file: str = _flag(
        "",
        "File of bearer tokens, one a line: only who sends one is answered, but for health. It is read again "
        "when it changes (own addition).",
    )
    auth_open_metrics: bool = _flag(
        False, "Show the metrics without a token despite --auth_tokens_file (own addition)."
    )
    use_alts_credentials: bool = _flag(
        False, "Google ALTS on the gRPC port: refused here, Python's gRPC has none."
    )
    platform_config_file: str = _flag("", "Text-format PlatformConfigMap.", acts=False)
    tensorflow_session_config_file: str = _flag(
        "", "Text-format tensorflow.ConfigProto of every model's session."
    )
    tensorflow_session_parallelism: int = _flag(
        0, "Threads of TensorFlow, within and across operations; 0: by CPUs."
    )
    tensorflow_intra_op_parallelism: int = _flag(0, "Threads within one operation; 0: by CPUs.")
    tensorflow_inter_op_parallelism: int = _flag(0, "Operations that run at once; 0: by CPUs.")
    per_process_gpu_memory_fraction: float = _flag(0.0, "Share of the GPU memory.", acts=False)
    saved_model_tags: str = _flag("serve", "Comma-separated tags of the meta graph to load.")
    grpc_channel_arguments: str = _flag(
        "",
        "Comma-separated key=value arguments of gRPC: those of connections, calls, messages, metadata, pings "
        "and age act.",
    )
    grpc_max_threads: int = _flag(
        0, "Threads of the gRPC server: it runs on one event loop here.", acts=False
    )
    enable_grpc_healthcheck_service: bool = _flag(False, "Serve grpc.health.v1.Health.")
    enable_signature_method_name_check: bool = _flag(
        False, "Refuse signatures whose method name is another method's."
    )
    enable_serialization_as_tensor_content: bool = _flag(
        False, "Send Predict's outputs as tensor_content over gRPC."
    )
    enable_profiler: bool = _flag(True, "Serve the profiler's RPCs.", acts=False)
    remove_unused_fields_from_bundle_metagraph: bool = _flag(
        True, "Keep only signatures of the meta graph.", acts=False
    )
    thread_pool_factory_config_file: str = _flag("", "Text-format ThreadPoolFactoryConfig.", acts=False)
    mixed_precision: str = _flag("", "Mixed precision of the models.", acts=False)
    prefer_tflite_model: bool = _flag(False, "Serve model.tflite where there is one.", acts=False)
    num_tflite_pools: int = _flag(0, "Pools of TFLite interpreters.", acts=False)
    num_tflite_interpreters_per_pool: int = _flag(1, "Interpreters in a pool.", acts=False)
    xla_cpu_compilation_enabled: bool = _flag(False, "Compile with XLA on CPU.", acts=False)
    xla_gpu_compilation_enabled: bool = _flag(False, "Compile with XLA on GPU.", acts=False)
    skip_initialize_tpu: bool = _flag(False, "Leave a TPU as it is.", acts=False)
    version: bool = _flag(False, "Print the versions and stop.")
    bind_address: str = _flag(
        "127.0.0.1",
        "Address of both ports; 0.0.0.0 for all IPv4, [::] for all (own addition; TensorFlow "
        "Serving always takes all).",
    )
    model_store_root: str = _flag(
        "",
        "Directory of models, NAME/VERSION: all of them are served, and new ones as they "
        "come (own addition).",
    )
    shutdown_grace_seconds: float = _flag(
        30.0, "Longest wait for requests under way when told to stop (own addition)."
    )
    rest_api_max_inflated_bytes: int = _flag(
        100 * 2**20, "Most bytes that the gzip body of a REST request may inflate to (own addition)."
    )
    rest_api_max_body_bytes: int = _flag(
        2**31 - 1, "Most bytes of a REST request's body; 413 above (own addition)."
    )
    rest_api_max_connections: int = _flag(
        4096, "Most open connections of the REST port; others get 503. 0: any number (own addition)."
    )
    rest_api_idle_timeout_seconds: float = _flag(
        75.0,
        "Longest wait for the header of a REST request, from the connection or the last answer on; so long a "
        "body or the reading of an answer may also stall (own addition).",
    )
    grpc_max_message_bytes: int = _flag(
        2**31 - 1,
        "Most bytes of a gRPC request's message; RESOURCE_EXHAUSTED above (own addition, with TensorFlow "
        "Serving's fixed number).",
    )
    grpc_max_concurrent_streams: int = _flag(
        1024, "Most requests under way on one gRPC connection; others wait in the client (own addition)."
    )
    grpc_max_connections: int = _flag(
        4096, "Most open connections of the gRPC port; 0: any number (own addition)."
    )
    grpc_read_timeout_seconds: float = _flag(
        300.0, "Longest wait for the message of a gRPC request once it has begun (own addition)."
    )
    max_requests_in_flight: int = _flag(
        8192,
        "Most requests under way on both ports; others get UNAVAILABLE or 503. 0: any number (own addition).",
    )
    max_request_bytes_in_flight: int = _flag(
        0,
        "Most bytes that the bodies of requests under way have together; 0: a sixteenth of the memory that "
        "the process may use, shared among --workers, at least 64 MiB. A request that is alone is always "
        "taken (own addition).",
    )
    workers: int = _flag(
        1,
        "Processes that serve, on the same ports and with the same versions; one that ends is replaced. Each "
        "loads all models, and each has the limits (connections, requests and bytes under way, batching, "
        "threads) for itself (own addition).",
    )
    log_format: str = _flag("text", "How log lines are written: text or json (own addition).")
    access_log: bool = _flag(False, "Write a line to the log for each request (own addition).")
    otlp_endpoint: str = _flag(
        "",
        "URL, as http://HOST:4317, to which OpenTelemetry traces are sent by OTLP over gRPC. Also set by "
        "OTEL_EXPORTER_OTLP_ENDPOINT; the other OTEL_* variables hold, too. Needs kedge[tracing] (own "
        "addition).",
    )
    request_log_prefix: str = _flag(
        "",
        "Beginning of the paths of TFRecord files to which requests are logged with their answers as "
        "PredictionLog, PREFIX-MODEL-TIME-PROCESS.tfrecord, of every model without a logging_config of its "
        "own (own addition).",
    )
    request_log_sampling_rate: float = _flag(
        0.01, "Share of the requests that --request_log_prefix logs, 0 to 1 (own addition)."
    )
    request_log_max_file_bytes: int = _flag(
        64 * 2**20,
        "Most bytes of a file of a request log; it has 1000 records at most, so that it can be replayed as "
        "warm-up (own addition).",
    )
    request_log_max_files: int = _flag(
        10, "Files that a model's request log may have; the oldest are removed (own addition)."
    )
    report_ports_fd: int = _flag(
        -1,
        "File descriptor that gets a JSON line with grpc_port and rest_port once both are open, for who "
        "starts the server with free ports; negative: none (own addition).",
    )


@dataclass(frozen=True)
class Flag:
    """One row of the table: a flag's name, the type of its value, its default and help.

    `acts` is False for flags of TensorFlow Serving that are taken and have no effect on this server.
    """

    name: str
    kind: type
    default: Any
    help: str
    acts: bool


FLAGS: tuple[Flag, ...] = tuple(
    Flag(each.name, each.metadata["kind"], each.default, each.metadata["help"], each.metadata["acts"])
    for each in fields(ServerOptions)
)
_BY_NAME = {flag.name: flag for flag in FLAGS}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def parse(arguments: Sequence[str], unknown: TextIO | None = None) -> ServerOptions:
    """Read `--name=value` arguments (`--name value` too; a bare `--name` sets a boolean) and check them.

    An unknown argument is told on `unknown` (standard error unless given) and left out, as TensorFlow Serving
    does. OptionsError: a value is not of its flag's type, or options contradict each other.
    """
    values: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, text = argument.removeprefix("--").partition("=")
        flag = _BY_NAME.get(name) if argument.startswith("--") else None
        if flag is None:
            print(f"unknown argument: {argument}", file=unknown or sys.stderr)
            continue
        if not equals:
            text = _detached_value(flag, rest)
        values[name] = value_of(flag, text)
    options = ServerOptions(**values)
    if not options.version:
        check(options)
    return options


def from_values(values: Mapping[str, Any]) -> ServerOptions:
    """Make and check options from values by flag name, None where one is not given; OptionsError."""
    options = ServerOptions(**{name: value for name, value in values.items() if value is not None})
    if not options.version:
        check(options)
    return options


def _detached_value(flag: Flag, rest: list[str]) -> str:
    if flag.kind is bool:
        return "true"
    if not rest or rest[0].startswith("--"):
        raise OptionsError(f"--{flag.name} has no value; give --{flag.name}={flag.kind.__name__.upper()}")
    return rest.pop(0)


def value_of(flag: Flag, text: str) -> Any:
    """A flag's value from its text; OptionsError when it is not of the flag's type."""
    try:
        return _BOOLEANS[text.lower()] if flag.kind is bool else flag.kind(text)
    except (KeyError, ValueError):
        expected = "true or false" if flag.kind is bool else f"a value of type {flag.kind.__name__}"
        raise OptionsError(f"--{flag.name}={text}: expected {expected}") from None


def without_effect(options: ServerOptions) -> tuple[str, ...]:
    """The flags that were given a value but have no effect here, for one line of the log each."""
    return tuple(flag.name for flag in FLAGS if not flag.acts and getattr(options, flag.name) != flag.default)
