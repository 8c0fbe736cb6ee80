"""Pools are started and stopped as often as one likes, and leave nothing behind."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from tests.conftest import WaitUntil
from tests.engine.conftest import MakePool
from tests.engine.leaks import traces
from tests.engine.signals import PATIENCE_S, Gate, Notes
from workkit import Client, Enqueuer, Job, PoolState, WorkerPool

pytestmark = pytest.mark.one_server


def test_a_stopped_pool_runs_again_with_a_new_id(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, seen, ids = make_pool(), Notes(), set()
    pool.job("work", lambda job: seen(job.arg_int("n")))
    for n in range(3):
        enqueuer.enqueue("work", {"n": n})
        with pool:
            ids.add(pool.pool_id)
            assert pool.drain(PATIENCE_S).complete
            assert pool.totals == {"done": 1}
        assert not pool.running
    assert seen.items == [0, 1, 2]
    assert len(ids) == 3
    assert client.worker_pool_heartbeats() == []


def test_async_handlers_and_hooks_run_on_a_new_loop_after_a_restart(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    import asyncio

    pool, seen = make_pool(), Notes()
    loops: list[Any] = []

    async def work(job: Job) -> None:
        seen(asyncio.get_running_loop() is loops[-1])

    async def opened() -> None:
        loops.append(asyncio.get_running_loop())

    async def failed(job: Job, error: BaseException) -> None:
        seen(asyncio.get_running_loop() is loops[-1])

    def boom(job: Job) -> None:
        raise OSError

    pool.job("work", work)
    pool.job("boom", boom, max_fails=1)
    pool.on_start(opened)
    pool.on_stop(opened)
    pool.on("dead", failed)
    for _ in range(3):
        enqueuer.enqueue("work")
        enqueuer.enqueue("boom")
        with pool:
            assert pool.drain(PATIENCE_S).complete
    assert seen.wait_for(6) == [True] * 6
    assert len(set(loops)) == 3


def test_many_runs_leave_no_thread_no_descriptor_and_no_signal_handler(
    redis_url: str, namespace: str, enqueuer: Enqueuer, wait_until: WaitUntil
) -> None:
    """One pool again and again, and new pools in turn, as a test client does for each test."""
    seen = Notes()

    def cell() -> WorkerPool:
        pool = WorkerPool(namespace, redis_url, concurrency=3)
        pool.job("sync", lambda job: seen("sync"))

        @pool.job("async")
        async def handle(job: Job) -> None:
            seen("async")

        @pool.lifespan
        async def resources() -> Any:
            yield "async"

        @pool.lifespan
        def more() -> Any:
            yield 1

        return pool

    def run(pool: WorkerPool) -> None:
        enqueuer.enqueue_many([("sync", None), ("async", None)])
        with pool:
            assert pool.drain(PATIENCE_S).complete

    same = cell()
    run(same)
    before = traces()
    for _ in range(10):
        run(same)
        run(cell())
    wait_until(lambda: traces().threads == before.threads)
    after = traces()
    assert after.descriptors <= before.descriptors
    assert (after.handlers, after.at_exit) == (before.handlers, before.at_exit)
    assert len(seen.items) == 42


def test_a_pool_that_is_being_stopped_is_not_started(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, gate = make_pool(concurrency=1), Gate()
    pool.job("work", gate.pass_through)
    enqueuer.enqueue("work")
    pool.start()
    gate.arrived.wait_for(1)
    stopping = threading.Thread(target=pool.stop)
    stopping.start()
    driver = pool._driver
    assert driver is not None
    while not driver.stopping:
        pass
    with pytest.raises(PoolState, match="is being stopped"):
        pool.start()
    gate.open()
    stopping.join(PATIENCE_S)
    pool.start()
    assert pool.running


def test_a_stop_on_another_thread_cancels_a_start(make_pool: MakePool) -> None:
    pool, gate, ended = make_pool(), Gate(), Notes()
    pool.job("work", lambda job: None)
    pool.on_start(gate.pass_through)

    def start() -> None:
        try:
            pool.start()
        except PoolState as error:
            ended(str(error))

    starting = threading.Thread(target=start)
    starting.start()
    gate.arrived.wait_for(1)
    stopping = threading.Thread(target=pool.stop)
    stopping.start()
    gate.open()
    stopping.join(PATIENCE_S)
    assert ended.wait_for(1) == ["the start of the pool was cancelled"]
    assert not pool.running


def test_a_fork_of_a_process_whose_pool_was_stopped_may_start_it(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", lambda job: None)
    with pool:
        pass
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with pool:
                assert pool.running
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
