"""The display of a run: aligned, cut to its width, harmless, and not too frequent."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.tools.demo.test_account import an_account
from workkit.core.records import Overview
from workkit.tools.demo.display import DemoDisplay
from workkit.tools.demo.workload import SourceFile, Workload

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLORS = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")
SEEN = Overview(1.0, [], [], scheduled=3, retry=2, dead=1, executions=100)
#: A name that a file or an error may have: markup of rich, and an escape sequence.
NASTY = "[bold]a[/nope] \x1b[31m.py"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")


def test_in_a_pipe_a_line_comes_every_two_seconds() -> None:
    stream = io.StringIO()
    with DemoDisplay(stream) as display:
        for tenths in range(61):
            display.show(tenths / 10, 1_234, 5_000, SEEN)
    assert stream.getvalue().splitlines() == [
        f"{at:5.1f} s  1,234 of 5,000 files, {per_s} executions/s, 2 to retry, 1 dead"
        for at, per_s in ((2.0, 50), (4.0, 25), (6.0, 17))
    ]


def test_a_pipe_gets_long_lines_whole_and_no_escapes() -> None:
    stream = io.StringIO()
    with DemoDisplay(stream) as display:
        display.note(NASTY + "x" * 200)
        display.finish(an_account())
    text = stream.getvalue()
    assert "[bold]a[/nope] \\x1b[31m.py" + "x" * 200 + "\n" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_the_numbers_of_the_account_fit_any_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, terminal: Callable[[], io.StringIO]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = terminal()
    DemoDisplay(stream).finish(an_account())
    lines = [ESCAPES.sub("", line) for line in stream.getvalue().splitlines()]
    (total,) = (line for line in lines if line.startswith("all "))
    assert total.split() == ["all", "4", "3", "1", "1", "0", "0"]
    assert max(map(len, lines)) <= max(columns, 72)
    words = " ".join(" ".join(lines).split())
    assert "4 enqueued = 3 done + 1 dead + 0 discarded + 0 left" in words


def test_a_problem_is_shown_in_place_of_the_good_news(terminal: Callable[[], io.StringIO]) -> None:
    good, bad = terminal(), terminal()
    DemoDisplay(good).finish(an_account())
    assert "No job was lost" in good.getvalue()
    DemoDisplay(bad).finish(an_account(trimmed=2))
    assert "No job was lost" not in bad.getvalue()
    assert "history has lost 2 executions" in bad.getvalue()


def test_a_run_that_was_stopped_promises_nothing() -> None:
    stream = io.StringIO()
    DemoDisplay(stream).finish(an_account(complete=False))
    assert "No job was lost" not in stream.getvalue()


def test_a_terminal_shows_a_bar_and_cuts_long_lines(terminal: Callable[[], io.StringIO]) -> None:
    stream = terminal()
    with DemoDisplay(stream) as display:
        display.show(1.0, 1_234, 5_000, SEEN)
        display.note(NASTY + "x" * 200)
    shown = ESCAPES.sub("", stream.getvalue()).replace("\r", "\n")
    assert "1,234 of 5,000 files" in shown
    assert "2 to retry, 1 dead" in shown
    (note,) = (line for line in shown.splitlines() if line.startswith("[bold]a[/nope] "))
    assert note.endswith("x…")
    assert len(note) <= 80
    assert "\x1b[31m" not in stream.getvalue()
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(
    kind: str, monkeypatch: pytest.MonkeyPatch, terminal: Callable[[], io.StringIO]
) -> None:
    monkeypatch.setenv("TERM", kind)
    stream = terminal()
    with DemoDisplay(stream) as display:
        display.show(3.0, 1_234, 5_000, SEEN)
    assert stream.getvalue().startswith("  3.0 s  1,234 of 5,000 files")
    assert "\x1b" not in stream.getvalue()


def test_no_color_means_no_colors(
    monkeypatch: pytest.MonkeyPatch, terminal: Callable[[], io.StringIO]
) -> None:
    def shown() -> str:
        stream = terminal()
        with DemoDisplay(stream) as display:
            display.show(1.0, 1_234, 5_000, SEEN)
        display.finish(an_account(trimmed=1))
        return stream.getvalue()

    assert COLORS.search(shown())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLORS.search(shown())


def test_without_a_stream_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with DemoDisplay(None) as display:
        display.show(9.0, 1, 2, SEEN)
        display.note("x")
    display.finish(an_account())
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_has_gone_ends_the_run_but_no_other_thread() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    display = DemoDisplay(Closed())
    display.note("from a thread of the pool")
    with pytest.raises(BrokenPipeError):
        display.show(3.0, 1, 2, SEEN)


def test_the_files_and_those_that_are_left_out_are_said() -> None:
    file = SourceFile("/r/p/a.py", "p/a.py", "p", 10)
    suspect = replace(file, name="test/badsyntax_x.py")
    stream = io.StringIO()
    workload = Workload((file, suspect), over_limit=1_298, over_size=1)
    DemoDisplay(stream).introduce(workload, "on a server\x1b[31m")
    first, second, third = stream.getvalue().splitlines()
    assert re.fullmatch(
        r"2 files of Python 3\.\S+, 1 of them from CPython's tests of invalid source", first
    )
    assert second == "left out: 1,298 files over the limit, 1 file larger than 256 KiB"
    assert third == "on a server\\x1b[31m"


def test_a_python_without_invalid_source_is_told_why_nothing_died() -> None:
    suspect = SourceFile("/r/test/bad.py", "test/badsyntax_x.py", "test", 10)
    for files, said in (((), True), ((suspect,), False)):
        stream = io.StringIO()
        DemoDisplay(stream).finish(an_account(workload=Workload(files, 0, 0)))
        assert ("without CPython's files of invalid source" in stream.getvalue()) is said
