"""Protobuf's wire format, where building or parsing a whole message would cost more than what is in it."""

from collections.abc import Sequence

VARINT = 0
BYTES = 2
_FIXED_SIZES = {1: 8, 5: 4}
# The bit of a varint's byte that says that another follows.
_MORE = 0x80
_SMALL = [bytes([value]) for value in range(_MORE)]
_LONGEST_VARINT = 10


def varint(value: int) -> bytes:
    """A number, not negative, as a varint."""
    if value < _MORE:
        return _SMALL[value]
    parts = bytearray()
    while value >= _MORE:
        parts.append(value & 0x7F | _MORE)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def head(number: int, size: int) -> bytes:
    """What comes before the `size` bytes, of bytes, text or a message, that a field holds."""
    return varint(number << 3 | BYTES) + varint(size)


def field(number: int, value: bytes) -> bytes:
    """A field that holds bytes, a text or a message."""
    return head(number, len(value)) + value


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The varint at `position`, and where it ends; ValueError where there is none."""
    value = 0
    for index, byte in enumerate(data[position : position + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < _MORE:
            return value, position + index + 1
    raise ValueError(f"no varint at byte {position}")


def last_at(data: bytes, path: Sequence[int]) -> int | None:
    """Where the value begins of the last field, of the last in that, and so on; it goes to the end of `data`.

    None where the last fields do not have these numbers, or hold no bytes, or `data` is no message.
    """
    start = 0
    for number in path:
        try:
            last = _last(data, start)
        except ValueError:
            return None
        if last is None or last[0] != number:
            return None
        start = last[1]
    return start


def _last(data: bytes, position: int) -> tuple[int, int] | None:
    """The number of the last field that begins at `position` or later, and where its value begins.

    None where it holds no bytes, or does not end with the data. ValueError: this is no message.
    """
    last = None
    while position < len(data):
        tag, position = read_varint(data, position)
        if tag & 7 == BYTES:
            size, position = read_varint(data, position)
            last = tag >> 3, position
        else:
            size, last = _size(data, position, tag & 7), None
        position += size
    return last if position == len(data) else None


def _size(data: bytes, position: int, wire_type: int) -> int:
    if wire_type == VARINT:
        return read_varint(data, position)[1] - position
    if wire_type in _FIXED_SIZES:
        return _FIXED_SIZES[wire_type]
    raise ValueError(f"no field at byte {position}")
