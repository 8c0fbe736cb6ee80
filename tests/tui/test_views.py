"""Views are saved under names, and columns are chosen; both are in a file that may be shared."""

from __future__ import annotations

import errno
import fcntl
import json
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import WaitUntil
from tests.tui.pressing import App, P, table
from tests.tui.stage import ConsoleStage, shown
from tests.tui.test_hostile_text import WORST, is_harmless
from tests.tui.test_in_tmux import terminal
from workkit.admin.query import Query
from workkit.core import locking
from workkit.core.records import Queue
from workkit.errors import InvalidOption
from workkit_tui.model.completion import completed, query_words
from workkit_tui.remembered import Remembered, SavedView, usual_path
from workkit_tui.screens.queue import QueueScreen
from workkit_tui.widgets.prompt import PromptField

NAMES = st.text(st.characters(categories=("L", "N", "P", "Zs", "S")), min_size=1, max_size=60)
VIEWS = st.builds(SavedView, st.text(), st.text(), st.text(), st.text(), st.booleans())
DEAD = SavedView("dead", filter="fails:>3")


async def typed(stage: ConsoleStage, pilot: P, app: App, text: str) -> None:
    await pilot.press("colon")
    await pilot.pause()
    app.screen.query_one("#prompt-input").value = text  # type: ignore[attr-defined]
    await stage.press(pilot, app, "enter")


def said(app: App) -> list[str]:
    return [each.message for each in app._notifications]


# The file


class Msvcrt:
    """The locks of Windows, which say in another way that somebody else has one."""

    LK_NBLCK = 2

    @staticmethod
    def locking(handle: int, mode: int, count: int) -> None:
        assert (mode, count) == (Msvcrt.LK_NBLCK, 1)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None


