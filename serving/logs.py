"""The server's log on standard error: a line of text each, or one JSON object each."""

import datetime
import json
import logging
import sys
import threading
from types import TracebackType
from typing import Any, TextIO

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_log = logging.getLogger(__name__)


class JsonLines(logging.Formatter):
    """A JSON object on one line for each record: time, level, logger, message, and any traceback.

    What a record has in `fields` becomes members of the object.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        document: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            document["stack"] = record.stack_info
        return json.dumps(document, ensure_ascii=False, default=str)


def configure(log_format: str, stream: TextIO | None = None) -> None:
    """Send the log of the whole process to `stream` (standard error unless given), as "text" or as "json".

    As JSON, warnings and exceptions that nobody caught are records of the log, too.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else logging.Formatter(TEXT))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    if log_format == "json":
        logging.captureWarnings(True)
        sys.excepthook = _uncaught
        threading.excepthook = _uncaught_in_thread


def _message(record: logging.LogRecord) -> str:
    """The record's message; a library that gives the wrong number of arguments loses none of its text."""
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg} {record.args}"


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("the program ends: %s", kind.__name__, exc_info=(kind, error, trace))


def _uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_type is not SystemExit and given.exc_value is not None:
        name = given.thread.name if given.thread else ""
        trace = (given.exc_type, given.exc_value, given.exc_traceback)
        _log.error("thread %s has ended", name, exc_info=trace)
