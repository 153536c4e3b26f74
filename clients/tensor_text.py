"""A signature's tensors in words: their dtypes and shapes."""

from wire import dtypes
from wire.tensors import TensorInfo


def dtype(info: TensorInfo) -> str:
    """NumPy's name of a tensor's dtype, or "string"; the number of one that cannot be sent."""
    known = dtypes.BY_NUMBER.get(info.dtype)
    if known is None:
        return str(info.dtype)
    return "string" if known.number == dtypes.STRING else known.numpy_name


def shape(info: TensorInfo) -> str:
    """The sizes of a tensor, "any" for a free one."""
    if info.shape is None:
        return "any"
    return "[" + ", ".join("any" if size is None else str(size) for size in info.shape) + "]"
