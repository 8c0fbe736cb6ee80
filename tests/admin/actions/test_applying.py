"""Applying a plan changes exactly its jobs, in bounded batches, and can be stopped."""

from __future__ import annotations

import json
from threading import Event

import pytest

from tests.client.stage import SETS, ClientStage, SetName, raw_job
from workkit import Place, ServerRefused
from workkit.admin.actions import BulkOutcome, BulkProgress, Plan, Verb
from workkit.core import job as wire

DEAD, MAIL = Place("dead"), Place("queued", "mail")


def plan(stage: ClientStage, verb: Verb, place: Place, query: str = "") -> Plan:
    made = stage.client.actions.plan(verb, place, query)
    assert made is not None
    return made


def lay_many(stage: ClientStage, place: SetName, count: int = 1_700) -> None:
    """Many jobs, hundreds of them within one second."""
    stage.lay(place, {raw_job(f"{n:05}", fails=n % 4): 1_000 + n // 300 for n in range(count)})


# Exactly its jobs


@pytest.mark.parametrize("place", SETS)
def test_only_jobs_that_match_the_query_are_deleted(stage: ClientStage, place: SetName) -> None:
    lay_many(stage, place)
    made = plan(stage, "delete", Place(place), "fails:>1")
    outcome = stage.client.actions.apply(made, by="ann")
    assert outcome == BulkOutcome(outcome.operation_id, 850, 0, 0, 0, "")
    left = [wire.decode(raw) for raw in stage.members(place)]
    assert len(left) == 850
    assert {job.fails for job in left} == {0, 1}


@pytest.mark.parametrize("place", SETS)
def test_jobs_that_match_but_came_later_are_not_changed(stage: ClientStage, place: SetName) -> None:
    lay_many(stage, place, 700)
    made = plan(stage, "delete", Place(place))
    late = {raw_job(f"late-{n:04}", fails=n % 4): 1_000 + n % 3 for n in range(1_000)}
    stage.lay(place, late)
    outcome = stage.client.actions.apply(made)
    assert (outcome.done, outcome.gone) == (700, 0)
    assert set(stage.members(place)) == set(late)


@pytest.mark.parametrize("verb", ["retry", "delete"])
def test_jobs_with_scores_beyond_whole_numbers_are_acted_on(stage: ClientStage, verb: Verb) -> None:
    """Other programs may have written nanoseconds, fractions, or anything that is a score."""
    scores = (-1e300, float("-inf"), -5, 0, 1.5, 2**53 + 2, 1.8e18, 9.3e18, 1e300, float("inf"))
    members = {raw_job(f"{n:05}"): score for n, score in enumerate(scores)}
    stage.lay("dead", members)
    made = plan(stage, verb, DEAD)
    outcome = stage.client.actions.apply(made)
    assert (outcome.done, outcome.gone) == (len(scores), 0)
    assert stage.client.actions.undo(outcome.operation_id).back == len(scores)
    assert stage.redis.zrange(stage.keys.dead, 0, -1, withscores=True) == sorted(
        members.items(), key=lambda item: (item[1], item[0])
    )


def test_jobs_that_have_left_the_place_are_counted_as_gone(stage: ClientStage) -> None:
    lay_many(stage, "dead", 700)
    made = plan(stage, "delete", DEAD)
    stage.redis.zrem(stage.keys.dead, *stage.members("dead")[100:150])
    changed = stage.members("dead")[0]
    stage.redis.zincrby(stage.keys.dead, 50, changed)
    outcome = stage.client.actions.apply(made)
    assert (outcome.done, outcome.gone, outcome.left) == (649, 51, 0)
    assert stage.members("dead") == [changed]


def test_deleting_from_a_queue_keeps_the_order_of_other_jobs(stage: ClientStage) -> None:
    raws = [raw_job(f"{n:05}", fails=n % 3) for n in range(1_234)]
    stage.queue("mail", *raws)
    made = plan(stage, "delete", MAIL, "fails:1")
    stage.queue("mail", *(raw_job(f"late-{n}", fails=1) for n in range(100)))
    outcome = stage.client.actions.apply(made)
    assert (outcome.done, outcome.gone, outcome.left) == (411, 0, 0)
    left = stage.queued()
    assert left[: 1_234 - 411] == [raw for n, raw in enumerate(raws) if n % 3 != 1]
    assert len(left) == 1_234 - 411 + 100


def test_jobs_that_a_pool_took_from_a_queue_are_counted_as_gone(stage: ClientStage) -> None:
    stage.queue("mail", *(raw_job(f"{n:05}") for n in range(600)))
    made = plan(stage, "delete", MAIL)
    stage.redis.rpop(stage.keys.jobs("mail"), 10)
    outcome = stage.client.actions.apply(made)
    assert (outcome.done, outcome.gone, outcome.left) == (590, 10, 0)
    assert stage.queued() == []


# Retrying


def test_retried_dead_jobs_have_no_failures(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{n:05}", fails=4, err="x", failed_at=9): n for n in range(600)})
    outcome = stage.client.actions.apply(plan(stage, "retry", DEAD))
    assert (outcome.done, outcome.refused) == (600, 0)
    assert stage.members("dead") == []
    jobs = [wire.decode(raw) for raw in stage.queued()]
    assert {(job.fails, job.last_err, job.enqueued_at) for job in jobs} == {
        (0, "", stage.clock.now_s)
    }
    assert [job.id for job in jobs] == [f"{n:05}" for n in range(600)]


@pytest.mark.parametrize("place", ["retry", "scheduled"])
def test_waiting_jobs_run_now_and_keep_their_fields(stage: ClientStage, place: SetName) -> None:
    later = stage.clock.now_s + 900
    stage.lay(place, {raw_job("x", fails=2, err="boom", unknown={"a": 1}): later})
    stage.client.actions.apply(plan(stage, "retry", Place(place)))
    (raw,) = stage.queued()
    assert json.loads(raw) == json.loads(raw_job("x", fails=2, err="boom", unknown={"a": 1})) | {
        "t": stage.clock.now_s
    }
    assert stage.members(place) == []


def test_a_waiting_unique_job_that_runs_now_keeps_its_key(stage: ClientStage) -> None:
    stage.enqueuer.enqueue_unique_in("mail", 900, {"k": 1})
    stage.client.actions.apply(plan(stage, "retry", Place("scheduled")))
    assert stage.enqueuer.enqueue_unique("mail", {"k": 1}) is None
    ran = stage.pool().work()
    assert len(ran) == 1
    assert stage.enqueuer.enqueue_unique("mail", {"k": 1}) is not None


@pytest.mark.parametrize("place", SETS)
def test_a_job_that_cannot_be_retried_stays_in_its_place(
    stage: ClientStage, place: SetName
) -> None:
    stage.redis.set(stage.keys.jobs("broken"), "no list")
    left = [b"junk", raw_job("x", "broken", fails=1)]
    stage.lay(place, dict.fromkeys([*left, raw_job("y", fails=1)], 5))
    outcome = stage.client.actions.apply(plan(stage, "retry", Place(place)))
    assert (outcome.done, outcome.refused, outcome.gone) == (1, 2, 0)
    assert sorted(stage.members(place)) == sorted(left)


def test_malformed_payloads_can_be_deleted(stage: ClientStage) -> None:
    stage.lay("dead", {b"junk": 5, raw_job("y"): 5})
    outcome = stage.client.actions.apply(plan(stage, "delete", DEAD, "is:junk"))
    assert outcome.done == 1
    assert stage.members("dead") == [raw_job("y")]


@pytest.mark.parametrize("others", [0, 7])
def test_of_equal_jobs_in_a_queue_only_as_many_as_are_pinned_are_deleted(
    stage: ClientStage, others: int
) -> None:
    twins = [raw_job("twin")] * 3
    stage.queue("mail", *twins, *(raw_job(f"{n}") for n in range(others)))
    walked = [each for batch in stage.client.walk(MAIL) for each in batch.jobs]
    made = stage.client.actions.plan_for("delete", MAIL, walked[1:])
    outcome = stage.client.actions.apply(made)
    assert (outcome.done, outcome.gone, outcome.left) == (2 + others, 0, 0)
    assert stage.queued() == twins[:1]


def test_a_queue_is_not_read_behind_the_last_pinned_job(stage: ClientStage) -> None:
    stage.queue("mail", *(raw_job(f"{n:05}") for n in range(2_000)))
    newest = stage.client.jobs(MAIL, 0, 10, reverse=True).jobs
    link = stage.link()
    client = stage.client_on(link)
    assert client.actions.apply(client.actions.plan_for("delete", MAIL, newest)).done == 10
    commands = [command for sent in link.sent for command in sent]
    assert sum(getattr(command[0], "name", "") == "page" for command in commands) == 1


# Told of each job


@pytest.mark.parametrize("others", [0, 7])
def test_the_fate_of_each_job_is_told(stage: ClientStage, others: int) -> None:
    stage.redis.set(stage.keys.jobs("broken"), "no list")
    raws = [raw_job("good"), raw_job("stuck", "broken"), raw_job("lost")]
    raws += [raw_job(f"{n}") for n in range(others)]
    stage.lay("dead", dict.fromkeys(raws, 5))
    made = plan(stage, "retry", DEAD)
    stage.redis.zrem(stage.keys.dead, raws[2])
    fates: dict[str, str] = {}
    outcome = stage.client.actions.apply(made, each=fates.__setitem__)
    assert (outcome.done, outcome.gone, outcome.refused) == (1 + others, 1, 1)
    assert (fates["good"], fates["stuck"], fates.get("lost", "gone")) == ("done", "refused", "gone")
    assert {fates[f"{n}"] for n in range(others)} <= {"done"}


# Bounded, reported, stopped


def test_no_command_acts_on_more_than_five_hundred_jobs(stage: ClientStage) -> None:
    lay_many(stage, "dead")
    made = plan(stage, "delete", DEAD)
    told: list[BulkProgress] = []
    stage.client.actions.apply(made, report=told.append)
    steps = [b.done - a.done for a, b in zip([BulkProgress(0, 0), *told], told, strict=False)]
    assert max(steps) <= 500
    assert (told[-1].done, {p.total for p in told}) == (1_700, {1_700})


@pytest.mark.parametrize("place", [DEAD, MAIL])
def test_stopping_leaves_the_rest_alone(stage: ClientStage, place: Place) -> None:
    if place == DEAD:
        stage.lay("dead", {raw_job(f"{n:05}"): n for n in range(1_700)})
    else:
        stage.queue("mail", *(raw_job(f"{n:05}") for n in range(1_700)))
    stop = Event()
    outcome = stage.client.actions.apply(
        plan(stage, "delete", place), report=lambda _: stop.set(), stop=stop
    )
    assert outcome.stopped == "you stopped it"
    assert 0 < outcome.done <= 500
    assert outcome.done + outcome.left + outcome.gone == 1_700
    assert stage.client.jobs(place).total == 1_700 - outcome.done


def test_applying_that_is_stopped_before_it_begins_changes_nothing(stage: ClientStage) -> None:
    lay_many(stage, "dead", 10)
    stop = Event()
    stop.set()
    outcome = stage.client.actions.apply(plan(stage, "delete", DEAD), stop=stop)
    assert outcome == BulkOutcome("", 0, 0, 0, 10, "you stopped it")
    assert stage.client.actions.operations() == []


# The trash


def test_an_operation_is_recorded_for_other_users(stage: ClientStage) -> None:
    lay_many(stage, "dead", 10)
    outcome = stage.client.actions.apply(plan(stage, "delete", DEAD, "fails:1"), by="ann@web-1")
    (noted,) = stage.client.actions.operations()
    assert noted.operation_id == outcome.operation_id
    assert (noted.verb, noted.place, noted.query) == ("delete", DEAD, "fails:1")
    assert (noted.by, noted.at, noted.planned) == ("ann@web-1", stage.clock.now_s, 3)
    assert (noted.undoable, noted.expires_at) == (3, stage.clock.now_s + 86_400)


def test_the_trash_expires(stage: ClientStage) -> None:
    lay_many(stage, "dead", 10)
    outcome = stage.client.actions.apply(plan(stage, "delete", DEAD))
    for key in (
        stage.keys.operation(outcome.operation_id),
        stage.keys.trashed(outcome.operation_id),
    ):
        assert stage.redis.ttl(key) > 0
    stage.clock.advance(86_401)
    assert stage.client.actions.operations() == []


def test_a_trash_key_of_the_wrong_type_loses_no_job(
    stage: ClientStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_many(stage, "dead", 10)
    monkeypatch.setattr("workkit.core.entropy.Entropy.identifier", lambda _: "a" * 24)
    stage.redis.set(stage.keys.trashed("a" * 12), "no list")
    with pytest.raises(ServerRefused, match="the trash"):
        stage.client.actions.apply(plan(stage, "delete", DEAD))
    assert len(stage.members("dead")) == 10
    outcome = stage.client.actions.apply(plan(stage, "retry", DEAD))
    assert (outcome.done, outcome.refused) == (0, 10)
    assert len(stage.members("dead")) == 10


# Recoveries


def test_the_recoveries_of_deleted_jobs_do_not_count_any_more(stage: ClientStage) -> None:
    jobs = {f"{n:05}": raw_job(f"{n:05}") for n in range(1_200)}
    stage.redis.lpush(stage.keys.jobs("mail"), *jobs.values())
    stage.redis.hset(stage.keys.recoveries, mapping=dict.fromkeys(jobs, 1) | {"other": 2})
    made = plan(stage, "delete", MAIL)
    assert stage.client.actions.apply(made).done == 1_200
    assert stage.redis.hgetall(stage.keys.recoveries) == {b"other": b"2"}
