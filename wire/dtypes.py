"""TensorFlow's element types: number and name in DataType, NumPy's dtype, and field in a TensorProto."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from wire.errors import Code, StatusError


@dataclass(frozen=True)
class DType:
    """An element type that travels.

    `number` and `name` are those of the DataType enum ("DT_FLOAT"), `short_name` is TensorFlow's own
    ("float"), `numpy_name` NumPy's ("float32"; "object" for strings, whose elements are bytes) and `field`
    the repeated field of a TensorProto that holds the elements.
    """

    number: int
    name: str
    short_name: str
    numpy_name: str
    field: str

    @property
    def numpy(self) -> np.dtype[Any]:
        """NumPy's dtype; StatusError (UNIMPLEMENTED) for bfloat16 where ml_dtypes is not installed."""
        return _bfloat16() if self.number == BFLOAT16 else _NUMPY[self.number]


FLOAT = 1
DOUBLE = 2
INT32 = 3
UINT8 = 4
INT16 = 5
INT8 = 6
STRING = 7
COMPLEX64 = 8
INT64 = 9
BOOL = 10
BFLOAT16 = 14
UINT16 = 17
COMPLEX128 = 18
HALF = 19
UINT32 = 22
UINT64 = 23

_TABLE = (
    DType(FLOAT, "DT_FLOAT", "float", "float32", "float_val"),
    DType(DOUBLE, "DT_DOUBLE", "double", "float64", "double_val"),
    DType(INT32, "DT_INT32", "int32", "int32", "int_val"),
    DType(UINT8, "DT_UINT8", "uint8", "uint8", "int_val"),
    DType(INT16, "DT_INT16", "int16", "int16", "int_val"),
    DType(INT8, "DT_INT8", "int8", "int8", "int_val"),
    DType(STRING, "DT_STRING", "string", "object", "string_val"),
    DType(COMPLEX64, "DT_COMPLEX64", "complex64", "complex64", "scomplex_val"),
    DType(INT64, "DT_INT64", "int64", "int64", "int64_val"),
    DType(BOOL, "DT_BOOL", "bool", "bool", "bool_val"),
    DType(BFLOAT16, "DT_BFLOAT16", "bfloat16", "bfloat16", "half_val"),
    DType(UINT16, "DT_UINT16", "uint16", "uint16", "int_val"),
    DType(COMPLEX128, "DT_COMPLEX128", "complex128", "complex128", "dcomplex_val"),
    DType(HALF, "DT_HALF", "half", "float16", "half_val"),
    DType(UINT32, "DT_UINT32", "uint32", "uint32", "uint32_val"),
    DType(UINT64, "DT_UINT64", "uint64", "uint64", "uint64_val"),
)
BY_NUMBER = {dtype.number: dtype for dtype in _TABLE}
BY_NAME = {dtype.name: dtype for dtype in _TABLE}
_BY_NUMPY_NAME = {dtype.numpy_name: dtype for dtype in _TABLE}
# NumPy makes a dtype, or its name, anew each time that it is asked for.
_NUMPY = {dtype.number: np.dtype(dtype.numpy_name) for dtype in _TABLE if dtype.number != BFLOAT16}
_BY_NUMPY = {numpy: BY_NUMBER[number] for number, numpy in _NUMPY.items()}


def find(number: int) -> DType:
    """The type of a DataType number; StatusError (INVALID_ARGUMENT) for one that cannot travel."""
    dtype = BY_NUMBER.get(number)
    if dtype is None:
        known = ", ".join(BY_NAME)
        raise StatusError(Code.INVALID_ARGUMENT, f"tensor has data type {number}; expected one of {known}")
    return dtype


def of_numpy(dtype: np.dtype[Any]) -> DType:
    """The type that arrays of a NumPy dtype are sent as: texts and bytes of any length are strings.

    StatusError (INVALID_ARGUMENT) for a dtype that TensorFlow has not, such as a date.
    """
    found = _BY_NUMPY.get(dtype)
    if found is None:
        found = BY_NUMBER[STRING] if dtype.kind in "SUO" else _BY_NUMPY_NAME.get(dtype.name)
    if found is None:
        known = ", ".join(_BY_NUMPY_NAME)
        raise StatusError(
            Code.INVALID_ARGUMENT, f"array has dtype {dtype}; expected text, bytes or one of {known}"
        )
    return found


def _bfloat16() -> np.dtype[Any]:
    try:
        from ml_dtypes import bfloat16
    except ImportError:
        raise StatusError(
            Code.UNIMPLEMENTED, "a bfloat16 tensor needs the package ml_dtypes: pip install ml_dtypes"
        ) from None
    dtype: np.dtype[Any] = np.dtype(bfloat16)
    return dtype
