"""One metrics page made of several: the workers' pages, and what is left of workers that have ended."""

import math
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import wait
from dataclasses import dataclass, field

from serving.exposition import number
from serving.fleet.members import Member

# The bound of a histogram's bucket, the last of its labels.
_BOUND = re.compile(r',?le="[^"]*"')
_PART = re.compile(r"_(bucket|sum|count)$")
# Gauges that are the same on all workers, or of which the worst is meant.
_HIGHEST = re.compile(r"_(info|state|age_seconds|files_bytes)$")
_LOWEST = re.compile(r"^process_(start_time_seconds|max_fds)$")


@dataclass
class Family:
    """A metric: its kind, what it tells, and its samples by all of their lines but the value."""

    kind: str
    help_text: str = ""
    samples: dict[str, float] = field(default_factory=dict)


Page = Mapping[str, Family]


def parse(page: str) -> Page:
    """Read a page of `Registry.page`."""
    families: dict[str, Family] = {}
    family, help_text = Family(""), ""
    for line in page.split("\n"):
        if line.startswith("# HELP "):
            help_text = line.split(" ", 3)[3]
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            family = families.setdefault(name, Family(kind, help_text))
            help_text = ""
        elif line and not line.startswith("#"):
            key, _, value = line.rpartition(" ")
            family.samples[key] = float(value)
    return families


def merge(pages: Iterable[Page]) -> Page:
    """Sum counters, histograms and gauges; gauges that mean no amount are the highest or the lowest."""
    merged: dict[str, Family] = {}
    for page in pages:
        for name, family in page.items():
            into = merged.setdefault(name, Family(family.kind, family.help_text)).samples
            for key, value in family.samples.items():
                into[key] = _together(name, family.kind, into[key], value) if key in into else value
    return merged


def kept(page: Page) -> Page:
    """What counts on after its process has ended: all but the gauges."""
    return {name: family for name, family in page.items() if family.kind != "gauge"}


def text(page: Page) -> bytes:
    """Write a page as `Registry.page` does: metrics by name, their series by labels."""
    lines = []
    for name, family in sorted(page.items()):
        if family.help_text:
            lines.append(f"# HELP {name} {family.help_text}")
        lines.append(f"# TYPE {name} {family.kind}")
        histogram = family.kind == "histogram"
        # Stable: the buckets of a series stay in their order, before its sum and its count.
        keys = sorted(family.samples, key=_series) if histogram else sorted(family.samples)
        lines.extend(f"{key} {number(family.samples[key])}" for key in keys)
    return "".join(f"{line}\n" for line in lines).encode()


def _series(key: str) -> str:
    """The labels of the series that a line of a histogram belongs to."""
    name, _, labels = key.partition("{")
    return _BOUND.sub("", labels) if _PART.search(name) else labels


def _together(name: str, kind: str, one: float, other: float) -> float:
    if kind == "gauge" and _HIGHEST.search(name):
        return max(one, other)
    if kind == "gauge" and _LOWEST.search(name):
        return min(one, other)
    return math.fsum((one, other))


class Pages:
    """Collects the workers' pages. Thread-safe."""

    def __init__(self, own: Callable[[], bytes]) -> None:
        """`own` is the page of the process that collects."""
        self._own = own
        self._lock = threading.Lock()
        self._latest: dict[Member, Page] = {}
        self._kept: Page = {}

    def joined(self, member: Member) -> None:
        """A worker is there whose page counts."""
        with self._lock:
            self._latest[member] = {}

    def ended(self, member: Member) -> None:
        """A worker is gone: what its page counted last is kept, so that no counter ever goes back."""
        with self._lock:
            self._kept = merge((self._kept, kept(self._latest.pop(member, {}))))

    def collect(self, timeout: float) -> set[Member]:
        """Ask all workers for their pages; those that have answered. Of others the page before counts on."""
        with self._lock:
            asked = {member.ask("page"): member for member in self._latest}
        done = wait(asked, timeout).done
        answered = {asked[each]: each.result() for each in done if not each.exception()}
        with self._lock:
            for member in answered.keys() & self._latest.keys():
                self._latest[member] = parse(answered[member])
        return set(answered)

    def page(self) -> bytes:
        """The one page over all workers, as collected last, and the own one."""
        with self._lock:
            return text(merge((parse(self._own().decode()), self._kept, *self._latest.values())))
