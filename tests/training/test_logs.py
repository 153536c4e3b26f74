"""The log of a job: JSON lines for a collector, text for a person."""

import io
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from training import logs
from training.errors import DataError
from training.logs import JsonLines
from training.progress import Bars, Lines


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_every_line_is_an_object_with_time_level_logger_and_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = JsonLines()
    log.line("begun: “é”\nand so on")
    log.warning("slow")
    with log.steps("epoch", 4, done=2) as advance:
        advance("loss 1")
    first, second, third = written(capsys)
    offset = datetime.fromisoformat(first.pop("time")).utcoffset()
    assert offset is not None
    assert first == {"level": "INFO", "logger": "training", "message": "begun: “é”\nand so on"}
    assert (second["level"], second["message"]) == ("WARNING", "slow")
    assert (third["message"], third["step"], third["steps"]) == ("epoch 3/4: loss 1", 3, 4)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("log_format", "container", "terminal", "kind"),
    [
        ("auto", "kubernetes", False, JsonLines),
        ("auto", "docker", False, JsonLines),
        ("auto", "docker", True, Bars),
        ("auto", "", False, Lines),
        ("auto", "", True, Bars),
        ("json", "", True, JsonLines),
        ("text", "kubernetes", False, Lines),
    ],
)
def test_format_follows_the_option_then_the_container_and_the_terminal(  # noqa: PLR0917 (a table)
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    log_format: logs.Format,
    container: str,
    terminal: bool,
    kind: type,
) -> None:
    monkeypatch.delenv(logs.IN_KUBERNETES, raising=False)
    if container == "kubernetes":
        monkeypatch.setenv(logs.IN_KUBERNETES, "10.0.0.1")
    mark = tmp_path / ".dockerenv"
    if container == "docker":
        mark.touch()
    monkeypatch.setattr(logs, "IN_DOCKER", mark)
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    assert type(logs.reporting(log_format)) is kind


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("no data"), 3, "no data"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("a fault"), 1, "a fault"),
    ],
)
def test_error_is_the_last_object_of_a_json_log(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    with pytest.raises(SystemExit) as caught, logs.telling_how_it_ends(JsonLines()):
        raise error
    assert caught.value.code == code
    (last,) = written(capsys)
    assert (last["level"], last["message"]) == ("ERROR", message)
    assert ("traceback" in last) == (code == 1)


def test_error_is_left_to_the_command_where_the_log_is_text() -> None:
    with pytest.raises(DataError), logs.telling_how_it_ends(Lines()):
        raise DataError("no data")


def test_environment_alone_tells_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "IN_DOCKER", Path(os.devnull, "none"))
    assert logs.in_container({logs.IN_KUBERNETES: "10.0.0.1"})
    assert not logs.in_container({})
