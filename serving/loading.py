"""How a version is loaded, and when a load that failed is tried again."""

import functools
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from serving import servable, session, source, warmup
from serving.batching_parameters import BatchingParameters
from serving.config_files import read_batching
from serving.options import ServerOptions
from serving.servable import Servable
from wire.errors import StatusError

_log = logging.getLogger(__name__)

BATCHING_FILE = "batching_params.pbtxt"

# Loads the version in a directory, or raises StatusError; runs on a thread of its own.
Loader = Callable[[Path], Servable]


class WarmupObserver(Protocol):
    """Is told of warm-ups, on the thread that loads."""

    def ran(self, model: str, api: str, seconds: float) -> None:
        """The model has run for a record of this API, under the name that was recorded."""

    def warmed_up(self, path: Path, records: int, seconds: float, error: StatusError | None) -> None:
        """A warm-up has ended."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often a failed load is tried again, and the seconds between: `pause`, or growing if None."""

    retries: int = 5
    pause: float | None = None
    first_pause: float = 1.0
    longest_pause: float = 60.0

    def pause_after(self, failures: int) -> float | None:
        """Seconds until the next attempt after so many failed ones; None when it is given up."""
        if failures > self.retries:
            return None
        if self.pause is not None:
            return max(0.0, self.pause)
        return min(self.first_pause * 2.0 ** min(failures - 1, 30), self.longest_pause)


def retry_policy(options: ServerOptions) -> RetryPolicy:
    """The policy of --max_num_load_retries and --load_retry_interval_micros."""
    micros = options.load_retry_interval_micros
    return RetryPolicy(options.max_num_load_retries, None if micros is None else micros / 1e6)


def session_config(options: ServerOptions) -> Any:
    """The ConfigProto of the models' sessions; StatusError: --tensorflow_session_config_file is not valid."""
    config_text = ""
    if options.tensorflow_session_config_file:
        config_text = _text(Path(options.tensorflow_session_config_file))
    both = options.tensorflow_session_parallelism
    return session.session_config(
        text=config_text,
        intra_op=options.tensorflow_intra_op_parallelism or both,
        inter_op=options.tensorflow_inter_op_parallelism or both,
    )


def loader(options: ServerOptions, observer: WarmupObserver | None = None) -> Loader:
    """The loader that the options describe: session, tags, per-model batching, warm-up.

    StatusError as `session_config`.
    """
    return functools.partial(_load, options, session_config(options), observer)


def _load(options: ServerOptions, config: Any, observer: WarmupObserver | None, path: Path) -> Servable:
    """Load a version; what the error says of where it is on this machine is left out: clients are told it."""
    try:
        source.check_links(path)
        return _loaded(options, config, observer, path)
    except Exception as error:
        status = session.status_of(error)
        raise StatusError(status.code, _without_place(status.message, path)) from error


def _without_place(message: str, path: Path) -> str:
    """A message without the directories above a version, or the rest that is left of them.

    What looks like a path has been taken from it; a directory's name with a space in it does not.
    """
    for place in {path, path.resolve()}:
        for first in range(len(place.parts) - 1):
            rest = str(Path(*place.parts[first:]))
            message = message.replace(f"{rest}{os.sep}", "").replace(rest, path.name)
    return message


def _loaded(options: ServerOptions, config: Any, observer: WarmupObserver | None, path: Path) -> Servable:
    tags = tuple(tag for tag in options.saved_model_tags.split(",") if tag)
    loaded = servable.load(path, tags=tags, session_config=config, batching=_batching(options, path))
    if options.enable_model_warmup:
        try:
            _warm_up(loaded, path, options.num_request_iterations_for_warmup, observer)
        except BaseException:
            loaded.close()
            raise
    return loaded


def _batching(options: ServerOptions, path: Path) -> BatchingParameters | None:
    if not (options.enable_batching and options.enable_per_model_batching_parameters):
        return None
    file = path / BATCHING_FILE
    if not file.is_file():
        return None
    parameters = read_batching(file)
    parameters.check()
    return parameters


def _warm_up(loaded: Servable, path: Path, iterations: int, observer: WarmupObserver | None) -> None:
    started = time.monotonic()
    records, failure = 0, None
    try:
        records = warmup.replay(loaded, path, iterations, ran=observer.ran if observer is not None else None)
    except StatusError as error:
        failure = error
    seconds = time.monotonic() - started
    if observer is not None and (records or failure):
        observer.warmed_up(path, records, seconds, failure)
    if failure is not None:
        raise failure
    if records:
        _log.info("%s: %d warm-up requests in %.3f s", path, records, seconds)


def _text(path: Path) -> str:
    from serving import errors

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.file_not_found(str(path), str(error)) from error
