"""Which functions are handlers, where they run, and what must not harm the pool."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Notes
from workkit import Client, Enqueuer, Job
from workkit.errors import InvalidHandler, PoolState


def exit_now(exception: type[BaseException]) -> None:
    raise exception("enough")


# Where handlers run.


def test_sync_and_async_handlers_of_one_pool_run_side_by_side(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool(concurrency=2)
    meeting: SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = SimpleQueue()
    met = Notes()

    @pool.job
    def sync_one(job: Job) -> None:
        loop, arrived = meeting.get(timeout=PATIENCE_S)
        loop.call_soon_threadsafe(arrived.set)
        met("sync")

    @pool.job
    async def async_one(job: Job) -> None:
        arrived = asyncio.Event()
        meeting.put((asyncio.get_running_loop(), arrived))
        await arrived.wait()
        met("async")

    enqueuer.enqueue("sync_one")
    enqueuer.enqueue("async_one")
    with pool:
        assert sorted(met.wait_for(2)) == ["async", "sync"]


def test_a_pool_runs_as_many_handlers_at_once_as_it_has_workers_of_both_kinds_together(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool = make_pool(concurrency=3)
    began = Notes()
    threads_go_on, loop_goes_on = threading.Event(), SimpleQueue[Callable[[], object]]()

    @pool.job
    def sync_one(job: Job) -> None:
        began("sync")
        threads_go_on.wait(PATIENCE_S)

    @pool.job
    async def async_one(job: Job) -> None:
        go_on = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop_goes_on.put(lambda: loop.call_soon_threadsafe(go_on.set))
        began("async")
        await go_on.wait()

    enqueuer.enqueue_many([("sync_one", None)] * 5 + [("async_one", None)] * 5)
    with pool:
        began.wait_for(3)
        assert sum(queue.count for queue in client.queues()) == 7
        threads_go_on.set()
        for ended in range(5):
            # An async handler that ends makes room; there is always another to let go on.
            loop_goes_on.get(timeout=PATIENCE_S)()
            began.wait_for(min(4 + ended, 10))
        began.wait_for(10)
        assert client.worker_pool_heartbeats()[0].concurrency == 3
    assert len(began.items) == 10


def test_async_handlers_run_concurrently_on_one_thread(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool(concurrency=50)
    threads, present, everybody = Notes(), [0], asyncio.Event()

    @pool.job
    async def meet(job: Job) -> None:
        present[0] += 1
        if present[0] == 50:
            everybody.set()
        await everybody.wait()
        threads(threading.get_ident())

    enqueuer.enqueue_many([("meet", None)] * 50)
    with pool:
        assert len(set(threads.wait_for(50))) == 1


# How handlers are registered.


def test_a_handler_is_registered_by_a_call_or_by_a_decorator_with_or_without_name(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool()
    ran = Notes()

    class Mailer:
        def deliver(self, job: Job) -> None:
            ran("method")

        async def __call__(self, job: Job) -> None:
            ran("object")

    def plain(job: Job) -> None:
        ran("plain")

    def two(job: Job, who: str) -> None:
        ran(who)

    @pool.job
    def bare(job: Job) -> None:
        ran("bare")

    @pool.job("named")
    async def another(job: Job) -> None:
        ran("named")

    @pool.job(max_fails=1)
    def with_options(job: Job) -> None:
        ran("options")

    assert pool.job("plain", plain) is plain
    pool.job("method", Mailer().deliver)
    pool.job("object", Mailer())
    pool.job("partial", functools.partial(two, who="partial"), priority=3)

    names = ["bare", "named", "with_options", "plain", "method", "object", "partial"]
    assert list(pool.spec.registrations) == names
    assert pool.spec.registrations["with_options"].options.max_fails == 1
    assert pool.spec.registrations["partial"].options.priority == 3
    enqueuer.enqueue_many([(name, None) for name in names])
    with pool:
        done = ran.wait_for(7)
    assert sorted(done) == sorted(
        ["bare", "named", "options", "plain", "method", "object", "partial"]
    )


@pytest.mark.one_server
def test_a_function_that_is_no_handler_is_refused_where_it_is_registered(
    make_pool: MakePool,
) -> None:
    pool = make_pool()
    wrong: list[Any] = [
        lambda: None,
        lambda a, b, c: None,
        lambda *, job: None,
        "send",
        None.__ne__,
    ]
    for function in wrong[:4]:
        with pytest.raises(InvalidHandler, match=r"handler\(job\)|def handler"):
            pool.job("x", function)
    with pytest.raises(InvalidHandler, match="makes no contexts"):
        pool.job("x", lambda ctx, job: None)
    assert not pool.spec.registrations


@pytest.mark.one_server
def test_a_name_is_registered_once(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("x", lambda job: None)
    with pytest.raises(PoolState, match="registered already"):
        pool.job("x", lambda job: None)


# Contexts.


def test_every_job_has_a_context_of_its_own_that_middleware_and_handler_share(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool(concurrency=4, context=dict)
    seen = Notes()

    @pool.middleware
    def first(ctx: dict[str, Any], job: Job, next: Callable[[], None]) -> None:  # noqa: A002
        assert ctx == {}
        ctx["n"] = job.arg_int("n")
        next()

    @pool.job
    def with_context(ctx: dict[str, Any], job: Job) -> None:
        seen((ctx, ctx["n"] == job.arg_int("n")))

    @pool.job
    async def async_with_context(ctx: dict[str, Any], job: Job) -> None:
        seen((ctx, ctx["n"] == job.arg_int("n")))

    @pool.job
    def without_context(job: Job) -> None:
        seen(({}, True))

    jobs: list[tuple[str, dict[str, int]]] = [
        (name, {"n": n})
        for n in range(10)
        for name in ("with_context", "async_with_context", "without_context")
    ]
    enqueuer.enqueue_many(jobs)
    with pool:
        notes = seen.wait_for(30)
    assert all(right for _, right in notes)
    assert len({id(ctx) for ctx, _ in notes}) == 30


def test_a_context_that_cannot_be_made_fails_the_job(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    made = Notes()

    def make_context() -> None:
        made()
        raise LookupError("no database")

    pool = make_pool(context=make_context)
    pool.job("sync_one", lambda ctx, job: None)

    async def async_one(ctx: None, job: Job) -> None: ...

    pool.job("async_one", async_one)
    enqueuer.enqueue_many([("sync_one", None), ("async_one", None)])
    with pool:
        made.wait_for(2)
    errors = [retry.job.last_err.partition("\n")[0] for retry in client.iter_retry_jobs()]
    assert errors == ["LookupError: no database"] * 2


# What must not reach the pool.


async def in_a_task(exception: type[BaseException]) -> None:
    async def child() -> None:
        exit_now(exception)

    await asyncio.wait_for(child(), PATIENCE_S)


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("kind", ["sync", "async", "async in a task"])
def test_a_handler_that_wants_to_end_the_process_fails_its_job_and_nothing_else(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    kind: str,
    exception: type[BaseException],
) -> None:
    pool = make_pool(concurrency=1)
    ran = Notes()

    def leave(job: Job) -> None:
        exit_now(exception)

    async def leave_async(job: Job) -> None:
        await in_a_task(exception) if kind == "async in a task" else exit_now(exception)

    async def stay_async(job: Job) -> None:
        ran()

    pool.job("leave", leave if kind == "sync" else leave_async)
    pool.job("stay", ran if kind == "sync" else stay_async)
    with pool:
        for count in (1, 2):
            enqueuer.enqueue("leave")
            enqueuer.enqueue("stay")
            ran.wait_for(count)
            assert pool.drain(PATIENCE_S).complete
    failed = [retry.job.last_err.partition("\n")[0] for retry in client.iter_retry_jobs()]
    assert failed == [f"{exception.__name__}: enough"] * 2


def test_an_error_whose_message_cannot_be_shown_fails_its_job_all_the_same(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    pool = make_pool(concurrency=1)
    ran = Notes()

    @pool.job
    def fail(job: Job) -> None:
        raise Mute

    pool.job("fine", ran)
    enqueuer.enqueue("fail")
    with pool:
        pool.drain(PATIENCE_S)
        enqueuer.enqueue("fine")
        ran.wait_for(1)
    assert client.retry_jobs().jobs[0].job.last_err.startswith("Mute")


def test_a_recursion_without_end_fails_its_job_with_a_bounded_text(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool = make_pool(concurrency=1)

    def fall(job: Job) -> None:
        fall(job)

    pool.job("fall", fall)
    enqueuer.enqueue("fall")
    with pool:
        pool.drain(PATIENCE_S)
    text = client.retry_jobs().jobs[0].job.last_err
    assert text.startswith("RecursionError")
    assert len(text) < 17_000
    assert sys.getrecursionlimit() > 100


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    "attribute", ["args", "enqueued_at", "fails", "id", "name", "raw", "unique_key"]
)
def test_what_a_handler_does_to_its_job_changes_nothing_in_redis_and_harms_nobody(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, kind: str, attribute: str
) -> None:
    pool, ran = make_pool(concurrency=1), Notes()

    def ruin(job: Job) -> None:
        setattr(job, attribute, object())
        raise ValueError

    async def ruin_async(job: Job) -> None:
        ruin(job)

    async def run_async(job: Job) -> None:
        ran()

    pool.job("ruin", ruin if kind == "sync" else ruin_async)
    pool.job("work", ran if kind == "sync" else run_async)
    enqueued = enqueuer.enqueue("ruin", {"n": 1})
    with pool:
        assert pool.drain(PATIENCE_S).complete
        enqueuer.enqueue("work")
        ran.wait_for(1)
    (retry,) = client.retry_jobs().jobs
    stored = retry.job
    assert (stored.id, stored.name, stored.args) == (enqueued.id, "ruin", {"n": 1})
    assert (stored.fails, stored.enqueued_at) == (1, enqueued.enqueued_at)
    assert sorted((r.name, r.outcome) for r in client.history()) == [
        ("ruin", "retry"),
        ("work", "done"),
    ]