@pytest.fixture(params=["posix", "windows"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A system with locks of its kind."""
    if request.param == "windows":
        monkeypatch.setattr(locking, "_fcntl", None)
        monkeypatch.setattr(locking, "_msvcrt", Msvcrt)
    return str(request.param)


@pytest.mark.usefixtures("system")
def test_two_consoles_that_save_at_the_same_time_both_save(tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    first, other = Remembered(path), Remembered(path)
    saves = threading.Thread(target=other.save_view, args=("other", DEAD))

    def change(content: Any) -> None:
        saves.start()
        saves.join(0.2)  # it would end here if nothing held it back
        content.views["first"] = DEAD

    first._change(change)
    saves.join()
    assert set(Remembered(path).views) == {"first", "other"}


@pytest.mark.usefixtures("system")
def test_a_console_that_cannot_save_for_long_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "_TRIES", 2)
    path = tmp_path / "console.json"
    told: list[str] = []

    def change(content: Any) -> None:
        with pytest.raises(InvalidOption) as refused:
            Remembered(path).save_view("other", DEAD)
        told.append(str(refused.value))
        content.views["first"] = DEAD

    Remembered(path)._change(change)
    assert told == [f"{path} is being changed by another program for 0.04 s; try again"]
    assert set(Remembered(path).views) == {"first"}


def test_processes_that_save_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from workkit_tui.remembered import Remembered, SavedView\n"
        "me = Remembered(__import__('pathlib').Path(sys.argv[1])); print(flush=True); input()\n"
        "for n in range(20): me.save_view(f'{sys.argv[2]}-{n}', SavedView('dead'))"
    )
    path = tmp_path / "console.json"
    command = [sys.executable, "-c", program, str(path)]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen([*command, str(n)], stdin=PIPE, stdout=PIPE, text=True)
            )
            for n in range(3)
        ]
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()  # it has been imported
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.wait(60) for process in running] == [0, 0, 0]
    assert len(Remembered(path).views) == 60


def test_a_file_system_without_locks_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "_fcntl", None)
    path = tmp_path / "console.json"
    Remembered(path).save_view("mine", DEAD)
    assert set(Remembered(path).views) == {"mine"}


def test_a_view_that_another_console_has_saved_can_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    first = Remembered(path)
    Remembered(path).save_view("new", DEAD)
    assert first.save_view("new", DEAD), "it has replaced one"
    Remembered(path).forget_view("new")
    with pytest.raises(InvalidOption, match="no view is called 'new'; :save NAME saves one"):
        first.forget_view("new")


@given(st.dictionaries(NAMES.filter(str.isprintable), VIEWS, max_size=4))
def test_what_is_saved_is_read_by_the_next_console(
    tmp_path_factory: pytest.TempPathFactory, views: dict[str, SavedView]
) -> None:
    path = tmp_path_factory.mktemp("views") / "new" / "console.json"
    first, other = Remembered(path), Remembered(path)
    for name, view in views.items():
        assert not first.save_view(name, view)
    other.choose_columns("dead.jobs", ["Died", "Job"])
    third = Remembered(path)
    assert (third.views, third.trouble) == (dict(sorted(views.items())), "")
    assert third.columns("dead.jobs") == ["Died", "Job"], "two consoles do not drop each other's"
    assert path.stat().st_mode & 0o077 == 0
    third.choose_columns("dead.jobs", None)
    assert Remembered(path).columns("dead.jobs") is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is damaged"),
        (b"[views]\n", "is damaged"),
        (b'{"version": 1, "views": {"a": {"screen": 1}}}', r"\$\.views\[\.\.\.\]\.screen"),
        (b'{"version": 1, "vews": {}}', "vews"),
        (b'{"version": 1, "columns": {"a": "b"}}', r"\$\.columns"),
        (b'{"version": 2, "new": 1}', r"a later workkit \(version 2\)"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b" " * 1_000_001, "more than 1,000,000 bytes"),
    ],
)
def test_a_damaged_file_is_named_and_left_alone(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "console.json"
    path.write_bytes(content)
    remembered = Remembered(path)
    assert str(path) in remembered.trouble
    with pytest.raises(InvalidOption, match=complaint):
        remembered.save_view("a", DEAD)
    with pytest.raises(InvalidOption, match=complaint):
        remembered.choose_columns("a", ["b"])
    assert path.read_bytes() == content


def test_a_file_that_is_damaged_later_is_left_alone_too(tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    remembered = Remembered(path)
    remembered.save_view("a", DEAD)
    path.write_bytes(b"{")
    with pytest.raises(InvalidOption, match="mend it or delete it"):
        remembered.save_view("b", DEAD)
    assert path.read_bytes() == b"{"


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidOption, match="cannot be"):
        Remembered(tmp_path / "file" / "console.json").save_view("a", DEAD)
    with pytest.raises(InvalidOption, match="cannot be read"):
        Remembered(tmp_path).save_view("a", DEAD)


@pytest.mark.parametrize("name", ["", "x" * 61, "a\nb", WORST])
def test_names_are_short_and_printable(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidOption, match="printable"):
        Remembered(tmp_path / "a").save_view(name, DEAD)


def test_without_a_file_views_last_until_the_end(tmp_path: Path) -> None:
    remembered = Remembered(None)
    remembered.save_view("a", DEAD)
    assert remembered.view("a") == DEAD
    path = tmp_path / "console.json"
    reader = Remembered(path)
    reader.writable = False
    reader.save_view("a", DEAD)
    assert reader.view("a") == DEAD
    assert not path.exists(), "a browser writes nothing on the server"


@pytest.mark.parametrize("given_home", ["/etc/mine", "relative", ""])
def test_the_usual_file_is_where_xdg_wants_it(
    monkeypatch: pytest.MonkeyPatch, given_home: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", given_home)
    base = Path(given_home) if given_home.startswith("/") else Path.home() / ".config"
    assert usual_path() == base / "workkit" / "console.json"


# Completion


@given(st.text(max_size=40), st.lists(st.text(min_size=1), max_size=4))
def test_a_completion_only_adds_to_what_was_typed(text: str, words: list[str]) -> None:
    found = completed(text, words)
    assert found is None or (found.startswith(text) and found != text)


@pytest.mark.parametrize(
    ("typed_text", "expected"),
    [
        ("que", "queue:"), ("error:x fai", "error:x fails:"), ("queue:ma", "queue:mail"),
        ("not (queue:m", "not (queue:mail"), ("-is:u", "-is:unique"), ("queue:a-", "queue:a-b"),
        ("", None), ("error:x ", None), ("zzz", None),
    ],
)  # fmt: skip
def test_fields_and_queues_complete_a_query(typed_text: str, expected: str | None) -> None:
    queues = [Queue(name, 0, 0) for name in ("mail", "a-b", "odd name", 'q"')]
    words = query_words(queues)
    assert completed(typed_text, words) == expected
    for word in words:
        if not word.endswith(":"):
            Query(word)


# The console


@pytest.mark.one_server
def test_a_view_is_saved_and_shown_again(stage: ConsoleStage, tmp_path: Path) -> None:
    stage.busy()
    path = tmp_path / "console.json"

    async def save(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6", "slash", *"error:address", "enter", "o")
        await typed(stage, pilot, app, "save no address")
        assert f"View no address is saved in {path}." in said(app)
        await stage.press(pilot, app, "2", "slash", *"ma", "enter", "s", "s", "i")
        await typed(stage, pilot, app, "save mails")
        await pilot.press("enter")
        await stage.look(pilot, app)
        await stage.press(pilot, app, "slash", *"args:user1", "enter")
        await typed(stage, pilot, app, "save one mail")
        await stage.press(pilot, app, "enter")
        await typed(stage, pilot, app, "save this")
        assert "the page of one job is not a view" in shown(app)

    async def show(pilot: P, app: App) -> None:
        await typed(stage, pilot, app, "view no address")
        await stage.until(pilot, lambda: "1 match" in shown(app))
        assert app.console_screen is app.get_screen("dead")
        await stage.press(pilot, app, "escape")
        assert "oldest first" in shown(app)
        await typed(stage, pilot, app, "view mails")
        assert table(app).total == 1
        assert (table(app).sorted_by, table(app).inverted) == ("Running", True)
        await typed(stage, pilot, app, "view one mail")
        assert isinstance(app.screen, QueueScreen)
        await stage.until(pilot, lambda: "/args:user1" in shown(app))
        await typed(stage, pilot, app, "view")
        assert "Views: mails, no address, one mail" in said(app)
        await typed(stage, pilot, app, "forget mails")
        await typed(stage, pilot, app, "view mails")
        assert "no view is called 'mails'; there are: no address, one mail" in shown(app)

    stage.drive(save, file=str(path))
    stage.drive(show, file=str(path))
    assert set(json.loads(path.read_bytes())["views"]) == {"no address", "one mail"}


@pytest.mark.one_server
def test_every_list_can_be_saved_and_shown(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        for tab in app.tabs:
            await stage.press(pilot, app, tab.key)
            await typed(stage, pilot, app, f"save {tab.name}")
        for tab in app.tabs:
            await typed(stage, pilot, app, f"view {tab.name}")
            assert app.console_screen is app.get_screen(tab.name)
            await stage.until(pilot, lambda: not app.workers._workers)

    stage.drive(play)


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("view", "complaint"),
    [
        (SavedView("nowhere"), "a screen that is not here: nowhere"),
        (SavedView("dead", filter="erorr:x"), "the view cannot be shown: unknown field"),
        (SavedView("queue", "mail", filter="erorr:x"), "the view cannot be shown"),
        (SavedView("queue"), "the view cannot be shown"),
        (SavedView("queue", WORST), ""),
        (SavedView("errors", filter="(", sort=WORST), "the view cannot be shown"),
        (SavedView("errors", filter=WORST), ""),
        (SavedView("queues", filter=WORST, sort=WORST), ""),
    ],
)
def test_a_view_of_a_shared_file_may_hold_anything(
    stage: ConsoleStage, tmp_path: Path, view: SavedView, complaint: str
) -> None:
    stage.busy()
    path = tmp_path / "console.json"
    Remembered(path).save_view("odd", view)

    async def play(pilot: P, app: App) -> None:
        await typed(stage, pilot, app, "view odd")
        await stage.until(pilot, lambda: complaint in shown(app))
        assert is_harmless(shown(app))
        await typed(stage, pilot, app, "view")
        assert app.is_running

    stage.drive(play, file=str(path))


@pytest.mark.one_server
def test_a_damaged_file_is_complained_about_when_the_console_opens(
    stage: ConsoleStage, tmp_path: Path
) -> None:
    path = tmp_path / "console.json"
    path.write_text("{")

    async def play(pilot: P, app: App) -> None:
        assert any(f"{path} is damaged" in text for text in said(app))
        await stage.press(pilot, app, "6")
        await typed(stage, pilot, app, "save mine")
        assert "mend it or delete it" in shown(app)

    stage.drive(play, file=str(path))
    assert path.read_text() == "{"


@pytest.mark.one_server
def test_the_line_of_a_jump_and_of_a_filter_is_completed(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        async def tab_completes(*keys: str) -> str:
            await pilot.press(*keys)
            field = app.screen.query_one(PromptField)
            await stage.until(pilot, lambda: field._suggestion)
            await pilot.press("tab")
            await pilot.pause()
            found = field.value
            await pilot.press("escape")
            return found

        await stage.press(pilot, app, "6")
        await typed(stage, pilot, app, "save bad ones")
        assert await tab_completes("colon", *"view b") == "view bad ones"
        assert await tab_completes("colon", *"sched") == "scheduled"
        assert await tab_completes("slash", *"error:x fa") == "error:x fails:"

    stage.drive(play)


@pytest.mark.one_server
def test_columns_are_chosen_ordered_and_remembered(stage: ConsoleStage, tmp_path: Path) -> None:
    stage.busy()
    path = tmp_path / "console.json"

    def head(app: App) -> list[str]:
        return shown(app).splitlines()[3].split()

    async def choose(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        assert head(app) == ["Died", "Name", "Fails", "Error"]
        await pilot.press("vertical_line", "j", "space", "j", "minus", "escape")
        await stage.look(pilot, app)
        assert head(app) == ["Died", "Fails", "Error"]
        await pilot.press("vertical_line", "G", "k", "space", *["minus"] * 9, "enter")
        await stage.look(pilot, app)
        assert head(app) == ["Job", "Died", "Fails", "Error"]
        assert f"{100:024x}" in shown(app).splitlines()[4]
        await stage.press(pilot, app, "4")
        assert head(app)[0] == "Due", "another list has its own"

    async def again(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        assert head(app) == ["Job", "Died", "Fails", "Error"]
        await pilot.press("vertical_line", "d", "escape")
        await stage.look(pilot, app)
        assert head(app) == ["Died", "Name", "Fails", "Error"]
        await stage.press(pilot, app, "1", "vertical_line")
        assert "This list has no columns to choose from." in said(app)

    stage.drive(choose, size=(80, 24), file=str(path))
    assert json.loads(path.read_bytes())["columns"] == {
        "dead.jobs": ["Job", "Died", "Fails", "Error"]
    }
    stage.drive(again, size=(80, 24), file=str(path))
    assert "columns" not in json.loads(path.read_bytes())


@pytest.mark.one_server
@pytest.mark.parametrize("size", [(20, 10), (40, 12), (80, 24)])
def test_any_choice_of_columns_fits_any_width(
    stage: ConsoleStage, tmp_path: Path, size: tuple[int, int]
) -> None:
    stage.busy()
    path = tmp_path / "console.json"
    names = ["Job", "gone", WORST, "Args", "Error", "Args", "Queue", "Waiting", "Recent", "Spec"]
    for name in ("dead.jobs", "queues.queues", "cron.cron", "workers.pools", "queue.jobs"):
        Remembered(path).choose_columns(name, names)

    async def play(pilot: P, app: App) -> None:
        for key in ("6", "2", "8", "3"):
            await stage.press(pilot, app, key)
            assert all(len(line) <= size[0] for line in shown(app).splitlines())
            await pilot.press("vertical_line")
            await pilot.pause()
            assert is_harmless(shown(app))
            await pilot.press("escape")
        assert app.is_running

    stage.drive(play, size=size, file=str(path))


# The command line


@pytest.mark.one_server
def test_a_view_outlives_the_console_in_the_file_of_the_option(
    stage: ConsoleStage, tmp_path: Path, wait_until: WaitUntil
) -> None:
    stage.dead("a" * 24, 60)
    path = tmp_path / "shared.json"
    with terminal(stage, tmp_path, "--settings", str(path)) as seen:
        wait_until(lambda: "Overview" in seen.text, 30)
        seen.type("6")
        wait_until(lambda: "1 job · newest first" in seen.text)
        seen.type(":", *"save", "Space", *"mine", "Enter")
        wait_until(path.exists)
    with terminal(stage, tmp_path, "--settings", str(path)) as seen:
        wait_until(lambda: "Overview" in seen.text, 30)
        seen.type(":", *"view", "Space", *"mine", "Enter")
        wait_until(lambda: "1 job · newest first" in seen.text)
    assert Remembered(path).view("mine") == SavedView("dead")
