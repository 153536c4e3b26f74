"""Files of arrays from somewhere else are read, or refused in one line; they never run anything."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.model import RaggedArray
from training import npz as reader
from training.errors import DataError


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return stream.getvalue()


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def npy(data: bytes, shape: tuple[int, ...] = (1,), descr: str = "|O") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


def header(text: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def lists(*rows: list[Any]) -> Any:
    array = np.empty(len(rows), np.object_)
    array[:] = rows
    return array


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.bool_])
def test_array_of_numbers_is_read_as_numpy_wrote_it(dtype: type) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)
    read = reader.read_npz(npz(a=array, f=np.asfortranarray(array)), "x.npz")
    assert np.array_equal(read["a"], array)  # type: ignore[arg-type]
    assert np.array_equal(read["f"], array)  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_lists_of_integers_are_read_from_every_pickle_protocol(protocol: int) -> None:
    rows = [[1, 2], [300, 70_000], [], list(range(5000))]
    content = archive(x=npy(pickle.dumps(lists(*rows), protocol), (4,)))
    read = reader.read_npz(content, "x.npz")["x"]
    assert isinstance(read, RaggedArray)
    assert [read[row].tolist() for row in range(4)] == rows


class Crafted:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    rows = lists([Crafted(os.mkdir, str(witness))])
    with pytest.raises(DataError, match="could run code"):
        reader.read_npz(archive(x=npy(pickle.dumps(rows))), "x.npz")
    assert not witness.exists()


ABUSES = {
    "a huge array": Crafted(np.ndarray, (1 << 40,)),
    "an array of raw pointers": b"\x80\x02cnumpy\nndarray\n)\x81(K\x01K\x01\x85U\x02O8tb.",
    "a global by text opcode": b"cbuiltins\neval\n(U\x01bt\x52.",
    "a dtype with a hostile state": b"\x80\x02cnumpy\ndtype\nU\x02O8\x85R(K\x03U\x01|tb.",
    "a memo of many places": b"\x80\x02]r\xff\xff\xff\x7f.",
    "a text": pickle.dumps("text"),
    "an extension code": b"\x80\x02\x82\x01.",
    "nothing": b"",
    "no end": b"\x80\x02]",
    "a number as array": b"K\x01.",
    "a list of floats": pickle.dumps(lists([1.5])),
    "a list of texts": pickle.dumps(lists(["word"])),
    "a list of nothing": pickle.dumps(lists([None])),
    "lists of lists": pickle.dumps(lists([[1]])),
    "an array in the array": pickle.dumps(lists([np.zeros(1)])),
    "a number instead of a list": pickle.dumps(lists(1)),  # type: ignore[arg-type]
    "too large a number": pickle.dumps(lists([1 << 40])),
}


@pytest.mark.parametrize("crafted", [pytest.param(value, id=name) for name, value in ABUSES.items()])
def test_pickle_of_anything_but_lists_of_integers_is_refused(crafted: Any) -> None:
    content = crafted if isinstance(crafted, bytes) else pickle.dumps(crafted)
    with pytest.raises(DataError, match=r"x\.npy in x\.npz"):
        reader.read_npz(archive(x=npy(content)), "x.npz")


def test_rows_that_name_one_list_over_and_over_are_refused() -> None:
    row = list(range(256)) * 40
    content = archive(x=npy(pickle.dumps(lists(*[row] * 4000)), (4000,)))
    with pytest.raises(DataError, match="would unfold to 40960000 integers"):
        reader.read_npz(content, "x.npz")


def test_shape_that_differs_from_the_lists_is_refused() -> None:
    with pytest.raises(DataError, match="does not hold"):
        reader.read_npz(archive(x=npy(pickle.dumps(lists([1], [2])), (3,))), "x.npz")


@pytest.mark.parametrize("kept", [0, 10, 100, 0.5, 0.99])
def test_truncated_file_is_refused_in_one_line(kept: float) -> None:
    content = npz(a=np.random.default_rng(0).integers(0, 255, 10_000))
    cut = content[: int(kept * len(content)) if kept < 1 else int(kept)]
    with pytest.raises(DataError, match=r"x\.npz is damaged or no \.npz file") as caught:
        reader.read_npz(cut, "x.npz")
    assert "\n" not in str(caught.value)


def test_flipped_bytes_are_refused() -> None:
    content = bytearray(npz(a=np.random.default_rng(0).integers(0, 255, 10_000)))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(DataError, match="damaged"):
        reader.read_npz(bytes(content), "x.npz")


def test_member_that_declares_a_huge_size_is_not_inflated() -> None:
    content = bytearray(npz(a=np.zeros(10)))
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", reader.INFLATED_LIMIT + 1)
    with pytest.raises(DataError, match="would inflate to 1073741825 bytes"):
        reader.read_npz(bytes(content), "x.npz")


def test_members_that_are_huge_together_are_not_inflated() -> None:
    content = bytearray(npz(a=np.zeros(10), b=np.zeros(10)))
    for directory in (content.index(b"PK\x01\x02"), content.rindex(b"PK\x01\x02")):
        content[directory + 24 : directory + 28] = struct.pack("<I", reader.INFLATED_LIMIT // 2 + 1)
    with pytest.raises(DataError, match="would inflate to 1073741826 bytes"):
        reader.read_npz(bytes(content), "x.npz")


def test_member_that_inflates_to_more_than_it_declares_is_cut_off() -> None:
    """A bomb that lies about its size is read to the size that it declares, and not further."""
    content = bytearray(npz(a=np.zeros(1_000_000)))
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", 200)
    with pytest.raises(DataError):
        reader.read_npz(bytes(content), "x.npz")


def test_archive_of_many_members_is_refused() -> None:
    with pytest.raises(DataError, match="65 members"):
        reader.read_npz(archive(**{f"a{number}": b"" for number in range(65)}), "x.npz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no header", "is no NumPy array"),
        (header(b"(1,"), "is no NumPy array"),
        (header(b"{[]: 1}"), "is no NumPy array"),
        (header(b"-" * 9000 + b"1"), "is no NumPy array"),
        (header(b"{'descr': '|u1', 'fortran_order': False, 'shape': (True,)}") + b"a", r"shape is \(True,\)"),
        (npy(b"\0" * 7, (2,), "<i4"), "has 7 bytes of data"),
        (npy(b"", (1 << 60,), "<i8"), "has 0 bytes of data"),
        (npy(b"\0" * 4, (-1,), "<i4"), r"shape is \(-1,\)"),
        (npy(b"\0" * 4, (1,), "<U1"), "has 4 bytes of data; its header says <U1"),
        (npy(b"\0" * 4, (1,), "|V4"), "has 4 bytes of data"),
    ],
)
def test_array_whose_header_and_data_disagree_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        reader.read_npz(archive(a=content), "x.npz")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_json_that_is_damaged_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"index\.json is damaged"):
        reader.read_json(content, "index.json")
