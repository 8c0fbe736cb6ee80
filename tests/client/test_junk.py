"""Junk in Redis is shown as junk. It breaks no page and blocks no job."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.client.stage import JUNK, SETS, ClientStage, SetName, raw_job
from tests.client.test_pages import PAGES, WALKS
from workkit import Client, NotDeleted, NotRetried, ServerRefused
from workkit.core import job as wire
from workkit.core.undecodable import UNDECODABLE

DELETE: Final[dict[SetName, Callable[[Client, int, str], None]]] = {
    "scheduled": Client.delete_scheduled_job,
    "retry": Client.delete_retry_job,
    "dead": Client.delete_dead_job,
}
AMONG_JUNK: Final = {raw_job("first"): 1.0, **dict.fromkeys(JUNK, 2.0), raw_job("last"): 2.0}


# Shown


@pytest.mark.parametrize("place", SETS)
def test_junk_in_a_set_is_shown_with_its_bytes_and_the_reason(
    stage: ClientStage, place: SetName
) -> None:
    stage.lay(place, AMONG_JUNK)
    page = PAGES[place](stage.client, 1)
    assert page.total == len(page.jobs) == len(AMONG_JUNK)
    assert [shown.job.raw for shown in page.jobs] == stage.members(place)
    for shown in page.jobs:
        job = shown.job
        if job.raw in JUNK:
            assert job.undecodable
            assert (job.name, job.id, job.args, job.enqueued_at) == ("", "", None, 0)
        else:
            assert job.undecodable is None
            assert job.id in {"first", "last"}
    assert [item.job.raw for item in WALKS[place](stage.client)] == stage.members(place)


def test_junk_in_a_queue_is_shown_at_its_place_under_the_name_of_the_queue(
    stage: ClientStage,
) -> None:
    stage.queue("mail", raw_job("first"), *JUNK, raw_job("last"))
    page = stage.client.queued_jobs("mail")
    assert [item.job.raw for item in page.jobs] == [raw_job("first"), *JUNK, raw_job("last")]
    assert {item.job.name for item in page.jobs} == {"mail"}
    assert [item.job.raw for item in page.jobs if item.job.undecodable] == list(JUNK)
    assert [item.position for item in stage.client.iter_queued_jobs("mail")] == list(
        range(len(JUNK) + 2)
    )


# In nobody's way


@pytest.mark.parametrize("place", SETS)
def test_a_job_among_junk_is_found_and_deleted(stage: ClientStage, place: SetName) -> None:
    stage.lay(place, AMONG_JUNK)
    found = stage.client.find("last")
    assert found is not None
    assert (found.place, found.at) == (place, 2)
    DELETE[place](stage.client, 2, "last")
    assert set(stage.members(place)) == {*JUNK, raw_job("first")}


def test_a_queued_job_among_junk_is_found_and_deleted(stage: ClientStage) -> None:
    stage.queue("mail", *JUNK, raw_job("last"), *JUNK)
    assert stage.client.find("last") is not None
    stage.client.delete_queued_job("mail", "last")
    assert stage.queued() == [*JUNK, *JUNK]


def test_a_dead_job_among_junk_is_retried(stage: ClientStage) -> None:
    stage.lay("dead", AMONG_JUNK)
    stage.client.retry_dead_job(2, "last")
    assert [wire.decode(raw).id for raw in stage.queued()] == ["last"]
    assert set(stage.members("dead")) == {*JUNK, raw_job("first")}


def test_retrying_all_leaves_just_the_junk(stage: ClientStage) -> None:
    stage.lay("dead", AMONG_JUNK)
    assert stage.client.retry_all_dead_jobs() == 2
    assert set(stage.members("dead")) == set(JUNK)
    assert {wire.decode(raw).id for raw in stage.queued()} == {"first", "last"}
    assert stage.client.retry_all_dead_jobs() == 0


def test_deleting_all_deletes_the_junk_too(stage: ClientStage) -> None:
    stage.lay("dead", AMONG_JUNK)
    assert stage.client.delete_all_dead_jobs() == len(AMONG_JUNK)
    assert stage.members("dead") == []


@pytest.mark.parametrize("place", SETS)
def test_junk_cannot_be_deleted_by_the_id_that_it_does_not_have(
    stage: ClientStage, place: SetName
) -> None:
    stage.lay(place, dict.fromkeys(JUNK, 2.0))
    for job_id in ("", "x"):
        with pytest.raises(NotDeleted):
            DELETE[place](stage.client, 2, job_id)
    assert set(stage.members(place)) == set(JUNK)


def test_junk_in_a_queue_cannot_be_deleted_by_the_id_that_it_does_not_have(
    stage: ClientStage,
) -> None:
    stage.queue("mail", *JUNK)
    with pytest.raises(NotDeleted):
        stage.client.delete_queued_job("mail", "")


#: Payloads that can be read but not changed, and payloads that only look like a wrapping.
TRAPS: Final = {
    "a field whose name is no UTF-8": raw_job("trap")[:-1] + b',"\xff":1}',
    "a wrapping that is no ASCII": raw_job("trap", args={UNDECODABLE: "é"}),
    "args too deep to make a key of": raw_job("trap", unique=True, args={"a": [[[[[0]]]]]}).replace(
        b"[0]", b"[" * 300 + b"]" * 300
    ),
}


@pytest.mark.parametrize(
    "trap",
    [
        "a field whose name is no UTF-8",
        "a wrapping that is no ASCII",
        pytest.param(
            "args too deep to make a key of",
        ),
    ],
)
def test_one_strange_dead_job_keeps_no_other_from_being_retried_or_deleted(
    stage: ClientStage, trap: str
) -> None:
    stage.lay("dead", {TRAPS[trap]: 1, raw_job("good"): 2})
    stage.client.retry_all_dead_jobs()
    assert "good" in {wire.decode(raw).id for raw in stage.queued()}
    stage.client.delete_all_dead_jobs()
    assert stage.members("dead") == []


# Scores


@pytest.mark.parametrize("place", SETS)
def test_a_job_with_a_fraction_in_its_score_can_be_deleted_as_it_is_shown(
    stage: ClientStage, place: SetName
) -> None:
    stage.lay(place, {raw_job("a"): 17.25, raw_job("b"): 17.999, raw_job("c"): 18})
    shown = {item.job.id: WALK_AT[place](item) for item in PAGES[place](stage.client, 1).jobs}
    assert shown == {"a": 17, "b": 17, "c": 18}
    for job_id, at_s in shown.items():
        DELETE[place](stage.client, at_s, job_id)
    assert stage.members(place) == []


WALK_AT: Final[dict[SetName, Callable[[Any], int]]] = {
    "scheduled": lambda item: int(item.run_at),
    "retry": lambda item: int(item.retry_at),
    "dead": lambda item: int(item.died_at),
}


@pytest.mark.parametrize(
    "score",
    [pytest.param(s) for s in (math.inf, -math.inf, -7.5)] + [-7, 0, 1e15],
)
def test_a_job_with_a_strange_score_can_be_deleted_as_it_is_shown(
    stage: ClientStage, score: float
) -> None:
    stage.lay("retry", {raw_job("a"): score})
    (shown,) = stage.client.retry_jobs().jobs
    stage.client.delete_retry_job(shown.retry_at, "a")
    assert stage.members("retry") == []


@pytest.mark.parametrize("place", SETS)
def test_thousands_of_jobs_in_one_second_are_told_apart(stage: ClientStage, place: SetName) -> None:
    stage.lay(place, {raw_job(f"{n:05}"): 17 for n in range(3_000)})
    for job_id in ("00000", "01500", "02999"):
        DELETE[place](stage.client, 17, job_id)
        with pytest.raises(NotDeleted):
            DELETE[place](stage.client, 17, job_id)
    assert len(stage.members(place)) == 2_997


def test_one_of_thousands_that_died_in_one_second_is_retried(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{n:05}"): 17 for n in range(3_000)})
    stage.client.retry_dead_job(17, "02999")
    with pytest.raises(NotRetried):
        stage.client.retry_dead_job(17, "02999")
    assert [wire.decode(raw).id for raw in stage.queued()] == ["02999"]


# Keys of a wrong type


@pytest.mark.parametrize("place", SETS)
def test_a_set_of_a_wrong_type_is_said_to_be_one_and_the_others_are_shown(
    stage: ClientStage, place: SetName
) -> None:
    for other in SETS:
        stage.lay(other, {raw_job("x"): 1})
    stage.redis.delete(f"{stage.namespace}:{place}")
    stage.redis.set(f"{stage.namespace}:{place}", "a string")
    for other in SETS:
        if other != place:
            assert PAGES[other](stage.client, 1).total == 1
    calls: list[Callable[[], object]] = [
        lambda: PAGES[place](stage.client, 1),
        lambda: list(WALKS[place](stage.client)),
        lambda: DELETE[place](stage.client, 1, "x"),
    ]
    for call in calls:
        with pytest.raises(ServerRefused) as no:
            call()
        assert no.value.code == "WRONGTYPE"


def test_a_queue_of_a_wrong_type_is_said_to_be_one(stage: ClientStage) -> None:
    stage.redis.set(f"{stage.namespace}:jobs:mail", "a string")
    for call in (
        lambda: stage.client.queued_jobs("mail"),
        lambda: list(stage.client.iter_queued_jobs("mail")),
        lambda: stage.client.delete_queued_job("mail", "x"),
    ):
        with pytest.raises(ServerRefused) as no:
            call()
        assert no.value.code == "WRONGTYPE"


# What was buried


@pytest.mark.parametrize("junk", JUNK)
def test_junk_that_a_pool_has_buried_comes_back_as_it_was(stage: ClientStage, junk: bytes) -> None:
    stage.queue("mail", junk)
    pool = stage.pool()
    pool.work()
    died_at, job = stage.job_at("dead")
    assert job.args == {UNDECODABLE: base64.b64encode(junk).decode(), "from": "mail"}
    stage.client.retry_dead_job(died_at, job.id)
    assert stage.queued() == [junk]
    assert stage.members("dead") == []


@pytest.mark.parametrize("origin", ["scheduled", "retry"])
def test_junk_that_was_buried_from_a_set_goes_back_to_it(
    stage: ClientStage, origin: SetName
) -> None:
    stage.lay(origin, {b"junk": 5})
    pool = stage.pool()
    pool.duty("requeuer")
    died_at, job = stage.job_at("dead")
    assert "undecodable payload" in job.last_err
    stage.client.retry_dead_job(died_at, job.id)
    assert stage.members(origin) == [b"junk"]
    assert stage.members("dead") == []
    assert stage.scene.members(origin) == {b"junk": stage.clock.now_s}
