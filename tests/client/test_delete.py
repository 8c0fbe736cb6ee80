"""Deleting removes the right job and no other, and frees only its own unique key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.stage import SETS, BusyLink, ClientStage, SetName, raw_job
from tests.client.test_junk import DELETE
from tests.support.handlers import boom
from workkit import NotDeleted
from workkit.store.connections.target import Target

Key = dict[str, Any]
KEY: Key = {"k": 1}


# Which job


@pytest.mark.parametrize("place", SETS)
def test_just_the_job_with_that_time_and_id_is_deleted(stage: ClientStage, place: SetName) -> None:
    raws = {
        raw_job("x"): 17,
        raw_job("x", args={"other": "time"}): 18,
        raw_job("y"): 17,
        raw_job("xx"): 17,
        raw_job("letter", "x"): 17,
    }
    stage.lay(place, raws)
    DELETE[place](stage.client, 17, "x")
    assert set(stage.members(place)) == set(raws) - {raw_job("x")}


@pytest.mark.parametrize("place", SETS)
@pytest.mark.parametrize(("at_s", "job_id"), [(18, "x"), (16, "x"), (17, "X"), (17, ""), (17, "y")])
def test_a_job_that_is_not_there_is_not_deleted(
    stage: ClientStage, place: SetName, at_s: int, job_id: str
) -> None:
    stage.lay(place, {raw_job("x"): 17})
    with pytest.raises(NotDeleted, match=f"the {place} set holds no job {job_id} at {at_s}"):
        DELETE[place](stage.client, at_s, job_id)
    assert stage.members(place) == [raw_job("x")]


def test_just_the_queued_job_with_that_id_is_deleted(stage: ClientStage) -> None:
    jobs = [stage.enqueuer.enqueue("mail", {"n": n}) for n in range(3)]
    stage.enqueuer.enqueue("letter")
    stage.client.delete_queued_job("mail", jobs[1].id)
    assert stage.queued() == [jobs[0].raw, jobs[2].raw]
    assert len(stage.queued("letter")) == 1
    for name, job_id in (("mail", jobs[1].id), ("letter", jobs[0].id), ("mail", "")):
        with pytest.raises(NotDeleted, match=f"queue '{name}' holds no job {job_id}"):
            stage.client.delete_queued_job(name, job_id)


def test_one_of_two_equal_elements_of_a_queue_is_deleted_at_a_time(stage: ClientStage) -> None:
    stage.queue("mail", raw_job("x"), raw_job("y"), raw_job("x"))
    stage.client.delete_queued_job("mail", "x")
    assert sorted(stage.queued()) == [raw_job("x"), raw_job("y")]
    stage.client.delete_queued_job("mail", "x")
    with pytest.raises(NotDeleted):
        stage.client.delete_queued_job("mail", "x")


def test_a_job_deep_in_a_long_queue_is_deleted(stage: ClientStage) -> None:
    stage.queue("mail", *(raw_job(f"{n:05}") for n in range(1_300)))
    stage.client.delete_queued_job("mail", "01299")
    assert len(stage.queued()) == 1_299
    assert raw_job("01299") not in stage.queued()


def test_a_job_that_runs_is_not_deleted(stage: ClientStage) -> None:
    job = stage.enqueuer.enqueue("mail")
    pool = stage.pool()
    pool.claim()
    with pytest.raises(NotDeleted, match="a pool may have taken it"):
        stage.client.delete_queued_job("mail", job.id)
    pool.work()


# Unique keys


Enqueue = Callable[[ClientStage], Any]
FRESH: dict[str, Enqueue] = {
    "now": lambda stage: stage.enqueuer.enqueue_unique("mail", KEY),
    "until done": lambda stage: stage.enqueuer.enqueue_unique("mail", KEY, until="done"),
    "by key": lambda stage: stage.enqueuer.enqueue_unique_by_key("mail", {"n": 1}, KEY),
}
LATER: dict[str, Enqueue] = {
    "now": lambda stage: stage.enqueuer.enqueue_unique_in("mail", 60, KEY),
    "until done": lambda stage: stage.enqueuer.enqueue_unique_in("mail", 60, KEY, until="done"),
    "by key": lambda stage: stage.enqueuer.enqueue_unique_in_by_key("mail", 60, {"n": 1}, KEY),
}


@pytest.mark.parametrize("form", FRESH)
def test_a_queued_unique_job_takes_its_key_along(stage: ClientStage, form: str) -> None:
    job = FRESH[form](stage)
    other = stage.enqueuer.enqueue_unique("mail", {"k": 2})
    assert stage.held(stage.unique_key()) is not None
    stage.client.delete_queued_job("mail", job.id)
    assert stage.held(stage.unique_key()) is None
    assert stage.held(stage.unique_key('{"k":2}')) == b"1"
    assert FRESH[form](stage) is not None
    assert other is not None


@pytest.mark.parametrize("form", LATER)
def test_a_scheduled_unique_job_takes_its_key_along(stage: ClientStage, form: str) -> None:
    scheduled = LATER[form](stage)
    stage.client.delete_scheduled_job(scheduled.run_at, scheduled.job.id)
    assert stage.held(stage.unique_key()) is None
    assert LATER[form](stage) is not None


def test_a_job_by_key_takes_the_key_along_that_an_update_has_changed(stage: ClientStage) -> None:
    job = FRESH["by key"](stage)
    assert stage.enqueuer.enqueue_unique_by_key("mail", {"n": 2}, KEY) is None
    stage.client.delete_queued_job("mail", job.id)
    assert stage.held(stage.unique_key()) is None


@pytest.mark.parametrize("form", ["now", "by key"])
@pytest.mark.parametrize("newer", FRESH)
def test_a_failed_job_leaves_the_key_to_the_newer_one_that_holds_it(
    stage: ClientStage, form: str, newer: str
) -> None:
    FRESH[form](stage)
    stage.pool(boom).work()
    retry_at, failed = stage.job_at("retry")
    assert FRESH[newer](stage) is not None
    value = stage.held(stage.unique_key())
    stage.client.delete_retry_job(retry_at, failed.id)
    assert stage.held(stage.unique_key()) == value
    assert FRESH[form](stage) is None


@pytest.mark.parametrize("form", ["now", "by key"])
def test_a_dead_job_leaves_the_key_to_the_newer_one_that_holds_it(
    stage: ClientStage, form: str
) -> None:
    FRESH[form](stage)
    stage.pool(boom, max_fails=1).work()
    died_at, dead = stage.job_at("dead")
    LATER[form](stage)
    stage.client.delete_dead_job(died_at, dead.id)
    assert stage.held(stage.unique_key()) is not None


def test_a_failed_job_until_done_takes_its_own_key_along(stage: ClientStage) -> None:
    FRESH["until done"](stage)
    stage.pool(boom).work()
    retry_at, failed = stage.job_at("retry")
    assert stage.held(stage.unique_key()) is not None
    stage.client.delete_retry_job(retry_at, failed.id)
    assert stage.held(stage.unique_key()) is None
    assert FRESH["until done"](stage) is not None


def test_a_job_until_done_leaves_the_key_to_a_newer_one_after_it_expired(
    stage: ClientStage,
) -> None:
    FRESH["until done"](stage)
    stage.pool(boom).work()
    retry_at, failed = stage.job_at("retry")
    stage.redis.delete(stage.unique_key())
    assert FRESH["until done"](stage) is not None
    stage.client.delete_retry_job(retry_at, failed.id)
    assert stage.held(stage.unique_key()) is not None


def test_a_job_that_began_once_leaves_the_key_to_a_newer_one(stage: ClientStage) -> None:
    job = FRESH["now"](stage)
    pool = stage.pool()
    pool.claim()  # which begins it and frees its key
    assert stage.held(stage.unique_key()) is None
    assert LATER["now"](stage) is not None
    stage.crash_and_recover(pool)
    assert stage.queued() == [job.raw]
    stage.client.delete_queued_job("mail", job.id)
    assert stage.held(stage.unique_key()) == b"1"
    assert LATER["now"](stage) is None


def test_a_queued_job_until_done_leaves_the_key_to_a_newer_one_after_it_expired(
    stage: ClientStage,
) -> None:
    job = FRESH["until done"](stage)
    stage.redis.delete(stage.unique_key())
    assert FRESH["now"](stage) is not None
    stage.client.delete_queued_job("mail", job.id)
    assert stage.held(stage.unique_key()) == b"1"


def test_a_job_that_somebody_takes_meanwhile_keeps_its_key(stage: ClientStage) -> None:
    scheduled = LATER["now"](stage)

    def take(exchange: int) -> None:
        if exchange == 1:  # between the look at the job and its removal
            stage.redis.zrem(f"{stage.namespace}:scheduled", scheduled.job.raw)

    link = BusyLink(Target.of(stage.url), take)
    with pytest.raises(NotDeleted):
        stage.client_on(link).delete_scheduled_job(scheduled.run_at, scheduled.job.id)
    link.close()
    assert stage.held(stage.unique_key()) == b"1"


def test_a_newer_job_whose_args_name_the_deleted_one_keeps_its_key(stage: ClientStage) -> None:
    FRESH["by key"](stage)
    stage.pool(boom).work()
    retry_at, failed = stage.job_at("retry")
    assert stage.enqueuer.enqueue_unique_by_key("mail", {"id": failed.id}, KEY) is not None
    stage.client.delete_retry_job(retry_at, failed.id)
    assert stage.held(stage.unique_key()) is not None


def test_an_old_unique_job_that_names_no_key_frees_the_one_of_its_args(stage: ClientStage) -> None:
    stage.lay("scheduled", {raw_job("x", unique=True, args=KEY): 17})
    stage.hold(stage.unique_key())
    stage.client.delete_scheduled_job(17, "x")
    assert stage.held(stage.unique_key()) is None


@pytest.mark.parametrize("foreign", ["{}:dead", "{}-other:unique:mail:", "{}:jobs:mail"])
def test_a_unique_job_that_names_another_key_frees_it_not(stage: ClientStage, foreign: str) -> None:
    key = foreign.format(stage.namespace)
    stage.lay("scheduled", {raw_job("x", unique=True, args=KEY, unique_key=key): 17})
    stage.hold(key)
    stage.client.delete_scheduled_job(17, "x")
    assert stage.held(key) == b"1"


def test_a_plain_job_frees_no_key(stage: ClientStage) -> None:
    stage.lay("scheduled", {raw_job("x", args=KEY, unique_key=stage.unique_key()): 17})
    stage.hold(stage.unique_key())
    stage.client.delete_scheduled_job(17, "x")
    assert stage.held(stage.unique_key()) == b"1"


def test_a_unique_key_of_a_wrong_type_is_in_nobody_s_way(stage: ClientStage) -> None:
    stage.lay("retry", {raw_job("x", unique=True, args=KEY, fails=1): 17})
    stage.redis.rpush(stage.unique_key(), "a list")
    stage.client.delete_retry_job(17, "x")
    assert stage.members("retry") == []
