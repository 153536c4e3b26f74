"""The versions of one model, what is wanted of each, and how its state moves; neither threads nor disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serving.config_files import ModelConfig
from serving.handles import Holding
from serving.loading import RetryPolicy
from serving.policy import Load, Snapshot, Unload, aspired, next_action
from serving.states import State, VersionStatus
from wire.errors import Code, StatusError

Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(eq=False)
class Version:
    """One version.

    `failures` counts the failed attempts of this load; `retry_at` is when the next begins (None: none waits);
    `error` is the last attempt's. `fingerprint` is how the files looked to that attempt. `abandoned` is True
    once a failed load is no longer tried.
    """

    number: int
    path: Path
    state: State = State.START
    aspired: bool = True
    failures: int = 0
    retry_at: float | None = None
    error: StatusError | None = None
    abandoned: bool = False
    fingerprint: Fingerprint = ()
    holding: Holding | None = None

    @property
    def fails(self) -> bool:
        """Whether the last attempt to load it has failed, and no other has gone well since."""
        return self.abandoned or (self.state == State.LOADING and self.error is not None)

    def status(self) -> VersionStatus:
        """What is told of it; an error only once the load has ended with it."""
        if self.state == State.END and self.error is not None:
            return VersionStatus(self.number, self.state, self.error.code, self.error.message)
        return VersionStatus(self.number, self.state)

    def failed(self, error: StatusError, retries: RetryPolicy, now: float) -> None:
        """An attempt to load has failed: wait for the next one, or end."""
        self.error = error
        self.failures += 1
        pause = retries.pause_after(self.failures) if self.aspired else None
        if pause is None:
            self.state = State.END
            self.abandoned = self.aspired
        else:
            self.retry_at = now + pause

    def ended(self, error: StatusError | None = None) -> None:
        """It is gone: unloaded, or its load was cancelled."""
        self.state = State.END
        self.error = error
        self.holding = None

    def restart(self, path: Path) -> None:
        """Begin anew with a version that has ended."""
        self.path = path
        self.state = State.START
        self.failures, self.retry_at, self.error, self.abandoned = 0, None, None, False


@dataclass(eq=False)
class Model:
    """A model that is, or was, configured (`config` None: no longer), and every version of it ever seen.

    `scanned` once its base path has been looked at, `missing` is why it could not be, and `present` what was
    there when it last could be.
    """

    name: str
    config: ModelConfig | None = None
    versions: dict[int, Version] = field(default_factory=dict)
    scanned: bool = False
    missing: StatusError | None = None
    present: Mapping[int, Path] | None = None

    def configure(self, config: ModelConfig) -> None:
        """Its configuration is this from now on."""
        if self.config is None or self.config.base_path != config.base_path:
            self.scanned, self.missing, self.present = False, None, None
        self.config = config

    def remove(self) -> None:
        """It is no longer configured."""
        self.config = None
        self._want({})

    def found(self, config: ModelConfig, present: Mapping[int, Path] | StatusError) -> None:
        """The base path of this configuration was looked at. Where that is gone, what is loaded stays."""
        if self.config != config:
            return
        self.scanned = True
        self.missing = present if isinstance(present, StatusError) else None
        if not isinstance(present, StatusError):
            self.present = present
            self.aspire()

    def aspire(self) -> None:
        """Want what the policy says of the versions on disk, and of how loading them went."""
        if self.config is None or self.present is None:
            return
        # What is served stays until something newer is: then there is no need of anything older.
        failed = () if self.available() else [number for number, each in self.versions.items() if each.fails]
        wanted = aspired(self.config.policy, self.present, failed)
        self._want({number: self.present[number] for number in wanted})

    def failing(self) -> list[Version]:
        """The versions whose files decide whether they are tried again before, or besides, their time."""
        return [each for each in self.versions.values() if each.abandoned or each.retry_at is not None]

    def due(self, now: float) -> list[Version]:
        """The versions whose next attempt is due."""
        return [each for each in self.versions.values() if each.retry_at is not None and each.retry_at <= now]

    def holds(self) -> bool:
        """Whether memory is taken by a version."""
        return any(each.holding is not None for each in self.versions.values())

    def changed(self, version: Version, now: float) -> None:
        """The files of a version whose load failed have changed: try it again."""
        if version.abandoned:
            version.restart(version.path)
        elif version.retry_at is not None:
            version.failures, version.retry_at = 0, now

    def next_action(self) -> Load | Unload | None:
        """The next step by the availability-preserving policy."""
        return next_action(
            Snapshot(each.number, each.state, each.aspired)
            for each in self.versions.values()
            if each.state != State.END or each.abandoned
        )

    def available(self) -> dict[int, Holding]:
        """What serves."""
        return {
            number: version.holding
            for number, version in sorted(self.versions.items())
            if version.holding is not None and version.state in (State.LOADING, State.AVAILABLE)
        }

    def outcome(self) -> tuple[int | None, StatusError | None] | None:
        """How a newly configured model came out, None while that is open.

        (version, None) when one is available, (version or None, error) when none is there or the first
        attempts of all have failed; further attempts are not waited for.
        """
        known = sorted(self.versions.values(), key=lambda each: each.number, reverse=True)
        for version in known:
            if version.state == State.AVAILABLE:
                return version.number, None
        if self.config is None:
            return None, None
        if not self.scanned:
            return None
        if self.missing is not None:
            return None, self.missing
        tried = [version for version in known if version.aspired]
        if not tried:
            return None, StatusError(Code.NOT_FOUND, "the base path has no version to serve yet")
        is_open = any(version.error is None for version in tried)
        return None if is_open else (tried[0].number, tried[0].error)

    def settled(self) -> bool:
        """Whether it has come out, and with it the versions that its labels stand for."""
        labelled = set(self.config.labels.values()) if self.config is not None else set()
        return self.outcome() is not None and not any(
            each.aspired and each.error is None and each.state != State.AVAILABLE
            for each in self.versions.values()
            if each.number in labelled
        )

    def failure(self) -> tuple[str, int | None, StatusError] | None:
        """Its name, the version and the error, where it came out with one."""
        number, error = self.outcome() or (None, None)
        return None if error is None else (self.name, number, error)

    def _want(self, wanted: Mapping[int, Path]) -> None:
        for number, path in wanted.items():
            version = self.versions.get(number)
            if version is None:
                self.versions[number] = Version(number, path)
                continue
            version.aspired = True
            if version.state == State.END and not version.abandoned:
                version.restart(path)
        for version in self.versions.values():
            if version.number not in wanted:
                _drop(version)


def _drop(version: Version) -> None:
    """A version is no longer aspired."""
    version.aspired = False
    version.abandoned = False
    if version.state == State.START:
        version.ended()
    elif version.retry_at is not None:
        version.retry_at = None
        version.state = State.END
