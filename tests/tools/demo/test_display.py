"""What is seen of a run: aligned, cut where it must be, and not more often than it helps."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest

from workkit import MissingExtra
from workkit.tools.demo.display import PlainDisplay, Progress
from workkit.tools.demo.launch import choose_display, without_password
from workkit.tools.demo.report import ErrorRow, JobRow, Report
from workkit.tools.demo.tally import Totals
from workkit.tools.demo.terminal import TerminalDisplay
from workkit.tools.demo.watch import Snapshot

ROW = JobRow("parse_file", 1_234_567, 1_234_558, 18, 9, 0, 10, 1_200)
LONG = ErrorRow("SyntaxError: " + "very " * 40 + "wrong", 1_000_000, 999_999, "lib/" + "x" * 40)
REPORT = Report(
    files=3, found=4, over_limit=1, over_size=0, suspects=1, jobs=[ROW, ROW, ROW],
    total=ROW, errors=[LONG], wall_s=2.0, jobs_per_s=5.0, sampled_per_s=[1, 2], refused=3,
    at_once=2, at_once_limit=2, parsed=Totals(1, 2, 3, 4, 5), packages={"p": Totals(1, 2, 3, 4, 5)},
    slowest=("p/\x1b[31ma.py", 0.5), digest="ab" * 32, complete=True, pool_totals={"done": 7},
    problems=["something is missing"],
)  # fmt: skip
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def report() -> Report:
    from dataclasses import replace

    reports = replace(ROW, name="package_report")
    return replace(REPORT, jobs=[ROW, reports])


def progress(elapsed_s: float) -> Progress:
    snapshot = Snapshot({}, 2, 1, 10, 10, pending=True, checkin="3 of 4 files")
    return Progress(elapsed_s, files=5_000, through=1_234, per_s=321.4, snapshot=snapshot)


def test_plain_lines_come_every_two_seconds() -> None:
    stream = io.StringIO()
    with PlainDisplay(stream) as display:
        for tenths in range(61):
            display.show(progress(tenths / 10))
    assert stream.getvalue().splitlines() == [
        f"{elapsed:5.1f} s  1,234 of 5,000 files, 321 executions/s, 2 to retry, 1 dead"
        for elapsed in (2.0, 4.0, 6.0)
    ]


def test_the_columns_of_a_plain_table_stand_below_each_other() -> None:
    stream = io.StringIO()
    PlainDisplay(stream).finish(report())
    head, rule, *rows = stream.getvalue().strip().splitlines()[:5]
    end = head.index("accepted") + len("accepted")
    assert {len(line[:end].rstrip()) for line in (head, rule, *rows[:2])} == {end}
    assert "1,234,567" in rows[0]


def test_a_plain_report_has_no_escapes_whatever_a_file_is_called() -> None:
    stream = io.StringIO()
    PlainDisplay(stream).finish(report())
    assert "\x1b" not in stream.getvalue()
    assert "problem:  something is missing" in stream.getvalue()


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_numbers_survive_a_narrow_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, terminal: Callable[[], io.StringIO]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = terminal()
    TerminalDisplay(stream).finish(report())
    lines = [ESCAPES.sub("", line) for line in stream.getvalue().splitlines()]
    (error,) = (line for line in lines if "SyntaxError" in line)
    assert error.split()[:2] == ["1,000,000", "999,999"]
    if columns >= 80:
        assert max(map(len, lines)) <= columns
        assert any("1,234,567" in line and "1,200" in line for line in lines)


def test_the_live_view_shows_progress_and_makes_room(
    monkeypatch: pytest.MonkeyPatch, terminal: Callable[[], io.StringIO]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = terminal()
    with TerminalDisplay(stream) as display:
        display.show(progress(1.0))
        shown = ESCAPES.sub("", stream.getvalue())
        assert "1,234 of 5,000" in shown
        assert "3 of 4 files" in shown
        assert "to retry 2" in shown
        assert len(shown.splitlines()) < 24
        display.note("dead after 3 tries: " + "x" * 200)
    assert "\x1b[2K" in stream.getvalue()
    assert "x…" in stream.getvalue()


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(
    kind: str, monkeypatch: pytest.MonkeyPatch, terminal: Callable[[], io.StringIO]
) -> None:
    monkeypatch.setenv("TERM", kind)
    assert isinstance(choose_display(terminal()), PlainDisplay)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(choose_display(terminal()), TerminalDisplay)
    assert isinstance(choose_display(io.StringIO()), PlainDisplay)


def test_no_color_means_no_colors(
    monkeypatch: pytest.MonkeyPatch, terminal: Callable[[], io.StringIO]
) -> None:
    colors = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    colored = terminal()
    TerminalDisplay(colored).finish(report())
    assert colors.search(colored.getvalue())
    monkeypatch.setenv("NO_COLOR", "1")
    plain = terminal()
    TerminalDisplay(plain).finish(report())
    assert not colors.search(plain.getvalue())


def test_a_terminal_needs_rich_and_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, terminal: Callable[[], io.StringIO]
) -> None:
    import sys

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delitem(sys.modules, "workkit.tools.demo.terminal")
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(MissingExtra, match=r"pip install 'workkit\[demo\]'"):
        choose_display(terminal())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:6379/1", "redis://:***@host:6379/1"),
        ("rediss://me:secret@host/0?a=b", "rediss://me:***@host/0?a=b"),
        ("redis://localhost", "redis://localhost"),
        ("unix:///tmp/server.sock", "unix:///tmp/server.sock"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
