"""What requests see: the versions in service, as a table that is replaced and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass

from serving import errors
from serving.handles import Handle, Holding
from serving.labels import settle
from serving.servable import Servable


@dataclass(frozen=True)
class _Entry:
    versions: Mapping[int, Holding]
    latest: Holding | None
    labels: Mapping[str, int]


class InService:
    """The versions of each configured model that take requests, and its labels.

    `publish` and `withdraw` are called by one thread at a time, everything else by any, without a lock.
    """

    def __init__(self) -> None:
        self._models: dict[str, _Entry] = {}

    def publish(self, name: str, versions: Mapping[int, Holding], labels: Mapping[str, int]) -> None:
        """Have requests for a model see these versions and, as far as their versions are there, labels."""
        before = self._models.get(name)
        settled = settle(before.labels if before else {}, labels, versions)
        latest = versions[max(versions)] if versions else None
        self._models = {**self._models, name: _Entry(dict(versions), latest, settled)}

    def withdraw(self, name: str) -> None:
        """Have requests see a model no longer."""
        self._models = {known: entry for known, entry in self._models.items() if known != name}

    def serves(self, name: str) -> bool:
        """Whether some version of a model takes requests."""
        entry = self._models.get(name)
        return entry is not None and entry.latest is not None

    def labels(self, name: str) -> Mapping[str, int]:
        """The version that each label of a model stands for now; empty for an unknown model."""
        entry = self._models.get(name)
        return dict(entry.labels) if entry is not None else {}

    def servables(self, name: str) -> Mapping[int, Servable]:
        """The servable of each version of a model that takes requests; none for an unknown model."""
        entry = self._models.get(name)
        held = entry.versions if entry is not None else {}
        return {number: holding.servable for number, holding in held.items()}

    def handle(self, name: str, version: int | None = None, label: str | None = None) -> Handle:
        """Hold the version named, the label's, or else the latest; StatusError with the contract's codes."""
        if not name:
            raise errors.no_model_name()
        while True:
            entry = self._models.get(name)
            if label:
                if entry is None or label not in entry.labels:
                    raise errors.unknown_label(label)
                version = entry.labels[label]
            if entry is None:
                raise errors.servable_not_found(name, version)
            holding = entry.latest if version is None else entry.versions.get(version)
            if holding is None:
                raise errors.servable_not_found(name, version)
            handle = holding.acquire()
            # None: it was taken out of service since the table was read, so there is a new table.
            if handle is not None:
                return handle
