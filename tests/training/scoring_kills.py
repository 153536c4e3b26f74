"""Kills a scoring job at every call that changes a file, one after the other, and has it run again each time.

    python scoring_kills.py DIRECTORY OUTPUT-SUFFIX once|always

The job runs in a fork of this process, which is killed (SIGKILL) before its n-th such call, or with half of a
write done. `once`: then it runs undisturbed. `always`: it is killed at its n-th call each time, until it
is done before that. The outcome must be that of a job that nobody killed. Prints the number of kills.
"""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from tests.training import scoring_fakes
from training.scoring import parquet

CALLS = ("write", "fsync", "replace", "unlink", "ftruncate", "open")
ENOUGH = 24
"""A process that lives for so many calls gets some way, so the job gets done however often it is killed."""
PATIENCE = 50


def kill_at(number: int) -> None:
    """Let this process die at its n-th call of those that change files."""
    seen = itertools.count(1)

    def mortal(name: str) -> Any:
        real = getattr(os, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            if next(seen) == number:
                if name == "write":
                    real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **keywords)

        return call

    for name in CALLS:
        setattr(os, name, mortal(name))


def run(directory: Path, suffix: str, number: int | None) -> bool:
    """Run the job in a process of its own; tell whether it was killed."""
    pid = os.fork()
    if pid == 0:
        if number is not None:
            kill_at(number)
        scoring_fakes.run(
            scoring_fakes.options("imdb", directory.parent / "in.jsonl", output=output(directory, suffix))
        )
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def output(directory: Path, suffix: str) -> Path:
    return directory / f"out{suffix}"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def main(base: Path, suffix: str, mode: str) -> None:
    os.fsync = lambda _: None  # a killed process does not need it
    if suffix == ".parquet":
        parquet.require()  # once, not in each of the hundred processes
    expected_in = base / "undisturbed"
    assert not run(expected_in, suffix, None)
    expected = contents(expected_in)
    for number in itertools.count(1 if mode == "once" else ENOUGH):
        directory = base / "killed"
        shutil.rmtree(directory, ignore_errors=True)
        killed = again = run(directory, suffix, number)
        kills = int(killed)
        while again:
            again = run(directory, suffix, number if mode == "always" else None)
            kills += again
            assert kills < PATIENCE, f"no end, killed at call {number} each time"
        came = contents(directory)
        assert came == expected, (number, sorted(came), sorted(expected))
        print(number, kills, flush=True)
        if not killed:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
