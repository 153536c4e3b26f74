"""A line of the log for each answered request, where that is wanted."""

import json
import logging

from serving.answered import Answered, Caller

_log = logging.getLogger(__name__)

# Names that a client made up are cut off here.
LONGEST_NAME = 256
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/[]%")


def log(request: Answered, caller: Caller) -> None:
    """Write the line: key=value pairs as text, members of the object as JSON."""
    call = request.call
    fields: dict[str, str | int | float | None] = {
        "transport": request.transport,
        "api": request.api,
        "model": call.spec.name[:LONGEST_NAME],
        "version": call.version,
        "signature": call.signature_name,
        "code": request.code.name,
        "seconds": round(request.ended - request.started, 6),
        "peer": caller.address(),
    }
    trace = _trace_id(caller.headers().get("traceparent", ""))
    if trace:
        fields["trace_id"] = trace
    text = " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())
    _log.info("request %s", text, extra={"fields": fields})


def _trace_id(traceparent: str) -> str:
    """The trace's id in a W3C traceparent header, "" where there is none."""
    parts = traceparent.split("-")
    identifier = parts[1] if len(parts) >= 4 else ""  # noqa: PLR2004
    return identifier if len(identifier) == 32 and identifier.isalnum() else ""  # noqa: PLR2004


def _quoted(value: str | int | float | None) -> str:
    """A value on a line of text: in quotes where it could be taken for something else."""
    text = "" if value is None else str(value)
    return text if _PLAIN.issuperset(text) else json.dumps(text)
