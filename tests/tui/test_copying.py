"""`y` copies what the cursor is on, as it is shown; the toast says what."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import WaitUntil
from tests.tui.pressing import App, P
from tests.tui.stage import LABEL, ConsoleStage, shown
from tests.tui.test_hostile_text import WORST, hostile, is_harmless
from tests.tui.test_in_tmux import terminal
from workkit.core.job import Job
from workkit.core.masks import HIDDEN, Masks
from workkit_tui.model.copies import find_command, job_copies
from workkit_tui.settings import DEFAULT_MASKS

SECRET = "hunter2-hunter2"  # noqa: S105 - a secret of nobody


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("keys", "copied"),
    [
        (("1",), "queue charge: paused, 1 job, oldest 0s"),
        (("2", "G"), "report"),
        (("3",), f"{4242:024x}"),
        (("3", "o"), f"{0:024x}"),
        (("4",), f"{0:024x}"),
        (("6",), f"{100:024x}"),
        (("8",), "0 */10 * * * *"),
    ],
)
def test_what_the_cursor_is_on_is_copied(
    stage: ConsoleStage, keys: tuple[str, ...], copied: str
) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, *keys)
        await pilot.press("y")
        assert app.clipboard == copied
        assert f": {copied}" in list(app._notifications)[-1].message

    stage.drive(play)


@pytest.mark.one_server
def test_errors_operations_and_acts_are_copied(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "7")
        await stage.until(pilot, lambda: "Timeout" in shown(app))
        await pilot.press("y")
        assert app.clipboard.splitlines()[2:4] == [
            "Traceback (innermost last):", '  File "/srv/shop/mail.py", line 41, in send',
        ]  # fmt: skip
        await stage.press(pilot, app, "9")
        await pilot.press("y")
        assert [app.clipboard] == [each.operation_id for each in stage.client.actions.operations()]
        await stage.press(pilot, app, "0")
        await pilot.press("y")
        assert app.clipboard.split()[1:3] == ["bob@web-2", "delete"]

    stage.drive(play)


@pytest.mark.one_server
def test_an_empty_list_has_nothing_to_copy(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6", "y")
        assert app.clipboard == ""
        assert "There is nothing to copy here." in [n.message for n in app._notifications]

    stage.drive(play)


@pytest.mark.one_server
def test_the_page_of_a_job_asks_what_to_copy(stage: ConsoleStage) -> None:
    job_id = "a" * 24
    said = f"Denied: password={SECRET}\n\nTraceback:\n  post('https://a:{SECRET}@b/')"
    stage.dead(job_id, 60, said, args={"to": "ann", "password": SECRET})

    async def play(pilot: P, app: App) -> None:
        async def copy(*keys: str) -> str:
            app.copy_to_clipboard("")
            await pilot.press("y")
            await pilot.pause()
            assert SECRET not in shown(app)
            await pilot.press(*keys)
            await pilot.pause()
            assert SECRET not in app.clipboard
            return app.clipboard

        await stage.press(pilot, app, "6")
        await stage.press(pilot, app, "enter")
        assert await copy("i") == await copy("y") == await copy("enter") == job_id
        assert json.loads(await copy("a")) == {"to": "ann", "password": HIDDEN}
        assert "Copied the args: 4 lines" in [n.message for n in app._notifications]
        assert (await copy("e")).startswith(f"Denied: password={HIDDEN}\n\nTraceback:\n")
        whole = json.loads(await copy("j"))
        assert (whole["place"], whole["job"]["id"]) == ("dead", job_id)
        assert await copy("c") == f"workkit jobs find --namespace work {job_id}"
        assert await copy("escape") == ""
        await pilot.press("y")
        await pilot.pause()
        text = shown(app)
        assert "a  the args" in text
        assert "4 lines" in text

    stage.drive(play)


@pytest.mark.one_server
@pytest.mark.parametrize("keys", [("6", "enter"), ("2", "enter", "enter"), ("3", "o", "enter")])
def test_no_hostile_text_is_copied_or_shown_as_it_is(
    stage: ConsoleStage, keys: tuple[str, ...]
) -> None:
    hostile(stage)

    async def play(pilot: P, app: App) -> None:
        for key in keys:
            await stage.press(pilot, app, key)
        for choice in "iaejc":
            await pilot.press("y")
            await pilot.pause()
            assert is_harmless(shown(app))
            await pilot.press(choice, "escape")
            await pilot.pause()
            assert is_harmless(app.clipboard), repr(app.clipboard)
            await stage.press(pilot, app, *keys[:1])
            for key in keys[1:]:
                await stage.press(pilot, app, key)

    stage.drive(play)


@pytest.mark.one_server
def test_a_text_that_terminals_may_refuse_is_told(stage: ConsoleStage) -> None:
    stage.dead("a" * 24, 60, args={"pad": "x" * 80_000})

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await stage.press(pilot, app, "enter")
        await pilot.press("y", "a")
        await pilot.pause()
        assert len(app.clipboard) > 80_000
        assert any("many terminals take no more than 74,000" in n.message
                   for n in app._notifications)  # fmt: skip

    stage.drive(play)


@given(st.text(min_size=1, max_size=40).map(lambda text: text + WORST))
def test_a_copied_command_is_one_line_with_the_id_as_one_word(job_id: str) -> None:
    command = find_command(job_id, LABEL)
    assert is_harmless(command)
    assert "\n" not in command


@given(st.text(st.characters(categories=("L", "N", "P", "Zs")), min_size=1))
def test_a_shell_reads_the_id_of_a_copied_command_as_it_is(job_id: str) -> None:
    if job_id.isprintable():
        assert shlex.split(find_command(job_id, LABEL))[-1] == job_id


@example("\x7f", "", {"\x7f": "\x7fé"})
@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()))
def test_everything_that_is_copied_is_harmless(
    job_id: str, error: str, args: dict[str, str]
) -> None:
    job = Job("mail", job_id, 1, args, last_err=error)
    copies = job_copies(job, Masks(DEFAULT_MASKS), lambda: {"id": job_id}, LABEL)
    assert all(is_harmless(each.text) for each in copies)
    assert len({each.key for each in copies}) == len(copies)


@pytest.mark.one_server
def test_the_clipboard_of_the_terminal_has_it(
    stage: ConsoleStage, tmp_path: Path, wait_until: WaitUntil
) -> None:
    stage.dead("a" * 24, 60, args={"to": "Zoë 猫"})
    with terminal(stage, tmp_path) as seen:
        seen.run("set-option", "-s", "set-clipboard", "on")
        wait_until(lambda: "Overview" in seen.text, 30)
        seen.type("6")
        wait_until(lambda: "1 job" in seen.text, 30)
        seen.type("y")
        wait_until(lambda: seen.run("show-buffer") == "a" * 24)
        seen.type("Enter")
        wait_until(lambda: "Why it is not running" in seen.text)
        seen.type("y", "a")
        wait_until(lambda: "Copied the args" in seen.text)
        wait_until(lambda: "Zoë 猫" in seen.run("show-buffer"))
