"""When what happened to a request: noted as it goes, read by metrics, traces and the access log."""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Timing:
    """One run of a model for one request; times are of `time.monotonic`, 0 for what has not come yet.

    `queued` is when its inputs were read and checked, `started` when its batch began to run, `ended` when its
    outputs were there. `requests` and `rows` are those of the batch that it ran in.
    """

    queued: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    requests: int = 0
    rows: int = 0

    def waited(self, now: float) -> float:
        """The seconds that it waited for its run, until now where it still does."""
        return (self.started or now) - self.queued if self.queued else 0.0
