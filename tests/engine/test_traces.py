"""The traces that pools leave: in Redis, in the process, in memory."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate, Notes
from workkit import Client, Enqueuer, Job, WorkerPool

CYCLES = 12


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are all that matters


def keys_left(redis_client: Any, namespace: str) -> set[str]:
    return {
        key.decode().removeprefix(f"{namespace}:") for key in redis_client.keys(f"{namespace}:*")
    }


async def nothing_async(job: Job) -> None: ...


def test_a_stopped_pool_leaves_names_zero_locks_and_history(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, redis_client: Any, namespace: str
) -> None:
    pool, ran = make_pool(concurrency=3), Notes()
    pool.job("work", ran)
    pool.job("other", nothing_async)
    enqueuer.enqueue_many([("work", None), ("other", None)] * 20)
    with pool:
        ran.wait_for(20)
        assert pool.drain(PATIENCE_S).complete
    left = keys_left(redis_client, namespace)
    locks = {"jobs:work:lock", "jobs:other:lock"}
    assert left - {"lease:reconciler"} == {"known_jobs", "history", "history:head"} | locks
    assert {redis_client.get(f"{namespace}:{lock}") for lock in locks} == {b"0"}
    assert redis_client.smembers(f"{namespace}:known_jobs") == {b"work", b"other"}
    assert client.worker_pool_heartbeats() == []


def test_a_pool_that_was_stopped_in_the_middle_leaves_nothing_in_progress(
    make_pool: MakePool, enqueuer: Enqueuer, redis_client: Any, namespace: str
) -> None:
    pool, gate = make_pool(concurrency=2), Gate()
    pool.job("work", lambda job: gate.pass_through())
    enqueuer.enqueue_many([("work", None)] * 5)
    pool.start()
    gate.arrived.wait_for(2)
    pool.stop(0)
    left = keys_left(redis_client, namespace)
    kept = {"known_jobs", "history", "history:head", "jobs:work", "jobs:work:lock"}
    assert left - {"lease:reconciler"} == kept
    assert redis_client.llen(f"{namespace}:jobs:work") == 5
    gate.open()


@pytest.mark.one_server
def test_pools_that_come_and_go_leave_no_threads_and_no_descriptors(
    redis_url: str, namespace: str, enqueuer: Enqueuer
) -> None:
    ran = Notes()

    async def async_one(job: Job) -> None:
        ran()

    def fail(job: Job) -> None:
        ran()
        raise ValueError

    def come_and_go() -> None:
        pool = WorkerPool(namespace, redis_url, concurrency=3)
        pool.job("sync_one", ran)
        pool.job("async_one", async_one)
        pool.job("fail", fail, max_fails=1)
        pool.on("dead", lambda job, error: None)
        expected = len(ran.items) + 3
        enqueuer.enqueue_many([("sync_one", None), ("async_one", None), ("fail", None)])
        with pool:
            ran.wait_for(expected)

    come_and_go()  # what is loaded and opened only once
    gc.collect()  # what others have left
    before = set(threading.enumerate()), descriptors()
    for _ in range(CYCLES):
        come_and_go()
    gc.collect()
    assert (set(threading.enumerate()), descriptors()) == before


@pytest.mark.one_server
def test_a_stopped_pool_is_freed(redis_url: str, namespace: str, enqueuer: Enqueuer) -> None:
    def run_one() -> weakref.ref[WorkerPool]:
        pool, ran = WorkerPool(namespace, redis_url, concurrency=2), Notes()
        pool.job("work", ran)
        enqueuer.enqueue("work")
        with pool:
            ran.wait_for(1)
        return weakref.ref(pool)

    pools = [run_one() for _ in range(3)]
    gc.collect()
    assert [pool() for pool in pools] == [None] * 3


@pytest.mark.one_server
def test_a_running_pool_keeps_no_job_that_it_has_settled(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, seen = make_pool(concurrency=2), Notes()
    settled: list[weakref.ref[Notes]] = []

    @pool.job(timeout=60)
    def work(job: Job) -> None:
        burden = Notes()
        job.args = {"burden": burden}
        settled.append(weakref.ref(burden))
        seen()

    with pool:
        enqueuer.enqueue_many([("work", None)] * 200)
        seen.wait_for(200)
        assert pool.drain(PATIENCE_S).complete
        gc.collect()
        # A thread may still hold its last job.
        assert sum(burden() is not None for burden in settled) <= 2
