"""Classify and regress requests in JSON: what a feature is, its value decides."""

import math
import re
from typing import Any

import pytest

from wire import messages
from wire.errors import StatusError
from wire.json_tensors import examples, parse_object


def features(body: str) -> dict[str, messages.Feature]:
    (example,) = examples(parse_object(body.encode())).examples
    return dict(messages.Example.FromString(example).features.feature)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("1", "int64_list", [1]),
        ("1.0", "float_list", [1.0]),
        ("1e2", "float_list", [100.0]),
        ("[NaN]", "float_list", [math.nan]),
        ("[Inf, -Infinity, 1e300]", "float_list", [math.inf, -math.inf, math.inf]),
        ("18446744073709551616", "float_list", [2.0**64]),
        ("[true, 2, false]", "int64_list", [1, 2, 0]),
        ('["a", {"b64": "/w=="}]', "bytes_list", [b"a", b"\xff"]),
        ("[-9223372036854775808]", "int64_list", [-(2**63)]),
    ],
)
def test_examples_feature_has_the_kind_of_its_values(value: str, kind: str, expected: list[Any]) -> None:
    feature = features(f'{{"examples": [{{"x": {value}}}]}}')["x"]
    assert feature.WhichOneof("kind") == kind
    assert repr(list(getattr(feature, kind).value)) == repr(expected)


def test_examples_empty_list_is_a_feature_of_no_kind() -> None:
    assert features('{"examples": [{"x": []}]}')["x"].WhichOneof("kind") is None


def test_examples_context_comes_before_each_example_whose_features_win() -> None:
    found = examples(parse_object(b'{"context": {"c": 1, "x": 1}, "examples": [{"x": 2}, {"y": 3}]}'))
    first, second = map(messages.Example.FromString, found.with_context())
    assert {name: list(feature.int64_list.value) for name, feature in first.features.feature.items()} == {
        "c": [1],
        "x": [2],
    }
    assert second.features.feature.keys() == {"c", "x", "y"}


def test_examples_without_context_are_fed_as_they_are() -> None:
    found = examples(parse_object(b'{"examples": [{"x": 2}]}'))
    assert found.context is None
    assert found.with_context() == found.examples


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
        ('{"examples": 1}', "JSON Value: 1 Expecting 'examples' value to be an list/array"),
        ('{"examples": []}', "JSON Value: [] 'examples' value is an empty array"),
        ('{"examples": [[1]]}', "Example must be JSON object but got JSON Array"),
        ('{"examples": [{}], "context": 1}', "Example must be JSON object but got JSON Number"),
        (
            '{"examples": [{"x": 9223372036854775808}]}',
            "Feature: x has uint64_t element. Only int64_t is supported.",
        ),
        ('{"examples": [{"x": null}]}', "Feature: x has element with unexpected JSON type: Null"),
        ('{"examples": [{"x": {"a": 1}}]}', "Feature: x has element with unexpected JSON type: Object"),
        ('{"examples": [{"x": [[1]]}]}', "Feature: x has element with unexpected JSON type: Array"),
        ('{"examples": [{"x": [1, 2.5]}]}', "Unexpected element type in feature: x expecting type: int64"),
        ('{"examples": [{"x": [2.5, 1]}]}', "Unexpected element type in feature: x expecting type: float"),
        ('{"examples": [{"x": {"b64": "!"}}]}', "Unable to base64 decode"),
    ],
)
def test_examples_that_are_none_are_refused_with_the_contracts_words(body: str, message: str) -> None:
    with pytest.raises(StatusError, match=f"^{re.escape(message)}$"):
        examples(parse_object(body.encode()))
