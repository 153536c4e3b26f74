"""The command `kedge` itself: what holds for all of its commands."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import kedge

ROOT = Path(__file__).resolve().parents[1]
FULL = Path("/dev/full")


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command under the group, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*row, id=" ".join(row[0])) for row in commands(kedge.root)]
)
def test_every_option_is_read_from_the_environment_by_its_own_name(
    path: tuple[str, ...], command: click.Command
) -> None:
    for option in command.params:
        if isinstance(option, click.Option):
            name = "_".join(("KEDGE", *path, max(option.opts, key=len).lstrip("-")))
            names = option.envvar if isinstance(option.envvar, list) else [option.envvar]
            assert name.replace("-", "_").upper() in names


def test_json_is_asked_for_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "mnist" / "1").mkdir(parents=True)
    (tmp_path / "mnist" / "1" / "saved_model.pb").touch()
    environment = {"KEDGE_VERSIONS_LIST_JSON": "1", "KEDGE_VERSIONS_LIST_MODEL_STORE": str(tmp_path)}
    result = CliRunner().invoke(kedge.root, ["versions", "list", "mnist"], env=environment)
    assert result.stdout.startswith('{"model": "mnist"'), result.output


def told_to(output: int, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command `kedge` in a process of its own, with this descriptor as its standard output."""
    return subprocess.run(
        [sys.executable, "-m", "kedge", *arguments],
        cwd=ROOT,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize("arguments", [("--help",), ("predict", "--help")], ids=" ".join)
def test_command_whose_reader_has_gone_is_done(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = told_to(writing, *arguments)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("predict", "--help"), ("completion", "bash"), ("versions", "list", "mnist", "--json")],
    ids=" ".join,
)
def test_standard_output_that_is_full_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], unbuffered: str
) -> None:
    (tmp_path / "mnist" / "1").mkdir(parents=True)
    (tmp_path / "mnist" / "1" / "saved_model.pb").touch()
    environment = {"KEDGE_VERSIONS_LIST_MODEL_STORE": str(tmp_path), "PYTHONUNBUFFERED": unbuffered}
    with FULL.open("wb") as full:
        done = told_to(full.fileno(), *arguments, **environment)
    assert done.stderr == "kedge: standard output cannot be written: No space left on device\n"
    assert done.returncode == 3


def test_another_files_error_is_not_told_as_standard_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fill() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kedge, "fill", fill, raising=False)
    monkeypatch.setitem(kedge.COMMANDS, "fill", ("kedge:fill", "Fill a disk."))
    with pytest.raises(OSError, match="No space left on device"):
        kedge.run(["fill"])


def test_next_steps_can_be_copied_where_the_store_has_a_space_in_its_path() -> None:
    assert "--model_store_root='a store'" in kedge._next_steps(Path("a store"))
