"""`kedge versions`: what is published, and the labels that both servers read."""

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.protobuf import text_format

from serving import sums, versions, versions_command

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with versions 1, 2 and 10 of one model, and with junk beside them."""
    for version in ("1", "2", "10"):
        extra = tmp_path / "mnist" / version / "assets.extra"
        extra.mkdir(parents=True)
        (extra.parent / "saved_model.pb").write_bytes(b"x" * 100)
        details = {
            "accuracy": 0.9 + int(version) / 1000,
            "sample": version == "1",
            "created": "2026-01-02T03:04:05",
        }
        (extra / "kedge.json").write_text(json.dumps(details))
    (tmp_path / "mnist" / "notes").mkdir()
    (tmp_path / "mnist" / "11").write_text("a file is not a version")
    (tmp_path / "mnist" / "2" / "assets.extra" / "kedge.json").write_text("{ not JSON")
    return tmp_path


def run(store: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        versions_command.command, [*arguments, "--model-store", str(store)], catch_exceptions=False
    )


def labels(store: Path) -> dict[str, int]:
    """The labels as TensorFlow Serving's own message reads them."""
    from tensorflow_serving.config import model_server_config_pb2

    text = (store / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (entry,) = config.model_config_list.config
    assert (entry.name, entry.base_path, entry.model_platform) == (
        "mnist",
        str(store / "mnist"),
        "tensorflow",
    )
    assert entry.model_version_policy.HasField("all"), (
        "a labelled version that is not the newest must be served"
    )
    return dict(entry.version_labels)


def test_list_shows_versions_newest_first_and_skips_junk(store: Path) -> None:
    run(store, "promote", "mnist", "2")
    document = json.loads(run(store, "list", "mnist", "--json").output)
    assert [item["version"] for item in document["versions"]] == [10, 2, 1]
    assert [item["labels"] for item in document["versions"]] == [[], ["stable"], []]
    assert [item["accuracy"] for item in document["versions"]] == [0.91, None, 0.901]


def test_list_prints_a_table_of_80_columns(store: Path) -> None:
    run(store, "promote", "mnist", "10")
    lines = run(store, "list", "mnist").output.splitlines()
    assert lines[1].split() == ["10", "0.9100", "0.0", "MB", "real", "2026-01-02T03:04:05", "stable"]
    assert max(map(len, lines)) <= 80


def test_promote_without_a_version_takes_the_newest(store: Path) -> None:
    assert run(store, "promote", "mnist").output == "mnist: stable is version 10\n"
    assert labels(store) == {"stable": 10}


def test_promote_keeps_other_labels(store: Path) -> None:
    run(store, "promote", "mnist", "2")
    run(store, "promote", "mnist", "10", "--label", "canary")
    assert labels(store) == {"stable": 2, "canary": 10}


def test_rollback_moves_the_label_to_the_version_before(store: Path) -> None:
    run(store, "promote", "mnist")
    assert run(store, "rollback", "mnist").output == "mnist: stable is version 2 (was 10)\n"
    assert labels(store) == {"stable": 2}


def test_rollback_of_the_oldest_version_is_refused(store: Path) -> None:
    run(store, "promote", "mnist", "1")
    with pytest.raises(versions.VersionError, match="version 1 has the label 'stable' and is the oldest"):
        run(store, "rollback", "mnist")
    assert labels(store) == {"stable": 1}


def test_rollback_without_a_label_is_refused(store: Path) -> None:
    with pytest.raises(versions.VersionError, match="no published version has the label 'stable'"):
        run(store, "rollback", "mnist")


def test_promote_of_an_unknown_version_lists_those_there_are(store: Path) -> None:
    with pytest.raises(versions.VersionError, match="no version 7; published: 10, 2, 1"):
        run(store, "promote", "mnist", "7")
    assert not (store / "models.config").exists()


def test_remove_deletes_the_version_and_nothing_else(store: Path) -> None:
    assert run(store, "remove", "mnist", "2").output == "mnist: version 2 removed\n"
    assert sorted(child.name for child in (store / "mnist").iterdir()) == ["1", "10", "11", "notes"]


def test_remove_of_a_labelled_version_is_refused(store: Path) -> None:
    run(store, "promote", "mnist", "2")
    with pytest.raises(versions.VersionError, match="version 2 has the label stable"):
        run(store, "remove", "mnist", "2")
    assert (store / "mnist" / "2").is_dir()


def test_specific_policy_gets_the_labelled_version_too(store: Path) -> None:
    (store / "models.config").write_text(
        'model_config_list { config { name: "mnist" base_path: "/models/mnist" model_platform: "tensorflow"'
        " model_version_policy { specific { versions: 10 } } } }"
    )
    run(store, "promote", "mnist", "2")
    (entry,) = versions.read_config(store / "models.config").model_config_list.config
    assert list(entry.model_version_policy.specific.versions) == [10, 2]
    assert entry.base_path == "/models/mnist"


def test_config_file_that_does_not_parse_is_left_as_it_is(store: Path) -> None:
    (store / "models.config").write_text("model_config_list {")
    with pytest.raises(versions.VersionError, match="is not a model config file"):
        run(store, "promote", "mnist")
    assert (store / "models.config").read_text() == "model_config_list {"


@pytest.mark.parametrize(
    "command", [("list", "imdb"), ("remove", "imdb", "1"), ("verify", "imdb"), ("promote", "imdb")]
)
def test_model_without_versions_says_how_to_publish_one(tmp_path: Path, command: tuple[str, ...]) -> None:
    with pytest.raises(versions.VersionError, match="has no versions; publish one with `kedge train imdb`"):
        run(tmp_path / "nowhere", *command)


@pytest.fixture
def summed(store: Path) -> Path:
    """The store, its versions with SHA256SUMS as a job writes them."""
    for version in ("1", "2", "10"):
        directory = store / "mnist" / version
        with (directory / "SHA256SUMS").open("w") as file:
            names = ["saved_model.pb", "assets.extra/kedge.json"]
            subprocess.run(["sha256sum", *names], cwd=directory, stdout=file, check=True)
    return store


def test_verify_of_whole_versions_names_each(summed: Path) -> None:
    assert run(summed, "verify", "mnist").output.splitlines() == [
        "mnist: version 10 is whole, 2 files",
        "mnist: version 2 is whole, 2 files",
        "mnist: version 1 is whole, 2 files",
    ]
    assert run(summed, "verify", "mnist", "2").output == "mnist: version 2 is whole, 2 files\n"


def damage(path: Path) -> None:
    path.write_bytes(b"y" * 100)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda version: damage(version / "saved_model.pb"), "saved_model.pb is damaged"),
        (
            lambda version: (version / "assets.extra/kedge.json").unlink(),
            "assets.extra/kedge.json is missing",
        ),
        (lambda version: (version / "variables").touch(), "variables was not published with the version"),
        (lambda version: (version / "SHA256SUMS").unlink(), "SHA256SUMS cannot be read: No such file"),
        (lambda version: (version / "SHA256SUMS").write_text(""), "SHA256SUMS is damaged: it lists no file"),
        (lambda version: (version / "SHA256SUMS").write_text("x\n"), "SHA256SUMS is damaged: line 1"),
    ],
)
def test_verify_names_the_file_that_is_not_as_published(
    summed: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(summed / "mnist" / "2")
    with pytest.raises(sums.SumsError) as caught:
        run(summed, "verify", "mnist")
    assert str(caught.value).startswith(f"{summed / 'mnist' / '2'}/{message}")
    assert caught.value.exit_code == 3
    run(summed, "verify", "mnist", "10")


def test_promote_waits_for_whoever_has_locked_the_store(store: Path) -> None:
    """A job that removes old versions reads the labels and removes under that lock."""
    descriptor = os.open(store, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    program = [
        sys.executable,
        "-m",
        "kedge",
        "versions",
        "promote",
        "mnist",
        "2",
        "--model-store",
        str(store),
    ]
    with subprocess.Popen(
        program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not waits_for_lock(process.pid):
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
        versions.remove(versions.find(versions.published(store / "mnist", {}), "mnist", 2))
        os.close(descriptor)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "has no version 2; published: 10, 1" in errors
    assert not (store / "models.config").exists()


def waits_for_lock(process: int) -> bool:
    """Tell whether a process waits for a lock, from the kernel's table."""
    waiting = re.findall(r"-> FLOCK .* (\d+) \w+:\w+:\d+ ", Path("/proc/locks").read_text())
    return str(process) in waiting
