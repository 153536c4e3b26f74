"""W3C trace context: which trace a request belongs to (https://www.w3.org/TR/trace-context)."""

import re
import sys

from clients.errors import OptionError

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def headers(traceparent: str | None) -> dict[str, str]:
    """The headers that carry the trace: the one given, else OpenTelemetry's current one, if there is any.

    A program that traces has imported OpenTelemetry; for one that has not nothing is imported.
    """
    if traceparent is not None:
        if not TRACEPARENT.fullmatch(traceparent):
            raise OptionError(f"{traceparent!r} is no traceparent; expected 00-<32 hex>-<16 hex>-<2 hex>")
        return {"traceparent": traceparent}
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return {name.lower(): value for name, value in carrier.items()}
