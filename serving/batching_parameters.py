"""TensorFlow Serving's batching parameters, and the rules that follow from them for one queue."""

import functools
import os
from dataclasses import dataclass

from serving import errors

CPUS = os.cpu_count() or 1
# Without parameters: the most rows of a batch of several requests, and the threads for all models.
ADAPTIVE_ROWS = 128
ADAPTIVE_THREADS = 8 * CPUS
# Runs that take longer are given several threads.
LONG_RUN_SECONDS = 0.01


@dataclass(frozen=True, kw_only=True)
class BatchingParameters:
    """TensorFlow Serving's BatchingParameters, with its defaults.

    `max_execution_batch_size` None is `max_batch_size`.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = CPUS
    thread_pool_name: str = "model_server_batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int | None = None

    def check(self) -> None:
        """StatusError (INVALID_ARGUMENT): the numbers contradict each other; TensorFlow Serving's checks."""
        if self.num_batch_threads < 1:
            raise errors.invalid_argument(f"num_batch_threads must be positive; was {self.num_batch_threads}")
        if self.max_batch_size < 1:
            raise errors.invalid_argument(f"max_batch_size must be positive; was {self.max_batch_size}")
        sizes = self.allowed_batch_sizes
        if sizes and sizes[-1] != self.max_batch_size:
            raise errors.invalid_argument(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{sizes[-1]}; expected {self.max_batch_size}"
            )
        if list(sizes) != sorted(set(sizes)):
            raise errors.invalid_argument(
                f"allowed_batch_sizes must be in increasing order; were {list(sizes)}"
            )
        if self.enable_large_batch_splitting and self.rows_of_a_batch > self.max_batch_size:
            raise errors.invalid_argument(
                f"max_batch_size ({self.max_batch_size}) must not be less than max_execution_batch_size "
                f"({self.rows_of_a_batch})"
            )

    @property
    def rows_of_a_batch(self) -> int:
        """The most rows that run together."""
        return (self.enable_large_batch_splitting and self.max_execution_batch_size) or self.max_batch_size


@dataclass(frozen=True)
class Rules:
    """How the requests of one queue form batches.

    A batch has at most `rows` rows, waits at most `seconds` for more, and `threads` of them run at once;
    `batches` may wait. `request_rows` is the most that one request may have, None for any. `adaptive` rules
    change with how long the runs take.
    """

    rows: int
    threads: int
    seconds: float = 0.0
    batches: int | None = None
    request_rows: int | None = None
    splits: bool = False
    pads_inner: bool = False
    sizes: tuple[int, ...] = ()
    adaptive: bool = False

    def padded(self, rows: int) -> int | None:
        """The size that a batch of these rows is padded to, or None for its own."""
        return next((size for size in self.sizes if size >= rows), None)


# A batch of one request each: for what cannot be joined.
ALONE = Rules(rows=1, threads=CPUS)
# Short runs have one thread: a second would wait for Python's lock more than it runs, and halve the batches.
ADAPTIVE = Rules(rows=ADAPTIVE_ROWS, threads=1, adaptive=True)
ADAPTIVE_LONG = Rules(rows=ADAPTIVE_ROWS, threads=CPUS, adaptive=True)


@functools.cache
def rules_of(parameters: BatchingParameters) -> Rules:
    """The rules of TensorFlow Serving's scheduler under these parameters."""
    return Rules(
        rows=parameters.rows_of_a_batch,
        threads=parameters.num_batch_threads,
        seconds=parameters.batch_timeout_micros / 1e6,
        batches=max(1, parameters.max_enqueued_batches),
        request_rows=parameters.max_batch_size,
        splits=parameters.enable_large_batch_splitting,
        pads_inner=parameters.pad_variable_length_inputs,
        sizes=parameters.allowed_batch_sizes,
    )
