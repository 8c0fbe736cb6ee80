"""Pages and walks over queues and sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest

from tests.client.stage import SETS, ClientStage, SetName, raw_job
from workkit import Client, DeadJob, InvalidName, InvalidOption, Page, QueuedJob, RetryJob
from workkit import ScheduledJob as Scheduled

PAGES: Final[dict[SetName, Callable[[Client, Any], Page[Any]]]] = {
    "scheduled": lambda client, page: client.scheduled_jobs(page),
    "retry": lambda client, page: client.retry_jobs(page),
    "dead": lambda client, page: client.dead_jobs(page),
}
WALKS: Final[dict[SetName, Callable[[Client], Iterable[Any]]]] = {
    "scheduled": Client.iter_scheduled_jobs,
    "retry": Client.iter_retry_jobs,
    "dead": Client.iter_dead_jobs,
}
RECORDS: Final[dict[SetName, type[Any]]] = {
    "scheduled": Scheduled,
    "retry": RetryJob,
    "dead": DeadJob,
}


def members(count: int) -> dict[bytes, float]:
    return {raw_job(f"{n:05}"): 1_000 + n for n in range(count)}


def ids(jobs: Iterable[Any]) -> list[str]:
    return [item.job.id for item in jobs]


# Sets


@pytest.mark.parametrize("place", SETS)
def test_a_set_is_shown_twenty_to_a_page_the_earliest_first(
    stage: ClientStage, place: SetName
) -> None:
    stage.lay(place, members(45))
    pages = [PAGES[place](stage.client, page) for page in (1, 2, 3, 4, 1_000)]
    assert [len(page.jobs) for page in pages] == [20, 20, 5, 0, 0]
    assert {page.total for page in pages} == {45}
    shown = [job for page in pages for job in page.jobs]
    assert ids(shown) == [f"{n:05}" for n in range(45)]
    assert [dataclasses.astuple(job)[0] for job in shown] == [1_000 + n for n in range(45)]
    assert {type(job) for job in shown} == {RECORDS[place]}


@pytest.mark.parametrize("place", SETS)
def test_an_empty_set_has_one_empty_page(stage: ClientStage, place: SetName) -> None:
    assert PAGES[place](stage.client, 1) == Page([], 0)
    assert list(WALKS[place](stage.client)) == []


@pytest.mark.parametrize("place", SETS)
def test_a_walk_gives_every_job_once_in_the_order_of_the_pages(
    stage: ClientStage, place: SetName
) -> None:
    stage.lay(place, members(1_203))
    walked = list(WALKS[place](stage.client))
    assert ids(walked) == [f"{n:05}" for n in range(1_203)]
    assert [dataclasses.astuple(job)[0] for job in walked] == [1_000 + n for n in range(1_203)]
    first = PAGES[place](stage.client, 1).jobs
    assert [job.job.raw for job in walked[:20]] == [job.job.raw for job in first]


@pytest.mark.one_server
@pytest.mark.parametrize("page", [0, -1, 1.0, True, "1", None, 2**70])
def test_a_page_that_is_none_is_refused(stage: ClientStage, page: Any) -> None:
    for show in PAGES.values():
        with pytest.raises(
            InvalidOption, match=rf"page must be a whole number from 1 to \d+, not {page!r}"
        ):
            show(stage.client, page)
    with pytest.raises(InvalidOption, match="page must be"):
        stage.client.queued_jobs("mail", page)


@pytest.mark.parametrize("place", SETS)
def test_a_job_on_a_page_shows_all_that_its_bytes_say(stage: ClientStage, place: SetName) -> None:
    raw = raw_job(
        "x", args={"n": 10**30}, unique=True, unique_key="k", unique_until="done",
        fails=2, err="E: boom", failed_at=18, of_a_later_version=1,
    )  # fmt: skip
    stage.lay(place, {raw: 5})
    (shown,) = PAGES[place](stage.client, 1).jobs
    job = shown.job
    assert (job.name, job.id, job.enqueued_at, job.args) == ("mail", "x", 17, {"n": 10**30})
    assert (job.unique, job.unique_key, job.unique_until) == (True, "k", "done")
    assert (job.fails, job.last_err, job.failed_at) == (2, "E: boom", 18)
    assert (job.raw, job.undecodable) == (raw, None)


# Queues


def test_a_queue_is_shown_in_the_order_in_which_its_jobs_run(stage: ClientStage) -> None:
    enqueued = [stage.enqueuer.enqueue("mail", {"n": n}) for n in range(45)]
    pages = [stage.client.queued_jobs("mail", page) for page in (1, 2, 3, 4, 1_000)]
    shown = [job for page in pages for job in page.jobs]
    assert ids(shown) == [job.id for job in enqueued]
    assert [job.position for job in shown] == list(range(45))
    assert [len(page.jobs) for page in pages] == [20, 20, 5, 0, 0]
    assert {page.total for page in pages} == {45}
    assert isinstance(shown[0], QueuedJob)

    ran: list[str] = []
    stage.pool(lambda job: ran.append(job.id)).work()
    assert ran == ids(shown)
    assert stage.client.queued_jobs("mail") == Page([], 0)


def test_a_walk_over_a_queue_gives_every_job_once_with_its_position(stage: ClientStage) -> None:
    stage.queue("mail", *(raw_job(f"{n:05}") for n in range(1_203)))
    walked = list(stage.client.iter_queued_jobs("mail"))
    assert [(item.position, item.job.id) for item in walked] == [
        (n, f"{n:05}") for n in range(1_203)
    ]
    assert list(stage.client.iter_queued_jobs("letter")) == []


@pytest.mark.one_server
@pytest.mark.parametrize("name", ["", "a:lock", None, 5, "a,b"])
def test_a_name_that_no_queue_of_ours_can_have_is_refused(stage: ClientStage, name: Any) -> None:
    client = stage.client
    acts: list[Callable[[], object]] = [
        lambda: client.delete_queued_job(name, "x"),
        lambda: client.pause(name),
        lambda: client.unpause(name),
    ]
    reads: list[Callable[[], object]] = [
        lambda: client.queued_jobs(name).jobs,
        lambda: list(client.iter_queued_jobs(name)),
    ]
    may_be_of_go = isinstance(name, str) and name != ""
    for read in reads if may_be_of_go else ():
        assert read() == []
    for call in acts if may_be_of_go else [*acts, *reads]:
        with pytest.raises(InvalidName):
            call()
    assert stage.scene.dump() == {}


@pytest.mark.one_server
def test_records_cannot_be_changed(stage: ClientStage) -> None:
    stage.lay("dead", members(1))
    page = stage.client.dead_jobs()
    for record, field in ((page, "total"), (page.jobs[0], "died_at")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, field, 5)
