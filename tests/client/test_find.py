"""Finding a job by its id, wherever it is."""

from __future__ import annotations

import pytest

from tests.client.stage import JUNK, SETS, ClientStage, SetName, raw_job
from tests.parity.gopeer import GoJob


def test_nothing_is_found_where_nothing_is(stage: ClientStage) -> None:
    assert stage.client.find("x") is None
    stage.enqueuer.enqueue("mail")
    assert stage.client.find("x") is None
    assert stage.client.find("") is None


def test_a_job_is_found_in_every_place_of_its_life(stage: ClientStage) -> None:
    def fail(_: object) -> None:
        raise RuntimeError

    scheduled = stage.enqueuer.enqueue_in("mail", 5)
    job_id = scheduled.job.id
    places = []

    def look() -> None:
        found = stage.client.find(job_id)
        assert found is not None
        assert found.job.id == job_id
        places.append((found.place, found.at, found.pool_id))

    look()
    stage.clock.advance(6)
    pool = stage.pool(fail, max_fails=2, backoff=lambda _: 10)
    pool.duty("requeuer")
    look()
    pool.claim()
    look()
    pool.runner.run()
    pool.work()
    look()
    stage.clock.advance(11)
    pool.duty("requeuer")
    pool.work()
    look()
    start_s = scheduled.run_at - 5
    assert places == [
        ("scheduled", start_s + 5, ""),
        ("queued", None, ""),
        ("running", None, pool.id),
        ("retry", start_s + 16, ""),
        ("dead", start_s + 17, ""),
    ]


def test_a_job_that_a_go_pool_runs_is_found(stage: ClientStage) -> None:
    go = stage.scene.peer("go", mail=GoJob())
    job = stage.enqueuer.enqueue("mail")
    go.fetch()
    found = stage.client.find(job.id)
    assert found is not None
    assert (found.place, found.pool_id, found.job.raw) == ("running", "go", job.raw)


@pytest.mark.parametrize("place", SETS)
def test_a_job_deep_in_a_set_is_found_with_its_time(stage: ClientStage, place: SetName) -> None:
    stage.lay(place, {raw_job(f"{n:05}"): n // 3 for n in range(1_300)})
    found = stage.client.find("01299")
    assert found is not None
    assert (found.place, found.at, found.job.raw) == (place, 433, raw_job("01299"))


def test_a_job_deep_in_one_of_many_queues_is_found_among_junk(stage: ClientStage) -> None:
    for name in ("a", "b", "c"):
        stage.queue(name, *JUNK, *(raw_job(f"{name}{n:04}", name) for n in range(700)), *JUNK)
    found = stage.client.find("b0699")
    assert found is not None
    assert (found.place, found.job.name, found.at) == ("queued", "b", None)


def test_a_key_of_a_wrong_type_in_a_pool_s_hands_hides_no_job(stage: ClientStage) -> None:
    pool = stage.pool()
    job = stage.enqueuer.enqueue("mail")
    stage.redis.set(f"{stage.namespace}:jobs:mail:{pool.id}:inprogress", "a string")
    found = stage.client.find(job.id)
    assert found is not None
    assert found.place == "queued"


def test_a_queue_of_a_wrong_type_hides_no_job_behind_it(stage: ClientStage) -> None:
    job = stage.enqueuer.enqueue("mail")
    stage.redis.sadd(f"{stage.namespace}:known_jobs", "a")
    stage.redis.set(f"{stage.namespace}:jobs:a", "a string")
    assert stage.client.find(job.id) is not None
