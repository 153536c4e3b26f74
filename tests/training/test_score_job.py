"""The job, with made-up answers: what goes into the files, and how it is resumed, split and stopped."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training import scoring_fakes
from tests.training.scoring_fakes import VOCABULARY, Fake, digits, options, png
from training.errors import DataError
from training.scoring import shards
from training.scoring.job import TooManyErrors
from training.scoring.record import ResumeError
from training.scoring.shards import Shard

ROOT = Path(__file__).parents[2]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_texts(path: Path, count: int = 30, bad: tuple[int, ...] = (3, 17)) -> Path:
    known = list(VOCABULARY)
    texts = ["" if row in bad else f"a {known[50 + 7 * row]} film" for row in range(count)]
    rows = [{"key": f"k{row}", "text": text} for row, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "in.jsonl")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def test_answers_have_key_label_probability_and_version_in_the_order_of_the_rows(
    texts: Path, output: Path
) -> None:
    result = scoring_fakes.run(options("imdb", texts, output=output))
    rows = lines(output)
    assert [row["key"] for row in rows] == [f"k{row}" for row in range(30) if row not in (3, 17)]
    assert all(list(row) == ["key", "label", "probability", "version"] for row in rows)
    assert {row["version"] for row in rows} == {7}
    assert len({row["probability"] for row in rows}) > 20
    assert (result.record.scored, result.record.bad) == (28, 2)


def test_bad_rows_go_to_the_errors_file_with_key_number_and_reason(texts: Path, output: Path) -> None:
    scoring_fakes.run(options("imdb", texts, output=output))
    errors = lines(output.with_suffix(".errors.jsonl"))
    assert [(error["key"], error["row"]) for error in errors] == [("k3", 3), ("k17", 17)]
    assert errors[0]["reason"] == "the review is empty: '' has no word in it"


def test_good_rows_of_a_batch_with_bad_ones_are_answered_as_they_are_alone(tmp_path: Path) -> None:
    whole, alone = tmp_path / "whole.jsonl", tmp_path / "alone.jsonl"
    path = write_texts(tmp_path / "in.jsonl", 16, bad=(0, 5, 6, 15))
    scoring_fakes.run(options("imdb", path, output=whole, batch_size=16))
    scoring_fakes.run(options("imdb", path, output=alone, batch_size=1))
    assert whole.read_bytes() == alone.read_bytes()


def test_job_without_bad_rows_has_no_errors_file_and_leaves_only_output_and_receipt(
    tmp_path: Path, output: Path
) -> None:
    np.save(tmp_path / "in.npy", digits(10))
    scoring_fakes.run(options("mnist", tmp_path / "in.npy", output=output))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy", "out.jsonl", "out.jsonl.job.json"]


@pytest.mark.parametrize("kind", ["npy", "npz", "png", "list", "jsonl", "parquet"])
def test_images_get_the_same_answers_whatever_they_come_in(tmp_path: Path, output: Path, kind: str) -> None:
    images = digits(9)
    np.save(tmp_path / "in.npy", images)
    np.savez(tmp_path / "in.npz", image=images)
    (tmp_path / "png").mkdir()
    for row, image in enumerate(images):
        (tmp_path / "png" / f"{row}.png").write_bytes(png(image))
    (tmp_path / "in.txt").write_text("".join(f"{tmp_path}/png/{row}.png\n" for row in range(9)))
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"image": image.tolist()}) + "\n" for image in images)
    )
    if kind == "parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        files = [(tmp_path / "png" / f"{row}.png").read_bytes() for row in range(9)]
        parquet.write_table(pyarrow.table({"image": files}), tmp_path / "in.parquet")
    source = {"png": tmp_path / "png", "list": tmp_path / "in.txt"}.get(kind, tmp_path / f"in.{kind}")
    scoring_fakes.run(options("mnist", source, output=output))
    scoring_fakes.run(options("mnist", tmp_path / "in.npy", output=tmp_path / "expected.jsonl"))
    came, expected = lines(output), lines(tmp_path / "expected.jsonl")
    assert len(came) == 9
    assert [row["probability"] for row in came] == [row["probability"] for row in expected]


@pytest.mark.parametrize("kind", ["npy", "csv", "jsonl"])
def test_token_ids_are_scored_from_arrays_lists_and_cells(tmp_path: Path, output: Path, kind: str) -> None:
    tokens = np.array([[1, 14, 22], [1, 5, 0], [1, 9_999, 10_000]])
    np.save(tmp_path / "in.npy", tokens)
    (tmp_path / "in.csv").write_text('tokens\n1 14 22\n"[1,5,0]"\n1 9999 10000\n')
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row.tolist()) + "\n" for row in tokens))
    scoring_fakes.run(options("imdb", tmp_path / f"in.{kind}", output=output))
    assert [row["key"] for row in lines(output)] == [0, 1]
    (error,) = lines(output.with_suffix(".errors.jsonl"))
    assert (error["row"], "10000" in error["reason"]) == (2, True)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 20])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "npy"])
def test_shards_joined_equal_the_unsplit_output(tmp_path: Path, output: Path, kind: str, count: int) -> None:
    model = "mnist" if kind == "npy" else "imdb"
    path = tmp_path / f"in.{kind}"
    if kind == "npy":
        np.save(path, digits(30))
    elif kind == "csv":
        path.write_text("text\n" + "".join(f'"film\n{row}"\n' if row != 4 else '""\n' for row in range(30)))
    else:
        write_texts(path)
    scoring_fakes.run(options(model, path, output=tmp_path / "whole.jsonl"))
    for index in reversed(range(count)):
        scoring_fakes.run(options(model, path, output=output, shard=Shard(index, count)))
    parts = sorted(tmp_path.glob(f"out-*-of-{count:05}.jsonl"))
    assert len(parts) == count
    whole = (tmp_path / "whole.jsonl").read_bytes()
    assert b"".join(part.read_bytes() for part in parts) == whole, "cat"
    errors = output.with_suffix(".errors.jsonl")
    record = shards.join(output, errors, count)
    assert output.read_bytes() == whole
    assert errors.exists() == (model == "imdb")
    if model == "imdb":
        assert errors.read_bytes() == (tmp_path / "whole.errors.jsonl").read_bytes()
    assert record.scored + record.bad == 30


def test_shards_meet_the_batches_of_the_unsplit_job(texts: Path, tmp_path: Path, output: Path) -> None:
    """An answer may differ in its last bits with the batch that it is computed in."""
    whole, parts = Fake(options("imdb", texts, output=output).model), []
    scoring_fakes.run(options("imdb", texts, output=tmp_path / "whole.jsonl", concurrency=1), whole)
    for index in range(3):
        fake = Fake(whole.model)
        given = options("imdb", texts, output=output, concurrency=1, shard=Shard(index, 3))
        scoring_fakes.run(given, fake)
        parts += fake.batches
    assert parts == whole.batches


@pytest.mark.parametrize("trouble", ["missing", "unfinished", "other"])
def test_shards_that_do_not_belong_together_are_not_joined(texts: Path, output: Path, trouble: str) -> None:
    for index in range(1 if trouble == "missing" else 2):
        size = 8 if trouble == "other" and index else 4
        scoring_fakes.run(options("imdb", texts, output=output, shard=Shard(index, 2), batch_size=size))
    if trouble == "unfinished":
        record = output.with_name("out-00001-of-00002.jsonl.job.json")
        record.write_text(record.read_text().replace('"done"', '"running"'))
    with pytest.raises(
        DataError, match=r"out-00001-of-00002\.jsonl is (missing|not finished|of another job)"
    ):
        shards.join(output, output.with_suffix(".errors.jsonl"), 2)
    assert not output.exists()


class StopError(Exception):
    pass


def stop_at(batch: int) -> Any:
    def before(done: int) -> None:
        if done == batch:
            raise StopError

    return before


def test_job_that_broke_off_goes_on_behind_the_rows_that_are_done(
    texts: Path, tmp_path: Path, output: Path
) -> None:
    given = options("imdb", texts, output=output, concurrency=1, commit_seconds=1000.0)
    model = given.model
    with pytest.raises(StopError):
        scoring_fakes.run(given, Fake(model, before=stop_at(5)))
    assert not output.exists()
    second = Fake(model)
    result = scoring_fakes.run(given, second)
    assert 0 < result.resumed < 30
    assert sum(second.batches) < 30
    scoring_fakes.run(options("imdb", texts, output=tmp_path / "whole.jsonl"))
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_lines_behind_those_that_count_are_cut_off(texts: Path, tmp_path: Path, output: Path) -> None:
    """A server may give other digits the second time: old lines would show behind shorter new ones."""
    given = options("imdb", texts, output=output, concurrency=1)
    with pytest.raises(StopError):
        scoring_fakes.run(given, Fake(given.model, before=stop_at(5)))
    for part in (output, output.with_suffix(".errors.jsonl")):
        with part.with_name(f"{part.name}.part").open("ab") as file:
            file.write(b"x" * 10_000)
    scoring_fakes.run(given)
    scoring_fakes.run(options("imdb", texts, output=tmp_path / "whole.jsonl"))
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert len(lines(output.with_suffix(".errors.jsonl"))) == 2


def test_beginning_anew_that_breaks_off_leaves_nothing_that_is_taken_for_work(
    texts: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = options("imdb", texts, output=output, concurrency=1)
    with pytest.raises(StopError):
        scoring_fakes.run(given, Fake(given.model, before=stop_at(5)))
    with monkeypatch.context() as patch:
        patch.setattr("training.scoring.log.Log.begin", lambda *_: stop_at(0)(0))
        with pytest.raises(StopError):
            scoring_fakes.run(options("imdb", texts, output=output, resume=False))
    assert scoring_fakes.run(given).resumed == 0
    assert len(lines(output)) == 28


def test_resumed_job_asks_the_version_that_began_it(texts: Path, output: Path) -> None:
    from contextlib import nullcontext

    from training.scoring.job import score

    given = options("imdb", texts, output=output, concurrency=1)
    asked: list[int | None] = []

    def make(version: int | None) -> Fake:
        asked.append(version)
        return Fake(
            given.model, version=version or 7, before=stop_at(5) if version is None else lambda _: None
        )

    with pytest.raises(StopError):
        score(given, make, lambda *_: nullcontext(lambda _: None))
    score(given, make, lambda *_: nullcontext(lambda _: None))
    assert asked == [None, 7]


def test_finished_job_run_again_answers_nothing_anew(texts: Path, output: Path) -> None:
    given = options("imdb", texts, output=output)
    scoring_fakes.run(given)
    before = output.read_bytes()
    again = Fake(given.model)
    result = scoring_fakes.run(given, again)
    assert again.batches == []
    assert (result.record.scored, output.read_bytes()) == (28, before)


@pytest.mark.parametrize("gone", ["out.jsonl", "out.errors.jsonl"])
def test_finished_job_whose_files_have_been_taken_away_is_done_anew(
    texts: Path, output: Path, gone: str
) -> None:
    given = options("imdb", texts, output=output)
    scoring_fakes.run(given)
    before = output.read_bytes()
    output.with_name(gone).unlink()
    result = scoring_fakes.run(given)
    assert (result.resumed, result.record.scored, output.read_bytes()) == (0, 28, before)
    assert len(lines(output.with_suffix(".errors.jsonl"))) == 2


@pytest.mark.parametrize("change", [{"batch_size": 8}, {"version": 3}, {"column": "text"}, {"key": "key"}])
def test_work_of_another_job_is_refused_by_name(texts: Path, output: Path, change: dict[str, Any]) -> None:
    scoring_fakes.run(options("imdb", texts, output=output))
    before = output.read_bytes()
    with pytest.raises(ResumeError, match="--no-resume"):
        scoring_fakes.run(options("imdb", texts, output=output, **change))
    assert output.read_bytes() == before


def test_changed_input_is_refused_and_no_resume_replaces_the_output(texts: Path, output: Path) -> None:
    scoring_fakes.run(options("imdb", texts, output=output))
    write_texts(texts, 12, bad=())
    with pytest.raises(ResumeError, match="another input"):
        scoring_fakes.run(options("imdb", texts, output=output))
    scoring_fakes.run(options("imdb", texts, output=output, resume=False))
    assert len(lines(output)) == 12
    assert not output.with_suffix(".errors.jsonl").exists()


def test_output_of_something_else_is_not_overwritten(texts: Path, output: Path) -> None:
    output.write_text("precious")
    with pytest.raises(ResumeError, match="exists"):
        scoring_fakes.run(options("imdb", texts, output=output))
    assert output.read_text() == "precious"
    assert sorted(path.name for path in output.parent.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_two_processes_do_not_write_one_output(texts: Path, output: Path) -> None:
    given = options("imdb", texts, output=output, concurrency=1)

    def another(_: int) -> None:
        with pytest.raises(ResumeError, match="another process"):
            scoring_fakes.run(given)

    scoring_fakes.run(given, Fake(given.model, before=another))
    assert len(lines(output)) == 28


def test_damaged_record_is_refused_in_one_line(texts: Path, output: Path) -> None:
    output.with_name("out.jsonl.job.json").write_text('{"format": 1}')
    with pytest.raises(ResumeError, match="--no-resume starts anew"):
        scoring_fakes.run(options("imdb", texts, output=output))


def test_more_bad_rows_than_allowed_stop_the_job_which_can_be_resumed(texts: Path, output: Path) -> None:
    with pytest.raises(TooManyErrors, match="2 rows are bad, and --max-errors allows 1") as caught:
        scoring_fakes.run(options("imdb", texts, output=output, max_errors=1))
    assert caught.value.exit_code == 3
    assert not output.exists()
    result = scoring_fakes.run(options("imdb", texts, output=output, max_errors=2))
    assert (result.record.scored, result.record.bad, result.resumed > 0) == (28, 2, True)


def test_limit_that_the_last_rows_exceed_holds_when_the_job_is_run_again(
    tmp_path: Path, output: Path
) -> None:
    texts = write_texts(tmp_path / "in.jsonl", bad=(3, 17, 29))
    for _ in range(2):
        with pytest.raises(TooManyErrors, match="3 rows are bad, and --max-errors allows 2"):
            scoring_fakes.run(options("imdb", texts, output=output, max_errors=2))
    assert not output.exists()
    assert scoring_fakes.run(options("imdb", texts, output=output, max_errors=3)).record.scored == 27


def test_job_of_which_every_row_is_bad_fails(tmp_path: Path, output: Path) -> None:
    path = write_texts(tmp_path / "in.jsonl", 5, bad=tuple(range(5)))
    with pytest.raises(TooManyErrors, match="none of the 5 rows"):
        scoring_fakes.run(options("imdb", path, output=output))
    assert not output.exists()


def test_full_disk_is_one_line_and_the_job_goes_on_later(texts: Path, output: Path) -> None:
    """A limit on the size of files stands for the full disk."""
    program = f"""
