"""Processes that end by themselves, and the first answer of one that starts."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from . import servers, tables, talk
from .table import Ends, First


@tables.each(Ends)
def test_ends(row: Ends, store: Path) -> None:
    if row.file:
        (store / "given.config").write_text(row.file)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        places = {"{store}": str(store), "{taken}": str(taken.getsockname()[1])}
        command = servers.command(row.arguments, places)
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = ended.stdout + ended.stderr
    assert (ended.returncode == 0) is row.well, said
    for piece in row.printed:
        assert servers.placed(piece, places) in said
    assert "Traceback" not in said


@tables.each(First)
def test_first_answer(row: First, starting: servers.Single) -> None:
    talk.check_grpc(row.call, starting.first_answer)
