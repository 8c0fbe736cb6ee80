"""The simulator sees which code has run and which has not, as a real pool does."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.unfinished import idle_handlers, pending_handlers, plain_decorator
from workkit import Job
from workkit.simulation import Simulation

Next = Callable[[], Any]
tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


def nothing(_: str) -> None: ...


def first_line_of(sim: Simulation) -> str:
    (dead,) = sim.client.dead_jobs().jobs
    return dead.job.last_err.partition("\n")[0]


@pytest.mark.parametrize("kind", list(pending_handlers(nothing)))
def test_what_a_handler_returns_to_await_is_awaited_in_virtual_time(
    sim: Simulation, kind: str
) -> None:
    notes: list[str] = []
    sim.pool().job("work", pending_handlers(notes.append)[kind])
    sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    assert notes == ["ran"]
    sim.assert_ran("work", times=1)


@pytest.mark.parametrize("kind", list(idle_handlers(nothing)))
def test_a_handler_of_which_nothing_has_run_fails_its_job(sim: Simulation, kind: str) -> None:
    notes: list[str] = []
    sim.pool().job("work", idle_handlers(notes.append)[kind], max_fails=1)
    sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    assert notes == []
    assert "its code has not run" in first_line_of(sim)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_middleware_that_does_not_await_next_fails_the_job(sim: Simulation, kind: str) -> None:
    notes: list[str] = []
    pool = sim.pool()

    @pool.middleware
    async def forgets(job: Job, next: Next) -> None:  # noqa: A002
        next()

    async def work(job: Job) -> None:
        notes.append("ran")

    handlers: dict[str, Any] = {"sync": lambda job: notes.append("ran"), "async": work}
    pool.job("work", handlers[kind], max_fails=1)
    sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    assert notes == []
    assert "forgets called next() and did not await it" in first_line_of(sim)


def test_async_middleware_behind_a_plain_decorator_goes_round_its_handler(
    sim: Simulation,
) -> None:
    notes: list[str] = []
    pool = sim.pool()

    async def layer(job: Job, next: Next) -> None:  # noqa: A002
        notes.append("in")
        await asyncio.sleep(5)
        await next()
        notes.append("out")

    pool.middleware(plain_decorator(layer))
    pool.job("work", lambda job: notes.append("handler"))
    sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    assert notes == ["in", "handler", "out"]
    assert 5 <= sim.now < 6


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_async_context_function_is_awaited_in_virtual_time(sim: Simulation, kind: str) -> None:
    async def make() -> str:
        await asyncio.sleep(3)
        return "context"

    seen: list[tuple[str, int]] = []

    def work(ctx: str, job: Job) -> None:
        seen.append((ctx, int(sim.now)))

    async def work_async(ctx: str, job: Job) -> None:
        seen.append((ctx, int(sim.now)))

    handlers: dict[str, Any] = {"sync": work, "async": work_async}
    sim.pool(context=make).job("work", handlers[kind])
    sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    assert seen == [("context", 3)]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_each_handler_has_a_context_of_its_own(sim: Simulation, kind: str) -> None:
    seen: list[str] = []

    def work(job: Job) -> None:
        seen.append(tenant.get())
        tenant.set("left behind")

    async def work_async(job: Job) -> None:
        work(job)

    handlers: dict[str, Any] = {"sync": work, "async": work_async}
    sim.pool(concurrency=1).job("work", handlers[kind])
    outside = tenant.set("of the test")
    for _ in range(3):
        sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    tenant.reset(outside)
    assert seen == ["nobody"] * 3


def test_an_async_handler_that_wants_to_end_the_process_fails_behind_sync_middleware(
    sim: Simulation,
) -> None:
    pool = sim.pool()
    pool.middleware(lambda job, next: next())  # noqa: A006

    @pool.job(max_fails=1)
    async def work(job: Job) -> None:
        raise SystemExit(3)

    sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    assert first_line_of(sim) == "SystemExit: 3"


# Hooks.


def test_hooks_that_are_async_run_in_virtual_time_on_the_loop_of_the_handlers(
    sim: Simulation,
) -> None:
    loops: dict[str, Any] = {}
    times: dict[str, int] = {}
    pool = sim.pool()

    async def here(what: str) -> None:
        await asyncio.sleep(2)
        loops[what], times[what] = asyncio.get_running_loop(), int(sim.now)

    @pool.job(max_fails=1)
    async def work(job: Job) -> None:
        await here("handler")
        raise LookupError

    pool.on_start(lambda: here("start"))
    pool.on("dead", lambda job, error: here("dead"))
    pool.on_stop(lambda: here("stop"))
    sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    pool.stop()
    sim.run_for(minutes=1)
    assert times["start"] == 2
    assert times["handler"] >= times["start"] + 2
    assert len(set(map(id, loops.values()))) == 1
    assert sorted(loops) == ["dead", "handler", "start", "stop"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_start_hook_that_raises_is_not_passed_over(sim: Simulation, kind: str) -> None:
    pool = sim.pool()
    ran: list[Job] = []
    pool.job("work", ran.append)

    def connect() -> None:
        raise ConnectionError("no database")

    async def connect_async() -> None:
        connect()

    hooks: dict[str, Any] = {"sync": connect, "async": connect_async}
    pool.on_start(hooks[kind])
    sim.enqueuer.enqueue("work")
    with pytest.raises(ConnectionError, match="no database"):
        sim.run_for(minutes=1)
    assert not ran


# What escapes from a handler.


def test_a_task_that_wants_to_end_the_process_ends_neither_the_pool_nor_the_simulation(
    sim: Simulation,
) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    async def work(job: Job) -> None:
        await asyncio.get_running_loop().create_task(leave())

    sim.pool().job("work", work, max_fails=1)
    sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    assert first_line_of(sim) == "SystemExit: 3"


def test_a_thread_of_ones_own_that_waits_for_async_code_is_told_that_it_cannot(
    sim: Simulation,
) -> None:
    sim.allow = ["threads"]
    pool = sim.pool()

    @pool.middleware
    def layer(job: Job, next: Next) -> None:  # noqa: A002 - the name that users are shown
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            executor.submit(next).result()

    pool.job("work", pending_handlers(nothing)["an object to await"], max_fails=1)
    sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    assert first_line_of(sim).startswith("HandlerBlocked: a thread that a handler or a middleware")


# Args.


def test_a_job_that_leaves_an_arg_error_unread_fails(sim: Simulation) -> None:
    sim.pool().job("work", lambda job: job.arg_str("address") and None, max_fails=1)
    sim.enqueuer.enqueue("work", {"adress": "a@example.com"})
    sim.run_until_idle()
    assert first_line_of(sim).startswith("InvalidArgs: job 'work': args['address'] is missing")
    assert [event.kind for event in sim.trace.of(kind="failed")] == ["failed"]
    assert not sim.trace.of(kind="succeeded")
