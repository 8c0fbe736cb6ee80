"""Handlers that run too long: cancelled, interrupted, or abandoned with their worker replaced.

Handlers run on real threads here, in time that the test moves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from tests.conftest import WaitUntil
from tests.engine.signals import Gate, Notes
from tests.engine.stage import EngineStage
from workkit import Job
from workkit.engine.dispatch.deadlines import GRACE_S
from workkit.errors import JobTimeout


def outcome(stage: EngineStage) -> tuple[str, str, str]:
    """Return how the last execution ended: outcome, headline, reason."""
    record = stage.history()[-1]
    return record.outcome, record.error, record.reason


def test_an_async_handler_is_cancelled_at_its_timeout_and_its_job_retried(
    stage: EngineStage,
) -> None:
    worker, began, cancelled = stage.pool(concurrency=1), Notes(), Notes()

    @worker.job(timeout=5)
    async def slow(job: Job) -> None:
        began()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled()
            raise

    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("slow")
    pool.turn()
    began.wait_for(1)
    stage.clock.advance(4.9)
    pool.turn()
    assert cancelled.items == []
    stage.clock.advance(0.1)
    pool.turn()
    pool.settle()
    assert len(cancelled.items) == 1
    assert outcome(stage) == ("retry", "JobTimeout: timed out after 5 s", "timeout")
    assert stage.client.retry_jobs().jobs[0].job.fails == 1
    assert (stage.in_progress("slow"), pool.engine.runner.abandoned()) == (0, 0)


def test_a_sync_handler_in_python_code_is_interrupted_at_its_timeout(stage: EngineStage) -> None:
    worker, gate = stage.pool(concurrency=1), Gate()

    @worker.job(timeout=0.5)
    def busy(job: Job) -> None:
        gate.spin()

    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("busy")
    pool.turn()
    gate.arrived.wait_for(1)
    stage.clock.advance(0.5)
    pool.turn()
    pool.settle()
    assert outcome(stage) == ("retry", "JobTimeout: timed out after 0.5 s", "timeout")
    assert ", in spin\n" in stage.client.retry_jobs().jobs[0].job.last_err


def test_an_interrupted_handler_can_clean_up_and_even_finish(stage: EngineStage) -> None:
    worker, gate = stage.pool(concurrency=1), Gate()

    @worker.job(timeout=1)
    def careful(job: Job) -> None:
        try:
            gate.spin()
        except JobTimeout:
            job.checkin("cleaned up")

    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("careful")
    pool.turn()
    gate.arrived.wait_for(1)
    stage.clock.advance(1)
    pool.turn()
    pool.settle()
    assert outcome(stage) == ("done", "", "")


@pytest.mark.parametrize("layer", ["sync", "async"])
@pytest.mark.parametrize("handler", ["sync", "async"])
def test_a_timeout_reaches_a_handler_behind_middleware_of_either_kind(
    stage: EngineStage, layer: str, handler: str
) -> None:
    worker, gate, struck = stage.pool(concurrency=1), Gate(), Notes()
    if layer == "sync":

        @worker.middleware
        def through(job: Job, next: Callable[[], None]) -> None:  # noqa: A002
            next()
    else:

        @worker.middleware
        async def through_async(job: Job, next: Callable[[], Awaitable[None]]) -> None:  # noqa: A002
            await next()

    def slow(job: Job) -> None:
        try:
            gate.spin()
        except JobTimeout:
            struck("sync")
            raise

    async def slow_async(job: Job) -> None:
        gate.arrived()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            struck("async")
            raise

    worker.job("slow", slow if handler == "sync" else slow_async, timeout=1)
    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("slow")
    pool.turn()
    gate.arrived.wait_for(1)
    stage.clock.advance(1)
    pool.turn()
    pool.settle()
    assert struck.wait_for(1) == [handler]
    assert outcome(stage)[0::2] == ("retry", "timeout")


def test_a_handler_that_ends_in_time_is_left_alone(stage: EngineStage) -> None:
    worker, gate = stage.pool(concurrency=1), Gate()
    worker.job("quick", lambda job: gate.spin(), timeout=1)
    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("quick")
    pool.turn()
    gate.arrived.wait_for(1)
    stage.clock.advance(0.99)
    pool.turn()
    gate.open()
    pool.settle()
    stage.clock.advance(60)
    pool.turn()
    assert outcome(stage) == ("done", "", "")


def test_an_own_error_after_the_timeout_is_the_one_that_is_stored(stage: EngineStage) -> None:
    worker, gate = stage.pool(concurrency=1), Gate()

    @worker.job(timeout=1)
    def slow(job: Job) -> None:
        try:
            gate.spin()
        except JobTimeout:
            raise LookupError("half-written file") from None

    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("slow")
    pool.turn()
    gate.arrived.wait_for(1)
    stage.clock.advance(1)
    pool.turn()
    pool.settle()
    assert outcome(stage) == ("retry", "LookupError: half-written file", "timeout")


# Handlers that do not stop.


def test_a_handler_blocked_in_c_is_abandoned_and_its_worker_replaced(
    stage: EngineStage, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    worker, gate, ran = stage.pool(concurrency=1), Gate(), Notes()
    worker.job("stuck", lambda job: gate.pass_through(), timeout=5)
    worker.job("next", ran)
    pool = stage.threaded(worker)
    job = stage.enqueuer.enqueue("stuck")
    pool.turn()
    gate.arrived.wait_for(1)
    stage.clock.advance(5)
    pool.turn()  # interrupted, in vain
    stage.clock.advance(GRACE_S - 0.1)
    pool.turn()
    assert pool.engine.runner.abandoned() == 0
    stage.clock.advance(0.1)
    pool.turn()  # abandoned and settled

    error = "JobTimeout: timed out after 5 s and did not stop when interrupted"
    assert outcome(stage) == ("retry", error, "timeout")
    assert [retry.job.id for retry in stage.client.iter_retry_jobs()] == [job.id]
    assert (stage.in_progress("stuck"), stage.lock("stuck")) == (0, 0)
    assert pool.engine.runner.abandoned() == 1
    pool.beat()
    beat = stage.redis.hgetall(stage.key(f"worker_pools:{pool.engine.identity.pool_id}"))
    assert (beat[b"abandoned"], beat[b"busy"]) == (b"1", b"0")

    # The only worker is replaced, so others run beside the one that is stuck.
    stage.enqueuer.enqueue("next")
    pool.turn()
    ran.wait_for(1)
    pool.settle()
    assert outcome(stage)[0] == "done"

    caplog.set_level(logging.WARNING, "workkit")
    gate.open()
    wait_until(lambda: "abandoned handler of 'stuck' has ended" in caplog.text)


def test_the_late_end_of_an_abandoned_handler_changes_nothing(stage: EngineStage) -> None:
    worker, gate, ran = stage.pool(concurrency=1), Gate(), Notes()
    worker.job("stuck", lambda job: gate.pass_through(), timeout=1, max_fails=1)
    worker.job("next", ran)
    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("stuck")
    pool.turn()
    gate.arrived.wait_for(1)
    for _ in range(2):
        stage.clock.advance(1 + GRACE_S)
        pool.turn()
    threads = [w.thread for w in pool.engine.runner._threads._abandoned]  # type: ignore[attr-defined]
    gate.open()
    for thread in threads:
        thread.join()
    assert len(threads) == 1
    assert pool.engine.runner.abandoned() == 0
    for _ in range(3):
        stage.clock.advance(1)
        pool.turn()
    assert stage.outcomes() == ["dead"]
    assert stage.client.dead_jobs().jobs[0].job.fails == 1
    assert (stage.client.dead_jobs().total, stage.client.retry_jobs().total) == (1, 0)
    assert (stage.in_progress("stuck"), stage.lock("stuck")) == (0, 0)

    # There is one worker as before, not two.
    stage.enqueuer.enqueue_many([("next", None)] * 3)
    for count in range(1, 4):
        pool.turn()
        ran.wait_for(count)
        pool.settle()
    worker_ids = {record.worker_id for record in stage.history()}
    assert worker_ids == set(pool.engine.identity.worker_ids)
    assert stage.outcomes() == ["dead", "done", "done", "done"]


def test_the_worker_of_an_abandoned_handler_is_there_once_however_it_ends(
    stage: EngineStage,
) -> None:
    worker, stuck, gate = stage.pool(concurrency=2), Gate(), Gate()
    worker.job("stuck", lambda job: stuck.pass_through(), timeout=1, max_fails=1)
    worker.job("next", lambda job: gate.pass_through())
    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("stuck")
    pool.turn()
    stuck.arrived.wait_for(1)
    for _ in range(2):
        stage.clock.advance(1 + GRACE_S)
        pool.turn()
    (thread,) = [w.thread for w in pool.engine.runner._threads._abandoned]  # type: ignore[attr-defined]
    stuck.open()
    thread.join()
    stage.enqueuer.enqueue_many([("next", None)] * 2)
    pool.turn()
    gate.arrived.wait_for(2)
    gate.open()
    pool.settle()
    pool.settle()
    worker_ids = {record.worker_id for record in stage.history() if record.name == "next"}
    assert worker_ids == set(pool.engine.identity.worker_ids)


def test_an_async_handler_that_swallows_its_cancellation_is_abandoned(stage: EngineStage) -> None:
    worker, began, ended = stage.pool(concurrency=1), Notes(), Notes()
    go_on = asyncio.Event()

    @worker.job(timeout=1)
    async def stubborn(job: Job) -> None:
        began(asyncio.get_running_loop())
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                began("cancelled")
        ended("stubborn")

    @worker.job
    async def after(job: Job) -> None:
        ended("after")

    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("stubborn")
    pool.turn()
    loop = began.wait_for(1)[0]
    stage.clock.advance(1)
    pool.turn()
    assert began.wait_for(2)[1] == "cancelled"
    stage.clock.advance(GRACE_S)
    pool.turn()
    assert outcome(stage)[0::2] == ("retry", "timeout")
    stage.enqueuer.enqueue("after")
    pool.turn()
    assert ended.wait_for(1) == ["after"]
    pool.settle()
    assert pool.engine.runner.abandoned() == 1
    loop.call_soon_threadsafe(go_on.set)
    assert ended.wait_for(2) == ["after", "stubborn"]
    stage.clock.advance(1)
    pool.turn()
    assert stage.outcomes() == ["retry", "done"]
