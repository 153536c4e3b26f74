"""Reading .npz and .json files that came from somewhere else, without running or allocating what they say.

NumPy reads an object array by unpickling it, which runs any code that the file names. Keras's imdb.npz is
such a file, so its pickles are read here, in two steps that both must pass. First the bytes must be made of
the few opcodes and names that lists of integers need. Then they are unpickled with stand-ins in the place of
NumPy's functions: nothing that the file names is looked up, so nothing of NumPy can be abused either (its own
`dtype.__setstate__` and `ndarray.__setstate__` trust what they are given).
"""

import io
import itertools
import json
import math
import pickle
import re
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from models.model import Array, InputError, RaggedArray
from training.errors import DataError

MEMBERS_LIMIT = 64
INFLATED_LIMIT = 1 << 30
"""The most bytes that the arrays of an archive may inflate to, together."""
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError)
NO_HEADER = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError)
"""What NumPy raises for a header, which it reads as Python's literals."""
UNREADABLE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OverflowError,
)

NAMES = (
    *(b"numpy.core.multiarray", b"numpy._core.multiarray", b"_reconstruct", b"numpy", b"ndarray", b"dtype"),
    *(b"_codecs", b"encode", b"latin1", b"O8", b"O4", b"O", b"|", b"b"),
)


def _string(opcode: bytes, length_bytes: int) -> bytes:
    """Return a pattern for one of NAMES as a pickled string whose length takes so many bytes."""
    known = (re.escape(len(name).to_bytes(length_bytes, "little") + name) for name in NAMES)
    return re.escape(opcode) + b"(?:" + b"|".join(known) + b")"


# The memo's indices are bounded, as the unpickler allocates as many places as the highest says.
OPCODES = b"|".join(
    (
        rb"K.|M..|J....",  # integers of 1, 2 and 4 bytes
        rb"[\](ae\x94NtbR).\x85-\x89\x93]",  # lists, tuples, marks, None, True, False, build, reduce
        rb"[qh].|[rj]..[\x00-\x3f]\x00|\x95.{8}|\x80[\x02-\x05]",  # memo, frames, protocol
        *(_string(*form) for form in ((b"\x8c", 1), (b"U", 1), (b"C", 1), (b"X", 4), (b"T", 4), (b"B", 4))),
        rb"cnumpy\n(?:ndarray|dtype)\n|cnumpy\._?core\.multiarray\n_reconstruct\n|c_codecs\nencode\n",
    )
)
HARMLESS = re.compile(rb"(?:" + OPCODES + rb"){1,4096}", re.DOTALL)


def read_npz(content: bytes, name: str) -> dict[str, Array | RaggedArray]:
    """Return the arrays of an .npz file by name, an object array of lists of integers as a RaggedArray.

    Raises DataError where the file is not an .npz, is damaged or cut off, holds anything but arrays of
    numbers and of lists of integers, or would inflate to more than INFLATED_LIMIT bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS_LIMIT:
                raise DataError(f"{name} has {len(members)} members; expected at most {MEMBERS_LIMIT} arrays")
            inflated = sum(member.file_size for member in members)
            if inflated > INFLATED_LIMIT:
                raise DataError(
                    f"{name} would inflate to {inflated} bytes; expected at most {INFLATED_LIMIT}:"
                    " this is not the data set"
                )
            return {
                member.filename.removesuffix(".npy"): _read_array(
                    archive.read(member), f"{member.filename} in {name}"
                )
                for member in members
            }
    except DAMAGED as error:
        raise DataError(f"{name} is damaged or no .npz file: {error}; get it anew") from error


def read_json(content: bytes, name: str) -> Any:
    """Return what a JSON file holds, or raise DataError."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is damaged or no JSON: {error}; get it anew") from error


def _read_array(content: bytes, where: str) -> Array | RaggedArray:
    stream = io.BytesIO(content)
    shape, fortran_order, dtype = read_header(stream, where)
    if any(type(size) is not int or size < 0 for size in shape):
        raise DataError(f"{where} says that its shape is {shape}; the file is damaged")
    if dtype.hasobject:
        return _read_lists(memoryview(content)[stream.tell() :], shape, where)
    expected, came = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if dtype.kind not in "biuf" or came != expected:
        raise DataError(
            f"{where} has {came} bytes of data; its header says {dtype}{list(shape)}, {expected} bytes"
        )
    array = np.frombuffer(content, dtype, offset=stream.tell())
    return array.reshape(shape, order="F" if fortran_order else "C")


def read_header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape, the order and the dtype of a .npy file, and leave the stream where its data begin."""
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(stream)
        return np.lib.format.read_array_header_2_0(stream)
    except NO_HEADER as error:
        raise DataError(f"{where} is no NumPy array: {error}") from error


def _read_lists(pickled: memoryview, shape: tuple[int, ...], where: str) -> RaggedArray:
    """Unpickle an object array [N] of lists of integers."""
    _check_opcodes(pickled, where)
    try:
        rows = _ListUnpickler(io.BytesIO(pickled)).load().rows
        if not isinstance(rows, list) or shape != (len(rows),) or any(type(row) is not list for row in rows):
            raise DataError(f"{where} does not hold {list(shape)} lists of integers")
        splits = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
        # A row may be named many times over in a few bytes; honest rows take two bytes a value at least.
        if splits[-1] > len(pickled):
            raise DataError(f"{where} would unfold to {splits[-1]} integers from {len(pickled)} bytes")
        values = np.fromiter(itertools.chain.from_iterable(rows), np.int32, int(splits[-1]))
        return RaggedArray(values, splits)
    except (*UNREADABLE, InputError, MemoryError) as error:
        raise DataError(f"{where} cannot be read as lists of integers: {error}") from error


def _check_opcodes(pickled: memoryview, where: str) -> None:
    """Refuse a pickle with an opcode or a name that lists of integers in an array do not need."""
    position = 0
    while position < len(pickled):
        match = HARMLESS.match(pickled, position)
        if match is None:
            opcode = bytes(pickled[position : position + 1])
            raise DataError(
                f"{where} holds more than lists of integers: the opcode {opcode!r} at byte {position} is none"
                " of theirs; it was not unpickled, as that could run code"
            )
        position = match.end()


class _DtypeStandIn:
    """Takes the place of numpy.dtype in a pickle."""

    def __init__(self, *_: object) -> None:
        """Accept what NumPy's takes."""

    def __setstate__(self, state: object) -> None:
        """Drop the byte order and flags of an object dtype."""


class _ArrayStandIn:
    """Takes the place of an array in a pickle, and keeps its list of elements."""

    rows: object = None

    def __setstate__(self, state: tuple[object, ...]) -> None:
        """Take (version, shape, dtype, is Fortran order, elements); the header has told the shape."""
        *_, self.rows = state


def _reconstruct(*_: object) -> _ArrayStandIn:
    return _ArrayStandIn()


STAND_INS: Mapping[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _ArrayStandIn,
    ("numpy", "dtype"): _DtypeStandIn,
    ("_codecs", "encode"): _DtypeStandIn,
}


class _ListUnpickler(pickle.Unpickler):
    """Looks names up among the stand-ins only."""

    def find_class(self, module: str, name: str) -> object:
        """Return the stand-in, or refuse the name."""
        try:
            return STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed") from None
