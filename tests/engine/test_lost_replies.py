"""Runs, their order, and history after lost replies."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.engine.stage import EngineStage
from tests.support.handlers import nothing
from tests.support.steps import StepPool
from workkit.engine.dispatch.pool_sync import RESYNC_S
from workkit.errors import ServerUnavailable


def one_pool(stage: EngineStage) -> StepPool:
    worker = stage.pool(concurrency=3)
    worker.job("work", nothing)
    return stage.stepped(worker)


def lose_next_exchange(pool: StepPool, *, happened: bool = True) -> None:
    """Let the pool send its next exchange, and lose the answer, or the commands themselves."""
    if happened:
        pool.link.lose_reply()
    else:
        pool.link.drop()
    with pytest.raises(ServerUnavailable):
        pool.step(pool.engine.dispatcher.turn(watched=True))


@pytest.mark.parametrize("equal", [False, True], ids=["all different", "two alike"])
def test_jobs_whose_claim_was_not_heard_of_run_in_their_order(
    stage: EngineStage, equal: bool
) -> None:
    pool = one_pool(stage)
    jobs = stage.enqueuer.enqueue_many([("work", {"n": n}) for n in range(3 - equal)])
    order = [job.id for job in jobs]
    if equal:
        stage.redis.lpush(stage.key("jobs:work"), jobs[0].raw)
        order.append(jobs[0].id)
    pool.engine.dispatcher.looked(pool.do(pool.engine.dispatcher.look()))

    lose_next_exchange(pool)

    assert stage.in_progress("work") == 3
    assert [execution.payload.id for execution in pool.work()] == order
    assert (stage.in_progress("work"), stage.lock("work")) == (0, 0)


def fence_a_job_off(stage: EngineStage, pool: StepPool) -> str:
    """Take a running job away from its pool, which will notice and record it."""
    job = stage.enqueuer.enqueue("work", {"n": "fenced"})
    pool.claim()
    pool.runner.begin()
    stage.redis.lrem(stage.key(f"jobs:work:{pool.id}:inprogress"), 1, job.raw)
    stage.clock.advance(RESYNC_S + 1)
    return job.id


def remembered(stage: EngineStage) -> Counter[tuple[str, str]]:
    return Counter((record.job_id, record.outcome) for record in stage.history())


@pytest.mark.parametrize("fault", ["lose_reply", "drop", "delay"])
def test_an_execution_is_remembered_once_whatever_became_of_the_exchange_that_told_of_it(
    stage: EngineStage, fault: str
) -> None:
    pool = one_pool(stage)
    done = stage.enqueuer.enqueue("work")
    pool.claim()
    running = pool.runner.begin()
    fenced = fence_a_job_off(stage, pool)
    pool.runner.run(running)

    # The resync goes first, and then the exchange that tells of both.
    turn = pool.engine.dispatcher.turn(watched=True)
    exchange = turn.send(pool.link.send(next(turn).commands))
    getattr(pool.link, fault)()
    with pytest.raises(ServerUnavailable) as lost:
        pool.do(exchange)
    with pytest.raises(ServerUnavailable):
        turn.throw(lost.value)
    pool.work()
    if fault == "delay":
        pool.link.deliver_late()
        pool.work()

    assert remembered(stage) == {(done.id, "done"): 1, (fenced, "fenced"): 1}
    assert pool.engine.ledger.totals["done"] == 1


def test_a_lost_reply_does_not_settle_a_job_that_others_had_taken(stage: EngineStage) -> None:
    pool = one_pool(stage)
    jobs = stage.enqueuer.enqueue_many([("work", {"n": n}) for n in range(3)])
    for _ in pool.claim():
        pool.runner.run()
    stage.redis.lrem(stage.key(f"jobs:work:{pool.id}:inprogress"), 1, jobs[1].raw)

    lose_next_exchange(pool)
    pool.work()

    assert remembered(stage) == {
        (jobs[0].id, "done"): 1, (jobs[1].id, "fenced"): 1, (jobs[2].id, "done"): 1,
    }  # fmt: skip
    totals = pool.engine.ledger.totals
    assert (totals["done"], totals["fenced"]) == (2, 1)


@pytest.mark.parametrize("happened", [True, False])
def test_an_execution_is_remembered_once_though_its_pool_was_reaped_as_well(
    stage: EngineStage, happened: bool
) -> None:
    pool = one_pool(stage)
    done = stage.enqueuer.enqueue("work")
    pool.claim()
    pool.runner.run()
    lose_next_exchange(pool, happened=happened)
    stage.redis.hdel(stage.key(f"worker_pools:{pool.id}"), "fence")

    pool.work()

    assert remembered(stage) == {(done.id, "done"): 1}
    assert pool.engine.ledger.totals["reaped"] == 1
    assert (stage.in_progress("work"), stage.lock("work")) == (0, 0)


@pytest.mark.parametrize("happened", [True, False])
def test_an_execution_is_remembered_once_though_its_pool_was_forgotten_as_well(
    stage: EngineStage, happened: bool
) -> None:
    pool = one_pool(stage)
    done = stage.enqueuer.enqueue("work")
    pool.claim()
    pool.runner.run()
    lose_next_exchange(pool, happened=happened)
    if not happened:
        stage.redis.delete(stage.key(f"jobs:work:{pool.id}:inprogress"))  # a reaper took it
    stage.redis.delete(stage.key(f"worker_pools:{pool.id}"))

    pool.work()

    assert remembered(stage) == {(done.id, "done" if happened else "fenced"): 1}
    assert pool.engine.ledger.totals["done"] == happened
