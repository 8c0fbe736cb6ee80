"""Jobs that are held before a worker is free, and jobs that must not wait behind others."""

from __future__ import annotations

import threading

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate, Notes, await_event
from tests.engine.stage import EngineStage
from tests.support.handlers import nothing
from tests.support.steps import StepPool
from workkit import Client, Enqueuer, Job
from workkit.engine.dispatch.dispatcher import PATIENCE_S as HELD_S
from workkit.engine.dispatch.pace import MOST_AHEAD_S

QUICK_S = 0.0005


async def nothing_async(job: Job) -> None: ...


def run_quickly(stage: EngineStage, pool: StepPool, turns: int = 80) -> int:
    """Run short jobs, and return how many the pool has held at most."""
    most = 0
    for _ in range(turns):
        pool.turn()
        most = max(most, pool.engine.ledger.running)
        for _ in range(len(pool.runner.waiting)):
            execution = pool.runner.begin()
            stage.clock.advance(QUICK_S)
            pool.runner.run(execution)
    pool.turn()
    return most


def warm_pool(stage: EngineStage, concurrency: int = 1) -> StepPool:
    """Start a pool that has learnt that its jobs are short, and holds some in advance."""
    worker = stage.pool(concurrency=concurrency)
    worker.job("work", nothing)
    stage.enqueuer.enqueue_many([("work", {"n": n}) for n in range(10_000)])
    pool = stage.stepped(worker)
    run_quickly(stage, pool)
    assert pool.engine.ledger.running > concurrency
    return pool


def numbers(stage: EngineStage, first: int) -> list[int]:
    """Read the args of the first jobs of the queue."""
    page = [job.job.arg_int("n") for job in stage.client.iter_queued_jobs("work")]
    return page[:first]


def test_a_pool_that_runs_out_holds_ahead_what_it_starts_within_50_ms_and_no_more(
    stage: EngineStage,
) -> None:
    pool = warm_pool(stage)
    assert 1 < pool.engine.ledger.running <= 1 + MOST_AHEAD_S / QUICK_S


def test_a_new_pool_holds_nothing_ahead(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=3)
    worker.job("work", nothing)
    stage.enqueuer.enqueue_many([("work", None)] * 100)
    pool = stage.stepped(worker)
    assert len(pool.claim()) == 3


def test_what_is_held_ahead_goes_back_to_its_place_after_100_ms_without_a_free_worker(
    stage: EngineStage,
) -> None:
    pool = warm_pool(stage)
    slow = pool.runner.begin()
    held = [execution.job.arg_int("n") for execution in pool.runner.waiting]
    behind = numbers(stage, 1)[0]
    assert held == list(range(slow.job.arg_int("n") + 1, behind))

    stage.clock.advance(HELD_S - 0.02)
    pool.turn()
    assert [execution.job.arg_int("n") for execution in pool.runner.waiting] == held
    stage.clock.advance(0.02 + 0.05)  # it looks them through every 50 ms
    pool.turn()
    pool.turn()
    assert not pool.runner.waiting
    assert pool.engine.ledger.open() == [slow]
    assert numbers(stage, len(held) + 1) == [*held, behind]
    assert stage.lock("work") == stage.in_progress("work") == 1
    assert stage.outcomes().count("returned") == len(held)

    other = stage.pool(concurrency=len(held))
    other.job("work", nothing)
    assert [job.job.arg_int("n") for job in stage.stepped(other).claim()] == held


def test_what_goes_back_is_not_claimed_again_by_the_same_exchange(stage: EngineStage) -> None:
    pool = warm_pool(stage, concurrency=2)
    pool.runner.begin()  # it does not end, so the pool is half as fast as it has learnt
    running = [pool.runner.begin()]
    for _ in range(40):
        before = pool.engine.dispatcher.claimed
        stage.clock.advance(0.008)
        for execution in running:
            pool.runner.end(execution)
        running = [pool.runner.begin() for _ in range(min(len(pool.runner.waiting), 1))]
        pool.turn()
        if "returned" in stage.outcomes():
            break
    assert stage.outcomes().count("returned") > 0
    assert pool.engine.dispatcher.claimed == before


