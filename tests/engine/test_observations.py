"""The observation of a running job: its worker, its start and its progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import WaitUntil
from tests.engine.conftest import MakePool
from tests.engine.signals import Gate, Notes
from tests.engine.stage import EngineStage
from tests.parity.gopeer import Clock, Scene
from tests.support.handlers import nothing
from tests.support.steps import StepPool
from workkit import Client, Enqueuer, Job, ServerUnavailable
from workkit.engine.handling.execution import Execution

DAY_S = 86_400


def observation(stage: EngineStage, execution: Execution) -> dict[str, str]:
    """Read a worker's observation, as any client would."""
    fields = stage.redis.hgetall(stage.key(f"worker:{execution.worker_id}"))
    return {name.decode(): value.decode() for name, value in fields.items()}


def pool_for_slow_jobs(stage: EngineStage, concurrency: int = 1) -> StepPool:
    worker = stage.pool(concurrency=concurrency)
    worker.job("slow", nothing)
    return stage.stepped(worker)


def resync(stage: EngineStage, pool: StepPool) -> None:
    """Let the pool compare its jobs with Redis, and write its observations."""
    stage.clock.advance(60)
    pool.turn()
    pool.duty("observer")


def checkins(client: Client) -> set[str]:
    return {seen.checkin for seen in client.worker_observations() if seen.is_busy}


def test_a_running_job_is_shown_with_the_fields_of_the_original(
    stage: EngineStage, golden: Callable[[str], Any]
) -> None:
    (recorded,) = (
        entry for key, entry in golden("live_pool_state").items() if key.startswith("work:worker:")
    )
    pool = pool_for_slow_jobs(stage, concurrency=2)
    job = stage.enqueuer.enqueue("slow", {"a": 1})
    pool.turn()
    running = pool.runner.begin()
    began_at = stage.clock.now_s
    stage.clock.advance(3)
    running.job.checkin("i=5")
    stage.clock.advance(1)
    pool.duty("observer")
    assert observation(stage, running) == {
        "job_name": "slow",
        "job_id": job.id,
        "started_at": str(began_at),
        "args": '{"a":1}',
        "checkin": "i=5",
        "checkin_at": str(began_at + 3),
    }
    assert observation(stage, running).keys() == recorded["value"].keys()
    assert 0 < DAY_S - stage.redis.ttl(stage.key(f"worker:{running.worker_id}")) + 1 < 60


def test_a_pool_of_the_original_reads_what_a_worker_runs(stage: EngineStage) -> None:
    pool = pool_for_slow_jobs(stage, concurrency=2)
    go = Scene(stage.redis, stage.namespace, Clock(stage.clock.now_s)).peer()
    job = stage.enqueuer.enqueue("slow", {"a": [1, "x"]})
    pool.turn()
    running = pool.runner.begin()
    running.job.checkin("half")
    pool.duty("observer")
    (busy,) = (seen for seen in go.worker_observations() if seen.is_busy)
    assert (busy.worker_id, busy.job_id, busy.checkin) == (running.worker_id, job.id, "half")
    assert busy.args_json == '{"a":[1,"x"]}'


def test_an_observation_whose_reply_was_lost_goes_with_its_job(stage: EngineStage) -> None:
    pool = pool_for_slow_jobs(stage)
    stage.enqueuer.enqueue("slow")
    pool.turn()
    running = pool.runner.begin()
    pool.link.lose_reply()
    with pytest.raises(ServerUnavailable):
        pool.duty("observer")
    assert observation(stage, running), "it was written"
    pool.runner.end(running)
    pool.turn()
    pool.duty("observer")
    assert not observation(stage, running)


def test_an_observation_goes_with_its_job(stage: EngineStage) -> None:
    pool = pool_for_slow_jobs(stage, concurrency=2)
    stage.enqueuer.enqueue_many([("slow", None)] * 2)
    pool.turn()
    first, second = pool.runner.begin(), pool.runner.begin()
    pool.duty("observer")
    pool.runner.end(first)
    pool.duty("observer")
    assert observation(stage, first) == {}
    assert observation(stage, second)["job_id"] == second.job.id


def test_the_next_job_of_a_worker_takes_the_place_of_the_last_with_its_check_in(
    stage: EngineStage,
) -> None:
    pool = pool_for_slow_jobs(stage)
    for _ in range(2):
        stage.enqueuer.enqueue("slow")
    pool.turn()
    first = pool.runner.begin()
    first.job.checkin("of the first")
    pool.duty("observer")
    pool.runner.end(first)
    pool.turn()
    second = pool.runner.begin()
    pool.duty("observer")
    assert second.worker_id == first.worker_id
    seen = observation(stage, second)
    assert seen["job_id"] == second.job.id
    assert "checkin" not in seen


