"""A handler, what it calls and what it leaves running know the job that they belong to."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate, Notes
from workkit import (
    Enqueuer,
    Job,
    JobLogFilter,
    JobTimeout,
    PoolState,
    add_job_fields,
    current_job,
)
from workkit.core.current import job_fields

pytestmark = pytest.mark.one_server


def test_there_is_no_current_job_outside_of_handlers() -> None:
    with pytest.raises(PoolState, match="does not come from a handler"):
        current_job()
    assert job_fields() == {}


@pytest.mark.parametrize("layer", ["nothing", "sync", "async"])
@pytest.mark.parametrize("is_async", [False, True])
def test_handlers_and_middleware_find_their_own_job(
    make_pool: MakePool, enqueuer: Enqueuer, layer: str, is_async: bool
) -> None:
    pool, seen = make_pool(concurrency=4), Notes()

    def sync(job: Job) -> None:
        seen(current_job() is job)

    async def coroutine(job: Job) -> None:
        await asyncio.sleep(0)
        seen(current_job() is job)

    def around(job: Job, next: Callable[[], Any]) -> None:  # noqa: A002
        seen(current_job() is job)
        next()
        seen(current_job() is job)

    async def around_async(job: Job, next: Callable[[], Any]) -> None:  # noqa: A002
        seen(current_job() is job)
        await next()
        seen(current_job() is job)

    if layer != "nothing":
        pool.middleware(around if layer == "sync" else around_async)
    pool.job("work", coroutine if is_async else sync)
    enqueuer.enqueue_many([("work", None)] * 20)
    with pool:
        pool.drain(PATIENCE_S)
    assert seen.items == [True] * (20 if layer == "nothing" else 60)


@pytest.mark.parametrize("is_async", [False, True])
def test_the_context_function_finds_the_job(
    make_pool: MakePool, enqueuer: Enqueuer, is_async: bool
) -> None:
    async def make_async() -> str:
        return current_job().id

    pool, seen = make_pool(context=make_async if is_async else lambda: current_job().id), Notes()
    pool.job("work", lambda ctx, job: seen((ctx, job.id)))
    jobs = enqueuer.enqueue_many([("work", None)] * 3)
    with pool:
        pool.drain(PATIENCE_S)
    assert sorted(seen.items) == sorted((job.id, job.id) for job in jobs)


def test_threads_with_a_copied_context_and_calls_in_other_contexts_find_the_job(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, seen = make_pool(concurrency=1), Notes()

    def note(job: Job) -> None:
        seen(current_job().id == job.id)

    def sync(job: Job) -> None:
        contextvars.Context().run(note, job)
        thread = threading.Thread(target=contextvars.copy_context().run, args=(note, job))
        thread.start()
        thread.join()

    async def coroutine(job: Job) -> None:
        await asyncio.to_thread(note, job)
        await asyncio.gather(*(asyncio.to_thread(note, job) for _ in range(2)))

    pool.job("sync", sync)
    pool.job("async", coroutine)
    enqueuer.enqueue_many([("sync", None), ("async", None)] * 3)
    with pool:
        pool.drain(PATIENCE_S)
    assert seen.items == [True] * 15


def test_a_task_that_outlives_its_handler_keeps_its_job(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, seen, tasks = make_pool(concurrency=1), Notes(), set[asyncio.Task[None]]()
    go_on: asyncio.Event | None = None

    async def work(job: Job) -> None:
        nonlocal go_on
        if go_on is not None:
            go_on.set()
            await asyncio.gather(*tasks)
            return
        go_on = asyncio.Event()

        async def linger() -> None:
            assert go_on is not None
            await go_on.wait()
            seen((current_job().id, job_fields()["job_id"], job_fields()["job_attempt"]))

        tasks.add(asyncio.create_task(linger()))

    pool.job("work", work)
    first, _ = enqueuer.enqueue_many([("work", None), ("work", None)])
    with pool:
        pool.drain(PATIENCE_S)
    assert seen.items == [(first.id, first.id, 1)]


def test_an_idle_worker_keeps_no_job(make_pool: MakePool, enqueuer: Enqueuer) -> None:
    class Large(dict[str, object]):
        """Args that can be watched."""

    pool, kept = make_pool(concurrency=1), list[weakref.ref[Any]]()

    def sync(job: Job) -> None:
        large = job.args = Large()
        kept.append(weakref.ref(large))

    async def coroutine(job: Job) -> None:
        sync(job)

    pool.job("sync", sync)
    pool.job("async", coroutine)
    enqueuer.enqueue_many([("sync", None), ("async", None)])
    with pool:
        assert pool.drain(PATIENCE_S).complete
        gc.collect()
        assert [each() for each in kept] == [None, None]


# Logs.


class Kept(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = Notes()
        self.addFilter(JobLogFilter())
        self.setFormatter(logging.Formatter("%(job_name)s %(job_id)s %(job_attempt)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines(self.format(record))


@pytest.fixture
def kept() -> Any:
    log, handler = logging.getLogger("shop"), Kept()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler.lines
    log.removeHandler(handler)


@pytest.mark.parametrize("is_async", [False, True])
def test_the_filter_names_job_and_attempt(
    make_pool: MakePool, enqueuer: Enqueuer, kept: Notes, is_async: bool
) -> None:
    pool, log = make_pool(), logging.getLogger("shop")

    def sync(job: Job) -> None:
        log.info("try")
        if not job.fails:
            raise OSError

    async def coroutine(job: Job) -> None:
        await asyncio.to_thread(sync, job)

    pool.job("work", coroutine if is_async else sync, backoff=lambda job: 0)
    job = enqueuer.enqueue("work")
    with pool:
        kept.wait_for(2)
    log.info("outside")
    expected = [f"work {job.id} {n} try" for n in (1, 2)]
    assert kept.items == [*expected, "- - - outside"]


def test_the_filter_keeps_what_a_record_has_already(
    make_pool: MakePool, enqueuer: Enqueuer, kept: Notes
) -> None:
    pool, log = make_pool(), logging.getLogger("shop")
    pool.job("work", lambda job: log.info("hello", extra={"job_id": "mine", "job_name": "own"}))
    enqueuer.enqueue("work")
    with pool:
        kept.wait_for(1)
    assert kept.items == ["own mine - hello"]


def test_workkits_own_records_within_a_handler_name_its_job(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    """They are delivered on another thread, which knows no job."""
    pool, handler = make_pool(), Kept()
    log = logging.getLogger("workkit")
    pool.job("work", lambda job: log.warning("within"))
    job = enqueuer.enqueue("work")
    log.addHandler(handler)
    try:
        with pool:
            handler.lines.wait_for(1)
    finally:
        log.removeHandler(handler)
    assert f"work {job.id} 1 within" in handler.lines.items


@pytest.mark.parametrize("way", ["the processor", "bound variables"])
@pytest.mark.parametrize("is_async", [False, True])
def test_structlog_names_the_job(
    make_pool: MakePool, enqueuer: Enqueuer, is_async: bool, way: str
) -> None:
    structlog = pytest.importorskip("structlog")
    pool, events = make_pool(concurrency=1), Notes()

    def keep(_logger: Any, _method: str, event: dict[str, Any]) -> Any:
        events(dict(event))
        raise structlog.DropEvent

    merge: Any = add_job_fields
    if way == "bound variables":
        merge = structlog.contextvars.merge_contextvars

        @pool.middleware
        async def bind(job: Job, next: Callable[[], Any]) -> None:  # noqa: A002
            structlog.contextvars.bind_contextvars(**job_fields())
            await next()

    log = structlog.wrap_logger(None, processors=[merge, keep])

    async def coroutine(job: Job) -> None:
        log.info("hello", n=1)
        await asyncio.to_thread(log.info, "again", job_name="own")

    def sync(job: Job) -> None:
        log.info("hello", n=1)
        log.info("again", job_name="own")

    pool.job("work", coroutine if is_async else sync)
    jobs = enqueuer.enqueue_many([("work", None)] * 2)
    with pool:
        pool.drain(PATIENCE_S)
    log.info("outside")
    expected: list[dict[str, object]] = []
    for job in jobs:
        fields = {"job_id": job.id, "job_name": "work", "job_attempt": 1}
        expected += [{**fields, "event": "hello", "n": 1}]
        expected += [{**fields, "event": "again", "job_name": "own"}]
    assert events.items == [*expected, {"event": "outside"}]


def test_an_abandoned_handler_keeps_its_job(make_pool: MakePool, enqueuer: Enqueuer) -> None:
    pool, gate, seen = make_pool(concurrency=1), Gate(), Notes()

    def work(job: Job) -> None:
        with contextlib.suppress(JobTimeout):
            gate.pass_through()
        seen(current_job().id)

    pool.job("work", work)
    job = enqueuer.enqueue("work")
    pool.start()
    gate.arrived.wait_for(1)
    pool.stop(0)
    gate.open()
    assert seen.wait_for(1) == [job.id]
