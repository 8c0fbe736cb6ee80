"""Middleware around handlers: sync and async in every combination."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Notes
from workkit import Client, Enqueuer, Job, WorkerPool
from workkit.errors import InvalidHandler

KINDS = ("sync", "async")


def add_layer(pool: WorkerPool, kind: str, name: str, note: Notes) -> None:
    """Register a middleware that notes when it is entered and left."""
    if kind == "sync":

        @pool.middleware
        def layer(job: Job, next: Callable[[], None]) -> None:  # noqa: A002
            note(f"{name} in")
            next()
            note(f"{name} out")
    else:

        @pool.middleware
        async def async_layer(job: Job, next: Callable[[], Awaitable[None]]) -> None:  # noqa: A002
            note(f"{name} in")
            await next()
            note(f"{name} out")


def add_handler(pool: WorkerPool, kind: str, function: Callable[[Job], Any]) -> None:
    """Register a sync or an async handler of "work" that does the same."""

    async def handle(job: Job) -> None:
        function(job)

    pool.job("work", function if kind == "sync" else handle)


@pytest.mark.one_server
@pytest.mark.parametrize(("outer", "inner", "handler"), list(product(KINDS, KINDS, KINDS)))
def test_layers_are_entered_in_the_order_of_registration_and_left_in_reverse(
    make_pool: MakePool, enqueuer: Enqueuer, outer: str, inner: str, handler: str
) -> None:
    pool, note = make_pool(concurrency=2), Notes()
    add_layer(pool, outer, "outer", note)
    add_layer(pool, inner, "inner", note)
    add_handler(pool, handler, lambda job: note("handler"))
    enqueuer.enqueue("work")
    with pool:
        assert note.wait_for(5) == ["outer in", "inner in", "handler", "inner out", "outer out"]


@pytest.mark.one_server
@pytest.mark.parametrize(("outer", "inner", "handler"), list(product(KINDS, KINDS, KINDS)))
@pytest.mark.parametrize("exception", [ValueError, SystemExit])
def test_what_a_handler_raises_passes_through_every_layer_and_fails_its_job_only(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    outer: str,
    inner: str,
    handler: str,
    exception: type[BaseException],
) -> None:
    pool, note = make_pool(concurrency=1), Notes()

    def fail_once(job: Job) -> None:
        if job.arg_bool("fails"):
            raise exception("no")

    add_layer(pool, outer, "outer", note)
    add_layer(pool, inner, "inner", note)
    add_handler(pool, handler, fail_once)
    enqueuer.enqueue("work", {"fails": True})
    enqueuer.enqueue("work", {"fails": False})
    with pool:
        entered = ["outer in", "inner in"]
        assert note.wait_for(6) == [*entered, *entered, "inner out", "outer out"]
        pool.drain(PATIENCE_S)
    (retry,) = client.retry_jobs().jobs
    assert retry.job.last_err.partition("\n")[0] == f"{exception.__name__}: no"
    assert [record.outcome for record in client.history()] == ["done", "retry"]


@pytest.mark.parametrize(("layer", "handler"), list(product(KINDS, KINDS)))
def test_a_job_is_done_without_its_handler_where_a_layer_does_not_go_on(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, layer: str, handler: str
) -> None:
    pool, ran, held_up = make_pool(concurrency=1), Notes(), Notes()
    if layer == "sync":

        @pool.middleware
        def stop_here(job: Job, next: Callable[[], None]) -> None:  # noqa: A002
            held_up(job.id)
    else:

        @pool.middleware
        async def stop_here_async(job: Job, next: Callable[[], Awaitable[None]]) -> None:  # noqa: A002
            held_up(job.id)

    add_handler(pool, handler, ran)
    job = enqueuer.enqueue("work")
    with pool:
        assert held_up.wait_for(1) == [job.id]
    assert ran.items == []
    assert [record.outcome for record in client.history()] == ["done"]


@pytest.mark.parametrize(("layer", "handler"), list(product(KINDS, KINDS)))
def test_a_layer_can_make_a_failure_good_or_fail_by_itself(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, layer: str, handler: str
) -> None:
    pool, note = make_pool(concurrency=1), Notes()
    if layer == "sync":

        @pool.middleware
        def swap(job: Job, next: Callable[[], None]) -> None:  # noqa: A002
            try:
                next()
            except LookupError:
                note("made good")
            else:
                raise RuntimeError("of my own")
    else:

        @pool.middleware
        async def swap_async(job: Job, next: Callable[[], Awaitable[None]]) -> None:  # noqa: A002
            try:
                await next()
            except LookupError:
                note("made good")
            else:
                raise RuntimeError("of my own")

    def handle(job: Job) -> None:
        if job.arg_bool("fails"):
            raise LookupError

    add_handler(pool, handler, handle)
    good = enqueuer.enqueue("work", {"fails": True})
    bad = enqueuer.enqueue("work", {"fails": False})
    with pool:
        note.wait_for(1)
        pool.drain(PATIENCE_S)
    ended = {record.job_id: (record.outcome, record.error) for record in client.history()}
    assert ended == {good.id: ("done", ""), bad.id: ("retry", "RuntimeError: of my own")}


@pytest.mark.one_server
def test_middleware_of_the_wrong_shape_is_refused_where_it_is_registered(
    make_pool: MakePool,
) -> None:
    pool = make_pool()
    wrong: list[Any] = [lambda job: None, lambda a, b, c, d: None, "layer"]
    for function in wrong:
        with pytest.raises(InvalidHandler, match="def middleware"):
            pool.middleware(function)
    with pytest.raises(InvalidHandler, match="makes no contexts"):
        pool.middleware(lambda ctx, job, next: None)  # noqa: A006
    assert not pool.spec.middleware
