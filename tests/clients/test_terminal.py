"""Progress on a terminal, without a terminal and without waiting."""

import io

import pytest

from clients.terminal import Progress, painter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(err: io.StringIO, out: io.StringIO, total: int | None) -> str:
    """What is drawn when half a second passes with each hundred inputs."""
    times = iter([10.0, 10.5, 10.55, 11.5])
    progress = Progress(out, err, total, clock=lambda: next(times))
    for _ in range(3):
        progress.add(100)
    progress.close()
    return err.getvalue()


def test_progress_shows_share_count_and_speed() -> None:
    written = drawn(Terminal(), io.StringIO(), 400)
    first, second, cleared = written.split("\r")[1:4]
    assert first == "[######------------------] 100 of 400, 200 a second"
    assert second == "[##################------] 300 of 400, 200 a second"
    assert cleared.strip() == ""
    assert len(cleared) >= len(second)
    assert written.endswith("\r")


@pytest.mark.parametrize("total", [None, 50], ids=["unknown", "more than expected"])
def test_progress_without_a_total_counts(total: int | None) -> None:
    assert "\r300 inputs, 200 a second" in drawn(Terminal(), io.StringIO(), total)


@pytest.mark.parametrize(
    ("err", "out"),
    [(io.StringIO(), io.StringIO()), (Terminal(), Terminal())],
    ids=["no terminal", "the answers show it"],
)
def test_progress_is_not_drawn(err: io.StringIO, out: io.StringIO) -> None:
    assert drawn(err, out, 400) == ""


def test_paint_of_a_file_leaves_text_as_it_is() -> None:
    assert painter(io.StringIO())("text", fg="red") == "text"
