"""Lifespans open before the first job what handlers use, and close it after the last."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate, Notes
from workkit import (
    Client,
    Enqueuer,
    InvalidHandler,
    InvalidOption,
    Job,
    JobTimeout,
    LifespanFailed,
    PoolState,
    WorkerPool,
)
from workkit.engine.handling.values import value_of

pytestmark = pytest.mark.one_server


class Context:
    """What handlers use."""


class Narrower(Context):
    """A subclass."""


def nothing(job: Job) -> None:
    """Do nothing."""


def test_lifespans_surround_hooks_and_jobs_in_order(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, seen = make_pool(), Notes()
    pool.job("work", lambda job: seen("job"))
    pool.on_start(lambda: seen("start hook"))
    pool.on_stop(lambda: seen("stop hook"))

    @pool.lifespan
    async def first() -> AsyncIterator[None]:
        seen("first in")
        yield
        seen("first out")

    @pool.lifespan
    def second() -> Iterator[None]:
        seen("second in")
        yield
        seen("second out")

    enqueuer.enqueue("work")
    expected = [
        "first in", "second in", "start hook", "job", "stop hook", "second out", "first out",
    ]  # fmt: skip
    for n in range(2):
        if n:
            enqueuer.enqueue("work")
        with pool:
            pool.drain(PATIENCE_S)
        assert seen.items == expected * (n + 1)


def test_handlers_find_the_values_by_their_classes(make_pool: MakePool, enqueuer: Enqueuer) -> None:
    pool, seen = make_pool(), Notes()
    made: list[Any] = []

    @pool.lifespan
    async def narrower() -> AsyncIterator[Narrower]:
        made.append(Narrower())
        yield made[-1]

    @pool.lifespan
    def context() -> Iterator[Context]:
        made.append(Context())
        yield made[-1]

    @pool.lifespan
    def number() -> Iterator[int]:
        yield 7

    def sync(job: Job) -> None:
        values: list[Any] = [value_of(Narrower), pool.lifespan_value(Context)]
        seen((values == made, pool.lifespan_value(int)))

    async def coroutine(job: Job) -> None:
        await asyncio.to_thread(sync, job)

    pool.job("sync", sync)
    pool.job("async", coroutine)
    enqueuer.enqueue_many([("sync", None), ("async", None)])
    with pool:
        pool.drain(PATIENCE_S)
        assert pool.lifespan_value(Context) is made[1]
        with pytest.raises(PoolState, match="no lifespan of the pool has yielded a dict"):
            pool.lifespan_value(dict)
    assert seen.items == [(True, 7)] * 2
    with pytest.raises(PoolState, match="but nothing"):
        pool.lifespan_value(Context)
    with pytest.raises(PoolState, match="outside of a handler"):
        value_of(Context)


def test_a_lifespan_finds_what_an_earlier_one_has_yielded(make_pool: MakePool) -> None:
    pool, seen = make_pool(), Notes()
    pool.job("work", nothing)

    @pool.lifespan
    def context() -> Iterator[Context]:
        yield Context()
        seen("context left")

    @pool.lifespan
    async def needs_it() -> AsyncIterator[list[Context]]:
        yield [pool.lifespan_value(Context)]
        seen(type(pool.lifespan_value(Context)).__name__)

    with pool:
        assert pool.lifespan_value(list[Context]) == [pool.lifespan_value(Context)]
        with pytest.raises(InvalidOption, match="lifespan_value needs a class: .* take Context"):
            pool.lifespan_value("Context")  # type: ignore[arg-type]
    assert seen.items == ["Context", "context left"]


def test_an_async_lifespan_runs_in_one_task_of_the_handlers_loop(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    """So task groups and timeouts work across the yield."""
    pool, seen = make_pool(), Notes()
    entered: list[Any] = []

    @pool.lifespan
    async def resources() -> AsyncIterator[asyncio.Queue[str]]:
        entered.extend((asyncio.get_running_loop(), asyncio.current_task()))
        queue: asyncio.Queue[str] = asyncio.Queue()

        async def serve() -> None:
            while True:
                seen(await queue.get())

        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            serving = group.create_task(serve())
            yield queue
            assert asyncio.current_task() is entered[1]
            serving.cancel()

    @pool.job("work")
    async def work(job: Job) -> None:
        assert asyncio.get_running_loop() is entered[0]
        pool.lifespan_value(asyncio.Queue).put_nowait(job.id)

    job = enqueuer.enqueue("work")
    with pool:
        assert seen.wait_for(1) == [job.id]


def test_a_sync_lifespan_runs_on_one_thread_that_is_not_the_callers(make_pool: MakePool) -> None:
    pool, threads = make_pool(), Notes()
    pool.job("work", nothing)

    @pool.lifespan
    def database() -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(":memory:")  # refuses calls from other threads
        threads(threading.current_thread())
        yield connection
        threads(threading.current_thread())
        connection.close()

    with pool:
        pass
    opened, closed = threads.items
    assert opened is closed is not threading.current_thread()


def test_a_lifespan_is_left_after_the_last_job_also_when_the_stop_gives_up(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, gate, seen = make_pool(), Gate(), Notes()

    @pool.lifespan
    async def resources() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(0)
        seen("left")

    @pool.job("async")
    async def wait(job: Job) -> None:
        gate.arrived()
        try:
            await asyncio.Event().wait()
        finally:
            seen("ended")

    def stuck(job: Job) -> None:
        with contextlib.suppress(JobTimeout):
            gate.pass_through()

    pool.job("sync", stuck)
    enqueuer.enqueue_many([("async", None), ("sync", None)])
    pool.start()
    gate.arrived.wait_for(2)
    pool.stop(0)
    gate.open()
    assert seen.items == ["ended", "left"]


# Failures.


def fails_async(seen: Notes) -> Callable[[], AsyncIterator[None]]:
    async def broken() -> AsyncIterator[None]:
        raise OSError("no route")
        yield

    return broken


def fails_sync(seen: Notes) -> Callable[[], Iterator[None]]:
    def broken() -> Iterator[None]:
        raise OSError("no route")
        yield

    return broken


@pytest.mark.parametrize("make", [fails_async, fails_sync])
@pytest.mark.parametrize("in_asyncio", [False, True])
def test_a_failure_before_the_yield_fails_the_start_and_leaves_the_others(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    make: Callable[[Notes], Callable[[], Any]],
    in_asyncio: bool,
) -> None:
    pool, seen = make_pool(), Notes()
    pool.job("work", lambda job: seen("job"))
    pool.on_start(lambda: seen("start hook"))

    @pool.lifespan
    async def before() -> AsyncIterator[None]:
        yield
        seen("left")

    pool.lifespan(make(seen))
    enqueuer.enqueue("work")
    with pytest.raises(LifespanFailed, match="broken failed before its yield: .*no route") as found:
        asyncio.run(pool.start_async()) if in_asyncio else pool.start()
    assert isinstance(found.value.__cause__, OSError)
    assert not pool.running
    assert seen.items == ["left"]
    assert client.queues()[0].count == 1
    assert client.worker_pool_heartbeats() == []


def test_a_start_that_fails_otherwise_leaves_the_lifespans() -> None:
    pool, seen = WorkerPool("work", "redis://localhost:1"), Notes()
    pool.job("work", nothing)

    @pool.lifespan
    async def resources() -> AsyncIterator[None]:
        yield
        seen("left")

    with pytest.raises(Exception, match="localhost:1"):
        pool.start()
    assert seen.items == ["left"]
    pool.on_start(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pool.start()
    assert seen.items == ["left"] * 2


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("way", ["with", "async with", "stop", "stop_async", "stop by its timeout"])
def test_a_failure_behind_the_yield_is_logged_and_reported_by_the_stop(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture, is_async: bool, way: str
) -> None:
    pool, seen = make_pool(), Notes()
    pool.job("work", nothing)
    pool.lifespan(partial(note_end, seen))

    async def broken_async() -> AsyncIterator[None]:
        yield
        raise OSError("no route")

    def broken() -> Iterator[None]:
        yield
        raise OSError("no route")

    pool.lifespan(broken_async if is_async else broken)

    async def in_asyncio() -> None:
        if way == "async with":
            async with pool:
                pass
        else:
            await pool.start_async()
            await pool.stop_async()

    with pytest.raises(LifespanFailed, match="failed after its yield: .*no route"):
        if "async" in way:
            asyncio.run(in_asyncio())
        elif way == "with":
            with pool:
                pass
        else:
            pool.start()
            pool.stop(0 if "timeout" in way else None)
    assert not pool.running
    assert seen.items == ["left"]
    assert [record for record in caplog.records if "failed after its yield" in record.message]
    pool.stop()


def note_end(seen: Notes) -> Iterator[None]:
    yield
    seen("left")


def test_a_failure_behind_the_yield_hides_no_error_of_the_body(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", nothing)

    @pool.lifespan
    def broken() -> Iterator[None]:
        yield
        raise OSError

    with pytest.raises(ZeroDivisionError), pool:
        raise ZeroDivisionError


never = False


async def yields_twice_async() -> AsyncIterator[int]:
    yield 1
    yield 2


def yields_twice() -> Iterator[int]:
    yield 1
    yield 2


async def never_yields_async() -> AsyncIterator[int]:
    if never:
        yield 1


def never_yields() -> Iterator[int]:
    if never:
        yield 1


@pytest.mark.parametrize("lifespan", [yields_twice, yields_twice_async])
def test_a_second_yield_is_an_error(make_pool: MakePool, lifespan: Callable[[], Any]) -> None:
    pool = make_pool()
    pool.job("work", nothing)
    pool.lifespan(lifespan)
    with pytest.raises(LifespanFailed, match=f"{lifespan.__name__} yielded twice"), pool:
        assert pool.running


@pytest.mark.parametrize("lifespan", [never_yields, never_yields_async])
def test_no_yield_is_an_error(make_pool: MakePool, lifespan: Callable[[], Any]) -> None:
    pool = make_pool()
    pool.job("work", nothing)
    pool.lifespan(lifespan)
    with pytest.raises(LifespanFailed, match=f"{lifespan.__name__} ended without a yield"):
        pool.start()
    assert not pool.running


def test_a_task_group_that_fails_while_the_pool_runs_is_logged_and_reported(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture, wait_until: Callable[[Any], Any]
) -> None:
    pool = make_pool()
    pool.job("work", nothing)
    fail: list[Callable[[], Any]] = []

    @pool.lifespan
    async def resources() -> AsyncIterator[None]:
        failed, loop = asyncio.Event(), asyncio.get_running_loop()
        fail.append(lambda: loop.call_soon_threadsafe(failed.set))

        async def serve() -> None:
            await failed.wait()
            raise OSError("lost")

        async with asyncio.TaskGroup() as group:
            group.create_task(serve())
            yield

    pool.start()
    fail[0]()
    wait_until(lambda: "while the pool ran" in caplog.text)
    with pytest.raises(LifespanFailed, match="resources failed after its yield"):
        pool.stop()


def test_a_stop_within_a_lifespan_is_requested(make_pool: MakePool) -> None:
    pool, seen = make_pool(), Notes()
    pool.job("work", nothing)

    @pool.lifespan
    async def resources() -> AsyncIterator[None]:
        async def end() -> None:
            while not pool.running:  # noqa: ASYNC110 - the pool tells nobody that it runs
                await asyncio.sleep(0.001)
            pool.stop()
            await pool.stop_async()
            seen("asked")

        task = asyncio.create_task(end())
        yield
        await task
        pool.stop()

    async def main() -> bool:
        return await asyncio.wait_for(pool.run_async(), PATIENCE_S)

    assert asyncio.run(main()) is True
    assert seen.items == ["asked"]


# Registration.


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (7, "a lifespan must be .*; got 7"),
        (lambda: None, "is no generator"),
        (contextlib.asynccontextmanager(yields_twice_async), "without its decorator"),
        (contextlib.contextmanager(yields_twice), "without its decorator"),
    ],
)
def test_what_is_no_generator_function_is_refused(
    make_pool: MakePool, function: Any, said: str
) -> None:
    with pytest.raises(InvalidHandler, match=said):
        make_pool().lifespan(function)


def test_a_lifespan_with_arguments_is_refused(make_pool: MakePool) -> None:
    def resources(app: object) -> Iterator[None]:
        yield

    with pytest.raises(InvalidHandler, match=r"has the signature \(app"):
        make_pool().lifespan(resources)  # type: ignore[type-var]


def test_methods_partials_and_objects_may_be_lifespans(make_pool: MakePool) -> None:
    seen = Notes()

    class Resources:
        async def __call__(self) -> AsyncIterator[None]:
            seen("object")
            yield

        def method(self) -> Iterator[None]:
            seen("method")
            yield

    async def partially(what: str) -> AsyncIterator[None]:
        seen(what)
        yield

    pool = make_pool()
    pool.job("work", nothing)
    pool.lifespan(Resources())
    pool.lifespan(Resources().method)
    pool.lifespan(partial(partially, "partial"))
    with pool:
        pass
    assert seen.items == ["object", "method", "partial"]


def test_a_lifespan_is_registered_before_the_start(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", nothing)
    with pool, pytest.raises(PoolState, match="has been started"):
        pool.lifespan(yields_twice)
