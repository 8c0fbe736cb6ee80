"""Async handlers share tasks, but do not affect each other."""

from __future__ import annotations

import asyncio
import contextvars
from queue import SimpleQueue
from typing import Final

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Notes
from workkit import Enqueuer, Job
from workkit.core import job as wire
from workkit.core.clock import SystemClock
from workkit.core.entropy import Entropy
from workkit.core.options import JobOptions
from workkit.engine.handling.execution import Execution
from workkit.engine.handling.handlers import Chain, read_handler
from workkit.engine.process.sources import Sources
from workkit.engine.runners import HandlerRunner

FLAGS: Final = (b"true", b"false") * 5

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


def test_what_a_handler_leaves_in_its_context_is_not_there_for_the_next_job(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool(concurrency=1)
    seen = Notes()

    @pool.job
    async def work(job: Job) -> None:
        seen(tenant.get())
        tenant.set(job.arg_str("tenant"))
        await asyncio.sleep(0)

    enqueuer.enqueue_many([("work", {"tenant": f"t{n}"}) for n in range(20)])
    with pool:
        assert seen.wait_for(20) == ["nobody"] * 20


def test_a_task_that_a_handler_starts_belongs_to_the_context_of_its_job(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool(concurrency=2)
    seen = Notes()

    async def child(wanted: str) -> None:
        await asyncio.sleep(0)
        seen(tenant.get() == wanted)

    @pool.job
    async def work(job: Job) -> None:
        tenant.set(job.arg_str("tenant"))
        async with asyncio.TaskGroup() as group:
            group.create_task(child(job.arg_str("tenant")))

    enqueuer.enqueue_many([("work", {"tenant": f"t{n}"}) for n in range(20)])
    with pool:
        assert seen.wait_for(20) == [True] * 20


def test_a_handler_that_cancels_its_own_task_harms_no_other_job() -> None:
    ended: SimpleQueue[Execution] = SimpleQueue()
    runner = HandlerRunner(["w1"], ended.put, Sources(SystemClock(), Entropy(1)))

    async def cancel_late() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()  # no wait follows, so it strikes nothing here

    async def work(job: Job) -> None:
        await (cancel_late() if job.arg_bool("cancel") else asyncio.sleep(0))

    chain = Chain(read_handler(work, "work", has_context=False), (), None)
    raws = [wire.encode("work", f"{n}", 1, b'{"cancel":%s}' % flag) for n, flag in enumerate(FLAGS)]
    runner.submit(
        [Execution(wire.read(raw), raw, "work", chain, JobOptions(), 0.0) for raw in raws]
    )
    errors = [ended.get(timeout=PATIENCE_S).error for _ in raws]
    runner.close(wait_s=1)
    assert errors == [None] * len(raws)


def test_jobs_behind_one_that_waits_are_run_by_others(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool(concurrency=50)
    waiting: list[asyncio.Event] = []
    ran = Notes()

    @pool.job
    async def work(job: Job) -> None:
        waiting.append(asyncio.Event())
        if len(waiting) == 50:
            for event in waiting:
                event.set()
        await waiting[-1].wait()
        ran()

    enqueuer.enqueue_many([("work", None)] * 50)
    with pool:
        ran.wait_for(50)
