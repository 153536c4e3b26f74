"""What requests need of whatever owns the versions of the models."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from serving.config_files import ModelConfig
from serving.handles import Handle
from serving.states import VersionStatus

# How many reloads may wait for their models at once, each on a thread. These threads are for nothing else: a
# reload may wait for minutes, and whatever shared a pool with it would wait as long.
RELOADS_AT_ONCE = 16


class Served(Protocol):
    """The versions of all models, as `serving.lifecycle.Lifecycle` has them and a worker sees them."""

    def handle(self, name: str, version: int | None = None, label: str | None = None) -> Handle:
        """Hold the version named, the label's, or else the latest; StatusError with the contract's codes."""

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Every version of a model ever seen, newest first, or just one; StatusError (NOT_FOUND)."""

    def statuses(self) -> Mapping[str, list[VersionStatus]]:
        """The versions of every model that is configured or was, newest first."""

    def labels(self, name: str) -> Mapping[str, int]:
        """The version that each label of a model stands for now; empty for an unknown model."""

    def ready(self) -> bool:
        """Whether every configured model has an available version."""

    def reload(self, configs: Sequence[ModelConfig]) -> None:
        """Serve these models instead, and wait until the new ones among them have come out; StatusError.

        That can take minutes; reloads may wait beside each other.
        """
