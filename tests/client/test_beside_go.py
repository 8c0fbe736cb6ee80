"""Both libraries show and repair each other's jobs."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.client.stage import SETS, ClientStage, SetName
from tests.client.test_pages import PAGES
from tests.parity.gopeer import GoJob, GoPeer
from workkit import Job
from workkit.core import job as wire
from workkit.core.undecodable import UNDECODABLE

ARGS: Final = {"text": "<é\u2028>", "list": [], "n": 1.5}


def boom(job: Any) -> None:
    raise RuntimeError('bad <thing> & "worse"\n\u2028 é')


def go_peer(stage: ClientStage) -> GoPeer:
    stage.scene.clock.now = stage.clock.now_s
    return stage.scene.peer("go", mail=GoJob(handler=boom, max_fails=1), again=GoJob(handler=boom))


def ours_everywhere(stage: ClientStage) -> dict[SetName, Job]:
    """Put a workkit job into each set, in the usual way."""
    stage.enqueuer.enqueue("mail", ARGS)
    stage.pool(boom, max_fails=1).work()
    stage.enqueuer.enqueue("again", ARGS)
    stage.pool(boom, name="again").work()
    stage.enqueuer.enqueue_in("mail", 60, ARGS)
    return {place: stage.job_at(place)[1] for place in SETS}


def test_go_reads_our_pages(stage: ClientStage) -> None:
    jobs = ours_everywhere(stage)
    go = go_peer(stage)
    pages: dict[SetName, Any] = {
        "scheduled": go.scheduled_jobs(), "retry": go.retry_jobs(), "dead": go.dead_jobs(),
    }  # fmt: skip
    for place, page in pages.items():
        (shown,) = page.jobs
        ours = jobs[place]
        assert page.total == 1
        assert (shown.job.name, shown.job.id, shown.job.args) == (ours.name, ours.id, ARGS)
        assert (shown.job.fails, shown.job.err) == (ours.fails, ours.last_err)
        assert shown.job.failed_at == ours.failed_at
    assert [queue.job_name for queue in go.queues()] == ["again", "mail"]
    assert {beat.worker_pool_id for beat in go.worker_pool_heartbeats()} == {
        beat.worker_pool_id for beat in stage.client.worker_pool_heartbeats()
    }


def test_our_pages_show_what_go_shows(stage: ClientStage) -> None:
    go = go_peer(stage)
    go.enqueue("mail", ARGS)
    go.enqueue("again", ARGS)
    go.run_all()
    go.enqueue_in("mail", 60, ARGS)
    theirs: dict[SetName, Any] = {
        "scheduled": go.scheduled_jobs(), "retry": go.retry_jobs(), "dead": go.dead_jobs(),
    }  # fmt: skip
    for place, page in theirs.items():
        ours = PAGES[place](stage.client, 1)
        assert ours.total == page.total == 1
        (mine,), (other,) = ours.jobs, page.jobs
        assert (mine.job.name, mine.job.id, mine.job.args) == (other.job.name, other.job.id, ARGS)
        assert (mine.job.fails, mine.job.last_err) == (other.job.fails, other.job.err)
        assert (mine.job.enqueued_at, mine.job.raw) == (other.job.enqueued_at, other.job.raw)


def test_go_retries_and_deletes_what_died_here(stage: ClientStage) -> None:
    stage.enqueuer.enqueue_many([("mail", {"n": n}) for n in range(3)])
    stage.pool(boom, max_fails=1).work()
    go = go_peer(stage)
    first, second, third = go.dead_jobs().jobs
    go.retry_dead_job(first.died_at, first.job.id)
    go.delete_dead_job(second.died_at, second.job.id)
    assert [job.job.id for job in stage.client.dead_jobs().jobs] == [third.job.id]
    (queued,) = stage.client.queued_jobs("mail").jobs
    assert (queued.job.id, queued.job.fails, queued.job.last_err) == (first.job.id, 0, "")
    go.retry_all_dead_jobs()
    assert stage.client.dead_jobs().total == 0
    ran = [execution.job.id for execution in stage.pool().work()]
    assert ran == [first.job.id, third.job.id]


def test_go_runs_what_we_have_brought_back(stage: ClientStage) -> None:
    ran: list[Any] = []
    stage.enqueuer.enqueue_unique("mail", {"k": 1})
    stage.enqueuer.enqueue("mail", ARGS)
    stage.pool(boom, max_fails=1).work()
    assert stage.client.retry_all_dead_jobs() == 2
    go = stage.scene.peer("go", mail=GoJob(handler=lambda job: ran.append((job.args, job.fails))))
    assert go.enqueue_unique("mail", {"k": 1}) is None
    go.run_all()
    assert sorted(ran, key=str) == sorted([({"k": 1}, 0), (ARGS, 0)], key=str)
    assert go.enqueue_unique("mail", {"k": 1}) is not None
    assert go.errors == []


def test_go_deletes_our_scheduled_unique_job_and_lets_the_next_one_in(stage: ClientStage) -> None:
    scheduled = stage.enqueuer.enqueue_unique_in("mail", 60, {"k": 1.0})
    assert scheduled is not None
    go_peer(stage).delete_scheduled_job(scheduled.run_at, scheduled.job.id)
    assert stage.client.scheduled_jobs().total == 0
    assert stage.enqueuer.enqueue_unique("mail", {"k": 1}) is not None


def test_we_delete_and_retry_what_died_in_go(stage: ClientStage) -> None:
    go = go_peer(stage)
    jobs = [go.enqueue("mail", {"n": n}) for n in range(3)]
    go.run_all()
    stage.client.delete_dead_job(stage.clock.now_s, jobs[0].id)
    stage.client.retry_dead_job(stage.clock.now_s, jobs[1].id)
    assert [raw["id"] for raw in map(fields, stage.queued())] == [jobs[1].id]
    assert [job.job.id for job in stage.client.dead_jobs().jobs] == [jobs[2].id]
    assert go.fetch() is not None


def test_our_observations_show_what_busy_go_workers_run(stage: ClientStage) -> None:
    go = go_peer(stage)
    go.enqueue("mail", {"n": 1})
    go.enqueue("again")
    for name in ("mail", "again"):
        claim = go.fetch([name])
        assert claim is not None
        go.begin(claim)
    go.checkin(go.claims[0], "page 7")
    go.observe()
    stage.pool(lambda job: None, name="other")

    seen = {each.worker_id: each for each in stage.client.worker_observations() if each.is_busy}

    mail, again = go.claims
    assert seen.keys() == {mail.worker.id, again.worker.id}
    first, second = seen[mail.worker.id], seen[again.worker.id]
    assert (first.job_name, first.job_id, first.args_json) == ("mail", mail.job.id, '{"n":1}')
    assert (first.checkin, first.checkin_at) == ("page 7", stage.clock.now_s)
    assert (second.job_name, second.args_json, second.checkin) == ("again", "", "")
    assert first.started_at == second.started_at == stage.clock.now_s


def test_a_check_in_of_a_go_workers_last_job_is_not_shown_as_one_of_its_present_job(
    stage: ClientStage,
) -> None:
    go = stage.scene.peer("go", concurrency=1, mail=GoJob())
    for n in range(2):
        go.enqueue("mail", {"n": n})
    first = go.fetch()
    assert first is not None
    go.begin(first)
    go.checkin(first, "all of it")
    go.observe()
    go.settle(first)
    stage.scene.clock.now += 5
    second = go.fetch()
    assert second is not None
    go.begin(second)
    go.observe()

    (seen,) = stage.client.worker_observations()

    assert (seen.job_id, seen.args_json) == (second.job.id, '{"n":1}')
    assert (seen.checkin, seen.checkin_at) == ("", 0)
    go.checkin(second, "some of it")
    go.observe()
    (seen,) = stage.client.worker_observations()
    assert (seen.checkin, seen.checkin_at) == ("some of it", stage.scene.clock.now)


def fields(raw: bytes) -> dict[str, Any]:
    job = wire.decode(raw)
    return {"id": job.id, "fails": job.fails}


@pytest.mark.parametrize("place", ["queued", "scheduled"])
def test_what_a_pool_of_ours_buried_is_shown_by_go(stage: ClientStage, place: str) -> None:
    if place == "queued":
        stage.queue("mail", b"\xff junk")
        stage.pool().work()
    else:
        stage.lay("scheduled", {b"\xff junk": 5})
        stage.pool().duty("requeuer")
    (dead,) = go_peer(stage).dead_jobs().jobs
    assert "undecodable payload" in dead.job.err
    assert dead.job.args is not None
    assert dead.job.args["from"] == ("mail" if place == "queued" else "scheduled")


@pytest.mark.parametrize("by_id", [True, False])
@pytest.mark.parametrize("failed_in_go", [True, False])
def test_what_was_buried_and_go_retries_reaches_no_handler_and_can_still_be_restored(
    stage: ClientStage, by_id: bool, failed_in_go: bool
) -> None:
    junk = b"\xff/junk?"
    ran: list[Any] = []
    stage.queue("mail", junk)
    pool = stage.pool(lambda job: ran.append(job.args))
    pool.work()
    go = stage.scene.peer("go", mail=GoJob(handler=boom, backoff=lambda job: 0))
    (dead,) = go.dead_jobs().jobs
    if by_id:
        go.retry_dead_job(dead.died_at, dead.job.id)
    else:
        go.retry_all_dead_jobs()
    if failed_in_go:
        go.run_all()
        pool.duty("requeuer")
    assert len(stage.queued()) == 1

    pool.work()

    assert ran == []
    assert stage.queued() == stage.members("retry") == []
    died_at, job = stage.job_at("dead")
    assert (job.id, job.fails) == (dead.job.id, 2 if failed_in_go else 1)
    assert job.last_err.startswith("undecodable payload: not a job")
    assert [record.reason for record in stage.client.history()] == ["undecodable"] * 2
    stage.client.retry_dead_job(died_at, job.id)
    assert stage.queued() == [junk]


def test_a_job_with_an_arg_of_that_name_runs_where_no_bytes_are_buried_in_it(
    stage: ClientStage,
) -> None:
    ran: list[Any] = []
    for value in (5, "no base64!", None):
        stage.enqueuer.enqueue("mail", {UNDECODABLE: value})
    stage.pool(lambda job: ran.append((job.args or {})[UNDECODABLE])).work()
    assert ran == [5, "no base64!", None]
