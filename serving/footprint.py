"""What a version takes: of this process's memory while it loads, and on the disk."""

import os
from pathlib import Path

_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """The process's resident memory; 0 where the system does not tell it as Linux does."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def files_bytes(path: Path) -> int:
    """The size of all files under a version's directory; what vanishes meanwhile counts nothing."""
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += Path(directory, name).stat().st_size
            except OSError:
                continue
    return total
