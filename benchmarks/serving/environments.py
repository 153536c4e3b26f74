"""A virtual environment for each peer, from its pinned requirements, made once and anew when they change."""

import os
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).resolve().parents[1] / "peers"


class NotInstalled(Exception):  # noqa: N818 - named by what happened.
    """A peer's requirements cannot be installed here; the message has the installer's last line."""


def python(peer: str, cache: Path) -> Path:
    """The peer's Python, after installing what it needs; NotInstalled."""
    requirements, home = PEERS / peer / "requirements.txt", cache / "venvs" / peer
    interpreter, stamp = home / "bin" / "python", home / "requirements.txt"
    if stamp.exists() and stamp.read_bytes() == requirements.read_bytes():
        return interpreter
    print(f"installing {peer} (once)", file=sys.stderr)
    uv = Path(sys.executable).with_name("uv")
    steps: tuple[tuple[str | Path, ...], ...] = (
        (uv, "venv", "--quiet", "--clear", "--python", sys.executable, home),
        (uv, "pip", "install", "--quiet", "--python", interpreter, "--requirement", requirements),
    )
    for step in steps:
        try:
            done = subprocess.run(step, env=_environment(), capture_output=True, check=False, text=True)
        except OSError as error:
            raise NotInstalled(f"{uv} cannot be run: {error}") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise NotInstalled(lines[-1] if lines else f"uv ended with code {done.returncode}")
    stamp.write_bytes(requirements.read_bytes())
    return interpreter


def _environment() -> dict[str, str]:
    # The machine's own certificates, as pip takes them.
    return {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