import resource, signal
from pathlib import Path
from tests.training.scoring_fakes import options, run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
try:
    run(options("imdb", Path({str(texts)!r}), output=Path({str(output)!r})))
except Exception as error:
    print(type(error).__name__, error.exit_code, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("DataError 3")
    assert len(done.stdout.splitlines()) == 1
    result = scoring_fakes.run(options("imdb", texts, output=output))
    assert result.resumed > 0
    assert len(lines(output)) == 28


@pytest.mark.parametrize("kind", ["npy", "npz", "jsonl", "csv"])
def test_memory_does_not_grow_with_the_input(tmp_path: Path, kind: str) -> None:
    program = f"""
import sys
from pathlib import Path
from tests.training.scoring_fakes import options, run
model = "mnist" if {kind!r} in ("npy", "npz") else "imdb"
directory = Path({str(tmp_path)!r})
given = options(model, directory / (sys.argv[1] + ".{kind}"), output=directory / (sys.argv[1] + "-out.jsonl"),
                batch_size=64, commit_seconds=0.2)
run(given)
# Not getrusage: that begins with the peak of the process that forked this one.
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
    peaks = []
    for name, count in (("small", 2_000), ("large", 20_000)):
        path = tmp_path / f"{name}.{kind}"
        if kind == "npy":
            np.save(path, np.zeros((count, 28, 28), np.uint8) + 1)
        elif kind == "npz":
            np.savez(path, image=np.zeros((count, 28, 28), np.uint8) + 1)
        else:
            quote = '"' if kind == "jsonl" else ""
            header = "" if kind == "jsonl" else "text\n"
            path.write_text(header + f"{quote}{'film ' * 120}{quote}\n" * count)
        done = subprocess.run(
            [sys.executable, "-c", program, name], cwd=ROOT, capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout) * 1024)
    assert (tmp_path / f"large.{kind}").stat().st_size > 10_000_000
    assert peaks[1] - peaks[0] < 5_000_000


def test_parquet_output_holds_what_json_lines_hold(texts: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    scoring_fakes.run(options("imdb", texts, output=tmp_path / "whole.jsonl"))
    output = tmp_path / "out.parquet"
    scoring_fakes.run(options("imdb", texts, output=output))
    assert parquet.read_table(output).to_pylist() == lines(tmp_path / "whole.jsonl")
    joined = tmp_path / "joined.parquet"
    for index in range(3):
        scoring_fakes.run(options("imdb", texts, output=joined, shard=Shard(index, 3)))
    shards.join(joined, joined.with_suffix(".errors.jsonl"), 3)
    assert parquet.read_table(joined).to_pylist() == lines(tmp_path / "whole.jsonl")


@pytest.mark.parametrize("count", [0, 3, 5], ids=["all empty", "first empty", "some empty"])
def test_parquet_shards_without_rows_are_joined_with_those_of_text_keys(tmp_path: Path, count: int) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = write_texts(tmp_path / "in.jsonl", count, bad=())
    output = tmp_path / "out.parquet"
    for index in range(4):
        scoring_fakes.run(options("imdb", path, output=output, shard=Shard(index, 4)))
    record = shards.join(output, output.with_suffix(".errors.jsonl"), 4)
    assert record.scored == count
    assert [row["key"] for row in parquet.read_table(output).to_pylist()] == [
        f"k{row}" for row in range(count)
    ]
