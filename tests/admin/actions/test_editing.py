"""The args of a job are edited: planned, applied, undone, and nothing is ever lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import pytest

from tests.client.stage import BusyLink, ClientStage, raw_job
from workkit import InvalidArgs, Job, NotEdited, NotUndone, Place, ServerUnavailable
from workkit.admin.actions import Edit
from workkit.admin.actions.new_args import args_text, changed_paths, difference, read_args
from workkit.core import job as wire
from workkit.store import scripts
from workkit.store.connections.target import Target

PLACES: Final = (
    Place("dead"), Place("retry"), Place("scheduled"), Place("queued", "mail"),
)  # fmt: skip
SETS: Final = PLACES[:3]


def lay(stage: ClientStage, place: Place, raw: bytes, at: int = 50) -> None:
    if place.kind == "queued":
        stage.queue("mail", raw_job("before"), raw, raw_job("after"))
    else:
        stage.lay(place.kind, {raw_job("before"): at - 1, raw: at, raw_job("after"): at + 1})


def planned(stage: ClientStage, place: Place, text: str | bytes, job_id: str = "x") -> Edit:
    record = stage.client.actions.pick(place, [job_id])[job_id]
    return stage.client.actions.plan_edit(place, record, text)


def edit(stage: ClientStage, place: Place, text: str, job_id: str = "x") -> str:
    return stage.client.actions.apply_edit(planned(stage, place, text, job_id))


def members(stage: ClientStage, place: Place) -> list[bytes]:
    return stage.queued() if place.kind == "queued" else stage.members(place.kind)


# Applying.


def test_a_dead_job_runs_again_with_its_new_args(stage: ClientStage) -> None:
    raw = raw_job("x", args={"n": 1}, fails=4, err="E: x", failed_at=9, of_later=[1.0])
    lay(stage, Place("dead"), raw)
    plan = planned(stage, Place("dead"), '{"n": 2.50}')
    assert plan.effects == ["runs the job again, as if it had never failed"]
    assert plan.lines() == [" {", '-  "n": 1', '+  "n": 2.50', " }"]
    stage.client.actions.apply_edit(plan)
    (queued,) = stage.queued()
    assert wire.args_json(queued) == b'{"n":2.50}'
    job = wire.decode(queued)
    assert (job.id, job.fails, job.last_err, job.enqueued_at) == ("x", 0, "", stage.clock.now_s)
    assert b'"of_later": [1.0]' in queued or b'"of_later":[1.0]' in queued
    assert [wire.decode(each).id for each in stage.members("dead")] == ["before", "after"]


@pytest.mark.parametrize("place", PLACES[1:], ids=str)
def test_a_waiting_job_stays_in_its_place(stage: ClientStage, place: Place) -> None:
    lay(stage, place, raw_job("x", args={"n": 1}, fails=2, err="E", failed_at=9))
    before = members(stage, place)
    edit(stage, place, '{"n": 2}')
    after = members(stage, place)
    assert [after[0], after[2]] == [before[0], before[2]]
    assert after[1] == wire.splice(before[1], args=msgspec.Raw(b'{"n":2}'))
    if place.kind != "queued":
        assert stage.redis.zscore(f"{stage.namespace}:{place.kind}", after[1]) == 50


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_job_as_it_was_comes_back(stage: ClientStage, place: Place) -> None:
    lay(stage, place, raw_job("x", args={"n": 1}, odd={"a": []}))
    before = stage.scene.dump()
    operation_id = edit(stage, place, '{"n": 2}')
    (operation,) = stage.client.actions.operations()
    assert (operation.verb, operation.place, operation.undoable) == ("edit", place, 1)
    undone = stage.client.actions.undo(operation_id)
    assert (undone.back, undone.gone_on) == (1, 0)
    after = stage.scene.dump()
    for key in (f"{stage.namespace}:{name}" for name in ("acts", "acts:head", "known_jobs")):
        before.pop(key, None)
        after.pop(key, None)
    assert after == before
    with pytest.raises(NotUndone):
        stage.client.actions.undo(operation_id)


def test_an_edited_job_that_has_begun_is_not_taken_back(stage: ClientStage) -> None:
    lay(stage, Place("dead"), raw_job("x", args={"n": 1}))
    operation_id = edit(stage, Place("dead"), '{"n": 2}')
    seen: list[Any] = []
    stage.pool(lambda job: seen.append(job.args)).work()
    undone = stage.client.actions.undo(operation_id)
    assert (undone.back, undone.gone_on, seen) == (0, 1, [{"n": 2}])
    assert len(stage.members("dead")) == 2
    assert stage.client.actions.operations() == []


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_job_that_has_left_meanwhile_is_not_edited(stage: ClientStage, place: Place) -> None:
    lay(stage, place, raw_job("x", args={"n": 1}))
    plan = planned(stage, place, '{"n": 2}')
    stage.redis.delete(stage.keys.jobs("mail"), *(f"{stage.namespace}:{p.kind}" for p in SETS))
    with pytest.raises(NotEdited, match="job x was not edited: it has run, moved or been deleted"):
        stage.client.actions.apply_edit(plan)
    assert members(stage, place) == []
    assert stage.client.actions.operations() == []


def test_an_edit_is_recorded_with_what_has_changed_but_no_value(stage: ClientStage) -> None:
    lay(stage, Place("retry"), raw_job("x", args={"n": 1, "to": {"a": "secret1"}}))
    operation_id = edit(stage, Place("retry"), '{"n": 1, "to": {"a": "secret2"}, "new": 3}')
    (act,) = stage.client.acts()
    assert (act.verb, act.ids, act.planned, act.done) == ("edit", ("x",), 1, 1)
    assert act.operation_id == operation_id
    assert act.before == f"retry, payload {act.digest}"
    assert act.after.endswith("changed args.to.a, args.new")
    assert b"secret" not in b"".join(
        fields[b"b"] for _, fields in stage.redis.xrange(stage.keys.acts)
    )


@pytest.mark.parametrize("script", [scripts.NOTE, scripts.SWAP, scripts.ACT])
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_lost_connection_loses_no_job(
    stage: ClientStage, place: Place, script: scripts.Script
) -> None:
    lay(stage, place, raw_job("x", args={"n": 1}))

    class Losing(BusyLink):
        def send(self, commands: Sequence[Any], meanwhile: Any = None) -> list[Any]:
            if commands[0][0] is script:
                self.lose_reply()
            return super().send(commands, meanwhile)

    link = Losing(Target.of(stage.url), lambda _: None)
    client = stage.client_on(link)
    plan = client.actions.plan_edit(place, client.actions.pick(place, ["x"])["x"], '{"n": 2}')
    if script is scripts.ACT:
        client.actions.apply_edit(plan)
    else:
        with pytest.raises(ServerUnavailable):
            client.actions.apply_edit(plan)
    link.close()
    there = [*members(stage, place), *(stage.queued() if place.kind == "dead" else [])]
    assert sorted(wire.decode(raw).id for raw in there) == ["after", "before", "x"]


# Unique jobs.


def unique(stage: ClientStage, args: dict[str, Any], **more: Any) -> bytes:
    key = stage.unique_key(json.dumps(args, separators=(",", ":")))
    return raw_job("x", args=args, unique=True, unique_key=key, **more)


@pytest.mark.parametrize("place", [Place("scheduled"), Place("queued", "mail")], ids=str)
def test_the_unique_key_of_the_args_changes_with_them_and_back(
    stage: ClientStage, place: Place
) -> None:
    lay(stage, place, unique(stage, {"k": 1}))
    stage.hold(stage.unique_key())
    plan = planned(stage, place, '{"k": 2}')
    assert plan.effects[1] == "frees its unique key, and takes that of the new args"
    operation_id = stage.client.actions.apply_edit(plan)
    assert stage.held(stage.unique_key()) is None
    assert stage.held(stage.unique_key('{"k":2}')) == b"1"
    assert wire.decode(members(stage, place)[1]).unique_key == stage.unique_key('{"k":2}')
    assert stage.client.actions.undo(operation_id).without_key == 0
    assert stage.held(stage.unique_key()) == b"1"
    assert stage.held(stage.unique_key('{"k":2}')) is None


def test_a_key_that_another_job_holds_refuses_the_edit(stage: ClientStage) -> None:
    lay(stage, Place("scheduled"), unique(stage, {"k": 1}))
    stage.hold(stage.unique_key())
    stage.hold(stage.unique_key('{"k":2}'))
    with pytest.raises(NotEdited, match="another job holds the unique key of the new args"):
        planned(stage, Place("scheduled"), '{"k": 2}')


def test_a_key_that_is_taken_meanwhile_refuses_the_edit(stage: ClientStage) -> None:
    lay(stage, Place("scheduled"), unique(stage, {"k": 1}))
    stage.hold(stage.unique_key())
    plan = planned(stage, Place("scheduled"), '{"k": 2}')
    stage.hold(stage.unique_key('{"k":2}'))
    before = stage.members("scheduled")
    with pytest.raises(NotEdited, match="another job holds the unique key"):
        stage.client.actions.apply_edit(plan)
    assert stage.members("scheduled") == before


def test_a_job_by_key_runs_with_its_edited_args(stage: ClientStage) -> None:
    stage.enqueuer.enqueue_unique_by_key("mail", {"n": 1}, {"shard": 7})
    (job,) = stage.client.queued_jobs("mail").jobs
    operation_id = edit(stage, Place("queued", "mail"), '{"n": 2}', job.job.id)
    key = job.job.unique_key
    assert stage.held(key) == stage.queued()[0]
    seen: list[Any] = []
    stage.client.actions.undo(operation_id)
    assert stage.held(key) == job.job.raw
    edit(stage, Place("queued", "mail"), '{"n": 3}', job.job.id)
    stage.pool(lambda job: seen.append(job.args)).work()
    assert seen == [{"n": 3}]


def test_a_job_for_which_newer_args_wait_is_not_edited(stage: ClientStage) -> None:
    stage.enqueuer.enqueue_unique_by_key("mail", {"n": 1}, {"shard": 7})
    (job,) = stage.client.queued_jobs("mail").jobs
    stage.enqueuer.enqueue_unique_by_key("mail", {"n": 5}, {"shard": 7})
    with pytest.raises(NotEdited, match="newer args wait under the unique key"):
        planned(stage, Place("queued", "mail"), '{"n": 2}', job.job.id)


def test_a_dead_unique_job_takes_the_key_of_its_new_args(stage: ClientStage) -> None:
    lay(stage, Place("dead"), unique(stage, {"k": 1}, fails=4, err="E"))
    operation_id = edit(stage, Place("dead"), '{"k": 2}')
    assert stage.held(stage.unique_key('{"k":2}')) == b"1"
    stage.client.actions.undo(operation_id)
    assert stage.held(stage.unique_key('{"k":2}')) is None
    assert len(stage.members("dead")) == 3


def test_a_dead_unique_job_whose_key_is_held_runs_without_it(stage: ClientStage) -> None:
    lay(stage, Place("dead"), unique(stage, {"k": 1}, fails=4, err="E"))
    stage.hold(stage.unique_key('{"k":2}'), "other")
    plan = planned(stage, Place("dead"), '{"k": 2}')
    assert plan.effects[1] == "runs the job without being unique: a newer job holds the key"
    stage.client.actions.apply_edit(plan)
    assert not wire.decode(stage.queued()[0]).unique
    assert stage.held(stage.unique_key('{"k":2}')) == b"other"


def test_a_job_that_came_back_after_it_had_begun_leaves_the_key_of_a_newer_job(
    stage: ClientStage,
) -> None:
    lay(stage, Place("queued", "mail"), unique(stage, {"k": 1}))
    stage.redis.hset(stage.keys.begun, "x", "5")
    stage.hold(stage.unique_key())
    edit(stage, Place("queued", "mail"), '{"k": 2}')
    assert stage.held(stage.unique_key()) == b"1"
    assert stage.held(stage.unique_key('{"k":2}')) is None


# What is refused.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not JSON: Expecting value at line 1, column 1"),
        ('{"n": 1,\n "m": }', "not JSON: Expecting value at line 2, column 7"),
        ('{"n": 1} x', "not JSON: Extra data at line 1, column 10"),
        ("[1]", "must be a JSON object such as .*, or null, not list"),
        ("7", "must be a JSON object"),
        ('{"n": NaN}', "NaN is not a number in JSON"),
        ('{"a": {"n": 1, "n": 2}}', "the name 'n' twice in one object"),
        ('{"a": ["\\ud800"]}', r"args.*a.*0"),
        ('{"\ud800": 1}', "surrogate"),
        ('{"a": "' + "x" * 1_100_000 + '"}', "a job at most 1,048,576"),
        ('{"n": ' + "9" * 310 + "}", "n"),
        ('{"n": ' + "9" * 5_000 + "}", "not JSON"),
        ("[" * 100_000, "nested too deeply|not JSON"),
        (b'{"a": "\xff"}', "not UTF-8: line 1"),
    ],
)
def test_a_text_that_cannot_be_args_is_refused_by_its_place(
    stage: ClientStage, text: str | bytes, told: str
) -> None:
    lay(stage, Place("dead"), raw_job("x", args={"n": 1}))
    before = stage.scene.dump()
    with pytest.raises(InvalidArgs, match=told):
        planned(stage, Place("dead"), text)
    assert stage.scene.dump() == before


@pytest.mark.parametrize("text", ['{"n": 1.0, "m": []}', '{"n":1.0,"m":[]}\n\n'])
def test_a_job_that_is_unchanged_is_told(stage: ClientStage, text: str) -> None:
    lay(stage, Place("dead"), b'{"name":"mail","id":"x","t":1,"args":{ "n" : 1.0, "m":[ ]}}')
    with pytest.raises(NotEdited, match="the args of job x are as they were"):
        planned(stage, Place("dead"), text)


def test_args_can_be_taken_away_and_given(stage: ClientStage) -> None:
    lay(stage, Place("retry"), raw_job("x", args={"n": 1}))
    edit(stage, Place("retry"), "null")
    assert wire.args_json(stage.members("retry")[1]) == b"null"
    edit(stage, Place("retry"), "{}")
    assert wire.args_json(stage.members("retry")[1]) == b"{}"


def test_the_whole_job_must_not_be_too_large(stage: ClientStage) -> None:
    lay(stage, Place("retry"), raw_job("x", args={"n": 1}, err="e" * 60_000))
    text = json.dumps({"a": "x" * (1_048_576 - 30_000)})
    with pytest.raises(InvalidArgs, match="job x would take .* bytes"):
        planned(stage, Place("retry"), text)


@pytest.mark.parametrize("raw", [b"junk", b'{"name":"mail","id":"x","t":1.5}'])
def test_a_malformed_payload_is_not_edited(stage: ClientStage, raw: bytes) -> None:
    stage.lay("dead", {raw: 5})
    (record,) = stage.client.jobs(Place("dead")).jobs
    with pytest.raises(NotEdited, match="malformed payload"):
        stage.client.actions.plan_edit(Place("dead"), record, "{}")


# Texts.


def test_numbers_keep_their_digits_on_their_way_through_an_editor() -> None:
    raw = b'{"big":123456789012345678901234567890,"f":1.0e2,"z":-0.0,"t":"\xc3\xa9\\u003c"}'
    assert read_args(args_text(raw))[1] == raw


def test_paths_name_what_is_different() -> None:
    assert changed_paths({"a": 1, "b": {"c": 1}}, {"a": 1.0, "b": {"d": 1}}) == (
        "args.a, args.b.c, args.b.d"
    )
    assert changed_paths(None, {"a": 1}) == "args"
    many = {f"n{n}": n for n in range(12)}
    assert changed_paths({}, many).endswith("args.n9 and 2 more")


def test_a_difference_shows_lines_with_their_signs() -> None:
    assert difference(b'{"a":1}', b'{"a":1,"b":2}') == [
        " {", '-  "a": 1', '+  "a": 1,', '+  "b": 2', " }",
    ]  # fmt: skip


def test_a_job_of_the_handler_has_the_edited_args(stage: ClientStage) -> None:
    seen: list[Job] = []
    lay(stage, Place("scheduled"), raw_job("x", args={"n": 1}), at=stage.clock.now_s + 5)
    edit(stage, Place("scheduled"), '{"n": 2}')
    stage.client.actions.apply(
        stage.client.actions.plan_for(
            "retry", Place("scheduled"),
            stage.client.actions.pick(Place("scheduled"), ["x"]).values(),
        )
    )  # fmt: skip
    stage.pool(seen.append).work()
    assert [job.args for job in seen] == [{"n": 2}]
