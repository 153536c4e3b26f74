"""What the lifecycle looks at again and again, as the options say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving import config_files
from serving.config_files import ModelConfig
from serving.options import ServerOptions


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is looked at again and again.

    `poll_seconds` between two looks for versions: 0 is once, and after a reload; negative is after a reload
    only. `store_root` is a directory all of whose models are served besides the configured ones.
    `read_configs` reads the configuration anew every `config_seconds` (0: never); what it gives is applied
    when it differs from what it gave before, so that a reload by request stays until the file changes.
    """

    poll_seconds: float = 1.0
    store_root: Path | None = None
    read_configs: Callable[[], Sequence[ModelConfig]] = tuple
    config_seconds: float = 0.0


def watch(options: ServerOptions, read: Callable[[Sequence[ModelConfig]], None]) -> Watch:
    """What the flags say; `read` is told each configuration that is read."""

    def configs() -> Sequence[ModelConfig]:
        found = config_files.models_from_options(options)
        read(found)
        return found

    return Watch(
        poll_seconds=options.file_system_poll_wait_seconds,
        store_root=Path(options.model_store_root).absolute() if options.model_store_root else None,
        read_configs=configs,
        config_seconds=options.model_config_file_poll_wait_seconds if options.model_config_file else 0,
    )
