"""How much memory this process may use, and how much of it the bodies of requests under way."""

import os
from pathlib import Path

# A body becomes a message, arrays and an answer: with JSON's numbers as objects ten times its size and more.
SHARE_OF_BODIES = 16
LEAST_FOR_BODIES = 64 * 2**20
_CONTROL_GROUPS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def limit() -> int:
    """The bytes that this process may use: the machine's, or its control group's where that has fewer."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(each for path in _CONTROL_GROUPS if (each := _number(path)) > 0)])


def for_bodies(processes: int = 1) -> int:
    """The bytes that the bodies of all requests under way may have unless an option says otherwise.

    `processes` share the memory.
    """
    return max(LEAST_FOR_BODIES, limit() // SHARE_OF_BODIES // processes)


def _number(path: Path) -> int:
    """What a control group's file says; 0 where there is none, or no limit."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return 0
    return int(text) if text.isdecimal() else 0
