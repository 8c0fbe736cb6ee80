"""`n` enqueues a new job: its name is completed, and its args have the names of another job's."""

from __future__ import annotations

import json

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from tests.tui.stage import ConsoleStage, shown
from workkit import InvalidArgs, InvalidName, Tasks
from workkit.store.calls.publish import Signatures
from workkit_tui.app import Console
from workkit_tui.screens.args import ArgsArea
from workkit_tui.screens.enqueuing import EnqueueScreen, template

pytestmark = pytest.mark.one_server


def test_a_job_is_enqueued_by_a_completed_name_with_the_names_of_anothers_args(
    stage: ConsoleStage,
) -> None:
    stage.pool("web-1", 4242, ["send_email", "send_sms"])
    stage.dead("a" * 24, 60, name="send_email", args={"to": "a@x", "n": 7, "big": True, "l": [1]})

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "2", "n")
        field = app.screen.query_one("#prompt-input")
        field.value = ""  # type: ignore[attr-defined]
        await pilot.press(*"send_e")
        await stage.until(pilot, lambda: field._suggestion == "send_email")  # type: ignore[attr-defined]
        await pilot.press("tab", "enter")
        await stage.until(pilot, lambda: isinstance(app.screen, ArgsArea))
        area = app.screen.query_one(TextArea)
        assert json.loads(area.text) == {"to": "", "n": 0, "big": False, "l": []}
        area.text = '{"to": "b@x", "n": 1.50}'
        await pilot.press("ctrl+s")
        await stage.until(pilot, lambda: "y goes ahead" in shown(app))
        assert '"to": "b@x"' in shown(app)
        assert "no live worker" not in shown(app)
        await pilot.press("y")
        await stage.until(pilot, lambda: "The job is enqueued" in shown(app))
        (raw,) = stage.redis.lrange(stage.keys.jobs("send_email"), 0, -1)
        assert b'"args":{"to":"b@x","n":1.50}' in raw
        (act,) = stage.client.acts()
        assert (act.verb, act.by, act.queue, act.done) == ("enqueue", "ann@web-1", "send_email", 1)
        await pilot.press("u")
        await stage.until(pilot, lambda: "y goes ahead" in shown(app))
        await pilot.press("y")
        await stage.until(pilot, lambda: "1 job deleted" in shown(app))
        assert not stage.redis.exists(stage.keys.jobs("send_email"))

    stage.drive(play)


def test_a_name_that_nobody_handles_is_told_before_it_is_enqueued(stage: ConsoleStage) -> None:
    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "2", "n", *"nobody", "enter")
        await stage.until(pilot, lambda: isinstance(app.screen, ArgsArea))
        assert app.screen.query_one(TextArea).text == "{}\n"
        await pilot.press("ctrl+s")
        await stage.until(pilot, lambda: "y goes ahead" in shown(app))
        assert "no live worker takes jobs called nobody" in shown(app)
        await pilot.press("escape")
        assert not stage.redis.exists(stage.keys.jobs("nobody"))

    stage.drive(play)


@pytest.mark.parametrize(("name", "text", "told"), [
    ("a,b", "{}", "holds a comma"),
    ("mail", "[]", "must be a JSON object"),
    ("mail", '{"n": }', "not JSON"),
])  # fmt: skip
def test_what_cannot_be_enqueued_is_told_and_the_text_kept(
    stage: ConsoleStage, name: str, text: str, told: str
) -> None:
    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "2", "n", *name, "enter")
        await stage.until(pilot, lambda: isinstance(app.screen, ArgsArea))
        app.screen.query_one(TextArea).text = text
        await pilot.press("ctrl+s")
        await stage.until(pilot, lambda: told in shown(app))
        await pilot.press("e")
        await stage.until(pilot, lambda: isinstance(app.screen, ArgsArea))
        assert app.screen.query_one(TextArea).text == text

    stage.drive(play)
    EnqueueScreen.kept.clear()


def test_an_empty_name_is_refused(stage: ConsoleStage) -> None:
    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "2", "n", "enter")
        assert "type the name of a job; tab completes it" in shown(app)

    stage.drive(play)


def test_the_names_of_args_come_from_the_queue_before_the_sets_and_no_value_does(
    stage: ConsoleStage,
) -> None:
    stage.dead("a" * 24, 60, args={"old": "secret"})
    assert template(stage.client, "mail") == '{\n  "old": ""\n}\n'
    stage.enqueuer.enqueue("mail", {"new": {"deep": 1.5}, "none": None})
    assert json.loads(template(stage.client, "mail")) == {"new": {"deep": 0.0}, "none": None}
    assert template(stage.client, "other") == "{}\n"
    stage.redis.set(stage.keys.jobs("odd"), "no list")
    assert template(stage.client, "odd") == "{}\n"


