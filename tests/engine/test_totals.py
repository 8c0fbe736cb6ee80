"""How many jobs a pool has run."""

from __future__ import annotations

import threading

import pytest

from tests.conftest import WaitUntil
from workkit import Enqueuer, Job, WorkerPool

pytestmark = pytest.mark.one_server


def test_a_pool_counts_what_it_has_run_by_outcome(
    redis_url: str, namespace: str, wait_until: WaitUntil
) -> None:
    pool = WorkerPool(namespace, redis_url, concurrency=2)
    begun, release = threading.Event(), threading.Event()

    @pool.job
    def work(job: Job) -> None:
        if job.arg_int("n") == 0:
            raise OSError("declined")

    @pool.job
    def hold(job: Job) -> None:
        begun.set()
        release.wait(30)

    assert pool.totals == {}
    enqueuer = Enqueuer(namespace, redis_url)
    enqueuer.enqueue_many([("work", {"n": n}) for n in range(5)])
    with pool:
        wait_until(lambda: pool.totals == {"done": 4, "retry": 1})
        enqueuer.enqueue("hold")
        assert begun.wait(10)
        pool.stop(0)
        release.set()
    assert pool.totals == {"done": 4, "retry": 1, "returned": 1}


def test_totals_are_a_copy(redis_url: str, namespace: str) -> None:
    pool = WorkerPool(namespace, redis_url)
    pool.job("work", lambda job: None)
    with pool:
        assert pool.totals is not pool.totals


def test_a_pool_names_its_server_without_the_password() -> None:
    pool = WorkerPool("work", "redis://app:hunter2@cache.example:6380/3")
    assert pool.server == "cache.example:6380/3"
