"""Idle workers keep no reference to the jobs that they have run."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import WaitUntil
from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Notes
from workkit import Enqueuer, Job
from workkit.engine.handling.execution import Execution

pytestmark = pytest.mark.one_server


def executions() -> list[Execution]:
    """Return what is left of jobs that were claimed."""
    return [each for each in gc.get_objects() if type(each) is Execution]


@pytest.fixture
def _no_collection(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Objects are freed at once here, not by the garbage collector."""
    caplog.set_level(logging.CRITICAL, "workkit")  # reports of tests keep errors
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def done(job: Job) -> None: ...


def fails(job: Job) -> None:
    mine = bytearray(1_000)
    raise LookupError(len(mine))


def runs_long(job: Job) -> None:
    while True:
        pass


async def done_async(job: Job) -> None:
    await asyncio.sleep(0)


async def fails_async(job: Job) -> None:
    fails(job)


async def runs_long_async(job: Job) -> None:
    await asyncio.sleep(PATIENCE_S)


@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize("hook", [False, True])
@pytest.mark.parametrize(
    "handler", [done, fails, runs_long, done_async, fails_async, runs_long_async]
)
def test_an_idle_pool_has_let_go_of_every_job_its_error_and_its_frames(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    wait_until: WaitUntil,
    handler: Callable[[Job], Any],
    hook: bool,
) -> None:
    pool, told = make_pool(concurrency=3), Notes()
    timeout = 0.1 if "long" in handler.__name__ else None
    pool.job("work", handler, max_fails=1, timeout=timeout)
    if hook:
        pool.on("failed", lambda job, error: told(job.id))
    before = len(executions())
    enqueuer.enqueue_many([("work", {"x": "a" * 1_000})] * 6)
    with pool:
        assert pool.drain(PATIENCE_S).complete
        wait_until(lambda: len(executions()) <= before)