def test_only_the_newest_check_in_is_kept_and_none_is_written_by_the_handler(
    stage: EngineStage,
) -> None:
    pool = pool_for_slow_jobs(stage)
    stage.enqueuer.enqueue("slow")
    pool.turn()
    running = pool.runner.begin()
    sent = len(pool.link.sent)
    for n in range(5_000):
        running.job.checkin(f"{n} of 5000")
    assert len(pool.link.sent) == sent
    pool.duty("observer")
    assert len(pool.link.sent) == sent + 1
    assert observation(stage, running)["checkin"] == "4999 of 5000"


@pytest.mark.parametrize(
    "message",
    ["caf\udce9.txt", "x\0y", "", "a\nb", "\U0001f600"],
    ids=["no UTF-8", "null byte", "empty", "lines", "beyond the BMP"],
)
def test_a_check_in_of_any_text_is_shown(stage: EngineStage, message: str) -> None:
    pool = pool_for_slow_jobs(stage)
    stage.enqueuer.enqueue("slow")
    pool.turn()
    running = pool.runner.begin()
    running.job.checkin(message)
    pool.duty("observer")
    assert observation(stage, running)["checkin"] == message.encode("utf-8", "replace").decode()


def test_nothing_is_written_about_a_job_that_has_nothing_new_to_say(stage: EngineStage) -> None:
    pool = pool_for_slow_jobs(stage)
    stage.enqueuer.enqueue("slow")
    pool.turn()
    pool.runner.begin()
    pool.duty("observer")
    sent = len(pool.link.sent)
    stage.clock.advance(60)
    pool.duty("observer")
    assert len(pool.link.sent) == sent


def test_the_observation_of_a_job_that_runs_for_days_is_renewed_before_it_expires(
    stage: EngineStage,
) -> None:
    pool = pool_for_slow_jobs(stage)
    stage.enqueuer.enqueue("slow")
    pool.turn()
    running = pool.runner.begin()
    pool.duty("observer")
    key = stage.key(f"worker:{running.worker_id}")
    for _ in range(3):
        stage.redis.expire(key, 100)
        resync(stage, pool)
        assert stage.redis.ttl(key) > DAY_S - 60


def test_what_a_failover_has_lost_of_observations_is_written_again(stage: EngineStage) -> None:
    pool = pool_for_slow_jobs(stage)
    job = stage.enqueuer.enqueue("slow")
    pool.turn()
    running = pool.runner.begin()
    pool.duty("observer")
    stage.redis.delete(stage.key(f"worker:{running.worker_id}"))
    resync(stage, pool)
    assert observation(stage, running)["job_id"] == job.id


def test_what_a_failover_has_brought_back_of_observations_is_removed_again(
    stage: EngineStage,
) -> None:
    pool = pool_for_slow_jobs(stage)
    stage.enqueuer.enqueue("slow")
    pool.turn()
    running = pool.runner.begin()
    pool.duty("observer")
    key = stage.key(f"worker:{running.worker_id}")
    before = stage.redis.dump(key)
    pool.runner.end(running)
    pool.turn()
    pool.duty("observer")
    stage.redis.restore(key, 0, before)
    resync(stage, pool)
    assert observation(stage, running) == {}


def test_check_ins_of_sync_and_async_handlers_reach_the_clients_of_a_running_pool(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, wait_until: WaitUntil
) -> None:
    import asyncio

    pool, gate, loops = make_pool(concurrency=2), Gate(), Notes()

    @pool.job
    def sync_one(job: Job) -> None:
        job.checkin("sync here")
        gate.pass_through()

    @pool.job
    async def async_one(job: Job) -> None:
        go_on = asyncio.Event()
        job.checkin("async here")
        loops((asyncio.get_running_loop(), go_on))
        await go_on.wait()

    enqueuer.enqueue("sync_one")
    enqueuer.enqueue("async_one")
    with pool:
        ((loop, go_on),) = loops.wait_for(1)
        wait_until(lambda: checkins(client) == {"sync here", "async here"})
        loop.call_soon_threadsafe(go_on.set)
        gate.open()


def test_a_stopped_pool_leaves_no_observation_behind(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    wait_until: WaitUntil,
    redis_client: Any,
    namespace: str,
) -> None:
    pool, gate = make_pool(concurrency=1), Gate()
    pool.job("slow", lambda job: gate.pass_through())
    enqueuer.enqueue("slow")
    pool.start()
    wait_until(lambda: redis_client.keys(f"{namespace}:worker:*"))
    gate.open()
    pool.stop()
    assert redis_client.keys(f"{namespace}:worker:*") == []
