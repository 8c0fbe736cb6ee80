"""A sync job does not see the context variables of an earlier job on its thread."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Notes
from tests.support.unfinished import plain_decorator
from workkit import Enqueuer, Job

pytestmark = pytest.mark.one_server

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


@pytest.mark.parametrize("around", ["nothing", "middleware", "async middleware", "a context"])
def test_a_job_sees_no_variable_and_no_precision_of_an_earlier_one(
    make_pool: MakePool, enqueuer: Enqueuer, around: str
) -> None:
    pool = make_pool(concurrency=1, context=dict if around == "a context" else None)
    seen = Notes()

    def work(job: Job) -> None:
        seen((tenant.get(), decimal.getcontext().prec))
        tenant.set("left behind")
        decimal.getcontext().prec = 3

    if around == "middleware":
        pool.middleware(lambda job, next: next())  # noqa: A006
    elif around == "async middleware":

        @pool.middleware
        async def layer(job: Job, next: Callable[[], Any]) -> None:  # noqa: A002
            await next()

    pool.job("work", work)
    enqueuer.enqueue_many([("work", None)] * 5)
    with pool:
        pool.drain(PATIENCE_S)
    assert seen.items == [("nobody", decimal.DefaultContext.prec)] * 5


@pytest.mark.parametrize("layer", ["sync", "async", "wrapped"])
@pytest.mark.parametrize("handler", ["sync", "async", "returned"])
def test_a_handler_sees_the_variables_that_its_middleware_has_set(
    make_pool: MakePool, enqueuer: Enqueuer, layer: str, handler: str
) -> None:
    pool, seen = make_pool(concurrency=2), Notes()

    def set_tenant(job: Job, next: Callable[[], Any]) -> None:  # noqa: A002
        tenant.set(job.arg_str("tenant"))
        next()

    async def set_tenant_async(job: Job, next: Callable[[], Any]) -> None:  # noqa: A002
        tenant.set(job.arg_str("tenant"))
        await next()

    layers: dict[str, Any] = {
        "sync": set_tenant,
        "async": set_tenant_async,
        "wrapped": plain_decorator(set_tenant_async),
    }

    async def work(job: Job) -> None:
        await asyncio.sleep(0)
        seen(tenant.get() == job.arg_str("tenant"))

    handlers: dict[str, Callable[[Job], Any]] = {
        "sync": lambda job: seen(tenant.get() == job.arg_str("tenant")),
        "async": work,
        "returned": plain_decorator(work),
    }
    pool.middleware(layers[layer])
    pool.job("work", handlers[handler])
    enqueuer.enqueue_many([("work", {"tenant": f"t{n}"}) for n in range(10)])
    with pool:
        pool.drain(PATIENCE_S)
    assert seen.items == [True] * 10


def test_hooks_leave_each_other_nothing(make_pool: MakePool, enqueuer: Enqueuer) -> None:
    pool, seen = make_pool(concurrency=1), Notes()

    def hook(job: Job, error: BaseException) -> None:
        seen(tenant.get())
        tenant.set("left behind")

    def fail(job: Job) -> None:
        raise LookupError

    pool.job("work", fail, max_fails=1)
    pool.on("failed", hook)
    pool.on("dead", hook)
    enqueuer.enqueue_many([("work", None)] * 3)
    with pool:
        assert seen.wait_for(6) == ["nobody"] * 6
