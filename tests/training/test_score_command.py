"""The command `kedge score`, on real versions and a real server: options, exit codes, being told to stop."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import kedge
import models
from models import catalogue
from serving import embedded
from tests.training.scoring_fakes import VOCABULARY, png
from training import job, serve_once, verify
from training.score_command import score
from training.scoring.saved_model import SavedModel

ROOT = Path(__file__).parents[2]
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with a version of both models and of a third one, each fitted for an epoch on its sample."""
    directory = tmp_path_factory.mktemp("store")
    third = tmp_path_factory.mktemp("third")
    shutil.copy(ROOT / "tests" / "e2e" / "compass.py", third)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "__path__", [*models.__path__, str(third)])
        patch.setattr(verify, "in_process_of_its_own", serve_once.answer)
        for name in ("mnist", "imdb", "compass"):
            model = catalogue.find(name)
            brief = replace(model, recipe=replace(model.recipe, epochs=1))
            job.train(job.JobOptions(model=brief, model_store=directory, sample=True, min_accuracy=0.0))
        yield directory


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[embedded.Server]:
    with embedded.running([f"--model_store_root={store}"]) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path, store: Path) -> Run:
    """Runs the command in this process; the output is out.jsonl."""

    def run(model: str, *arguments: object, output: str = "out.jsonl", **env: str) -> Any:
        words = [model, "--output", str(tmp_path / output), "--model-store", str(store), *map(str, arguments)]
        return CliRunner().invoke(score, words, env=env, auto_envvar_prefix="KEDGE_SCORE")

    return run


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    np.save(tmp_path / "in.npy", catalogue.find("mnist").dataset.sample(0).test.inputs[:300])
    return tmp_path / "in.npy"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    known = list(VOCABULARY)
    rows = [" ".join(known[row : row + 9]) for row in range(40)]
    rows[7] = " ... "
    (tmp_path / "in.csv").write_text(
        "id,review\n" + "".join(f"r{row},{text}\n" for row, text in enumerate(rows))
    )
    return tmp_path / "in.csv"


@pytest.fixture
def inputs(images: Path, texts: Path, tmp_path: Path) -> dict[str, tuple[Any, ...]]:
    """Arguments that name a model and an input of it."""
    (tmp_path / "in.jsonl").write_text("[3, 1]\n[-2, 1]\n[1]\n")
    return {
        "images": ("mnist", "--input", images),
        "texts": ("imdb", "--input", texts, "--column", "review", "--key", "id"),
        "third": ("compass", "--input", tmp_path / "in.jsonl"),
    }


def test_images_get_the_labels_that_the_network_gives(run: Run, images: Path, tmp_path: Path) -> None:
    result = run("mnist", "--input", images, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["version"], document["scored"], document["bad"]) == (1, 300, 0)
    truth = catalogue.find("mnist").dataset.sample(0).test.labels[:300]
    rows = lines(tmp_path / "out.jsonl")
    assert [row["key"] for row in rows] == list(range(300))
    assert np.mean([row["label"] == str(label) for row, label in zip(rows, truth, strict=True)]) > 0.8


def test_texts_are_tokenised_by_the_version_and_bad_ones_told(run: Run, texts: Path, tmp_path: Path) -> None:
    result = run("imdb", "--input", texts, "--column", "review", "--key", "id")
    assert result.exit_code == 0, result.output
    assert "39 rows scored by version 1, 1 bad rows in" in result.stdout
    assert [row["key"] for row in lines(tmp_path / "out.jsonl")] == [f"r{n}" for n in range(40) if n != 7]
    (error,) = lines(tmp_path / "out.errors.jsonl")
    assert (error["key"], error["row"], error["reason"].startswith("the review is empty")) == ("r7", 7, True)


@pytest.mark.parametrize("form", ["texts", "token ids"])
def test_version_without_the_function_for_batch_jobs_is_asked_by_its_signatures(
    store: Path, form: str
) -> None:
    model = catalogue.find("imdb")
    splits = model.dataset.sample(3)
    known = list(splits.vocabulary or {})
    texts = [" ".join(known[row : row + 9]) for row in range(40)]
    inputs = texts if form == "texts" else splits.test.inputs[:40]
    fast = SavedModel(model, store, 1).predict(inputs)
    plain = SavedModel(replace(model, bulk_request=None), store, 1).predict(inputs)
    assert [answer.probability for answer in fast] == pytest.approx(
        [answer.probability for answer in plain], abs=1e-6
    )


