"""The workers that serve, as one: a version is loaded by all of them, and all of them see it at once.

A load counts once every worker has it. What requests see changes in two steps: all workers hold new requests
at their lookup, then all get the new view. So nobody who has seen the new one is answered by the old one, to
whichever worker a connection leads. A worker that joins first loads what the others have.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_all
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from serving.fleet.channel import ChannelClosed
from serving.fleet.view import ModelView, View, view_document
from serving.lifecycle import Lifecycle
from serving.servable import Servable
from wire.errors import Code, StatusError

_log = logging.getLogger(__name__)

# How long all workers may take to hold their requests before they are let go and it is tried again.
HOLD_SECONDS = 1.0
PAUSE_SECONDS = 0.05


class Member(Protocol):
    """A worker as the fleet sees it."""

    def ask(self, operation: str, **arguments: Any) -> "Future[Any]":
        """Have it do something; ChannelClosed comes by the Future once it is gone."""


@dataclass(frozen=True)
class Everywhere:
    """A version that every worker has loaded, under this key; takes a servable's place in the lifecycle."""

    key: int
    free: Callable[[int], None]

    def close(self) -> None:
        """Have every worker free it, and wait until they have."""
        self.free(self.key)


class Fleet:
    """The members, what they have loaded, and the view that they have. Thread-safe."""

    def __init__(self, look: Callable[[], View]) -> None:
        """`look` tells what requests should see now."""
        self._look = look
        self._keys = itertools.count(1)
        self._changed = threading.Condition()
        self._members: tuple[Member, ...] = ()
        self._closed = False
        self._loaded: dict[int, Path] = {}
        # By how many bytes all workers have grown while they loaded a version.
        self.grown: dict[Path, int] = {}
        self._publishing = threading.Lock()
        self._view = View()

    @property
    def members(self) -> tuple[Member, ...]:
        """The workers that serve, or will as soon as they are told to."""
        return self._members

    @property
    def view(self) -> View:
        """What the workers' requests see."""
        return self._view

    def load(self, path: Path) -> Servable:
        """Have every worker load a version: the lifecycle's `Loader`.

        StatusError: what the first of the workers that could not load it said, or who tried has died of it.
        """
        key, asked, grown = next(self._keys), set[Member](), list[int]()
        try:
            while missing := self._without(key, path, asked):
                # While others serve, one tries first: what takes a process down takes no more than that.
                trying = missing if asked or not self._loaded else missing[:1]
                asked.update(trying)
                grown += _done([member.ask("load", key=key, path=str(path)) for member in trying])
                if not grown:
                    raise StatusError(
                        Code.UNAVAILABLE, "the server's process ended while it loaded this version"
                    )
        except StatusError:
            _settled(member.ask("close", key=key) for member in asked)
            raise
        self.grown[path] = sum(grown)
        return cast(Servable, Everywhere(key, self._free))

    def publish(self) -> None:
        """Have requests see what they should see now; returns once it is so on every worker."""
        with self._publishing:
            view = self._look()
            if view == self._view:
                return
            self._hold()
            _settled(member.ask("view", view=view_document(view)) for member in self._members)
            self._view = view

    def join(self, member: Member) -> None:
        """Have a new worker load what the others have and see what they see; it is one of them from then on.

        ChannelClosed, StatusError: it died, or cannot load it.
        """
        having: set[int] = set()
        while missing := self._admit(member, having):
            for key, path in missing.items():
                member.ask("load", key=key, path=str(path)).result()
                having.add(key)
        for key in having - self._loaded.keys():
            member.ask("close", key=key)

    def leave(self, member: Member) -> None:
        """A worker is gone."""
        with self._changed:
            self._members = tuple(each for each in self._members if each is not member)

    def close(self) -> None:
        """Wait for workers no longer: loads that do end with CANCELLED."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _admit(self, member: Member, having: set[int]) -> dict[int, Path]:
        """Make a worker a member if it has all versions; those that it has not."""
        with self._publishing:
            missing = self._missing(having)
            if missing:
                return missing
            member.ask("view", view=view_document(self._view)).result()
            with self._changed:
                # A load may have ended meanwhile that did not know of this worker.
                missing = self._missing(having)
                if not missing:
                    self._members = (*self._members, member)
                    self._changed.notify_all()
                return missing

    def _missing(self, having: set[int]) -> dict[int, Path]:
        with self._changed:
            return {key: path for key, path in self._loaded.items() if key not in having}

    def _without(self, key: int, path: Path, asked: set[Member]) -> tuple[Member, ...]:
        """The members, as they joined, that were not asked to load a version yet.

        With none left, it counts as loaded.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._members or self._closed)
            if self._closed:
                raise StatusError(Code.CANCELLED, "Loading of servable cancelled")
            missing = tuple(each for each in self._members if each not in asked)
            if not missing:
                self._loaded[key] = path
            return missing

    def _free(self, key: int) -> None:
        # Requests must see it no longer, on any worker.
        self.publish()
        with self._changed:
            self._loaded.pop(key, None)
            members = self._members
        _settled(member.ask("close", key=key) for member in members)

    def _hold(self) -> None:
        """Have every worker hold its new requests, or try again: none waits long for one that hangs."""
        while True:
            _settled(member.ask("ping") for member in self._members)
            members = self._members
            if _settled((member.ask("hold") for member in members), HOLD_SECONDS):
                return
            for member in members:
                member.ask("release")
            time.sleep(PAUSE_SECONDS)


def view_of(lifecycle: Lifecycle) -> View:
    """What requests should see of the versions that a lifecycle with a fleet as its loader has."""
    with lifecycle.changed:
        models = {
            name: ModelView(tuple(statuses), _keys(lifecycle, name), lifecycle.labels(name))
            for name, statuses in lifecycle.statuses().items()
        }
        return View(models, lifecycle.ready())


def _keys(lifecycle: Lifecycle, name: str) -> dict[int, int]:
    servables = lifecycle.servables(name)
    return {number: cast(Everywhere, servable).key for number, servable in servables.items()}


def _settled(asked: "Iterable[Future[Any]]", timeout: float | None = None) -> bool:
    """Wait until all have answered or are gone; False when some have not in time."""
    return not wait_for_all(list(asked), timeout).not_done


def _done(asked: "list[Future[int]]") -> list[int]:
    """Wait for all; the answers of those that are not gone. StatusError: the first that failed."""
    wait_for_all(asked)
    return [each.result() for each in asked if not isinstance(each.exception(), ChannelClosed)]
