"""Undoing brings each job back to its place, or reports why not."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from tests.client.stage import SETS, ClientStage, SetName, raw_job
from workkit import Client, NotUndone, Place, ServerRefused
from workkit.admin.actions import BulkProgress, Undone, Verb

DEAD, MAIL, SCHEDULED = Place("dead"), Place("queued", "mail"), Place("scheduled")


def act(stage: ClientStage, verb: Verb, place: Place, query: str = "") -> str:
    made = stage.client.actions.plan(verb, place, query)
    assert made is not None
    return stage.client.actions.apply(made).operation_id


# Deleted jobs


@pytest.mark.parametrize("place", SETS)
def test_deleted_jobs_come_back_with_their_bytes_and_times(
    stage: ClientStage, place: SetName
) -> None:
    members: dict[bytes, float] = {
        raw_job(f"{n:05}", odd=[1.0, {}]): 1_000 + n // 7 for n in range(900)
    }
    members |= {b"junk \xff": 3, b"": 4.5, b"\x00 1 2": -7}
    stage.lay(place, members)
    operation_id = act(stage, "delete", Place(place))
    assert stage.members(place) == []
    assert stage.client.actions.undo(operation_id) == Undone(903, 0, 0, 0)
    found = stage.redis.zrange(f"{stage.namespace}:{place}", 0, -1, withscores=True)
    assert dict(found) == members


def test_deleted_jobs_of_a_queue_run_next_in_their_old_order(stage: ClientStage) -> None:
    raws = [raw_job(f"{n:05}") for n in range(700)]
    stage.queue("mail", *raws)
    operation_id = act(stage, "delete", MAIL)
    stage.queue("mail", raw_job("new"))
    stage.client.actions.undo(operation_id)
    assert stage.queued() == [*raws, raw_job("new")]


@pytest.mark.parametrize("count", [1, 3, 9])
def test_marked_jobs_of_a_queue_come_back_in_the_order_of_the_queue(
    stage: ClientStage, count: int
) -> None:
    raws = [raw_job(f"{n * 7 % 11:02}") for n in range(count)]
    stage.queue("mail", *raws)
    marked = stage.client.jobs(MAIL).jobs
    made = stage.client.actions.plan_for("delete", MAIL, marked)
    stage.client.actions.undo(stage.client.actions.apply(made).operation_id)
    assert stage.queued() == raws


def test_a_second_console_undoes_an_operation_of_a_killed_one(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{n:05}"): n for n in range(1_700)})
    made = stage.client.actions.plan("delete", DEAD)
    assert made is not None

    def die(progress: BulkProgress) -> None:
        if progress.done >= 1_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.client.actions.apply(made, by="first", report=die)
    second = Client(stage.namespace, stage.url, clock=stage.clock)
    (noted,) = second.actions.operations()
    assert (noted.by, noted.planned, noted.undoable) == ("first", 1_700, 1_000)
    assert second.actions.undo(noted.operation_id).back == 1_000
    assert len(stage.members("dead")) == 1_700
    assert second.actions.operations() == []
    second.close()


def test_two_users_who_undo_at_once_bring_each_job_back_once(stage: ClientStage) -> None:
    members = {raw_job(f"{n:05}"): n for n in range(900)}
    stage.lay("dead", members)
    operation_id = act(stage, "delete", DEAD)
    other = Client(stage.namespace, stage.url, clock=stage.clock)
    helped: list[Undone] = []

    def help_once(_progress: BulkProgress) -> None:
        if not helped:
            helped.append(Undone(0, 0, 0, 0))
            helped.append(other.actions.undo(operation_id))

    mine = stage.client.actions.undo(operation_id, report=help_once)
    assert mine.back + helped[1].back == 900
    assert stage.members("dead") == sorted(members)
    other.close()


def test_undoing_can_be_stopped_and_continued(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{n:05}"): n for n in range(900)})
    operation_id = act(stage, "delete", DEAD)
    stop = Event()
    first = stage.client.actions.undo(operation_id, report=lambda _: stop.set(), stop=stop)
    assert first == Undone(200, 0, 0, 700)
    assert stage.client.actions.operations()[0].undoable == 700
    assert stage.client.actions.undo(operation_id) == Undone(700, 0, 0, 0)


def test_an_operation_cannot_be_undone_twice(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("x"): 1})
    operation_id = act(stage, "delete", DEAD)
    stage.client.actions.undo(operation_id)
    with pytest.raises(NotUndone, match=f"cannot undo '{operation_id}'"):
        stage.client.actions.undo(operation_id)
    assert not list(stage.redis.scan_iter(f"{stage.namespace}:trash*"))


@pytest.mark.parametrize("verb", ["delete", "retry"])
def test_undoing_into_a_key_of_the_wrong_type_loses_no_job(stage: ClientStage, verb: Verb) -> None:
    stage.lay("dead", {raw_job("x", fails=1): 1})
    operation_id = act(stage, verb, DEAD)
    stage.redis.set(stage.keys.dead, "no set")
    with pytest.raises(ServerRefused, match="the dead set has a wrong type"):
        stage.client.actions.undo(operation_id)
    stage.redis.delete(stage.keys.dead)
    assert stage.client.actions.undo(operation_id).back == 1
    assert stage.members("dead") == [raw_job("x", fails=1)]


# Their unique keys


def test_a_key_that_was_freed_is_taken_again(stage: ClientStage) -> None:
    stage.enqueuer.enqueue_unique_in("mail", 600, {"k": 1})
    operation_id = act(stage, "delete", SCHEDULED)
    assert stage.held(stage.unique_key()) is None
    stage.client.actions.undo(operation_id)
    assert stage.held(stage.unique_key()) == b"1"
    assert 86_400 < stage.redis.ttl(stage.unique_key()) <= 86_400 + 600
    assert stage.enqueuer.enqueue_unique("mail", {"k": 1}) is None


def test_an_update_that_waited_under_the_key_is_kept(stage: ClientStage) -> None:
    stage.enqueuer.enqueue_unique_in_by_key("mail", 600, {"v": 1}, {"k": 1})
    stage.enqueuer.enqueue_unique_in_by_key("mail", 600, {"v": 2}, {"k": 1})
    before = stage.held(stage.unique_key())
    operation_id = act(stage, "delete", SCHEDULED)
    stage.client.actions.undo(operation_id)
    assert stage.held(stage.unique_key()) == before
    assert b'"v":2' in (before or b"")


def test_a_deleted_job_comes_back_not_unique_if_a_newer_job_holds_its_key(
    stage: ClientStage,
) -> None:
    stage.enqueuer.enqueue_unique_in("mail", 600, {"k": 1})
    operation_id = act(stage, "delete", SCHEDULED)
    newer = stage.enqueuer.enqueue_unique("mail", {"k": 1})
    assert newer is not None
    assert stage.client.actions.undo(operation_id) == Undone(1, 1, 0, 0)
    _, job = stage.job_at("scheduled")
    assert not job.unique
    assert len(stage.pool().work()) == 1
    assert stage.held(stage.unique_key()) is None


def test_a_job_that_had_begun_does_not_take_the_key_of_another_job(stage: ClientStage) -> None:
    stage.enqueuer.enqueue_unique("mail", {"k": 1})
    pool = stage.pool()
    pool.claim()
    stage.crash_and_recover(pool)  # back in its queue, without its key
    stage.enqueuer.enqueue_unique("mail", {"k": 1})
    operation_id = act(stage, "delete", MAIL, "age:>10")
    stage.client.actions.undo(operation_id)
    assert stage.held(stage.unique_key()) is not None
    assert stage.redis.ttl(stage.keys.begun) > 86_400
    ran = stage.pool().work()
    assert len(ran) == 2


# Retried jobs


def test_retried_jobs_that_have_not_begun_are_dead_again_as_they_were(stage: ClientStage) -> None:
    members = {raw_job(f"{n:05}", fails=4, err=f"e{n}"): 1_000 + n for n in range(700)}
    stage.lay("dead", members)
    operation_id = act(stage, "retry", DEAD)
    assert len(stage.queued()) == 700
    assert stage.client.actions.undo(operation_id) == Undone(700, 0, 0, 0)
    assert stage.queued() == []
    assert dict(stage.redis.zrange(stage.keys.dead, 0, -1, withscores=True)) == members


def test_retried_jobs_that_have_begun_are_counted_as_gone_on(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{n}", fails=4): 1_000 + n for n in range(10)})
    operation_id = act(stage, "retry", DEAD)
    stage.redis.rpop(stage.keys.jobs("mail"), 4)
    assert stage.client.actions.undo(operation_id) == Undone(6, 0, 4, 0)
    assert stage.members("dead") == [raw_job(f"{n}", fails=4) for n in range(4, 10)]
    assert stage.client.actions.operations() == []


@pytest.mark.parametrize("until", ["start", "done"])
def test_a_key_that_a_retried_job_took_is_free_again(stage: ClientStage, until: str) -> None:
    fields: dict[str, Any] = {"unique": True, "unique_key": stage.unique_key(), "fails": 4}
    if until == "done":
        fields["unique_until"] = "done"
    raw = raw_job("x", args={"k": 1}, **fields)
    stage.lay("dead", {raw: 5})
    operation_id = act(stage, "retry", DEAD)
    assert stage.held(stage.unique_key()) is not None
    stage.client.actions.undo(operation_id)
    assert stage.held(stage.unique_key()) is None
    assert stage.members("dead") == [raw]


def test_undoing_does_not_free_a_key_of_a_newer_job(stage: ClientStage) -> None:
    raw = raw_job("x", args={"k": 1}, unique=True, unique_key=stage.unique_key(), fails=4)
    stage.lay("dead", {raw: 5})
    stage.enqueuer.enqueue_unique("mail", {"k": 1})
    operation_id = act(stage, "retry", DEAD)
    assert len(stage.queued()) == 2
    stage.client.actions.undo(operation_id)
    assert stage.held(stage.unique_key()) == b"1"
    assert stage.members("dead") == [raw]
    assert len(stage.queued()) == 1


@pytest.mark.parametrize("place", ["retry", "scheduled"])
def test_undone_retries_of_waiting_jobs_wait_again(stage: ClientStage, place: SetName) -> None:
    later = stage.clock.now_s + 900
    stage.lay(place, {raw_job("x", fails=2): later})
    operation_id = act(stage, "retry", Place(place))
    stage.client.actions.undo(operation_id)
    assert stage.queued() == []
    assert stage.redis.zrange(f"{stage.namespace}:{place}", 0, -1, withscores=True) == [
        [raw_job("x", fails=2), later]
    ] or stage.redis.zrange(f"{stage.namespace}:{place}", 0, -1, withscores=True) == [
        (raw_job("x", fails=2), later)
    ]


def test_retried_malformed_payloads_are_dead_again_after_undo(stage: ClientStage) -> None:
    stage.queue("mail", b"junk")
    stage.pool().work()
    (buried,) = stage.members("dead")
    operation_id = act(stage, "retry", DEAD)
    assert stage.queued() == [b"junk"]
    stage.client.actions.undo(operation_id)
    assert stage.members("dead") == [buried]
    assert stage.queued() == []
