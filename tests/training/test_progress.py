"""Bars where a person watches, plain lines where a log is kept."""

import os
import sys

import pytest

from training.progress import Bars, Lines, to_stderr


def test_log_gets_a_line_for_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    progress = to_stderr()
    assert type(progress) is Lines
    progress.line("begun")
    with progress.steps("epoch", 2) as advance:
        advance("loss 2")
        advance("loss 1")
    captured = capsys.readouterr()
    assert captured.err == "begun\nepoch 1/2: loss 2\nepoch 2/2: loss 1\n"
    assert captured.out == ""


def test_terminal_gets_one_bar_that_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.openpty()
    with open(writer, "w", encoding="utf-8") as terminal:  # noqa: PTH123 (a descriptor)
        monkeypatch.setattr(sys, "stderr", terminal)
        progress = to_stderr()
        assert type(progress) is Bars
        with progress.steps("epoch", 2) as advance:
            advance("loss 2")
            advance("loss 1")
        terminal.flush()
        # A terminal hands on what is written to it in its own time.
        drawn = ""
        while "\n" not in drawn:
            drawn += os.read(reader, 10_000).decode()
    os.close(reader)
    assert drawn.count("#" * 24) == 1
    assert "]  loss 1" in drawn
    assert drawn.count("\n") == 1


def test_steps_that_were_done_before_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines().steps("epoch", 3, done=2) as advance:
        advance("loss 1")
    assert capsys.readouterr().err == "epoch 3/3: loss 1\n"


def test_warning_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().warning("not pushed")
    assert capsys.readouterr().err == "warning: not pushed\n"
