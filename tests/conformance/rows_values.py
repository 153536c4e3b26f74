"""Values in JSON, dtype by dtype, both ways; base64; and how numbers are written."""

from __future__ import annotations

from typing import Any

from .table import Rest

PATH = "/v1/models/echo:predict"


def _echo(row_id: str, signature: str, value: str, **options: Any) -> Rest:
    """In column form, so that the value stands alone."""
    body = f'{{"signature_name": "{signature}", "inputs": {value}}}'
    return Rest(id=row_id, rule="2.7", path=PATH, body=body, **options)


def _same(row_id: str, signature: str, value: str, json: Any) -> Rest:
    return _echo(row_id, signature, value, json={"outputs": json})


def _written(row_id: str, signature: str, value: str, *text: str) -> Rest:
    return _echo(row_id, signature, value, text=text)


def _refused(row_id: str, signature: str, value: str, *words: str, **options: Any) -> Rest:
    return _echo(row_id, signature, value, status=400, error=words, **options)


def _type(found: str, expected: str) -> str:
    return f"Type: {found} is not of expected type: {expected}"


FLOATS = (
    _same("float-from-an-integer", "float32", "[3]", [3.0]),
    _same("float-from-an-exponent", "float32", "[1e2, 1E-2, -2.5e+1]", [100.0, 0.01, -25.0]),
    _written("float-over-the-range-is-infinite", "float32", "[1e39, -1e39]", "Infinity", "-Infinity"),
    _same("float-under-the-range-is-zero", "float32", "[1e-60]", [0.0]),
    _same("float-loses-precision-silently", "float32", "[16777217]", [16777216.0]),
    _same("float-from-a-very-long-integer", "float64", "[123456789012345678901]", [123456789012345680000.0]),
    _same("double-keeps-its-precision", "float64", "[0.1, 1.797693134862e308]", [0.1, 1.797693134862e308]),
    _refused("float-from-a-string", "float32", '["1.0"]', "JSON Value: ", _type("String", "float")),
    _refused("float-from-true", "float32", "[true]", "JSON Value: true", _type("True", "float")),
    _refused("float-from-null", "float32", "[null]", "JSON Value: null", _type("Null", "float")),
    _refused("double-from-a-string", "float64", '["1.0"]', "JSON Value: ", _type("String", "double")),
    _written("float-always-has-a-point", "float32", "[3]", "3.0"),
    _written("float-in-six-digits-when-they-suffice", "float32", "[0.1]", "[0.1]"),
    _written("double-in-six-digits-when-they-suffice", "float64", "[0.25]", "0.25"),
    _echo(
        "float-that-six-digits-do-not-give",
        "float32",
        "[0.33333334]",
        json={"outputs": [0.33333334]},
        real=False,
        note="TensorFlow Serving writes nine digits, 0.333333343; as a float32 both are the same number",
    ),
    _same("double-that-six-digits-do-not-give", "float64", "[0.3333333333333333]", [0.3333333333333333]),
    _same("float-of-seven-digits", "float32", "[9000000]", [9000000.0]),
    _same("small-float", "float32", "[0.00001]", [0.00001]),
    _written("negative-zero", "float32", "[-0.0]", "-0.0"),
    _written("trap10-nan-and-infinity-are-written-bare", "float64", "[NaN, Infinity, -Infinity]",
             "NaN", "Infinity", "-Infinity"),
    _echo("nan-is-no-string", "float32", "[NaN]", text=("NaN",), not_text=('"NaN"', "null")),
)  # fmt: skip

DIGITS = tuple(
    _echo(
        f"digits-of-{value}-as-{dtype}",
        dtype,
        f"[{value}]",
        text=(f"[{digits}]",),
        ours=False,
        note="kedge writes the shortest digits that read back as the element",
    )
    for dtype, value, digits in (
        ("float32", "9000000", "9e+06"),
        ("float32", "0.333333333333", "0.333333343"),
        ("float64", "0.333333333333333315", "0.33333333333333331"),
        ("float32", "0.00001", "1e-05"),
    )
)


def _integers() -> tuple[Rest, ...]:
    """The ends of each integer dtype, and what is just outside or no integer literal at all."""
    ends = {
        "int8": (-(2**7), 2**7 - 1),
        "int16": (-(2**15), 2**15 - 1),
        "int32": (-(2**31), 2**31 - 1),
        "int64": (-(2**63), 2**63 - 1),
        "uint8": (0, 2**8 - 1),
        "uint32": (0, 2**32 - 1),
        "uint64": (0, 2**64 - 1),
    }
    rows = []
    for dtype, (low, high) in ends.items():
        rows.append(_same(f"{dtype}-to-its-ends", dtype, f"[{low}, {high}]", [low, high]))
        rows.append(_refused(f"trap11-{dtype}-from-1.0", dtype, "[1.0]", _type("Number", dtype)))
    for dtype in ("int32", "int64", "uint32", "uint64"):
        low, high = ends[dtype]
        rows.append(_refused(f"{dtype}-over-the-range", dtype, f"[{high + 1}]", _type("Number", dtype)))
        rows.append(_refused(f"{dtype}-under-the-range", dtype, f"[{low - 1}]", _type("Number", dtype)))
    return tuple(rows)


