"""The command `kedge report`."""

import subprocess
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from models.catalogue import UnknownModelError
from training.errors import StoreError
from training.report import FILE, command_line
from training.report.command_line import report

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two reports on mnist, and a third version without one."""
    for version in (1, 2, 10):
        directory = tmp_path / "mnist" / str(version) / "assets.extra"
        directory.mkdir(parents=True)
        if version != 10:
            (directory / "report.html").touch()
    return tmp_path


@pytest.fixture
def run(store: Path) -> Callable[..., Any]:
    return lambda model, *arguments, **env: CliRunner().invoke(
        report, [model, "--model-store", str(store), *arguments], env=env, auto_envvar_prefix="KEDGE_REPORT"
    )


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a browser was started with."""
    seen: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda uri: seen.append(uri) or True)
    return seen


def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the command take its output for a terminal; click's runner puts its own there."""
    stdout = type("Terminal", (), {"isatty": lambda _: True})()
    monkeypatch.setattr(command_line, "sys", type("System", (), {"stdout": stdout}))


def test_path_of_the_version_s_report_is_printed(run: Callable[..., Any], store: Path) -> None:
    result = run("mnist", "--version", "1")
    assert result.stdout == f"{store / 'mnist' / '1' / 'assets.extra' / 'report.html'}\n"
    assert run("mnist", KEDGE_REPORT_VERSION="2").stdout.count("/2/") == 1


def test_newest_version_is_the_default(run: Callable[..., Any], store: Path) -> None:
    (store / "mnist" / "10" / "assets.extra" / FILE).touch()
    assert "/10/" in run("mnist").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mnist",), "version 10 of mnist has no report"),
        (("mnist", "--version", "3"), r"has no version 3; published: 1, 2, 10"),
        (("imdb",), "has no versions; publish one with `kedge train imdb`"),
    ],
)
def test_report_that_is_not_there_is_told_in_one_line(
    run: Callable[..., Any], arguments: tuple[str, ...], message: str
) -> None:
    error = run(*arguments).exception
    assert isinstance(error, StoreError)
    assert error.exit_code == 3
    assert message in str(error)
    assert "\n" not in str(error)


def test_unknown_model_is_wrong_usage(run: Callable[..., Any]) -> None:
    error = run("mnits").exception
    assert isinstance(error, UnknownModelError)
    assert error.exit_code == 2


def test_browser_is_started_on_a_terminal_when_asked_for(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, opened: list[str], store: Path
) -> None:
    terminal(monkeypatch)
    run("mnist", "--version", "2")
    assert opened == []
    run("mnist", "--version", "2", "--open")
    assert opened == [(store / "mnist/2/assets.extra/report.html").as_uri()]


def test_browser_is_not_started_where_nobody_sees_it(run: Callable[..., Any], opened: list[str]) -> None:
    assert run("mnist", "--version", "2", "--open").exit_code == 0
    assert opened == []


def test_browser_that_cannot_be_started_is_told(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(monkeypatch)
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    result = run("mnist", "--version", "2", "--open")
    assert (result.exit_code, "no browser" in result.stderr) == (0, True)


def test_command_needs_no_tensorflow() -> None:
    program = "import sys, training.report.command_line; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
