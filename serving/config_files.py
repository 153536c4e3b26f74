"""The text-format files: which models to serve, batching, monitoring and TLS.

A file that does not parse, or says what is not possible, is refused as a whole with a StatusError whose text
is the contract's; nothing of it is applied.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from google.protobuf import text_format
from google.protobuf.message import Message

from serving import errors
from serving.batching import BatchingParameters
from serving.options import ServerOptions
from serving.policy import All, Latest, Specific, VersionPolicy
from wire import messages

M = TypeVar("M", bound=Message)

METRICS_PATH = "/monitoring/prometheus/metrics"
PLATFORM = "tensorflow"
# Types of a log_collector_config, and the field that is another way of logging.
COLLECTORS = ("", "file")
CUSTOM_LOGGING = "custom_logging_config"


@dataclass(frozen=True)
class RequestLogging:
    """The share of a model's requests that is logged, 0 to 1, and the beginning of the files' paths."""

    prefix: str
    rate: float


@dataclass(frozen=True)
class ModelConfig:
    """One model to serve: its name, the directory above its versions, which of them, and their labels.

    `logging` is None where the configuration says nothing of it.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = field(default_factory=Latest)
    labels: Mapping[str, int] = field(default_factory=dict)
    logging: RequestLogging | None = None


@dataclass(frozen=True)
class Monitoring:
    """Whether Prometheus metrics are served, and at which path of the REST port."""

    enable: bool = False
    path: str = METRICS_PATH


@dataclass(frozen=True)
class Tls:
    """PEM texts of the gRPC port's TLS; `custom_ca` is empty where the system's authorities are meant."""

    server_key: str
    server_cert: str
    custom_ca: str = ""
    client_verify: bool = False


def models_from_options(options: ServerOptions) -> tuple[ModelConfig, ...]:
    """The models of --model_config_file, or else the one of --model_base_path; none with a store root alone.

    StatusError: the file is not there, does not parse, or is not valid.
    """
    if options.model_config_file:
        return model_configs(read_model_server_config(Path(options.model_config_file)))
    if options.model_base_path:
        path = options.model_base_path
        base_path = _local_path(options.model_name, path if "://" in path else str(Path(path).absolute()))
        return (ModelConfig(options.model_name, base_path),)
    return ()


def read_model_server_config(path: Path) -> Any:
    """The `tensorflow.serving.ModelServerConfig` in a file; StatusError."""
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    return _read(path, ModelServerConfig())


def model_configs(message: Any) -> tuple[ModelConfig, ...]:
    """The models of a ModelServerConfig, from a file or from HandleReloadConfigRequest.

    StatusError, INVALID_ARGUMENT: names repeat, or a model's path, platform or logging is not possible.
    """
    if message.WhichOneof("config") == "custom_model_config":
        raise errors.invalid_argument("custom_model_config is not supported; give a model_config_list")
    configs = tuple(_model_config(each) for each in message.model_config_list.config)
    names = [config.name for config in configs]
    for name in names:
        if names.count(name) > 1:
            raise errors.invalid_argument(f"Illegal to list model {name} multiple times in config list")
    return configs


def read_monitoring(path: Path) -> Monitoring:
    """The MonitoringConfig in a file; StatusError."""
    prometheus = _read(path, messages.MonitoringConfig()).prometheus_config
    return Monitoring(prometheus.enable, prometheus.path or METRICS_PATH)


def read_tls(path: Path) -> Tls:
    """The SSLConfig in a file; StatusError when it does not parse or has no key or no certificate."""
    message = _read(path, messages.SSLConfig())
    for name in ("server_key", "server_cert"):
        if not getattr(message, name).strip().startswith("-----BEGIN"):
            raise errors.invalid_file(str(path), f"{name} must be a PEM text, inline, not a path")
    return Tls(message.server_key, message.server_cert, message.custom_ca, message.client_verify)


def read_batching(path: Path, *, pool_name: str = "batch_threads") -> BatchingParameters:
    """The BatchingParameters in a file, each number left out at its default; StatusError."""
    message = _read(path, messages.BatchingParameters())
    # The numbers are wrapper messages, so that a value of 0 differs from none.
    given = {
        field.name: value.value for field, value in message.ListFields() if field.message_type is not None
    }
    parameters = {
        "thread_pool_name": pool_name,
        "allowed_batch_sizes": tuple(message.allowed_batch_sizes),
        "pad_variable_length_inputs": message.pad_variable_length_inputs,
        **given,
    }
    return BatchingParameters(**parameters)


def _read(path: Path, message: M) -> M:
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise errors.invalid_file(str(path), str(error)) from error
    except OSError as error:
        raise errors.file_not_found(str(path), error.strerror or str(error)) from error


def _model_config(message: Any) -> ModelConfig:
    if not message.name:
        raise errors.invalid_argument("A model in the config list has no name; give each a name")
    _check_platform(message)
    return ModelConfig(
        name=message.name,
        base_path=_local_path(message.name, message.base_path),
        policy=_policy(message.model_version_policy),
        labels=dict(message.version_labels),
        logging=_logging(message) if message.HasField("logging_config") else None,
    )


def _logging(message: Any) -> RequestLogging:
    """The request log, which TensorFlow Serving's own binary refuses: it has no collector."""
    config = message.logging_config
    collector, rate = config.log_collector_config, config.sampling_config.sampling_rate
    if not collector.filename_prefix or collector.type not in COLLECTORS or config.HasField(CUSTOM_LOGGING):
        raise errors.invalid_argument(
            f"No request-logger-creator provided. The logging_config of model {message.name} must have a "
            "log_collector_config with filename_prefix, its type none or 'file', and no custom_logging_config"
        )
    if not 0 <= rate <= 1:
        raise errors.invalid_argument(
            f"Model {message.name} has sampling_rate {rate:g} in its logging_config: give 0 to 1"
        )
    return RequestLogging(collector.filename_prefix, rate)


def _check_platform(message: Any) -> None:
    name, platform = message.name, message.model_platform
    if message.model_type and platform:
        raise errors.invalid_argument(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            f"ModelServerConfig::model_platform, model name is {name}"
        )
    if not message.model_type and not platform:
        raise errors.invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {name}"
        )
    if (platform and platform != PLATFORM) or message.model_type not in (0, 1):
        raise errors.invalid_argument(
            f"Model {name} requests unsupported platform {platform or message.model_type}"
        )


def _local_path(name: str, text: str) -> Path:
    """A base path; a `file:` URI is one too, and other URIs name storage that is not read here."""
    parts = urlsplit(text)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if "://" in text:
        raise errors.invalid_argument(
            f"Model {name} has base_path {text}: only local paths and file:// are read; mount it, or copy it"
        )
    path = Path(text)
    if not path.is_absolute():
        raise errors.invalid_argument(
            f"Expected model {name} to have an absolute path or URI; got base_path()={text}"
        )
    return path


def _policy(message: Any) -> VersionPolicy:
    match message.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(tuple(message.specific.versions))
        case _:
            return Latest(message.latest.num_versions or 1)
