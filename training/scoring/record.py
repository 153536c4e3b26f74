"""The record of a job: how far it is. At the end it is the receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from training.errors import TrainingError
from training.scoring.outcomes import Outcome
from training.scoring.rows import Position

RUNNING, PUBLISHING, DONE = "running", "publishing", "done"
FORMAT = 1
ANEW = "--no-resume starts anew"


class ResumeError(TrainingError):
    """What lies beside the output is not this job's, or another process is at work on it."""

    exit_code = 3


@dataclass(frozen=True)
class Record:
    """How far a job is. `job` is what makes it this job; `start` and `stop` bound its rows.

    `position` is behind the last counted row; `answer_bytes` and `error_bytes` of the files are valid.
    """

    job: Mapping[str, Any]
    version: int
    start: Position
    stop: Position | None
    position: Position
    state: str = RUNNING
    answer_bytes: int = 0
    error_bytes: int = 0
    scored: int = 0
    bad: int = 0
    text_keys: bool = False
    first_reason: str = ""

    def after(self, outcome: Outcome) -> Record:
        """Return the record with one more block."""
        return replace(
            self,
            position=outcome.end,
            answer_bytes=self.answer_bytes + len(outcome.answers),
            error_bytes=self.error_bytes + len(outcome.errors),
            scored=self.scored + outcome.scored,
            bad=self.bad + outcome.bad,
            text_keys=self.text_keys or outcome.text_keys,
            first_reason=self.first_reason or outcome.reason,
        )


def record_path(output: Path) -> Path:
    """Return where the record of the job is that writes an output."""
    return output.with_name(f"{output.name}.job.json")


def read_record(path: Path) -> Record | None:
    """Return the record at a path, or None where there is none; raise ResumeError where it is damaged."""
    try:
        content = orjson.loads(path.read_bytes())
        if content.pop("format") != FORMAT:
            raise ValueError("it is of another format")
        stop = content.pop("stop")
        start, position = (Position(**content.pop(name)) for name in ("start", "position"))
        stop = None if stop is None else Position(**stop)
        return Record(**content, start=start, stop=stop, position=position)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResumeError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ResumeError(f"{path} is no record of a scoring job: {error}; {ANEW}") from error


def total(records: Sequence[Record]) -> Record:
    """Return one record for all shards of a job."""
    return replace(
        records[0],
        position=records[-1].position,
        stop=records[-1].stop,
        answer_bytes=sum(record.answer_bytes for record in records),
        error_bytes=sum(record.error_bytes for record in records),
        scored=sum(record.scored for record in records),
        bad=sum(record.bad for record in records),
    )
