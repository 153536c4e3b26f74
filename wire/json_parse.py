"""JSON as TensorFlow Serving reads it: more leniently than the standard, the first of equal keys wins."""

import json
import re
from typing import Any

import orjson

from wire.errors import Code, StatusError

# How much of a value an error message repeats.
DUMP_LENGTH = 256

# A string (to the end, if nothing closes it), or outside one a number that Python's parser does not know.
_STRING_OR_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"?|\bInf\b|-NaN\b', re.DOTALL)
_OTHER_SPELLING = {"Inf": "Infinity", "-NaN": "NaN"}
# Digits, or a sign and digits, of an integer that may fit 64 bits.
_LONGEST_INTEGER = 20


def parse_json(body: bytes) -> Any:
    """The first JSON value in `body`; what follows it is ignored.

    NaN, Inf and Infinity are numbers, of equal keys the first counts, an integer beyond 64 bits is a float,
    and bytes that are not UTF-8 are kept, as surrogate escapes. StatusError (INVALID_ARGUMENT) where there is
    no value.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _parse_leniently(body)
    return document if _has_only_new_keys(document, body) else _parse_leniently(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, read by parse_json; StatusError (INVALID_ARGUMENT) for another value."""
    return require_object(parse_json(body))


def require_object(document: Any) -> dict[str, Any]:
    """`document`, if it is a JSON object; else StatusError (INVALID_ARGUMENT)."""
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {dump(document)} Is not object")
    return document


def dump(value: Any) -> str:
    """The beginning of a value as JSON, for an error message."""
    text = ""
    for part in json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).iterencode(value):
        text += part[:DUMP_LENGTH]
        if len(text) >= DUMP_LENGTH:
            break
    return text[:DUMP_LENGTH].encode(errors="replace").decode()


def type_name(value: Any) -> str:
    """What TensorFlow Serving's messages call the type of a JSON value."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return str(value)
    names: dict[type, str] = {dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")


def invalid(message: str) -> StatusError:
    """The error that a request with a fault in its JSON is answered with."""
    return StatusError(Code.INVALID_ARGUMENT, message)


def _has_only_new_keys(document: Any, body: bytes) -> bool:
    """Whether no object repeats a key, by counting: every key in the text has a colon after it.

    Colons in strings make this say False for nothing, which costs a second parse. Objects are looked for
    level by level and only until there can be no more, so that rows of numbers are not searched.
    """
    braces, colons = body.count(b"{"), body.count(b":")
    level = [document]
    while level and braces and colons:
        objects = [value for value in level if type(value) is dict]
        colons -= sum(map(len, objects))
        braces -= len(objects)
        if not braces:
            break
        lists = [value for value in level if type(value) is list]
        level = [inner for values in lists for inner in values]
        level += [inner for values in objects for inner in values.values()]
    return colons == 0


def _parse_leniently(body: bytes) -> Any:
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    text = body.decode(errors="surrogateescape")
    start = len(text) - len(text.lstrip(" \t\n\r"))
    if start == len(text):
        raise invalid(f"JSON Parse error: The document is empty. at offset: {len(body)}")
    try:
        return _decode(text, start)
    except RecursionError:
        raise invalid("JSON Parse error: lists or objects are nested too deeply at offset: 0") from None
    except json.JSONDecodeError as error:
        spelled_out = _STRING_OR_NUMBER.sub(_spell_out, text)
        if spelled_out != text:
            return _parse_leniently(spelled_out.encode(errors="surrogateescape"))
        offset = len(text[: error.pos].encode(errors="surrogateescape"))
        raise invalid(f"JSON Parse error: {error.msg} at offset: {offset}") from None


def _decode(text: str, start: int) -> Any:
    decoder = json.JSONDecoder(object_pairs_hook=_first_wins, parse_int=_integer)
    value, _ = decoder.raw_decode(text, start)
    return value


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        members.setdefault(key, value)
    return members


def _integer(digits: str) -> int | float:
    if len(digits) > _LONGEST_INTEGER:
        return float(digits)
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else float(digits)


def _spell_out(match: re.Match[str]) -> str:
    return _OTHER_SPELLING.get(match[0], match[0])