INTEGERS = (
    *_integers(),
    _refused("trap11-int-from-an-exponent", "int32", "[1e2]", _type("Number", "int32")),
    _refused("int-from-a-string", "int32", '["1"]', _type("String", "int32")),
    _refused("int-from-true", "int32", "[true]", _type("True", "int32")),
    _refused("int-from-nan", "int64", "[NaN]", _type("Number", "int64")),
    _echo(
        "trap-narrow-integers-have-no-range-check",
        "int8",
        "[300]",
        status=200,
        confirmed=False,
        note="what becomes of 300 is the runtime's",
    ),
    _refused("narrow-integers-are-in-the-int32-range", "int8", "[2147483648]", _type("Number", "int8")),
    _written("int-is-written-without-point", "int32", "[7]", "[7]"),
    _written("uint64-is-written-in-full", "uint64", "[18446744073709551615]", "18446744073709551615"),
)

BOOLEANS = (
    _same("bool", "bool", "[true, false]", [True, False]),
    _refused("bool-from-1", "bool", "[1]", _type("Number", "bool")),
    _refused("bool-from-0", "bool", "[0]", _type("Number", "bool")),
    _refused("bool-from-a-string", "bool", '["true"]', _type("String", "bool")),
    _refused("bool-from-null", "bool", "[null]", _type("Null", "bool")),
)

STRINGS = (
    _same("string", "string", '["a", ""]', ["a", ""]),
    _same("string-utf-8", "string", '["grüße 日本 🙂"]', ["grüße 日本 🙂"]),
    _same("string-escapes", "string", r'["\u00e9\n\t\"\\\/ \ud83d\ude42"]', ['é\n\t"\\/ 🙂']),
    _same("string-scalar", "string", '"alone"', "alone"),
    _same("string-that-looks-like-base64", "string", '["aGk="]', ["aGk="]),
    _refused("string-from-a-number", "string", "[1]", _type("Number", "string")),
    _refused("string-from-false", "string", "[false]", _type("False", "string")),
    _refused("string-from-null", "string", "[null]", _type("Null", "string")),
    _same("trap12-b64-on-any-string-input", "string", '[{"b64": "aGk="}, "plain"]', ["hi", "plain"]),
    _same("trap12-b64-on-a-bytes-input", "bytes_in", '[{"b64": "aGk="}]', ["hi"]),
    _same("trap12-bytes-input-takes-plain-strings-as-they-are", "bytes_in", '["aGk="]', ["aGk="]),
    _same("trap12-bytes-output", "bytes", '["hi"]', [{"b64": "aGk="}]),
    _same("trap12-bytes-output-of-b64-input", "bytes", '[{"b64": "/wA="}]', [{"b64": "/wA="}]),
    _same("trap12-bytes-among-several-outputs", "text_and_bytes", '["hi"]',
          {"text": ["hi"], "text_bytes": [{"b64": "aGk="}]}),
    _same("b64-of-nothing", "bytes", '[{"b64": ""}]', [{"b64": ""}]),
    Rest(id="b64-in-row-form-is-a-value", rule="2.7", path=PATH,
         body='{"signature_name": "string", "instances": [{"b64": "aGk="}, "plain"]}',
         json={"predictions": ["hi", "plain"]}),
    Rest(id="b64-under-a-name-in-row-form", rule="2.7", path=PATH,
         body='{"signature_name": "bytes", "instances": [{"x": {"b64": "aGk="}}]}',
         json={"predictions": [{"b64": "aGk="}]}),
    _refused("b64-that-is-no-base64", "string", '[{"b64": "*?"}]', "Unable to base64 decode"),
    _refused("b64-with-a-second-key", "string", '[{"b64": "aGk=", "more": 1}]', "JSON Value: ",
             "not formatted correctly for base64 data"),
    _refused("b64-that-is-no-string", "string", '[{"b64": 5}]', "JSON Value: ",
             "not formatted correctly for base64 data"),
    _refused("object-under-another-name", "string", '[{"text": "hi"}]', "JSON Value: ",
             "not formatted correctly for base64 data"),
    _refused("b64-in-a-float-input", "float32", '[{"b64": "aGk="}]', _type("Object", "float")),
)  # fmt: skip

UNCONVERTED = ("Conversion of JSON Value: ", " to type: ")
UNWRITTEN = ("Failed to write JSON value for tensor type: ",)
HALVES = ("float16", "bfloat16")

NEVER = (
    *(
        _echo(f"{dtype}-from-json", dtype, "[1]", status=501, error=UNCONVERTED)
        for dtype in ("uint16", "complex64", "complex128")
    ),
    *(
        _echo(f"{dtype}-to-json", f"to_{dtype}", "[1.0]", status=400, error=UNWRITTEN)
        for dtype in ("uint16", "complex64")
    ),
    *(
        _echo(f"{dtype}-from-json-refused", dtype, "[1]", status=501, error=UNCONVERTED, ours=False)
        for dtype in HALVES
    ),
    *(
        _echo(f"{dtype}-to-json-refused", f"to_{dtype}", "[1.0]", status=400, error=UNWRITTEN, ours=False)
        for dtype in HALVES
    ),
    *(
        _echo(
            f"{dtype}-in-json",
            dtype,
            "[1, 0.5, -2.0]",
            json={"outputs": [1.0, 0.5, -2.0]},
            real=False,
            note="section 9, 4: TensorFlow Serving refuses it, with 501 on the way in and 400 on the way out",
        )
        for dtype in HALVES
    ),
)

ROWS = FLOATS + DIGITS + INTEGERS + BOOLEANS + STRINGS + NEVER
