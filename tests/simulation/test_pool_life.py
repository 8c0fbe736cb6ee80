"""Simulated pools have lifespans, are restarted, and their handlers know their jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from workkit import Job, LifespanFailed, PoolState, WorkerPool, current_job
from workkit.core.current import job_fields
from workkit.engine.handling.values import value_of
from workkit.simulation import Simulation
from workkit.simulation.checkers import all_checkers


class Context:
    """What handlers use."""


def test_lifespans_take_virtual_time_around_all_jobs_of_each_process() -> None:
    with Simulation(checkers=all_checkers()) as sim:
        pool = sim.pool(name="mails")
        seen: list[tuple[str, float]] = []

        def note(what: str) -> None:
            seen.append((what, sim.now))

        @pool.lifespan
        async def first() -> AsyncIterator[Context]:
            await asyncio.sleep(1)
            note("first in")
            yield Context()
            await asyncio.sleep(1)
            note("first out")

        @pool.lifespan
        def second() -> Iterator[int]:
            sim.sleep(1)
            note("second in")
            yield 7
            sim.sleep(1)
            note("second out")

        def sync(job: Job) -> None:
            assert isinstance(value_of(Context), Context)
            assert value_of(int) == 7
            note("sync")

        async def coroutine(job: Job) -> None:
            await asyncio.to_thread(value_of, Context)
            note("async")

        pool.on_start(lambda: note("start hook"))
        pool.on_stop(lambda: note("stop hook"))
        pool.job("sync", sync)
        pool.job("async", coroutine)
        for began in (0, 100):
            seen.clear()
            if began:
                sim.run_until(began)
                pool.start()
            sim.enqueuer.enqueue_many([("sync", None), ("async", None)])
            sim.run_until(began + 10)
            assert isinstance(pool.lifespan_value(Context), Context)
            pool.stop()
            sim.run_until(began + 20)
            assert not pool.running
            with pytest.raises(PoolState):
                pool.lifespan_value(Context)
            names = [what for what, _ in seen]
            assert names[:3] == ["first in", "second in", "start hook"]
            assert sorted(names[3:5]) == ["async", "sync"]
            assert names[5:] == ["stop hook", "second out", "first out"]
            at = dict(seen)
            assert (at["first in"], at["second in"]) == (began + 1, began + 2)
            stopped = at["stop hook"]
            assert (at["second out"], at["first out"]) == (stopped + 1, stopped + 2)


def test_two_processes_of_one_pool_have_values_of_their_own() -> None:
    with Simulation() as sim:
        shipped = WorkerPool(sim.namespace, sim.redis)
        seen: list[tuple[Any, Any]] = []

        @shipped.lifespan
        async def resources() -> AsyncIterator[Context]:
            yield Context()

        @shipped.job("work")
        def work(job: Job) -> None:
            seen.append((shipped.lifespan_value(Context), value_of(Context)))
            sim.sleep(1)

        pools = [sim.pool(shipped), sim.pool(shipped)]
        for pool in pools:
            pool.start()
        sim.enqueuer.enqueue_many([("work", {"n": n}) for n in range(40)])
        sim.run_until_idle()
        assert all(one is other for one, other in seen)
        assert {one for one, _ in seen} == {pool.lifespan_value(Context) for pool in pools}


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("when", ["before", "behind"])
def test_errors_of_lifespans_come_out_of_the_world(is_async: bool, when: str) -> None:
    with Simulation() as sim:
        pool, left = sim.pool(), list[str]()
        pool.job("work", lambda job: None)

        @pool.lifespan
        def outer() -> Iterator[None]:
            yield
            left.append("outer")

        async def broken_async() -> AsyncIterator[None]:
            if when == "before":
                raise OSError("no route")
            yield
            raise OSError("no route")

        def broken() -> Iterator[None]:
            if when == "before":
                raise OSError("no route")
            yield
            raise OSError("no route")

        pool.lifespan(broken_async if is_async else broken)
        sim.enqueuer.enqueue("work")
        with pytest.raises(LifespanFailed, match="no route"):
            sim.run_for(10)
            pool.stop()
            sim.run_for(10)
        assert left == ["outer"]
        assert len(sim.trace.of(kind="done")) == (0 if when == "before" else 1)


def test_a_crash_leaves_no_lifespan_and_the_next_process_enters_it_again() -> None:
    with Simulation(checkers=all_checkers()) as sim:
        pool, seen = sim.pool(), list[str]()
        pool.job("work", lambda job: sim.sleep(5))

        @pool.lifespan
        async def resources() -> AsyncIterator[None]:
            seen.append("in")
            yield
            seen.append("out")

        sim.enqueuer.enqueue("work")
        sim.run_for(2)
        sim.crash(pool, restart_after=10)
        sim.run_until_idle()
        assert seen == ["in", "in"]
        pool.stop()
        sim.run_for(10)
        assert seen == ["in", "in", "out"]


def test_a_pool_is_started_again_once_it_has_stopped() -> None:
    with Simulation(checkers=all_checkers()) as sim:
        pool = sim.pool()
        pool.job("work", lambda job: sim.sleep(5))
        for _ in range(3):
            sim.enqueuer.enqueue("work")
            pool.start()
            sim.run_for(1)
            pool.stop()
            with pytest.raises(PoolState, match="is being stopped"):
                pool.start()
            sim.run_for(10)
            assert not pool.running
        assert len(sim.trace.of(kind="done")) == 3
        sim.run_until_idle()


def test_handlers_know_their_jobs_while_others_run() -> None:
    with Simulation() as sim:
        pool, seen = sim.pool(concurrency=4), list[bool]()

        def sync(job: Job) -> None:
            sim.sleep(job.arg_int("n"))
            seen.append(current_job() is job and job_fields()["job_id"] == job.id)
            if not job.fails:
                raise OSError

        async def coroutine(job: Job) -> None:
            async def child() -> None:
                await asyncio.sleep(job.arg_int("n"))
                seen.append(current_job() is job)

            await asyncio.gather(child(), child())
            await asyncio.to_thread(lambda: seen.append(job_fields()["job_attempt"] == 1))

        @pool.middleware
        async def around(job: Job, next: Any) -> None:  # noqa: A002
            assert current_job() is job
            await next()
            assert current_job() is job

        pool.job("sync", sync, backoff=lambda job: 1)
        pool.job("async", coroutine)
        sim.enqueuer.enqueue_many(
            [(name, {"n": n}) for n in (3, 2, 1) for name in ("sync", "async")]
        )
        sim.run_until_idle()
        assert seen == [True] * (2 * 3 + 3 * 3)
        with pytest.raises(PoolState):
            current_job()


def test_a_pool_that_has_not_reached_redis_stops_in_time() -> None:
    with Simulation(checkers=all_checkers()) as sim:
        sim.stop_redis(60)
        pool = sim.pool()
        pool.job("work", lambda job: None)
        pool.start()
        sim.run_for(5)
        pool.stop(timeout=2)
        sim.run_for(4)
        assert not pool.running
        sim.assert_ran("work", times=0)
