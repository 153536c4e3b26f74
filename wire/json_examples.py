"""The bodies of REST classify and regress requests as serialized tf.Examples."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wire import messages
from wire.json_parse import dump, invalid, type_name
from wire.json_values import decode_base64, encode_text, is_base64_object

_INT64_MOST = 2**63 - 1
# Beyond this a number is infinite as a float, which is what a feature's list holds.
_FLOAT_MOST = 3.4028235677973366e38


@dataclass(frozen=True)
class SerializedExamples:
    """The examples of a request, serialized, and the context that they share, if there is one."""

    examples: list[bytes]
    context: bytes | None

    def with_context(self) -> list[bytes]:
        """What the model is fed: each example with the context before it, so that its own features win."""
        return [(self.context or b"") + example for example in self.examples]


def examples(document: Mapping[str, Any]) -> SerializedExamples:
    """The examples of a classify or regress request; StatusError (INVALID_ARGUMENT)."""
    context = _example(document["context"]) if "context" in document else None
    if "examples" not in document:
        problem = "When method is classify, key 'examples' is expected and was not found"
        raise invalid(f"JSON Value: {dump(document)} {problem}")
    values = document["examples"]
    if not isinstance(values, list):
        raise invalid(f"JSON Value: {dump(values)} Expecting 'examples' value to be an list/array")
    if not values:
        raise invalid(f"JSON Value: {dump(values)} 'examples' value is an empty array")
    return SerializedExamples([_example(value) for value in values], context)


def _example(value: Any) -> bytes:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {type_name(value)}")
    features = {name: _feature(name, member) for name, member in value.items()}
    example = messages.Example(features=messages.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def _feature(name: str, value: Any) -> messages.Feature:
    elements = value if isinstance(value, list) else [value]
    if not elements:
        return messages.Feature()
    kinds = [_kind(name, element) for element in elements]
    if len(set(kinds)) > 1:
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {kinds[0]}")
    if kinds[0] == "int64":
        return messages.Feature(int64_list=messages.Int64List(value=map(int, elements)))
    if kinds[0] == "float":
        return messages.Feature(float_list=messages.FloatList(value=map(_float32, elements)))
    return messages.Feature(bytes_list=messages.BytesList(value=map(_bytes, elements)))


def _kind(name: str, element: Any) -> str:
    """The list that an element goes to: the value decides, not what the model expects."""
    if isinstance(element, int):
        if element > _INT64_MOST:
            raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
        return "int64"
    if isinstance(element, float):
        return "float"
    if isinstance(element, str) or is_base64_object(element):
        return "bytes"
    raise invalid(f"Feature: {name} has element with unexpected JSON type: {type_name(element)}")


def _float32(number: float) -> float:
    return math.copysign(math.inf, number) if abs(number) > _FLOAT_MOST else number


def _bytes(element: Any) -> bytes:
    return encode_text(element) if isinstance(element, str) else decode_base64(element)
