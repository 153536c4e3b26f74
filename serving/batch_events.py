"""What the batcher tells of its runs, for the metrics."""

from typing import NamedTuple, Protocol


class BatchEvent(NamedTuple):
    """One run of a model, for the metrics.

    `model` is the name given with the requests, `pool` the thread pool's of the parameters ("" without any).
    `rows` are the requests' own, `padding` those added. `requests` has the rows of each request, `inputs` is
    the number of tensors of each, `waited` the seconds that each was queued; `seconds` is the run itself.
    `version` is the one given with the requests, `signature` theirs.
    """

    model: str
    pool: str
    rows: int
    padding: int
    inputs: int
    requests: tuple[int, ...]
    waited: tuple[float, ...]
    seconds: float
    version: str = ""
    signature: str = ""


class Observer(Protocol):
    """Is told on the event loop what the batcher does."""

    def batch_ran(self, event: BatchEvent) -> None:
        """A run has ended, well or not."""


class Unobserved:
    """An observer that looks away."""

    def batch_ran(self, event: BatchEvent) -> None:
        """Look away."""
