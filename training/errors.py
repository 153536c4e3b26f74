"""What can go wrong in a job through no fault of the program.

    TrainingError
    ├── DataError      data missing, damaged or not what the model needs       exit code 3
    ├── StoreError     the model store cannot be read or written               exit code 3
    └── GateError      the model is not good enough, so nothing is published   exit code 4

The message is one line: what came, what was expected, what to do.
"""


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
    """The trained model is below the quality asked for; nothing is published."""

    exit_code = 4
