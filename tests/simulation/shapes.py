"""Worlds with all forms of handlers, middleware and options, and with bulk actions.

Like the oddities, each world is a function with its own assertions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from tests.simulation.oddities import put
from tests.support.handlers import fail, nothing
from workkit import HistoryOptions, InvalidHandler, InvalidName, InvalidOption, Job, Place
from workkit.admin.explain import why
from workkit.simulation import Simulation
from workkit.store.keys import Keys

__all__ = ["SHAPES"]

_Sync = Callable[[], None]
_Async = Callable[[], Awaitable[None]]


def handlers_take_many_forms() -> None:
    """Functions, objects and partials; with and without a context; sync and async."""
    seen: list[str] = []

    class Sender:
        def __call__(self, job: Job) -> None:
            seen.append(job.name)

    class AsyncSender:
        async def __call__(self, job: Job) -> None:
            await asyncio.sleep(1)
            seen.append(job.name)

    async def with_context(ctx: dict[str, str], job: Job) -> None:
        await asyncio.sleep(1)
        seen.append(ctx["by"])

    def of_two(ctx: dict[str, str], job: Job) -> None:
        seen.append(ctx["by"])

    with Simulation() as sim:
        pool = sim.pool(context=lambda: {"by": "context"})
        handlers: dict[str, Callable[..., Any]] = {
            "object": Sender(), "async object": AsyncSender(), "async context": with_context,
            "context": of_two, "partial": partial(of_two, {"by": "partial"}),
            "default": lambda job, note="default": seen.append(note),
        }  # fmt: skip
        for name, handler in handlers.items():
            pool.job(name, handler)
            sim.enqueuer.enqueue(name)
        sim.run_until_idle()
        assert sorted(seen) == sorted(
            ["object", "async object", "context", "context", "partial", "default"]
        )


def middleware_takes_many_forms() -> None:
    """Sync around async and the reverse, with and without a context; timeouts reach the handler."""
    order: list[str] = []

    def outer(ctx: list[str], job: Job, proceed: _Sync) -> None:
        ctx.append("outer")
        proceed()
        order.append(f"{job.name} after {ctx}")

    def plain(job: Job, proceed: _Sync) -> None:
        sim.sleep(1)
        proceed()

    async def inner(ctx: list[str], job: Job, proceed: _Async) -> None:
        ctx.append("inner")
        await proceed()

    async def waits(job: Job) -> None:
        await asyncio.sleep(job.arg_int("s"))

    def rests(job: Job) -> None:
        sim.sleep(job.arg_int("s"))

    with Simulation() as sim:
        for layers in ((outer, plain), (outer, plain, inner), (inner,), (outer, inner, plain)):
            pool = sim.pool(context=list)
            for layer in layers:
                pool.middleware(layer)
            for kind, handler in (("waits", waits), ("rests", rests)):
                name = f"{kind}-{len(sim.pools)}"
                pool.job(name, handler, timeout=10, max_fails=1)
                sim.enqueuer.enqueue_many([(name, {"s": 2}), (name, {"s": 60})])
        sim.run_until_idle()
        assert len(sim.trace.of(kind="done")) == len(sim.trace.of(kind="died")) == 8
        assert "waits-2 after ['outer', 'inner']" in order


def wrong_signatures_are_refused() -> None:
    """Each error shows the right signatures."""
    with Simulation() as sim:
        bare, pool = sim.pool(), sim.pool(context=list)
        handlers: list[Any] = [
            7, lambda: None, lambda a, b, c: None, lambda ctx, job: None,
        ]  # fmt: skip
        for handler in handlers:
            with contextlib.suppress(InvalidHandler):
                bare.job("a", handler)
                raise AssertionError(f"{handler} was taken")
        for layer in (7, lambda job: None, lambda ctx, job, proceed: None):
            with contextlib.suppress(InvalidHandler):
                bare.middleware(layer)
                raise AssertionError(f"{layer} was taken")
        bare.job("built-in", next, max_fails=1)  # it has no signature to look at
        pool.middleware(lambda job, proceed: proceed())
        for wrong in ({"max_mb": "x"}, {"version": 7}, {"max_records": 0}):
            with contextlib.suppress(InvalidOption):
                HistoryOptions(**wrong)
                raise AssertionError(f"{wrong} was taken")
        for namespace in ("a\0b", 7):
            with contextlib.suppress(InvalidName):
                Keys(namespace)  # type: ignore[arg-type]
                raise AssertionError(f"{namespace!r} was taken")
        with contextlib.suppress(InvalidName):
            bare.job(7, nothing)  # type: ignore[call-overload]
        sim.enqueuer.enqueue("built-in")
        sim.run_until_idle()
        assert sim.client.dead_jobs().total == 1


def many_jobs_are_deleted_retried_and_brought_back() -> None:
    """Plans are applied while a pool works, and undone."""
    with Simulation() as sim:
        pool = sim.pool(concurrency=20)
        pool.job("work", fail, max_fails=1)
        pool.job("later", nothing)
        for n in range(700):
            sim.enqueuer.enqueue("work", {"n": n})
            sim.enqueuer.enqueue_in("later", 5_000, {"n": n})
        sim.run_until_idle()
        sim.client.pause("later")
        waiting = [sim.enqueuer.enqueue("later", {"n": n}) for n in range(30)]
        actions, dead, scheduled = sim.client.actions, Place("dead"), Place("scheduled")

        def act(verb: Any, place: Place) -> str:
            plan = actions.plan(verb, place)
            assert plan is not None
            return actions.apply(plan, by="tests").operation_id

        deleted = [act("delete", place) for place in (dead, scheduled, Place("queued", "later"))]
        assert sim.client.dead_jobs().total == sim.client.scheduled_jobs().total == 0
        assert {each.operation_id for each in actions.operations()} == set(deleted)
        for operation in deleted:
            actions.undo(operation)
        assert sim.client.dead_jobs().total == sim.client.scheduled_jobs().total == 700
        assert sim.client.queued_jobs("later").total == len(waiting)
        retried = act("retry", scheduled)
        undone = actions.undo(retried)
        assert undone.back == 700
        actions.forget(act("delete", dead))
        assert actions.operations() == []
        put(sim, "SET", sim.keys.trash, "no set")
        with contextlib.suppress(Exception):
            act("delete", scheduled)


def readers_see_places_from_both_ends() -> None:
    """Pages, walks, single jobs, and the reason why a job does not run."""
    with Simulation() as sim:
        pool = sim.pool(concurrency=1)
        pool.job("work", nothing, takes=50, max_concurrency=1)
        pool.job("fails", fail, backoff=lambda job: 900)
        client = sim.client
        for n in range(45):
            sim.enqueuer.enqueue("work", {"n": n})
            sim.enqueuer.enqueue_in("work", 3_000 + n, {"n": n})
        unique = sim.enqueuer.enqueue_unique("work", {"n": 99})
        sim.enqueuer.enqueue("fails")
        sim.run_for(20)
        for place in (Place("queued", "work"), Place("scheduled"), Place("retry")):
            first = client.jobs(place, 0, 10)
            last = client.jobs(place, 0, 10, reverse=True)
            assert client.jobs(place, 0, 0).total == first.total == last.total
            ways = [
                [each.job.id for batch in walk for each in batch.jobs]
                for walk in (client.walk(place, size=7), client.walk(place, size=7, reverse=True))
            ]
            assert len(set(ways[0])) == first.total
            assert set(ways[0]) == set(ways[1])
        assert unique is not None
        for placed in (*first.jobs, *client.jobs(Place("queued", "work")).jobs):
            assert why(placed, client.circumstances(placed))
        assert client.find(unique.id) is not None


def a_pool_knows_another_server() -> None:
    """A world on the ordinary path of fakeredis, which loads the scripts first."""
    with Simulation(server="fakeredis") as sim:
        sim.pool().job("work", nothing, max_fails=2)
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        sim.assert_ran("work", times=1)


SHAPES: Final[tuple[Callable[[], None], ...]] = (
    handlers_take_many_forms,
    middleware_takes_many_forms,
    wrong_signatures_are_refused,
    many_jobs_are_deleted_retried_and_brought_back,
    readers_see_places_from_both_ends,
    a_pool_knows_another_server,
)
