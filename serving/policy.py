"""Which versions of a model should be loaded, and what to do next to get there: pure functions."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from serving.states import State


@dataclass(frozen=True)
class Latest:
    """The `count` highest numbers on disk; 0 means 1."""

    count: int = 1


@dataclass(frozen=True)
class All:
    """Every number on disk."""


@dataclass(frozen=True)
class Specific:
    """The listed numbers, as far as they are on disk."""

    versions: tuple[int, ...]


VersionPolicy = Latest | All | Specific


def aspired(policy: VersionPolicy, present: Collection[int], failed: Collection[int] = ()) -> frozenset[int]:
    """The versions, of those `present` on disk, that should be loaded.

    `failed` could not be loaded while nothing else of the model is served: where that are all that are
    wanted of the latest, so is the next older one, rather than none.
    """
    match policy:
        case Latest(count):
            newest = sorted(present, reverse=True)
            wanted = count or 1
            while set(newest[:wanted]) <= set(failed) and wanted < len(newest):
                wanted += 1
            return frozenset(newest[:wanted])
        case All():
            return frozenset(present)
        case Specific(versions):
            return frozenset(versions) & frozenset(present)


@dataclass(frozen=True)
class Snapshot:
    """A version as the policy sees it: START has not begun to load, END has failed and was given up."""

    version: int
    state: State
    aspired: bool


@dataclass(frozen=True)
class Load:
    """Begin to load a version."""

    version: int


@dataclass(frozen=True)
class Unload:
    """Take a version out of service."""

    version: int


def next_action(versions: Iterable[Snapshot]) -> Load | Unload | None:
    """The next step for one model that keeps it available, or None when there is nothing to do now.

    An old version is unloaded, the lowest first, once nothing is aspired, an aspired version is available, or
    another old version would be left. Otherwise the highest aspired version that is new is loaded. So a new
    version is up before the last old one goes, and where the new one fails the old one stays.
    """
    known = list(versions)
    wanted = [each for each in known if each.aspired]
    stale = [each.version for each in known if not each.aspired and each.state == State.AVAILABLE]
    covered = not wanted or len(stale) > 1 or any(each.state == State.AVAILABLE for each in wanted)
    if stale and covered:
        return Unload(min(stale))
    new = [each.version for each in wanted if each.state == State.START]
    return Load(max(new)) if new else None