def test_a_pool_whose_jobs_became_long_holds_nothing_ahead_from_then_on(stage: EngineStage) -> None:
    pool = warm_pool(stage)
    for _ in range(3):
        slow = pool.runner.begin() if pool.runner.waiting else None
        stage.clock.advance(0.2)
        pool.turn()
        if slow is not None:
            pool.runner.end(slow)
        pool.turn()
    assert pool.engine.ledger.running == 1


def test_a_queue_with_a_limit_is_never_held_ahead(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=2)
    worker.job("limited", nothing, max_concurrency=100)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("limited", None)] * 1_000)
    assert run_quickly(stage, pool) == 2


def test_of_two_queues_only_the_one_without_a_limit_is_held_ahead(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=2)
    worker.job("limited", nothing, max_concurrency=100, priority=100)
    worker.job("free", nothing)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("limited", None), ("free", None)] * 4_000)
    assert run_quickly(stage, pool, 40) > 2
    names = [execution.queue for execution in pool.runner.waiting]
    assert names.count("limited") <= 2 < len(names)


@pytest.mark.one_server
def test_a_pool_with_sync_and_async_handlers_holds_nothing_ahead(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=2)
    worker.job("work", nothing)
    worker.job("other", nothing_async)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("work", None)] * 1_000)
    assert run_quickly(stage, pool) == 2


def test_a_pool_that_stops_gives_back_first_what_was_to_run_first(stage: EngineStage) -> None:
    pool = warm_pool(stage)
    slow = pool.runner.begin()
    held = [execution.job.arg_int("n") for execution in pool.runner.waiting]
    pool.engine.dispatcher.stop_claiming()
    assert pool.engine.dispatcher.give_back() == [slow]
    pool.turn()
    everything = [slow.job.arg_int("n"), *held]
    assert numbers(stage, len(everything)) == everything


# Fairness, on threads.


def test_a_slow_job_holds_up_nobody_while_a_worker_is_free(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate, ran = make_pool(concurrency=2), Gate(), Notes()
    pool.job("slow", lambda job: gate.pass_through(), priority=1_000)
    pool.job("quick", ran)
    enqueuer.enqueue_many([("quick", None)] * 1_000 + [("slow", None)] + [("quick", None)] * 1_000)
    with pool:
        ran.wait_for(2_000)
        assert len(gate.arrived.items) == 1
        gate.open()
    assert sum(queue.count for queue in client.queues()) == 0


def test_a_slow_job_holds_up_nobody_behind_it_in_its_own_queue(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, ran = make_pool(concurrency=4), Notes()
    last_has_run = threading.Event()

    @pool.job
    def work(job: Job) -> None:
        # Three jobs wait for the last of the queue; one worker has to get there.
        if job.arg_int("n") in {0, 300, 301}:
            await_event(last_has_run, "the last job")
        ran(job.arg_int("n"))
        if job.arg_int("n") == 1_999:
            last_has_run.set()

    enqueuer.enqueue_many([("work", {"n": n}) for n in range(2_000)])
    with pool:
        done = ran.wait_for(2_000)
    assert sorted(done) == list(range(2_000))


def test_two_pools_share_what_one_could_have_held(make_pool: MakePool, enqueuer: Enqueuer) -> None:
    first, second = make_pool(concurrency=1), make_pool(concurrency=1)
    ran, gate = Notes(), Gate()

    @first.job("work")
    def stop_in_the_middle(job: Job) -> None:
        if job.arg_int("n") == 500:
            gate.pass_through()
        ran(job.arg_int("n"))

    second.job("work", lambda job: ran(job.arg_int("n")))
    enqueuer.enqueue_many([("work", {"n": n}) for n in range(1_000)])
    with first:
        gate.arrived.wait_for(1)
        with second:
            # All but the one that is held up: what the first pool had in advance goes back.
            assert sorted(ran.wait_for(999)) == [n for n in range(1_000) if n != 500]
            gate.open()
            assert second.drain(PATIENCE_S).complete
