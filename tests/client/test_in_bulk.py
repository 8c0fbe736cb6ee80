"""All dead jobs at once: thousands, in bounded batches, while more jobs die."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from tests.client.stage import JUNK, BusyLink, ClientStage, raw_job
from tests.support.steps import FaultyLink
from workkit import Client, ServerUnavailable
from workkit.core import job as wire
from workkit.store.connections.target import Target

COUNT: Final = 5_000
BATCH: Final = 500


def many(count: int = COUNT) -> dict[bytes, float]:
    """Dead jobs of several names and kinds."""
    made: dict[bytes, float] = {}
    for n in range(count):
        extra = {"unique": True, "args": {"n": n}} if n % 10 == 0 else {"args": {"list": []}}
        made[raw_job(f"{n:05}", f"name{n % 3}", fails=4, err="boom", **extra)] = n // 7
    return made


def scattered_junk() -> dict[bytes, float]:
    return {junk + b" %d" % n: n * 50 for n in range(10) for junk in JUNK}


def queued_ids(stage: ClientStage) -> list[str]:
    return [wire.decode(raw).id for n in range(3) for raw in stage.queued(f"name{n}")]


def largest(link: FaultyLink) -> int:
    """Return how many words the longest command had."""
    return max(len(command) for commands in link.sent for command in commands)


def test_thousands_are_retried_in_bounded_batches_and_junk_stays(stage: ClientStage) -> None:
    junk = scattered_junk()
    stage.lay("dead", many() | junk)
    link = stage.link()
    assert stage.client_on(link).retry_all_dead_jobs() == COUNT
    assert set(stage.members("dead")) == set(junk)
    assert sorted(queued_ids(stage)) == [f"{n:05}" for n in range(COUNT)]
    batches = -(-(COUNT + len(junk)) // BATCH)
    # A batch is read twice, for the plan and to act, each time with a look at unique keys or with
    # the rest of a second; then it is acted on.
    assert len(link.sent) <= 6 * batches + 2
    assert all(len(commands) <= BATCH for commands in link.sent)
    # A script call: seven words a job, two for a unique one, a few for its queues.
    assert largest(link) <= 9 * BATCH + 20


def test_thousands_are_deleted_in_bounded_batches_and_junk_too(stage: ClientStage) -> None:
    junk = scattered_junk()
    stage.lay("dead", many() | junk)
    stage.hold(stage.unique_key('{"n":0}', "name0"), '{"name":"name0","id":"00000"}')
    link = stage.link()
    assert stage.client_on(link).delete_all_dead_jobs() == COUNT + len(junk)
    assert stage.members("dead") == []
    assert stage.held(stage.unique_key('{"n":0}', "name0")) is None
    assert len(link.sent) <= 6 * -(-(COUNT + len(junk)) // BATCH) + 2
    # Five words a job, one more for a unique one.
    assert largest(link) <= 6 * BATCH + 20


def test_the_client_retries_and_deletes_thousands(stage: ClientStage) -> None:
    stage.lay("dead", many(1_200))
    assert stage.client.retry_all_dead_jobs() == 1_200
    assert stage.client.retry_all_dead_jobs() == 0
    stage.lay("dead", many(1_200))
    assert stage.client.delete_all_dead_jobs() == 1_200
    assert stage.client.delete_all_dead_jobs() == 0


def dying(stage: ClientStage, at_s: int, prefix: str) -> Callable[[int], object]:
    """Let a job die before each exchange."""
    return lambda n: stage.lay("dead", {raw_job(f"{prefix}{n:03}", fails=1): at_s})


ALL: Final = {"retry": Client.retry_all_dead_jobs, "delete": Client.delete_all_dead_jobs}


@pytest.mark.parametrize("what", ALL)
def test_jobs_that_die_meanwhile_are_left_alone(stage: ClientStage, what: str) -> None:
    now_s = stage.clock.now_s
    stage.lay("dead", many(1_600))
    link = BusyLink(Target.of(stage.url), dying(stage, now_s + 1, "new"))
    assert ALL[what](stage.client_on(link)) == 1_600
    link.close()
    assert {wire.decode(raw).id for raw in stage.members("dead")} == {
        f"new{n:03}" for n in range(len(link.sent))
    }


@pytest.mark.parametrize("what", ALL)
def test_jobs_that_die_in_the_same_second_do_not_make_it_endless(
    stage: ClientStage, what: str
) -> None:
    now_s = stage.clock.now_s
    stage.lay("dead", {raw_job(f"{n:05}"): now_s for n in range(1_600)})
    link = BusyLink(Target.of(stage.url), dying(stage, now_s, "new"))
    touched = ALL[what](stage.client_on(link))
    link.close()
    assert 1_600 <= touched <= 1_605  # a few had died before the last look of the plan
    assert len(stage.members("dead")) == 1_600 + len(link.sent) - touched


@pytest.mark.parametrize("what", ALL)
def test_jobs_that_somebody_else_takes_meanwhile_are_not_counted(
    stage: ClientStage, what: str
) -> None:
    stage.lay("dead", {raw_job(f"{n:05}", "name0"): n for n in range(1_000)})

    def take(exchange: int) -> None:
        if exchange == 2:  # between a look at the first batch and what is done with it
            stage.redis.zremrangebyrank(f"{stage.namespace}:dead", 0, 99)

    link = BusyLink(Target.of(stage.url), take)
    assert ALL[what](stage.client_on(link)) == 900
    link.close()
    assert stage.members("dead") == []


def test_jobs_of_a_broken_queue_stay_dead_and_the_others_come_back(stage: ClientStage) -> None:
    stage.lay("dead", many(1_600))
    stage.redis.set(f"{stage.namespace}:jobs:name1", "a string")
    retried = stage.client.retry_all_dead_jobs()
    left = [wire.decode(raw) for raw in stage.members("dead")]
    assert {job.name for job in left} == {"name1"}
    assert retried + len(left) == 1_600
    assert len(stage.queued("name0")) + len(stage.queued("name2")) == retried


def test_jobs_that_are_dead_only_in_the_future_are_not_dead_now(stage: ClientStage) -> None:
    now_s = stage.clock.now_s
    stage.lay("dead", {raw_job("now"): now_s, raw_job("later"): now_s + 5})
    assert stage.client.retry_all_dead_jobs() == 1
    stage.lay("dead", {raw_job("now"): now_s})
    assert stage.client.delete_all_dead_jobs() == 1
    assert stage.members("dead") == [raw_job("later")]


@pytest.mark.parametrize("what", ALL)
def test_a_lost_connection_leaves_every_job_in_one_place(stage: ClientStage, what: str) -> None:
    stage.lay("dead", {raw_job(f"{n:05}", "name0"): n for n in range(1_600)})
    lost = []

    def lose(exchange: int) -> None:
        # After four reads for the plan, the time, a note, and a batch with its two reads.
        if exchange == 10:
            lost.append(exchange)
            link.lose_reply()

    link = BusyLink(Target.of(stage.url), lose)
    with pytest.raises(ServerUnavailable):
        ALL[what](stage.client_on(link))
    link.close()
    assert lost
    places = [wire.decode(raw).id for raw in stage.members("dead")] + queued_ids(stage)
    assert len(places) == len(set(places))
    assert len(places) == (1_600 if what == "retry" else 600)
    (operation,) = stage.client.actions.operations()
    assert operation.undoable == 1_000
    assert stage.client.actions.undo(operation.operation_id).back == 1_000
    assert len(stage.members("dead")) == 1_600
