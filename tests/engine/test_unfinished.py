"""A job is done when its code has run: results of handlers, middleware and contexts are awaited."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import multiprocessing.pool
import threading
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Notes
from tests.support.unfinished import idle_handlers, pending_handlers, plain_decorator
from workkit import Client, Enqueuer, Job
from workkit.errors import InvalidHandler, InvalidOption

pytestmark = pytest.mark.one_server

Next = Callable[[], Any]


def nothing(_: str) -> None: ...


def finished_future() -> concurrent.futures.Future[None]:
    future: concurrent.futures.Future[None] = concurrent.futures.Future()
    future.set_result(None)
    return future


def first_line_of(client: Client) -> str:
    (dead,) = client.dead_jobs().jobs
    return dead.job.last_err.partition("\n")[0]


@pytest.mark.parametrize("kind", list(pending_handlers(nothing)))
def test_what_a_handler_returns_to_await_is_awaited_before_its_job_is_done(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, kind: str
) -> None:
    pool, note = make_pool(concurrency=2), Notes()
    pool.job("work", pending_handlers(note)[kind])
    enqueuer.enqueue("work")
    with pool:
        assert pool.drain(PATIENCE_S).complete
        assert note.items == ["ran"]
    assert [record.outcome for record in client.history()] == ["done"]


@pytest.mark.parametrize("kind", list(idle_handlers(nothing)))
def test_a_handler_of_which_nothing_has_run_fails_its_job(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, kind: str
) -> None:
    pool, note = make_pool(concurrency=2), Notes()
    pool.job("work", idle_handlers(note)[kind], max_fails=1)
    enqueuer.enqueue("work")
    with pool, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pool.drain(PATIENCE_S).complete
    assert note.items == []
    assert first_line_of(client).startswith("InvalidHandler: the handler ")
    assert "its code has not run" in first_line_of(client)


def test_generator_functions_are_refused_where_they_are_registered(make_pool: MakePool) -> None:
    def generator(job: Job) -> Any:
        yield

    async def async_generator(job: Job) -> Any:
        yield

    class Object:
        def __call__(self, job: Job) -> Any:
            yield

    pool = make_pool()
    wrong: list[Any] = [generator, async_generator, Object()]
    for function in wrong:
        with pytest.raises(InvalidHandler, match="contains yield"):
            pool.job("work", function)
    with pytest.raises(InvalidHandler, match="contains yield"):
        pool.on_start(lambda: (yield))
    assert not pool.spec.registrations


def test_an_error_of_what_is_awaited_is_the_error_of_the_job(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool = make_pool(concurrency=1)

    async def fail(job: Job) -> None:
        await asyncio.sleep(0)
        raise LookupError("no such page")

    pool.job("work", plain_decorator(fail), max_fails=1)
    enqueuer.enqueue("work")
    with pool:
        pool.drain(PATIENCE_S)
    assert first_line_of(client) == "LookupError: no such page"


def test_a_timeout_reaches_what_a_sync_handler_has_returned(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, note = make_pool(concurrency=1), Notes()

    async def wait(job: Job) -> None:
        try:
            await asyncio.sleep(PATIENCE_S)
        except asyncio.CancelledError:
            note("cancelled")
            raise

    pool.job("work", plain_decorator(wait), max_fails=1, timeout=0.2)
    enqueuer.enqueue("work")
    with pool:
        assert note.wait_for(1) == ["cancelled"]
        pool.drain(PATIENCE_S)
    assert first_line_of(client) == "JobTimeout: timed out after 0.2 s"


def test_a_job_is_done_when_the_thread_is_to_which_its_handler_has_given_it(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool = make_pool(concurrency=1)

    def fail() -> None:
        raise LookupError("in the thread")

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        pool.job("work", lambda job: executor.submit(fail), max_fails=1)
        enqueuer.enqueue("work")
        with pool:
            pool.drain(PATIENCE_S)
    assert first_line_of(client) == "LookupError: in the thread"


def test_the_error_of_a_future_in_a_list_is_the_error_of_the_job(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool = make_pool(concurrency=1)
    failed: concurrent.futures.Future[None] = concurrent.futures.Future()
    failed.set_exception(LookupError("in the thread"))
    pool.job("work", lambda job: [finished_future(), failed], max_fails=1)
    enqueuer.enqueue("work")
    with pool:
        pool.drain(PATIENCE_S)
    assert first_line_of(client) == "LookupError: in the thread"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_error_that_is_returned_as_in_go_fails_the_job(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, kind: str
) -> None:
    pool = make_pool(concurrency=1)

    def returns(job: Job) -> Any:
        return LookupError("no such page")

    async def returns_async(job: Job) -> Any:
        return LookupError("no such page")

    pool.job("work", returns if kind == "sync" else returns_async, max_fails=1)
    enqueuer.enqueue("work")
    with pool:
        pool.drain(PATIENCE_S)
    assert "returned an exception, which nobody raises" in first_line_of(client)
    assert first_line_of(client).endswith("write raise")


def test_a_result_for_which_nobody_waits_fails_the_job(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool = make_pool(concurrency=1)
    with multiprocessing.pool.ThreadPool(1) as threads:
        pool.job("work", lambda job: threads.apply_async(int, ["x"]), max_fails=1)
        enqueuer.enqueue("work")
        with pool:
            pool.drain(PATIENCE_S)
    assert "returned a result of multiprocessing" in first_line_of(client)


@pytest.mark.parametrize("value", [
    5, "text", None, {"a": 1}, [1], [None, open], [[len]], {"job": [1]}, object(), open,
    [finished_future()], range(3), iter([1]),
])  # fmt: skip
def test_a_value_that_a_handler_returns_is_nobodys_business(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, value: object
) -> None:
    pool = make_pool(concurrency=1)
    pool.job("work", lambda job: value)
    enqueuer.enqueue("work")
    with pool:
        pool.drain(PATIENCE_S)
    assert [record.outcome for record in client.history()] == ["done"]


# Middleware.


def handler_of(kind: str, note: Notes) -> Callable[[Job], Any]:
    async def work(job: Job) -> None:
        await asyncio.sleep(0)
        note("handler")

    handlers: dict[str, Callable[[Job], Any]] = {
        "sync": lambda job: note("handler"),
        "async": work,
        "wrapped": plain_decorator(work),
    }
    return handlers[kind]


KINDS = ("sync", "async", "wrapped")


@pytest.mark.parametrize("handler", KINDS)
def test_middleware_that_does_not_await_next_fails_the_job(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, handler: str
) -> None:
    pool, note = make_pool(concurrency=1), Notes()

    @pool.middleware
    async def forgets(job: Job, next: Next) -> None:  # noqa: A002 - the name that users are shown
        next()

    pool.job("work", handler_of(handler, note), max_fails=1)
    enqueuer.enqueue("work")
    with pool, warnings.catch_warnings():
        warnings.simplefilter("error")
        pool.drain(PATIENCE_S)
    assert note.items == []
    assert "forgets called next() and did not await it" in first_line_of(client)


@pytest.mark.parametrize("handler", KINDS)
def test_a_callback_that_calls_next_when_nobody_can_await_it_does_not_make_the_job_done(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, handler: str
) -> None:
    pool, note = make_pool(concurrency=1), Notes()
    # Sync middleware in front, so that the chain runs on a thread, which looks after the loop.
    pool.middleware(lambda job, next: next())  # noqa: A006

    @pool.middleware
    async def too_late(job: Job, next: Next) -> None:  # noqa: A002
        asyncio.get_running_loop().call_soon(next)

    pool.job("work", handler_of(handler, note), max_fails=1)
    enqueuer.enqueue("work")
    with pool, warnings.catch_warnings():
        warnings.simplefilter("error")
        pool.drain(PATIENCE_S)
    assert note.items == []
    assert "too_late called next() " in first_line_of(client)


@pytest.mark.parametrize("handler", KINDS)
def test_what_middleware_goes_on_with_in_a_task_has_ended_before_the_job_is_done(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, handler: str
) -> None:
    pool, note = make_pool(concurrency=1), Notes()
    tasks: list[Any] = []

    @pool.middleware
    async def hurried(job: Job, next: Next) -> None:  # noqa: A002
        tasks.append(asyncio.get_running_loop().create_task(next()))

    pool.job("work", handler_of(handler, note))
    enqueuer.enqueue("work")
    with pool:
        pool.drain(PATIENCE_S)
    assert note.items == ["handler"]
    assert [record.outcome for record in client.history()] == ["done"]


def test_a_failure_in_a_task_of_middleware_is_a_failure_of_the_job(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool = make_pool(concurrency=1)
    tasks: list[Any] = []

    @pool.middleware
    async def hurried(job: Job, next: Next) -> None:  # noqa: A002
        tasks.append(asyncio.get_running_loop().create_task(next()))

    @pool.job(max_fails=1)
    async def work(job: Job) -> None:
        await asyncio.sleep(0)
        raise LookupError("late")

    enqueuer.enqueue("work")
    with pool:
        pool.drain(PATIENCE_S)
    assert first_line_of(client) == "LookupError: late"


@pytest.mark.parametrize("handler", KINDS)
@pytest.mark.parametrize("outer", ["sync", "async", "none"])
def test_async_middleware_behind_a_plain_decorator_goes_round_its_handler(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, handler: str, outer: str
) -> None:
    pool, note = make_pool(concurrency=2), Notes()
    if outer == "sync":
        pool.middleware(lambda job, next: next())  # noqa: A006
    elif outer == "async":

        @pool.middleware
        async def layer(job: Job, next: Callable[[], Awaitable[None]]) -> None:  # noqa: A002
            await next()

    async def inner(job: Job, next: Callable[[], Awaitable[None]]) -> None:  # noqa: A002
        note("in")
        await next()
        note("out")

    pool.middleware(plain_decorator(inner))
    pool.job("work", handler_of(handler, note), max_fails=1)
    enqueuer.enqueue("work")
    with pool:
        assert pool.drain(PATIENCE_S).complete
    assert note.items == ["in", "handler", "out"]
    assert [record.outcome for record in client.history()] == ["done"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_next_after_the_end_of_its_middleware_runs_nothing_and_says_so(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    pool, note = make_pool(concurrency=1), Notes()
    kept: list[Callable[[], Any]] = []

    def keeps(job: Job, next: Next) -> None:  # noqa: A002
        kept.append(next)

    async def keeps_async(job: Job, next: Next) -> None:  # noqa: A002
        kept.append(next)

    layers: dict[str, Callable[..., Any]] = {"sync": keeps, "async": keeps_async}
    pool.middleware(layers[kind])
    pool.job("work", handler_of(kind, note))
    enqueuer.enqueue("work")
    with pool:
        assert pool.drain(PATIENCE_S).complete
        with pytest.raises(InvalidHandler, match="after it had returned"):
            kept[0]()
    assert note.items == []
    assert "after it had returned" in caplog.text
    assert [record.outcome for record in client.history()] == ["done"]  # it was skipped


def test_a_call_of_next_on_another_thread_has_ended_before_the_job_is_done(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, note = make_pool(concurrency=1), Notes()
    begun, returned = threading.Event(), threading.Event()

    @pool.middleware
    def hurried(job: Job, next: Next) -> None:  # noqa: A002
        def go_on() -> None:
            with contextlib.suppress(LookupError):
                next()

        threading.Thread(target=go_on).start()
        assert begun.wait(PATIENCE_S)
        returned.set()

    @pool.job(max_fails=1)
    def work(job: Job) -> None:
        begun.set()
        assert returned.wait(PATIENCE_S)
        note("handler")
        raise LookupError("late")

    enqueuer.enqueue("work")
    with pool:
        pool.drain(PATIENCE_S)
    assert note.items == ["handler"]
    assert first_line_of(client) == "LookupError: late"


def test_a_cancellation_of_its_own_is_not_taken_for_a_timeout(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool = make_pool(concurrency=1)

    async def give_up(job: Job) -> None:
        raise asyncio.CancelledError("nobody wants it")

    pool.job("work", plain_decorator(give_up), max_fails=1)
    enqueuer.enqueue("work")
    with pool:
        pool.drain(PATIENCE_S)
    assert first_line_of(client) == "CancelledError: nobody wants it"


def test_middleware_of_which_nothing_has_run_fails_the_job(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, note = make_pool(concurrency=1), Notes()

    def generator(job: Job, next: Next) -> Any:  # noqa: A002
        next()
        yield

    with pytest.raises(InvalidHandler, match="contains yield"):
        pool.middleware(generator)
    pool.middleware(plain_decorator(generator))
    pool.job("work", note, max_fails=1)
    enqueuer.enqueue("work")
    with pool:
        pool.drain(PATIENCE_S)
    assert note.items == []
    assert "the middleware" in first_line_of(client)


# Contexts.


@pytest.mark.parametrize("handler", ["sync", "async"])
@pytest.mark.parametrize("factory", ["async", "wrapped", "a class"])
def test_a_context_function_is_awaited_where_it_has_to_be(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, handler: str, factory: str
) -> None:
    class Context:
        session = "open"

    async def make() -> Context:
        await asyncio.sleep(0)
        return Context()

    factories: dict[str, Any] = {
        "async": make,
        "wrapped": plain_decorator(make),
        "a class": Context,
    }
    pool, seen = make_pool(concurrency=1, context=factories[factory]), Notes()

    def work(ctx: Context, job: Job) -> None:
        seen(ctx.session)

    async def work_async(ctx: Context, job: Job) -> None:
        seen(ctx.session)

    functions: dict[str, Callable[..., Any]] = {"sync": work, "async": work_async}
    pool.job("work", functions[handler], max_fails=1)
    enqueuer.enqueue("work")
    with pool:
        pool.drain(PATIENCE_S)
    assert seen.items == ["open"]


def test_a_context_function_of_another_shape_is_refused(make_pool: MakePool) -> None:
    def generator() -> Any:
        yield

    wrong: list[Any] = [generator, lambda job: job, {}, "ctx"]
    for function in wrong:
        with pytest.raises(InvalidOption, match="^context "):
            make_pool(context=function)
