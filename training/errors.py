"""What can go wrong in a job through no fault of the program.

    TrainingError
    ├── DataError      data missing, damaged or not what the model needs       exit code 3
    ├── StoreError     the model store cannot be read or written               exit code 3
    ├── GateError      the model is not good enough, so nothing is published   exit code 4
    │   └── RefusedError   the same, with what was made and where it is kept
    └── PreemptedError the job was told to end, and can go on                  exit code 143

The message is one line: what came, what was expected, what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.result import JobResult


class TrainingError(Exception):
    """The root of the family; `exit_code` is what the command exits with."""

    exit_code = 1


class DataError(TrainingError):
    """A data file is missing, damaged, or does not hold what the model needs."""

    exit_code = 3


class StoreError(TrainingError):
    """The model store cannot be read or written."""

    exit_code = 3


class GateError(TrainingError):
    """The trained model is below the quality asked for, or cannot be served; nothing is published."""

    exit_code = 4


class RefusedError(GateError):
    """The gate's refusal of a job: `result` is what the job made, kept outside the store's versions."""

    def __init__(self, message: str, result: JobResult) -> None:
        super().__init__(message)
        self.result = result


class PreemptedError(TrainingError):
    """The job was told to end; what it has done is in a checkpoint, from which the same command goes on."""

    exit_code = 143