def test_third_model_is_scored_as_the_others_are(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('key,arrow\na,"3,1"\nb,"-2,1"\nc,north\n')
    assert run("compass", "--input", tmp_path / "in.csv").exit_code == 0
    assert [(row["key"], row["label"]) for row in lines(tmp_path / "out.jsonl")] == [
        ("a", "east"),
        ("b", "west"),
    ]
    assert [row["key"] for row in lines(tmp_path / "out.errors.jsonl")] == ["c"]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("kind", ["images", "texts", "third"])
def test_server_gives_the_answers_of_the_version_in_process(  # noqa: PLR0917
    run: Run,
    inputs: dict[str, tuple[Any, ...]],
    server: embedded.Server,
    tmp_path: Path,
    protocol: str,
    kind: str,
) -> None:
    arguments = inputs[kind]
    url = f"{protocol}://127.0.0.1:{server.grpc_port if protocol == 'grpc' else server.rest_port}"
    asked = run(*arguments, "--url", url, "--concurrency", 3, "--batch-size", 16, output="asked.jsonl")
    assert asked.exit_code == 0, asked.output
    assert run(*arguments, "--batch-size", 16).exit_code == 0
    came, expected = lines(tmp_path / "asked.jsonl"), lines(tmp_path / "out.jsonl")
    for name in ("key", "label", "version"):
        assert [row[name] for row in came] == [row[name] for row in expected]
    np.testing.assert_allclose(
        [row["probability"] for row in came], [row["probability"] for row in expected], atol=1e-6
    )
    for suffix in (".errors.jsonl",) if kind != "images" else ():
        assert [row["row"] for row in lines(tmp_path / f"asked{suffix}")] == [
            row["row"] for row in lines(tmp_path / f"out{suffix}")
        ]


def test_shards_of_an_indexed_job_joined_equal_the_unsplit_output(
    run: Run, images: Path, tmp_path: Path
) -> None:
    arguments = ("mnist", "--input", images, "--batch-size", 32)
    assert run(*arguments, output="whole.jsonl").exit_code == 0
    for index in range(3):
        assert run(*arguments, "--shards", 3, JOB_COMPLETION_INDEX=str(index)).exit_code == 0
    joined = run("mnist", "--shards", 3, "--join", "--json")
    assert json.loads(joined.stdout)["scored"] == 300
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_pictures_are_scored_from_a_directory(run: Run, images: Path, tmp_path: Path) -> None:
    directory = tmp_path / "pictures"
    directory.mkdir()
    for row, image in enumerate(np.load(images)[:5]):
        (directory / f"{row}.png").write_bytes(png(image))
    (directory / "notes.md").write_text("no picture")
    assert run("mnist", "--input", directory).exit_code == 0
    assert [row["key"] for row in lines(tmp_path / "out.jsonl")] == [f"{row}.png" for row in range(5)]
    (error,) = lines(tmp_path / "out.errors.jsonl")
    assert (error["key"], "not an image" in error["reason"]) == ("notes.md", True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--input"),
        (("--input", "a.npy", "--shard", "2/2"), "expected I/N"),
        (("--input", "a.npy", "--shard", "0/2", "--shards", "2"), "both"),
        (("--input", "a.npy", "--shards", "2"), "JOB_COMPLETION_INDEX"),
        (("--input", "a.npy", "--label", "stable"), "--label goes with --url"),
        (("--join",), "--shards N"),
        (("--input", "a.npy", "--errors", "a.npy"), "different files"),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: tuple[str, ...], words: str) -> None:
    result = run("mnist", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_output_of_no_known_format_is_wrong_usage(run: Run, images: Path) -> None:
    assert "expected one of .jsonl" in run("mnist", "--input", images, output="out.csv").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--input", "missing.npy"], 3, "there is no missing.npy"),
        (["--input", "IMAGES", "--version", "9"], 3, "has no version 9 of mnist; it has 1"),
        (["--input", "IMAGES", "--model-store", "nowhere"], 3, "no version of mnist; train one"),
        (["--input", "IMAGES", "--url", "grpc://127.0.0.1:1"], 5, "is not available"),
        (["--input", "IMAGES", "--url", "ftp://x"], 2, "not the address of a server"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_leaves_nothing(  # noqa: PLR0917
    images: Path, store: Path, tmp_path: Path, arguments: list[str], code: int, words: str,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = [str(images) if word == "IMAGES" else word for word in arguments]
    before = sorted(tmp_path.iterdir())
    command = ["score", "mnist", "--output", str(tmp_path / "out.jsonl"), "--model-store", str(store), *given]
    assert kedge.run(command) == code
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("kedge: ")
    assert words in line
    assert sorted(tmp_path.iterdir()) == before


def test_parquet_without_pyarrow_names_the_extra(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    command = ["score", "mnist", "--input", str(images), "--output", str(tmp_path / "out.parquet")]
    assert kedge.run(command) == 2
    assert capfd.readouterr().err == "kedge: Parquet files need pyarrow: pip install 'kedge[parquet]'\n"


HELD = """
import sys
import kedge
from tests.training.scoring_fakes import Fake
from training import score_command

def hold(batch):
    if batch == 5:
        print("held", flush=True)
        sys.stdin.read()

score_command._load = lambda model, store, version: Fake(model, before=hold)
kedge.main(["score", *sys.argv[1:]])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_leaves_a_state_that_the_same_command_goes_on_from(
    run: Run, images: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    words = ["mnist", "--input", str(images), "--output", str(tmp_path / "o.jsonl"), "--batch-size", "16",
             "--concurrency", "1"]  # fmt: skip
    command = [sys.executable, "-c", HELD, *words]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "the same command goes on behind them" in errors
    assert "Traceback" not in errors
    assert "\r" not in errors, "a bar where there is no terminal"
    assert not (tmp_path / "o.jsonl").exists()
    done = subprocess.run(
        [sys.executable, "-c", HELD.replace("batch == 5", "False"), *words],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "rows are done; going on behind them" in done.stderr
    assert [row["key"] for row in lines(tmp_path / "o.jsonl")] == list(range(300))
