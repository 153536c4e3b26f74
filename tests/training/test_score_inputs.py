"""Every kind of input: the same rows, from the beginning or from any row on, in the same blocks."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import catalogue
from tests.training.scoring_fakes import digits, png
from training.errors import DataError
from training.scoring.inputs import open_input
from training.scoring.rows import Source, Unreadable

TEXTS = [
    f'a film, number {row}\n"so" it says' if row % 4 == 0 else f"a film number {row}" for row in range(11)
]


def write_csv(path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "text", "year"])
        writer.writerows([f"k{row}", text, 1990 + row] for row, text in enumerate(TEXTS))
    return path


def write_json_lines(path: Path) -> Path:
    lines = [json.dumps({"key": f"k{row}", "text": text}) for row, text in enumerate(TEXTS)]
    path.write_text("\ufeff" + "\n\n".join(lines))
    return path


def write_npz(path: Path) -> Path:
    np.savez_compressed(path, key=np.array([f"k{row}" for row in range(11)]), text=np.array(TEXTS))
    return path


def write_parquet(path: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"key": [f"k{row}" for row in range(11)], "text": TEXTS, "year": [1] * 11})
    parquet.write_table(table, path, row_group_size=3)
    return path


WRITERS = {".csv": write_csv, ".jsonl": write_json_lines, ".npz": write_npz, ".parquet": write_parquet}


def opened(path: Path, model: str = "imdb", column: str | None = None, key: str | None = None) -> Source:
    return open_input(catalogue.find(model), [path], column, key)


def rows(source: Source, start: int = 0, stop: int | None = None, size: int = 4) -> list[tuple[Any, Any]]:
    found = []
    for block in source.blocks(source.find(start) if start else source.start, stop, size):
        assert block.first // size == (block.end.row - 1) // size, "a block goes over a multiple of its size"
        assert block.end.row - block.first == len(block.keys) == len(block.cells)
        found += zip(block.keys, block.cells, strict=True)
    return found


@pytest.mark.parametrize("suffix", WRITERS)
def test_rows_are_read_with_their_keys_from_any_row_on(tmp_path: Path, suffix: str) -> None:
    source = opened(WRITERS[suffix](tmp_path / f"in{suffix}"))
    expected = [(f"k{row}", text) for row, text in enumerate(TEXTS)]
    assert source.count() == 11
    for start in range(11):
        for stop in (None, start + 1, max(start, 9)):
            assert rows(source, start, stop) == expected[start:stop]


@pytest.mark.parametrize("suffix", WRITERS)
def test_position_behind_a_block_is_where_reading_goes_on(tmp_path: Path, suffix: str) -> None:
    source = opened(WRITERS[suffix](tmp_path / f"in{suffix}"))
    blocks = list(source.blocks(source.start, None, 4))
    for number, block in enumerate(blocks[:-1]):
        rest = list(source.blocks(block.end, None, 4))
        assert [list(one.keys) for one in rest] == [list(one.keys) for one in blocks[number + 1 :]]
    assert blocks[-1].end.offset == source.extent


def test_npy_rows_are_its_slices_keyed_by_number(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", digits(9))
    found = rows(opened(tmp_path / "in.npy", "mnist"), 3)
    assert [key for key, _ in found] == list(range(3, 9))
    np.testing.assert_array_equal([cell for _, cell in found], digits(9)[3:])


def test_directory_is_read_in_the_order_of_names_without_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.png", "a.png", "sub/0.png", ".hidden.png"):
        (tmp_path / name).write_bytes(png(digits(1)[0]))
    found = rows(opened(tmp_path, "mnist"))
    assert [key for key, _ in found] == ["a.png", "b.png", "sub/0.png"]


def test_list_of_images_is_read_in_its_order(tmp_path: Path) -> None:
    paths = [tmp_path / "z.png", tmp_path / "a.png"]
    for path in paths:
        path.write_bytes(png(digits(1)[0]))
    source = open_input(catalogue.find("mnist"), paths, None, None)
    assert [key for key, _ in rows(source)] == [str(path) for path in paths]


def test_bad_lines_of_json_and_csv_are_rows_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(
        b'{"text": "a"}\n{"text": \n"bare"\n{"other": 1, "more": 2}\n\xff\n{"text": "z", "key": [1]}\n'
    )
    cells = [cell for _, cell in rows(opened(path))]
    assert [cell if isinstance(cell, str) else "bad" for cell in cells] == [
        "a",
        "bad",
        "bare",
        "bad",
        "bad",
        "bad",
    ]
    assert "other, more" in cells[3].reason
    path = tmp_path / "in.csv"
    path.write_bytes(b'text,year\na,1\nb\n"never closed,2\nc,3\n\xff,4\nd 5" disk,5\n"x"y,6\ne,7\n')
    source = opened(path)
    cells = [cell for _, cell in rows(source)]
    assert [cell if isinstance(cell, str) else "bad" for cell in cells] == [
        "a", "bad", "bad", "c", "bad", 'd 5" disk', "bad", "e",
    ]  # fmt: skip
    assert source.count() == 8
    assert [rows(source, row)[0][0] for row in range(8)] == list(range(8))


def test_line_without_an_end_is_a_bad_row_that_is_not_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.scoring.lines.LONGEST", 32)
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"text": "long " * 50}) + "\n" + json.dumps({"text": "short"}) + "\n")
    (_, bad), (_, good) = rows(opened(path))
    assert isinstance(bad, Unreadable)
    assert "longer than 32 bytes" in bad.reason
    assert good == "short"


@pytest.mark.parametrize(
    ("header", "column", "key", "expected"),
    [
        ("text,year", None, None, (0, "first")),
        ("review", None, None, (0, "first")),
        ("id,review", "review", "id", ("first", "second")),
        ("review,key", None, None, ("second", "first")),
        ("id,year", None, None, "name the one of the input with --column"),
        ("text,year", "nope", None, "no column 'nope'; it has text, year"),
        ("text,year", None, "nope", "no column 'nope' for the keys"),
        ("text,text", None, None, "names a column twice"),
    ],
)
def test_columns_are_chosen_by_name_or_as_the_model_calls_its_input(
    tmp_path: Path, header: str, column: str | None, key: str | None, expected: Any
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f"{header}\n{','.join(['first', 'second'][: header.count(',') + 1])}\n")
    if isinstance(expected, str):
        with pytest.raises(DataError, match=expected):
            opened(path, column=column, key=key)
    else:
        assert rows(opened(path, column=column, key=key)) == [expected]


BROKEN_HEADER = b"\x93NUMPY\x01\x00\x10\x00{'descr': '|u1', "


def cut_off(path: Path) -> None:
    np.save(path, digits(3))
    path.write_bytes(path.read_bytes()[:-100])


def fortran(path: Path) -> None:
    np.save(path, np.asfortranarray(digits(3)))


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("in.npy", cut_off, "its header says"),
        ("in.npy", fortran, "Fortran"),
        ("in.npy", lambda path: np.save(path, np.array([[1], [2, 3]], object)), "JSON Lines"),
        ("in.npy", lambda path: np.save(path, np.float32(1)), "expected rows"),
        ("in.npy", lambda path: path.write_bytes(BROKEN_HEADER), "no NumPy array"),
        ("in.npz", lambda path: path.write_bytes(b"no zip"), "damaged"),
        ("in.npz", lambda path: np.savez(path, a=digits(1), b=digits(1)), "--column"),
        ("in.parquet", lambda path: path.write_bytes(b"no parquet"), "damaged, or no Parquet file"),
        ("in.csv", lambda path: path.write_bytes(b""), "no line with the names of the columns"),
        ("in.bin", lambda path: path.write_bytes(b""), "tells no format"),
        ("in", lambda path: path.mkdir(), "has no file in it"),
        ("in.npy", lambda path: None, "there is no"),
    ],
)  # fmt: skip
def test_input_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, name: str, make: Callable[[Path], Any], words: str
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    make(tmp_path / name)
    with pytest.raises(DataError, match=words) as caught:
        opened(tmp_path / name, "mnist")
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.exit_code == 3
