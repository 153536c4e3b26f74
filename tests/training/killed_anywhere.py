"""Kills a job that publishes a version at each line of the code that does so: `killed_anywhere.py DIR`.

Run by test_store in a process without TensorFlow, so that it can fork. The job finds the versions 1 and 2,
publishes 3, and keeps the newest two. Prints how often it was killed, in which states it left the store, and
what the job after it found and left.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from serving import sums as published_sums
from training import retention, store, sums

TRACED = {module.__file__ for module in (store, sums, retention)}


def publish(base: Path) -> None:
    with store.staging(base) as staged:
        (staged / "variables").mkdir()
        for name in ("saved_model.pb", "variables/variables.index"):
            (staged / name).write_text(name)
        store.publish(staged, lambda version: (staged / "number").write_text(str(version)) and None)
    retention.keep_newest(base, 2)


def kill_at_line(wanted: int) -> Any:
    """A trace function that kills the process, unasked, at the n-th line that runs."""
    seen = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            seen += 1
            if seen == wanted:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def killed_at(line: int, base: Path) -> bool:
    """Publish in another process; tell whether it was killed before it was done."""
    process = os.fork()
    if process == 0:
        sys.settrace(kill_at_line(line))
        publish(base)
        os._exit(0)
    return os.waitpid(process, 0)[1] == signal.SIGKILL


def check(base: Path) -> tuple[int, ...]:
    """Return the versions, each of which must be whole."""
    found = tuple(store.versions(base))
    for version in found:
        published_sums.check(base / str(version))
        assert (base / str(version) / "number").read_text() == str(version)
    return found


def main(directory: Path) -> None:
    os.fsync = lambda _: None  # a killed process does not need it, and it takes most of the time
    template, base = directory / "template", directory / "store" / "points"
    publish(template)
    publish(template)
    states: set[tuple[int, ...]] = set()
    after: set[tuple[str, ...]] = set()
    line = 0
    while True:
        line += 1
        shutil.rmtree(base, ignore_errors=True)
        shutil.copytree(template, base)
        if not killed_at(line, base):
            break
        states.add(check(base))
        publish(base)
        after.add(tuple(sorted(path.name for path in base.iterdir())))
    print(json.dumps({"killed": line - 1, "states": sorted(states), "after": sorted(after)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
