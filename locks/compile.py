"""Write the lock files: every distribution pinned, with its hashes, for every supported Python and platform.

`dev.txt` is resolved first; the others take its pins as constraints, so that the images, the demo and the
tests all run the same versions. Run it through `make lock`.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEV = ROOT / "locks" / "dev.txt"
# Building the project itself needs setuptools; it is locked with the rest.
LOCKS: dict[str, tuple[str, ...]] = {
    "dev": ("dev",),
    "demo": ("training", "serving"),
    "training": ("training",),
    "serving": ("serving", "tracing"),
    "clients": ("images",),
}


def compile_lock(name: str, extras: tuple[str, ...]) -> None:
    """Resolve the base dependencies plus `extras` into locks/NAME.txt."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "locks/build.in"]
    command += [f"--extra={extra}" for extra in extras]
    command += ["--universal", "--python-version=3.11", "--generate-hashes", "--no-emit-index-url"]
    command += ["--custom-compile-command=make lock", "--quiet", f"--output-file=locks/{name}.txt"]
    if name != "dev":
        command.append(f"--constraint={DEV}")
    else:
        command.append("--upgrade")
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    for lock, lock_extras in LOCKS.items():
        compile_lock(lock, lock_extras)
