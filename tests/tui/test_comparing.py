"""`=` marks a job, and `=` on another one shows how the two differ."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.stage import raw_job
from tests.tui.pressing import App, P, table
from tests.tui.stage import ConsoleStage, shown
from tests.tui.test_hostile_text import hostile, is_harmless
from workkit.core.history import Record
from workkit.core.job import Job
from workkit.core.masks import HIDDEN
from workkit.core.records import DeadJob
from workkit_tui.model.comparing import ABSENT, compared
from workkit_tui.model.job_page import JobPage
from workkit_tui.screens.comparing import CompareScreen

SECRET, OTHER = "hunter2-hunter2", "hunter3-hunter3"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ARGS = st.dictionaries(st.sampled_from("abcd") | st.text(), VALUES, max_size=4)


def page(args: Any = None, error: str = "", job_id: str = "a", name: str = "mail") -> JobPage:
    raw = json.dumps(args).encode()
    return JobPage(DeadJob(9, Job(name, job_id, 1, args, raw, last_err=error)), now_s=10.0)


@given(ARGS)
def test_a_job_does_not_differ_from_itself(args: dict[str, Any]) -> None:
    found = compared(page(args, "E: x"), page(json.loads(json.dumps(args)), "E: x"))
    assert (found.fields, found.args, found.error, found.ran) == ([], [], [], [])


@given(ARGS, ARGS)
def test_what_differs_is_told_of_both_and_the_same_way_round(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    there, back = compared(page(one), page(two)), compared(page(two), page(one))
    assert sorted((each.name, each.first, each.second) for each in there.args) == sorted(
        (each.name, each.second, each.first) for each in back.args
    )
    assert bool(there.args) == (json.dumps(one, sort_keys=True) != json.dumps(two, sort_keys=True))
    assert is_harmless(there.text("a", "b"))


@pytest.mark.parametrize(
    ("one", "two", "told"),
    [
        ({"n": 1}, {"n": 2}, [("args.n", "1", "2")]),
        ({"n": 1}, {"n": 1.0}, [("args.n", "1", "1.0")]),
        ({"n": 1}, {"n": True}, [("args.n", "1", "true")]),
        ({"n": [1, {"a": "x"}]}, {"n": [1, {"a": "y"}, 3]},
         [("args.n[1].a", '"x"', '"y"'), ("args.n[2]", ABSENT, "3")]),
        ({"n": {"a": 1}}, {"n": []}, [("args.n", '{"a": 1}', "[]")]),
        (None, {"n": 1}, [("args", "null", '{"n": 1}')]),
        ({"token": SECRET}, {"token": OTHER},
         [("args.token (hidden)", f'"{HIDDEN}"', f'"{HIDDEN}"')]),
        ({"token": SECRET}, {"token": SECRET}, []),
        ({"token": {"a": SECRET}}, {"token": {"a": OTHER}},
         [("args.token (hidden)", f'"{HIDDEN}"', f'"{HIDDEN}"')]),
    ],
)  # fmt: skip
def test_members_are_compared_one_by_one(
    one: Any, two: Any, told: list[tuple[str, str, str]]
) -> None:
    assert list(map(tuple, compared(page(one), page(two)).args)) == told


def test_errors_are_compared_by_lines() -> None:
    one, two = "E: 1\n\n  line 3\n  line 4\n", "E: 2\n\n  line 3\n  line 4\n"
    found = compared(page({}, one), page({}, two))
    assert found.error[1:] == ["-E: 1", "+E: 2", " ", "   line 3"]


def test_many_differences_are_counted() -> None:
    found = compared(page({"n": list(range(500))}), page({"n": list(range(1, 501))}))
    assert (len(found.args), found.more_args) == (200, 300)


@pytest.mark.one_server
def test_two_jobs_are_marked_and_compared_from_any_list(stage: ConsoleStage) -> None:
    one, two = "a" * 24, "b" * 24
    stage.dead(one, 60, f"Denied: password={SECRET}", args={"to": "ann", "password": SECRET})
    raw = raw_job(two, "charge", t=stage.now - 9, fails=1, err=f"Denied: password={OTHER}",
                  failed_at=stage.now - 5, args={"to": "bob", "password": OTHER})  # fmt: skip
    stage.redis.zadd(stage.keys.retry, {raw: stage.now + 60})
    ms = stage.clock.epoch_ms
    stage.ran(Record(one, "mail", stage.now - 90, ms - 900, ms - 400, "dead", 4, "E: x", "f"))

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6", "equals_sign")
        assert any("is marked; = on another" in n.message for n in app._notifications)
        await stage.press(pilot, app, "4")
        await stage.press(pilot, app, "enter")
        await stage.press(pilot, app, "equals_sign")
        await stage.until(pilot, lambda: "dead after 500 ms on web-1: E: x" in shown(app))
        text = shown(app)
        assert f"mail {one} compared with charge {two}" in text
        assert '"ann"' in text
        assert '"bob"' in text
        assert "args.password (hidden)" in text
        assert SECRET not in text
        assert OTHER not in text
        await pilot.press("j", "G", "g", "y")
        assert app.clipboard.startswith(f"--- mail {one}\n+++ charge {two}\n")
        assert SECRET not in app.clipboard
        await stage.press(pilot, app, "escape")
        assert app.marked is None

    stage.drive(play, size=(160, 50))


@pytest.mark.one_server
def test_the_same_job_again_is_unmarked(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6", "equals_sign", "equals_sign")
        assert app.marked is None
        assert not isinstance(app.screen, CompareScreen)
        await stage.press(pilot, app, "3", "equals_sign")
        assert app.marked is None, "a pool is not a job"
        await stage.press(pilot, app, "o", "equals_sign", "j", "equals_sign")
        assert isinstance(app.screen, CompareScreen)
        await stage.look(pilot, app)
        assert "export 000000000000000000000000 compared with mail" in shown(app)

    stage.drive(play)


@pytest.mark.one_server
def test_hostile_jobs_are_compared_harmlessly(stage: ConsoleStage) -> None:
    hostile(stage)

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await stage.until(pilot, lambda: table(app).total == 2)
        await stage.press(pilot, app, "equals_sign", "j", "equals_sign")
        await stage.until(pilot, lambda: not app.workers._workers)
        assert isinstance(app.screen, CompareScreen)
        assert is_harmless(shown(app))
        await pilot.press("y")
        assert is_harmless(app.clipboard)

    stage.drive(play)