@pytest.mark.parametrize(("name", "text", "error"), [
    ("", "{}", InvalidName), ("a" * 5 + ":lock", "{}", InvalidName),
    ("mail", '{"a": "%s"}' % ("x" * 1_048_560), InvalidArgs),
])  # fmt: skip
def test_a_job_that_cannot_be_is_refused(
    stage: ConsoleStage, name: str, text: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        stage.client.actions.new_job(name, text)


def send(to: str, sizes: list[int], *, retries: int = 3) -> None: ...


def publish(stage: ConsoleStage, **more: str) -> None:
    """Publish what send_email takes, as a pool does."""
    signatures = Signatures.of({"send_email": Tasks().task(send).signature})
    pool_id = stage.pool("web-1", 4242, ["send_email"])
    stage.redis.hset(stage.keys.signatures(signatures.digest), mapping=dict(signatures.by_name))
    stage.redis.hset(stage.keys.pool(pool_id), mapping=signatures.named | more)


def test_a_typed_task_gives_the_names_of_its_args_and_checks_them(stage: ConsoleStage) -> None:
    publish(stage)

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "2", "n")
        app.screen.query_one("#prompt-input").value = "send_email"  # type: ignore[attr-defined]
        await pilot.press("enter")
        await stage.until(pilot, lambda: isinstance(app.screen, ArgsArea))
        assert "takes to: str, sizes: list[int], retries: int = ..." in shown(app)
        area = app.screen.query_one(TextArea)
        assert json.loads(area.text) == {"to": "", "sizes": []}
        area.text = '{"to": "a@x", "si'
        area.move_cursor((0, len(area.text)))
        await pilot.press("tab", *"[1,", *' "x"], "r', "tab", *"1}")
        assert area.text == '{"to": "a@x", "sizes": [1, "x"], "retries": 1}'
        await pilot.press("ctrl+s")
        await stage.until(pilot, lambda: "args.sizes[1]: expected int, got str" in shown(app))
        assert "e edits again   i uses them as they are   esc closes" in shown(app)
        await pilot.press("i")
        await stage.until(pilot, lambda: "y goes ahead" in shown(app))
        assert "▲ args.sizes[1]: expected int, got str (you insist)" in shown(app)
        await pilot.press("e")
        await stage.until(pilot, lambda: isinstance(app.screen, ArgsArea))
        await pilot.press("ctrl+s")  # who edits again insists again
        await stage.until(pilot, lambda: "i uses them as they are" in shown(app))
        await pilot.press("i")
        await stage.until(pilot, lambda: "y goes ahead" in shown(app))
        await pilot.press("y")
        await stage.until(pilot, lambda: "The job is enqueued" in shown(app))
        (raw,) = stage.redis.lrange(stage.keys.jobs("send_email"), 0, -1)
        assert b'"sizes":[1,"x"]' in raw

    stage.drive(play)


def test_the_keys_of_the_text_area_are_seen_on_a_small_terminal(stage: ConsoleStage) -> None:
    publish(stage)
    pool_id = stage.pool("web-1", 4242, ["send_email"])
    hostile = {f"[b]\x1b[31m{n}": {"type": "string", "title": "x" * 99} for n in range(40)}
    signature = json.dumps({"v": 1, "args": {"type": "object", "properties": hostile}})
    stage.redis.hset(stage.keys.signatures("odd"), "send_email", signature)
    stage.redis.hset(stage.keys.pool(pool_id), "signatures", "odd")

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "2", "n")
        app.screen.query_one("#prompt-input").value = "send_email"  # type: ignore[attr-defined]
        await pilot.press("enter")
        await stage.until(pilot, lambda: isinstance(app.screen, ArgsArea))
        await pilot.pause()
        assert "tab completes a name   ^s uses the text   esc gives up" in shown(app)
        assert "takes [b]" in shown(app)
        assert "\x1b" not in shown(app)

    stage.drive(play, size=(80, 24))


def test_an_edited_job_of_a_typed_task_is_checked(stage: ConsoleStage) -> None:
    publish(stage)
    stage.dead("a" * 24, 60, name="send_email", args={"to": "a@x", "sizes": [1]})

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "6", "c")
        await stage.until(pilot, lambda: isinstance(app.screen, ArgsArea))
        app.screen.query_one(TextArea).text = '{"to": 5, "sizes": [1]}'
        await pilot.press("ctrl+s")
        await stage.until(pilot, lambda: "args.to: expected str, got int" in shown(app))
        await pilot.press("i")
        await stage.until(pilot, lambda: "y goes ahead" in shown(app))
        assert "▲ args.to: expected str, got int (you insist)" in shown(app)

    stage.drive(play)
