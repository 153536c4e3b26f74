"""The lifecycle that the options describe."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from serving import config_files, loading
from serving.config_files import ModelConfig
from serving.lifecycle import Lifecycle, Watch
from serving.loading import Loader
from serving.options import ServerOptions
from serving.transitions import LifecycleObserver


def lifecycle(
    options: ServerOptions,
    load: Loader,
    observer: LifecycleObserver,
    read: Callable[[Sequence[ModelConfig]], None],
    executor: Executor | None = None,
) -> Lifecycle:
    """Make it; `read` is told each configuration that comes from the options or their files, and no other.

    StatusError: a file that an option names cannot be read or is not valid.
    """

    def told(configs: Sequence[ModelConfig]) -> Sequence[ModelConfig]:
        read(configs)
        return configs

    watch = Watch(
        poll_seconds=options.file_system_poll_wait_seconds,
        store_root=Path(options.model_store_root).absolute() if options.model_store_root else None,
        read_configs=lambda: told(config_files.changed_models(options)),
        config_seconds=options.model_config_file_poll_wait_seconds if options.model_config_file else 0,
    )
    return Lifecycle(
        told(config_files.models_from_options(options)),
        load,
        watch=watch,
        retries=loading.retry_policy(options),
        load_threads=options.num_load_threads,
        observer=observer,
        executor=executor,
    )
