"""`kedge data`: what an init container runs before the jobs, and what a person looks at."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from models import catalogue
from models.model import Model
from training import data, data_command, download
from training.errors import DataError


@pytest.fixture
def run(model: Model, points_file: bytes, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command on the tiny model, whose file can be downloaded without a network."""
    file = replace(model.dataset.files[0], checksum=data.checksum(points_file, "sha256:"))
    shown = replace(
        model,
        dataset=replace(model.dataset, files=(file,)),
        show=lambda instance, _=None: f"point {instance.tolist()}",
    )
    find = catalogue.find
    monkeypatch.setattr(catalogue, "find", lambda name: shown if name == "points" else find(name))
    monkeypatch.setattr(download, "_get", lambda url: points_file)

    def invoke(*arguments: object, **env: str) -> Result:
        return CliRunner().invoke(
            data_command.command, [str(argument) for argument in arguments], env=env, catch_exceptions=False
        )

    return invoke


def test_fetch_puts_the_files_into_the_directory_and_a_job_finds_them(
    run: Callable[..., Result], tmp_path: Path, points_file: bytes
) -> None:
    directory = tmp_path / "new" / "data"
    first = run("fetch", "points", "--data-dir", directory)
    assert first.output.splitlines()[-1] == (
        f"{directory / 'points.npz'}: {len(points_file)} bytes, as published"
    )
    assert "downloading http://localhost/points.npz" in first.stderr
    assert (directory / "points.npz").read_bytes() == points_file
    assert "downloading" not in run("fetch", "points", "--data-dir", directory).stderr
    assert run("verify", "points", "--data-dir", directory).exit_code == 0


def test_fetch_without_a_directory_fills_keras_cache(run: Callable[..., Result]) -> None:
    document = json.loads(run("fetch", "points", "--json").stdout)
    assert document["files"][0]["path"] == str(data.keras_cache() / "points.npz")
    assert document["files"][0]["checked"] == "as published"


def test_fetch_takes_a_copy_of_the_cache_s_file_for_the_directory(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("fetch", "points")
    monkeypatch.setattr(download, "_get", lambda _: pytest.fail("it was downloaded again"))
    run("fetch", "points", KEDGE_DATA_DIR=str(tmp_path / "d"))
    assert (tmp_path / "d" / "points.npz").is_file()


def test_verify_of_a_missing_file_downloads_nothing_and_says_how_to_get_it(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_get", lambda _: pytest.fail("it was downloaded"))
    with pytest.raises(DataError, match=r"points\.npz is not in .*`kedge data fetch points`"):
        run("verify", "points")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"damaged", "damaged or no .npz file"), (None, "SHA256SUMS beside it says")],
)
def test_verify_of_a_damaged_file_names_it(
    run: Callable[..., Result], tmp_path: Path, points_file: bytes, content: bytes | None, message: str
) -> None:
    (tmp_path / "points.npz").write_bytes(content or points_file)
    if content is None:
        (tmp_path / "SHA256SUMS").write_text("0" * 64 + "  points.npz\n")
    with pytest.raises(DataError, match=message) as caught:
        run("verify", "points", "--data-dir", tmp_path)
    assert str(tmp_path / "points.npz") in str(caught.value)


def test_verify_tells_that_another_edition_was_not_checked(
    run: Callable[..., Result], tmp_path: Path, points_file: bytes
) -> None:
    (tmp_path / "points.npz").write_bytes(points_file + b"")
    other = points_file[:-22] + points_file[-22:-2] + b"\x01\x00!"  # the archive with a comment
    (tmp_path / "points.npz").write_bytes(other)
    told = run("verify", "points", "--data-dir", tmp_path).output
    assert told.endswith("not the published edition, and no SHA256SUMS beside it\n")


def test_show_gives_shapes_label_counts_and_examples(run: Callable[..., Result]) -> None:
    run("fetch", "points")
    lines = run("show", "points", "--count", "2").output.splitlines()
    assert lines[0] == f"Points, from {data.keras_cache()}"
    assert lines[1].startswith("train  240 examples, int32[240, 3]: a ")
    document = json.loads(run("show", "points", "--json").output)
    assert sum(document["train"]["labels"].values()) == document["train"]["examples"] == 240
    assert set(document["test"]["labels"]) == {"a", "b", "c"}
    assert [line for line in lines if line.startswith("test example")] == [
        line for line in lines if line.startswith(("test example 0, ", "test example 1, "))
    ]
    assert sum(line.startswith("point [") for line in lines) == 2


@pytest.mark.parametrize(
    ("name", "shown"),
    [("mnist", "uint8[2000, 28, 28]: 0 200, 1 200"), ("imdb", "negative 1000, positive 1000")],
)
def test_show_of_the_sample_needs_no_file(run: Callable[..., Result], name: str, shown: str) -> None:
    output = run("show", name, "--sample").output
    assert shown in output
    assert "test example 2, " in output


def test_show_of_reviews_decodes_them(run: Callable[..., Result]) -> None:
    lines = run("show", "imdb", "--sample", "--count", "1").output.splitlines()
    vocabulary: Mapping[str, int] = catalogue.find("imdb").dataset.sample(0).vocabulary or {}
    words = lines[-1].removesuffix(" ...").split()
    assert len(words) == 24
    assert sum(word in vocabulary for word in words) > 12


def test_unknown_model_is_wrong_usage(run: Callable[..., Result]) -> None:
    with pytest.raises(catalogue.UnknownModelError, match="the models are imdb, mnist"):
        run("show", "nothing")
