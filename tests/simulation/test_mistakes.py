"""What a test gets wrong about a simulated world does not let the test pass."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.handlers import nothing
from workkit import AsyncEnqueuer, Client, Enqueuer, InvalidHandler, InvalidOption, Job, WorkerPool
from workkit.simulation import Simulation


def test_a_world_is_not_idle_before_its_planned_calls_were_made() -> None:
    with Simulation() as sim:
        sim.pool().job("work", nothing)
        sim.at(90, sim.enqueuer.enqueue, "work")
        sim.at(200, sim.client.pause, "work")
        sim.run_until_idle()
        sim.assert_ran("work", times=1, at=90)
        assert sim.now == pytest.approx(200)


def test_a_planned_call_that_plans_itself_again_lets_the_world_come_to_rest() -> None:
    with Simulation() as sim:
        sim.pool().job("work", nothing)

        def again() -> None:
            sim.enqueuer.enqueue("work")
            sim.at(sim.now + 3_600, again)

        sim.at(10, again)
        sim.run_until_idle()
        sim.assert_ran("work", times=1)


def test_a_call_that_comes_too_late_is_named_where_the_world_is_not_at_rest() -> None:
    with Simulation() as sim:
        sim.pool().job("work", nothing)
        sim.at(90, sim.enqueuer.enqueue, "work")
        with pytest.raises(AssertionError, match=r"after 60 s; 1 planned call of sim\.at"):
            sim.run_until_idle(within=60)


def test_a_planned_coroutine_is_awaited_in_virtual_time() -> None:
    with Simulation() as sim:
        sim.pool().job("work", nothing)

        async def enqueue_later() -> None:
            await asyncio.sleep(30)
            await sim.async_enqueuer.enqueue("work")

        sim.at(60, enqueue_later)
        sim.at(20, sim.async_enqueuer.enqueue, "work")
        sim.run_until_idle()
        assert [round(event.at) for event in sim.runs("work")] == [20, 90]


def test_an_error_of_a_planned_coroutine_reaches_the_test() -> None:
    with Simulation() as sim:

        async def fail() -> None:
            await asyncio.sleep(1)
            raise LookupError("no such order")

        sim.at(1, fail)
        with pytest.raises(LookupError, match="no such order"):
            sim.run_for(10)


def test_an_outage_that_a_planned_coroutine_meets_is_in_the_trace() -> None:
    with Simulation() as sim:
        sim.stop_redis(10)
        sim.at(1, sim.async_enqueuer.enqueue, "work")
        sim.run_for(2)
        assert [event.kind for event in sim.trace if event.kind == "unanswered"] == ["unanswered"]


def test_a_planned_generator_is_refused() -> None:
    with Simulation() as sim:

        def enqueue() -> Any:
            yield sim.enqueuer.enqueue("work")

        sim.at(1, enqueue)
        with pytest.raises(InvalidHandler, match="a generator, which nobody iterates"):
            sim.run_for(10)


def test_an_async_condition_is_refused() -> None:
    with Simulation() as sim:

        async def ready() -> bool:
            return False

        with pytest.raises(InvalidHandler, match="returns an awaitable"):
            sim.run_until(ready)


def check(job: Job) -> None:
    assert job.args == {"n": 2}


async def check_async(job: Job) -> None:
    await asyncio.sleep(1)
    assert job.args == {"n": 2}


async def check_in_a_group(job: Job) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(check_async(job))


def give_up(job: Job) -> None:
    pytest.fail(f"{job.name} must not run")


@pytest.mark.parametrize("handler", [check, check_async, check_in_a_group, give_up])
def test_a_failed_assertion_of_a_handler_fails_the_test(handler: Callable[[Job], Any]) -> None:
    with Simulation() as sim:
        sim.pool().job("work", handler)
        sim.enqueuer.enqueue("work", {"n": 1})
        with pytest.raises(BaseException) as failed:  # noqa: PT011 - pytest's own is no Exception
            sim.run_until_idle()
        assert failed.value is not None
        assert not isinstance(failed.value, InvalidOption)
        assert handler.__name__.partition("_")[0] in str(failed.getrepr())


def test_a_failed_assertion_of_a_hook_fails_the_test() -> None:
    with Simulation() as sim:
        pool = sim.pool()
        pool.job("work", lambda job: 1 / 0, max_fails=1)

        @pool.on_stop
        def stopped() -> None:
            raise AssertionError("at the end")

        def dead(job: Job, error: BaseException) -> None:
            raise AssertionError(f"{job.name} died")

        pool.on("dead", dead)
        sim.enqueuer.enqueue("work")
        with pytest.raises(AssertionError, match="work died"):
            sim.run_for(1)
        pool.stop()
        with pytest.raises(AssertionError, match="at the end"):
            sim.run_for(10)


def test_an_assertion_can_be_an_error_like_others() -> None:
    with Simulation(raise_assertions=False) as sim:
        sim.pool().job("work", check, max_fails=1)
        sim.enqueuer.enqueue("work", {"n": 1})
        sim.run_until_idle()
        assert sim.client.dead_jobs().total == 1


def test_takes_of_a_job_that_the_pool_does_not_have_is_refused() -> None:
    with Simulation() as sim:
        pool = WorkerPool("shop", sim.redis)
        pool.job("send_mail", nothing)
        sim.pool(pool, name="mailer", takes={"send_mial": 2})
        with pytest.raises(InvalidOption, match="'send_mial'.*did you mean send_mail"):
            sim.run_for(1)


@pytest.mark.parametrize(
    "call",
    [
        lambda sim: sim.at(-1, print),
        lambda sim: sim.at(float("nan"), print),
        lambda sim: sim.at("10", print),
        lambda sim: sim.run_for(-1),
        lambda sim: sim.run_until(-1),
        lambda sim: sim.run_until(bool, within=-1),
        lambda sim: sim.run_until_idle(within=-1),
        lambda sim: sim.freeze(sim.pools[0], -1),
        lambda sim: sim.slow(sim.pools[0], 1, by=-1),
        lambda sim: sim.cut(sim.pools[0], -1),
        lambda sim: sim.crash(sim.pools[0], restart_after=-1),
        lambda sim: sim.stop_redis(-1),
        lambda sim: sim.refuse_writes(-1),
    ],
)
def test_a_negative_time_is_refused(call: Callable[[Simulation], None]) -> None:
    with Simulation() as sim:
        sim.pool().job("work", nothing)
        sim.run_for(1)
        with pytest.raises(InvalidOption):
            call(sim)


def test_a_handler_cannot_sleep_for_a_negative_time() -> None:
    with Simulation() as sim:
        sim.pool().job("work", lambda job: sim.sleep(-1), max_fails=1)
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        (dead,) = sim.client.dead_jobs().jobs
        assert "from 0 on" in dead.job.last_err


def test_a_time_in_the_past_is_refused_with_the_way_that_works() -> None:
    with Simulation() as sim:
        sim.run_for(10)
        with pytest.raises(InvalidOption, match=r"sim\.now \+ 5"):
            sim.at(5, print)
        for before in (5, datetime.datetime(2027, 1, 15, 8, tzinfo=datetime.UTC)):
            with pytest.raises(InvalidOption, match=r"sim\.run_for"):
                sim.run_until(before)
        sim.at(10, print)
        sim.run_until(10)


@pytest.mark.parametrize("kind", [Enqueuer, AsyncEnqueuer, Client])
def test_a_namespace_without_pools_is_warned_of(kind: Callable[..., object]) -> None:
    with Simulation() as sim:
        kind(sim.namespace, sim.redis)
        kind(f"{sim.namespace}:", sim.redis)
        with pytest.warns(UserWarning, match=r"Simulation\(namespace='shop'\)"):
            kind("shop", sim.redis)
