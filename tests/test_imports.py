"""Imports point one way, and what a client needs does not need TensorFlow."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = {"wire", "models", "training", "serving", "clients", "kedge"}
MAY_IMPORT = {
    "wire": set(),
    "models": set(),
    "training": {"models", "wire"},
    "serving": {"wire"},
    "clients": {"models", "wire"},
    "kedge": OURS - {"kedge"},
}
# The one module of the jobs that asks a server.
MAY_IMPORT_TOO = {"training/scoring/server.py": {"clients"}}


def sources() -> Iterator[tuple[str, Path]]:
    for package in sorted(OURS - {"kedge"}):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield package, path
    yield "kedge", ROOT / "kedge.py"


def imported_packages(path: Path) -> set[str]:
    """The top-level names that a module imports, wherever in it, without its relative imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize(
    ("package", "path"), [pytest.param(*source, id=str(source[1].relative_to(ROOT))) for source in sources()]
)
def test_imports_point_one_way(package: str, path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    allowed = MAY_IMPORT[package] | MAY_IMPORT_TOO.get(name, set()) | {package}
    strangers = (imported_packages(path) & OURS) - allowed
    assert not strangers, f"{name} may not import {sorted(strangers)}"


@pytest.mark.parametrize("module", ["wire", "models", "clients", "kedge", "models.catalogue"])
def test_import_where_tensorflow_is_blocked_succeeds(module: str) -> None:
    program = f"""
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = sys.modules["tensorflow_serving"] = None
import {module}
if {module!r} == "models.catalogue":
    for name in {module}.names():
        {module}.find(name)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_help_lists_every_command_without_importing_any() -> None:
    program = """
import contextlib, io, sys
import kedge
with contextlib.redirect_stdout(io.StringIO()) as out:
    assert kedge.run(["--help"]) == 0
assert all(name in out.getvalue() for name in kedge.COMMANDS), out.getvalue()
loaded = {"numpy", "grpc", "training", "serving", "clients"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
