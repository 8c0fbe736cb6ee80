"""Stopping a pool: handlers that end in time, jobs that go back, and results that count."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate, Notes, await_event
from workkit import Client, Enqueuer, Job, WorkerPool


def in_background(function: Callable[[], Any]) -> Future[Any]:
    """Call a function on another thread."""
    result: Future[Any] = Future()

    def call() -> None:
        try:
            result.set_result(function())
        except BaseException as error:  # noqa: BLE001 - handed over
            result.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return result


def stop_promptly(pool: WorkerPool, timeout: float | None = None) -> None:
    """Stop a pool that has no reason to take long."""
    in_background(lambda: pool.stop(timeout)).result(PATIENCE_S)


def numbers(client: Client, name: str = "work") -> list[int]:
    """Read the args of a queue, the job that runs next first."""
    return [entry.job.arg_int("n") for entry in client.iter_queued_jobs(name)]


def blocked_pool(
    make_pool: MakePool, enqueuer: Enqueuer, *, workers: int, jobs: int
) -> tuple[WorkerPool, Gate, Notes]:
    """Start a pool whose handlers wait at a gate, and fail behind it or before."""
    pool, gate, ended = make_pool(concurrency=workers), Gate(), Notes()

    @pool.job(max_fails=1)
    def work(job: Job) -> None:
        try:
            gate.pass_through(job.arg_int("n"))
            raise ValueError
        finally:
            ended(job.arg_int("n"))

    enqueuer.enqueue_many([("work", {"n": n}) for n in range(jobs)])
    pool.start()
    gate.arrived.wait_for(workers)
    return pool, gate, ended


def test_stop_waits_for_running_handlers_takes_no_new_job_and_settles_what_ran(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate, ended = blocked_pool(make_pool, enqueuer, workers=2, jobs=5)
    stopped = in_background(pool.stop)
    with pytest.raises(TimeoutError):
        stopped.result(0.1)
    assert pool.running
    gate.open()
    stopped.result(PATIENCE_S)
    assert not pool.running
    assert sorted(ended.items) == [0, 1]
    assert numbers(client) == [2, 3, 4]
    assert client.dead_jobs().total == 2


@pytest.mark.one_server
@pytest.mark.parametrize("at", range(10))
def test_a_pool_stops_promptly_right_after_its_last_job(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, at: int
) -> None:
    pool, ran = make_pool(concurrency=2), Notes()

    async def async_one(job: Job) -> None:
        ran()

    pool.job("sync_one", ran)
    pool.job("async_one", async_one)
    pool.start()
    enqueuer.enqueue_many([("sync_one", None), ("async_one", None)])
    ran.wait_for(2)
    stop_promptly(pool, None if at % 2 else 0)
    # With stop(0), a handler that has just ended may have come too late to count.
    outcomes = {record.outcome for record in client.history()}
    assert outcomes == {"done"} if at % 2 else outcomes <= {"done", "returned"}


@pytest.mark.one_server
@pytest.mark.parametrize("timeout", [None, 0, 5])
def test_an_idle_pool_stops_promptly(make_pool: MakePool, timeout: float | None) -> None:
    pool = make_pool()
    pool.job("work", lambda job: None)
    pool.start()
    stop_promptly(pool, timeout)
    assert not pool.running


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_what_is_unfinished_goes_back_to_the_front_of_its_queue_in_its_order(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    redis_client: Any,
    namespace: str,
    timeout: float,
) -> None:
    pool, gate, ended = blocked_pool(make_pool, enqueuer, workers=4, jobs=10)
    stop_promptly(pool, timeout)
    assert numbers(client) == list(range(10))
    assert [record.outcome for record in client.history()] == ["returned"] * 4
    assert redis_client.get(f"{namespace}:jobs:work:lock") == b"0"
    assert client.worker_pool_heartbeats() == []

    # From now on, the results of the handlers do not count.
    gate.open()
    assert sorted(ended.wait_for(4)) == [0, 1, 2, 3]
    other, ran = make_pool(concurrency=4), Notes()
    other.job("work", lambda job: ran(job.arg_int("n")))
    with other:
        assert sorted(ran.wait_for(10)) == list(range(10))
    assert client.dead_jobs().total == client.retry_jobs().total == 0
    outcomes = [record.outcome for record in client.history()]
    assert (outcomes.count("done"), outcomes.count("returned")) == (10, 4)


def test_handlers_that_end_within_the_timeout_count(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate, _ = blocked_pool(make_pool, enqueuer, workers=2, jobs=3)
    stopped = in_background(lambda: pool.stop(PATIENCE_S))
    gate.open()
    stopped.result(PATIENCE_S)
    assert [record.outcome for record in client.history()] == ["dead", "dead"]
    assert numbers(client) == [2]


def test_async_handlers_are_cancelled_and_sync_ones_interrupted_when_time_is_up(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate, ended = make_pool(concurrency=2), Gate(), Notes()

    @pool.job
    def sync_one(job: Job) -> None:
        try:
            gate.spin()
        finally:
            ended("sync")

    @pool.job
    async def async_one(job: Job) -> None:
        gate.arrived()
        try:
            await asyncio.Event().wait()
        finally:
            ended("async")

    jobs = enqueuer.enqueue_many([("sync_one", None), ("async_one", None)])
    pool.start()
    gate.arrived.wait_for(2)
    stop_promptly(pool, 0)
    assert sorted(ended.wait_for(2)) == ["async", "sync"]
    left = [
        entry.job.id
        for name in ("sync_one", "async_one")
        for entry in client.iter_queued_jobs(name)
    ]
    assert left == [job.id for job in jobs]
    assert client.retry_jobs().total == 0


def test_a_stop_that_waits_is_cut_short_by_another(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate, _ = blocked_pool(make_pool, enqueuer, workers=1, jobs=2)
    stops = [in_background(pool.stop) for _ in range(2)]
    with pytest.raises(TimeoutError):
        stops[0].result(0.1)
    stop_promptly(pool, 0)
    for stop in stops:
        stop.result(PATIENCE_S)
    assert numbers(client) == [0, 1]
    gate.open()


def test_stopping_twice_runs_the_hooks_once(make_pool: MakePool) -> None:
    pool, told = make_pool(), Notes()
    pool.job("work", lambda job: None)
    pool.on_stop(lambda: told("stopped"))
    pool.start()
    stops = [in_background(pool.stop) for _ in range(3)]
    for stop in stops:
        stop.result(PATIENCE_S)
    pool.stop()
    pool.stop(0)
    assert told.items == ["stopped"]


def test_jobs_that_fail_while_a_pool_stops_are_retried_later(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate = make_pool(concurrency=1), Gate()

    @pool.job
    def work(job: Job) -> None:
        gate.pass_through()
        raise ValueError

    enqueuer.enqueue("work")
    pool.start()
    gate.arrived.wait_for(1)
    stopped = in_background(pool.stop)
    gate.open()
    stopped.result(PATIENCE_S)
    assert client.retry_jobs().total == 1


# run().


@pytest.mark.slow
@pytest.mark.one_server
def test_run_ends_by_itself_when_as_many_handlers_were_abandoned_as_there_are_workers(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate, told = make_pool(concurrency=2), Gate(), Notes()
    pool.job("stuck", lambda job: gate.pass_through(), timeout=1, max_fails=1)
    pool.job("work", lambda job: None)
    pool.on_stop(lambda: told("stopped"))
    enqueuer.enqueue_many([("stuck", None)] * 2)
    ended = in_background(pool.run)
    gate.arrived.wait_for(2)
    assert ended.result(PATIENCE_S) is False
    assert told.items == ["stopped"]
    assert not pool.running
    assert [(r.outcome, r.reason) for r in client.history()] == [("dead", "timeout")] * 2
    assert client.worker_pool_heartbeats() == []
    gate.open()


@pytest.mark.slow
@pytest.mark.one_server
def test_a_pool_goes_on_while_fewer_handlers_were_abandoned(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate, ran, settled = make_pool(concurrency=2), Gate(), Notes(), threading.Event()
    pool.job("stuck", lambda job: gate.pass_through(), timeout=1, max_fails=1)
    pool.job("work", ran)
    pool.on("dead", lambda job, error: settled.set())
    enqueuer.enqueue("stuck")
    with pool:
        await_event(settled, "the end of the stuck job")
        enqueuer.enqueue_many([("work", None)] * 20)
        ran.wait_for(20)
        assert pool.running
        gate.open()
