"""The server's log on standard error: a line of text each, or one JSON object each."""

import datetime
import json
import logging
import sys
from typing import TextIO

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """A JSON object on one line for each record: time, level, logger, message, and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        document = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)


def configure(log_format: str, stream: TextIO | None = None) -> None:
    """Send the log of the whole process to `stream` (standard error unless given), as "text" or as "json"."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else logging.Formatter(TEXT))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
