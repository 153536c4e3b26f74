"""The sampled request log: chosen requests go to TFRecord files on a thread of their own, or are dropped.

No request waits for the log. What the thread has not written yet is bounded, and what comes on top of that is
counted and left out.
"""

import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from serving import errors
from serving.config_files import ModelConfig, RequestLogging
from serving.inference import Call, Result, Task
from serving.prediction_logs import Sample, prediction_log
from serving.record_files import FileLimits, RecordFiles
from wire.errors import Code

_log = logging.getLogger(__name__)

MAX_WAITING = 1000
MAX_WAITING_BYTES = 64 * 2**20
KINDS = {
    "Classify": "classify_log",
    "Regress": "regress_log",
    "MultiInference": "multi_inference_log",
}

# Is told what became of a chosen request: the model's name, and OK or why it is not in the log.
Count = Callable[[str, Code], None]


class RequestLog:
    """Writes the requests of models whose configuration says so, and with `default` those of all others.

    Only answers that are OK are logged. `configure` is called on any thread, the rest on the event loop.
    """

    def __init__(
        self,
        count: Count,
        *,
        default: RequestLogging | None = None,
        limits: FileLimits | None = None,
        tags: Sequence[str] = (),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._count = count
        self._default = default
        self._limits = limits or FileLimits()
        self._tags = tuple(tags)
        self._chance = chance
        self._settings: Mapping[str, RequestLogging] = {}
        self._directories = {_directory(default.prefix)} if default else set()
        self._changed = threading.Condition()
        self._samples: deque[tuple[Sample, int]] = deque()
        self._bytes = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self._files: dict[tuple[str, str], RecordFiles] = {}

    def configure(self, configs: Sequence[ModelConfig]) -> None:
        """These models are in force from now on."""
        self._settings = {
            config.name: chosen
            for config in configs
            if (chosen := config.logging or self._default) is not None and chosen.rate > 0
        }

    def trust(self, configs: Sequence[ModelConfig]) -> None:
        """The server's own configuration writes to these directories, so a request's may, too."""
        self._directories |= {_directory(config.logging.prefix) for config in configs if config.logging}

    def check(self, configs: Sequence[ModelConfig]) -> None:
        """StatusError (INVALID_ARGUMENT): a configuration that came by request would write elsewhere."""
        for config in configs:
            if config.logging and _directory(config.logging.prefix) not in self._directories:
                raise errors.invalid_argument(
                    f"Model {config.name}: a reload by request may log only to directories that the server's "
                    "own configuration logs to"
                )

    def predicted(
        self,
        call: Call,
        inputs: Mapping[str, NDArray[Any]],
        output_filter: Sequence[str],
        outputs: Mapping[str, NDArray[Any]],
    ) -> None:
        """A Predict was answered."""
        chosen = self._choose(call)
        if chosen is not None:
            self._put(
                Sample(
                    kind="predict_log",
                    tasks=[Task(call, "")],
                    prefix=chosen.prefix,
                    rate=chosen.rate,
                    seconds=int(time.time()),
                    inputs=inputs,
                    output_filter=output_filter,
                    outputs=outputs,
                )
            )

    def examined(
        self, api: str, tasks: Sequence[Task], examples: Sequence[bytes], results: Sequence[Result]
    ) -> None:
        """A Classify, Regress or MultiInference was answered."""
        chosen = self._choose(tasks[0].call)
        if chosen is not None:
            self._put(
                Sample(
                    kind=KINDS[api],
                    tasks=tasks,
                    prefix=chosen.prefix,
                    rate=chosen.rate,
                    seconds=int(time.time()),
                    examples=examples,
                    results=results,
                )
            )

    def close(self, seconds: float) -> None:
        """Write what waits, for so many seconds at most; blocks."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds)

    def _choose(self, call: Call) -> RequestLogging | None:
        chosen = self._settings.get(call.spec.name)
        return chosen if chosen is not None and self._chance() < chosen.rate else None

    def _put(self, sample: Sample) -> None:
        size = sample.size
        with self._changed:
            full = len(self._samples) >= MAX_WAITING or self._bytes + size > MAX_WAITING_BYTES
            if not full and not self._closing:
                self._samples.append((sample, size))
                self._bytes += size
                self._changed.notify()
                self._start()
                return
        self._count(sample.model, Code.RESOURCE_EXHAUSTED)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._samples or self._closing)
                if not self._samples:
                    break
                sample, size = self._samples.popleft()
                last = not self._samples
            self._write(sample)
            with self._changed:
                self._bytes -= size
            if last:
                self._flush()
        for files in self._files.values():
            self._told(files.close)

    def _write(self, sample: Sample) -> None:
        key = sample.prefix, sample.model
        files = self._files.get(key)
        if files is None:
            files = self._files[key] = RecordFiles(*key, self._limits)

        def write() -> None:
            files.write(prediction_log(sample, self._tags).SerializeToString())

        self._count(sample.model, Code.OK if self._told(write) else Code.INTERNAL)

    def _flush(self) -> None:
        """Have all in the files, and let go of those that are no longer written to."""
        current = {(each.prefix, name) for name, each in self._settings.items()}
        for key, files in list(self._files.items()):
            if key in current:
                self._told(files.flush)
            else:
                self._told(self._files.pop(key).close)

    def _told(self, act: Callable[[], None]) -> bool:
        """Whether it went well; a log that cannot be written is told, and never the requests' trouble."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 - a full disk, a directory gone: TensorFlow has its own errors.
            _log.warning("the request log cannot be written: %s", error)
            return False
        return True


def _directory(prefix: str) -> Path:
    return Path(os.path.normpath(Path(prefix).absolute())).parent
