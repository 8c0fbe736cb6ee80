"""What a test gets wrong about a simulated world does not let the test pass."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.handlers import nothing
from workkit import (
    AsyncEnqueuer,
    Client,
    Discard,
    Enqueuer,
    Fail,
    InvalidHandler,
    InvalidOption,
    Job,
    PoolState,
    Retry,
    WorkerPool,
)
from workkit.simulation import Faults, NothingRan, Simulation, explore


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
        sim.assert_ran("work", times=0)


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
        sim.assert_ran("work", times=0)


def test_a_handler_cannot_sleep_for_a_negative_time() -> None:
    with Simulation() as sim:
        sim.pool().job("work", lambda job: sim.sleep(-1), max_fails=1)
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        (dead,) = sim.client.dead_jobs().jobs
        assert "from 0 on" in dead.job.last_err


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda sim, pool: sim.crash(pool, before="exchnage"), "did you mean exchange"),
        (lambda sim, pool: sim.crash(pool, after="no such"), "there is no command 'no such'"),
        (lambda sim, pool: sim.crash(pool, after=0), "counted from 1, not 0"),
        (lambda sim, pool: sim.freeze(pool, 5, after="begins"), "did you mean begin"),
        (lambda sim, pool: sim.lose_reply(pool, "nothing"), "there is no command 'nothing'"),
        (lambda sim, pool: sim.drop_request(pool, None), "there is no command None"),
        (lambda sim, pool: sim.crash("pool-1"), "pass what sim.pool"),
        (lambda sim, pool: sim.crash("pool-1", before="begin"), "pass what sim.pool"),
        (lambda sim, pool: sim.freeze("pool-1", 5), "pass what sim.pool"),
        (lambda sim, pool: sim.step_clock("pool-1", 5), "pass what sim.pool"),
        (lambda sim, pool: sim.slow("pool-1", 5, by=1), "pass what sim.pool"),
        (lambda sim, pool: sim.cut("pool-1", 5), "pass what sim.pool"),
        (lambda sim, pool: sim.hold("pool-1", 5), "pass what sim.pool"),
        (lambda sim, pool: sim.deploy("pool-1", timeout=5, restart_after=1), "pass what sim.pool"),
        (lambda sim, pool: sim.step_clock(pool, "1h"), "a number of seconds, not '1h'"),
        (lambda sim, pool: sim.step_clock(pool, float("inf")), "a number of seconds, not inf"),
        (lambda sim, pool: sim.cut(pool, 5, only="both"), "one of '', 'requests', 'replies'"),
        (lambda sim, pool: sim.refuse_writes(5, "FULL"), "one of 'OOM', 'READONLY'"),
        (lambda sim, pool: sim.run_for("5m"), "a number of seconds from 0 on, not '5m'"),
        (lambda sim, pool: sim.assert_ran("wrok", times=0), "did you mean work"),
    ],
)
def test_a_call_that_names_nothing_is_refused(
    call: Callable[[Any, Any], object], message: str
) -> None:
    with Simulation() as sim:
        pool = sim.pool()
        pool.job("work", nothing)
        sim.enqueuer.enqueue("work")
        with pytest.raises(InvalidOption, match=message):
            call(sim, pool)
        sim.run_until_idle()
        sim.assert_ran("work", times=1)


def test_a_verb_of_redis_is_a_command_in_any_case() -> None:
    with Simulation() as sim:
        pool = sim.pool()
        pool.job("work", nothing)
        sim.crash(pool, before="smembers", restart_after=1)
        sim.run_for(120)
        assert [event.detail["at"] for event in sim.trace.of(kind="fault")] == ["SMEMBERS"]
        sim.assert_ran("work", times=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"faults": {"crash": 4}}, r"such as Faults\(crash=4\)"),
        ({"start": "2027-01-01"}, "'2027-01-01' is not a time"),
        ({"faults": Faults(crash=4), "only_faults": [99]}, "the plan of this seed has no fault 99"),
        ({"only_faults": [0], "faults": []}, "it has no faults"),
    ],
)
def test_an_option_that_names_nothing_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message), Simulation(**options) as sim:
        sim.pool().job("work", nothing)
        sim.run_for(1)


def test_faults_that_a_seed_does_not_have_are_refused_by_explore() -> None:
    def scenario(sim: Simulation) -> None:
        sim.pool().job("work", nothing)

    with pytest.raises(InvalidOption, match="the plan of this seed has no fault 999"):
        explore(scenario, seeds=[3], only_faults=[999])


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
def test_a_namespace_without_pools_is_refused(kind: Callable[..., object]) -> None:
    with Simulation() as sim:
        kind(sim.namespace, sim.redis)
        kind(f"{sim.namespace}:", sim.redis)
        with pytest.raises(InvalidOption, match=r"Simulation\(namespace='shop'\)"):
            kind("shop", sim.redis)


def test_the_namespace_of_another_service_is_named_once_and_then_known() -> None:
    with Simulation(other_namespaces=["shop"]) as sim:
        sim.pool().job("hand_over", lambda job: Enqueuer("shop", sim.redis).enqueue("order"))
        sim.enqueuer.enqueue("hand_over")
        sim.run_until_idle()
        assert [queue.job_name for queue in Client("shop", sim.redis).queues()] == ["order"]


def test_a_planned_call_takes_keywords() -> None:
    with Simulation() as sim:
        sim.pool().job("work", nothing)
        sim.at(10, sim.enqueuer.enqueue, "work", args={"n": 1})
        sim.at(20, sim.async_enqueuer.enqueue, name="work", args={"n": 2})
        sim.run_until_idle()
        assert [event.detail["args"] for event in sim.runs("work")] == [{"n": 1}, {"n": 2}]


async def _coroutine() -> None: ...


@pytest.mark.parametrize(
    "plan",
    [
        lambda sim: sim.at(1, sim.enqueuer.enqueue("work")),
        lambda sim: sim.at(1, _coroutine()),
        lambda sim: sim.at(1, None),
    ],
)
def test_a_planned_call_that_was_made_at_once_is_refused(
    plan: Callable[[Simulation], None],
) -> None:
    with Simulation() as sim, pytest.raises(InvalidOption, match=r"sim.at\(90, function, arg"):
        plan(sim)


@pytest.mark.parametrize(
    "call",
    [
        lambda sim: sim.at(float("inf"), print),
        lambda sim: sim.run_for(float("inf")),
        lambda sim: sim.run_until(float("inf")),
    ],
)
def test_a_time_that_never_comes_is_refused(call: Callable[[Simulation], None]) -> None:
    with Simulation() as sim, pytest.raises(InvalidOption, match="infinite"):
        call(sim)


def _fail(job: Job) -> None:
    raise LookupError(job.name)


async def _fail_later(job: Job) -> None:
    await asyncio.sleep(5)
    _fail(job)


@pytest.mark.parametrize("handler", [_fail, _fail_later])
def test_any_error_of_a_handler_fails_the_test_on_request(handler: Callable[[Job], Any]) -> None:
    with Simulation(raise_errors=True) as sim:
        sim.pool().job("work", handler)
        sim.enqueuer.enqueue("work")
        with pytest.raises(LookupError, match="work"):
            sim.run_until_idle()
        sim.run_for(10)  # the job waits for its retry


@pytest.mark.parametrize("verdict", [Retry(in_s=5), Fail("no such order"), Discard("late")])
def test_a_verdict_is_no_error_that_fails_the_test(verdict: Exception) -> None:
    def decide(job: Job) -> None:
        raise verdict

    with Simulation(raise_errors=True) as sim:
        sim.pool().job("work", decide)
        sim.enqueuer.enqueue("work")
        sim.run_for(3)
        sim.assert_ran("work", times=1)


def _add_a_pool(sim: Simulation) -> object:
    return sim.pool().job("work", nothing)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (_add_a_pool, "no job was enqueued"),
        (lambda sim: sim.enqueuer.enqueue("work"), "it has no pool"),
        (lambda sim: (_add_a_pool(sim), sim.enqueuer.enqueue("wrok")), "no .* handler for 'wrok'"),
        (
            lambda sim: (_add_a_pool(sim), sim.enqueuer.enqueue_in("work", 60)),
            "no job was due .*5 s",
        ),
        (
            lambda sim: (_add_a_pool(sim), sim.client.pause("work"), sim.enqueuer.enqueue("work")),
            "queues were paused",
        ),
    ],
)
def test_a_world_in_which_nothing_ran_warns(build: Callable[[Simulation], Any], why: str) -> None:
    def play() -> None:
        with Simulation() as sim:
            build(sim)
            sim.run_for(5)

    with pytest.warns(NothingRan, match=why) as warned:
        play()
    assert warned[0].filename == __file__
    sim = Simulation()
    build(sim)
    sim.run_for(5)
    with pytest.warns(NothingRan, match=why):
        sim.close()


@pytest.mark.parametrize(
    "look",
    [
        lambda sim: sim.assert_ran("work", times=0),
        lambda sim: sim.runs("work"),
    ],
)
def test_a_test_that_asks_what_ran_is_not_warned(look: Callable[[Simulation], object]) -> None:
    with Simulation() as sim:
        _add_a_pool(sim)
        sim.run_for(5)
        look(sim)


def test_a_test_that_fails_is_not_warned_as_well() -> None:
    with pytest.raises(LookupError), Simulation() as sim:
        _add_a_pool(sim)
        sim.run_for(5)
        raise LookupError


def test_worlds_without_handlers_are_warned_of_once_by_explore() -> None:
    with pytest.warns(NothingRan, match="in 2 worlds of _add_a_pool") as warned:
        explore(_add_a_pool, seeds=range(2), processes=1, trouble_s=5)
    assert len(warned) == 1
    assert warned[0].filename == __file__


def test_an_event_names_its_time() -> None:
    start = datetime.datetime(2028, 2, 29, 23, 59, 59, 500_000, tzinfo=datetime.UTC)
    with Simulation(start=start) as sim:
        sim.pool().job("work", nothing)
        sim.at(0.75, sim.enqueuer.enqueue, "work")
        sim.run_until_idle()
        (event,) = sim.trace.of(kind="enqueued")
        assert event.when == start + datetime.timedelta(seconds=0.75)


def test_a_pool_is_drained_in_virtual_time() -> None:
    with Simulation() as sim:
        pool = sim.pool(concurrency=1)
        pool.job("work", nothing, takes=60)
        pool.job("later", lambda job: 1 / 0, backoff=lambda job: 3_600)
        sim.enqueuer.enqueue_many([("work", {"n": n}) for n in range(3)])
        sim.enqueuer.enqueue("later")
        sim.at(7_000, print)
        half = pool.drain(timeout=90)
        assert (half.complete, half.waiting) == (False, {"work": 1})
        assert pool.drain().complete
        assert 180 <= sim.now < 200
        sim.client.pause("work")
        sim.enqueuer.enqueue("work")
        assert pool.drain().paused == ("work",)


def test_a_pool_that_does_not_run_is_not_drained() -> None:
    with Simulation() as sim:
        pool = sim.pool()
        pool.job("work", nothing)
        pool.drain()
        sim.crash(pool)
        with pytest.raises(PoolState, match="pool-1 does not run"):
            pool.drain(timeout=1)
        sim.assert_ran("work", times=0)


def test_a_pool_that_is_never_drained_fails_the_test() -> None:
    with Simulation() as sim:
        pool = sim.pool()
        pool.job("work", lambda job: sim.enqueuer.enqueue("work"), takes=1_000)
        sim.enqueuer.enqueue("work")
        with pytest.raises(AssertionError, match="pool-1 is not drained after 86400 s"):
            pool.drain()


@pytest.mark.parametrize("text", ["x", "3-", "-3", "1-2-3", "1..5"])
def test_seeds_of_the_environment_that_are_not_valid_are_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("WORKKIT_SEEDS", text)
    with pytest.raises(
        InvalidOption,
        match="WORKKIT_SEEDS is a seed, a variant such as 41.3 or a range such as 0-999",
    ):
        explore(_add_a_pool, processes=1)


@pytest.mark.parametrize(("text", "seeds"), [("7", [7]), ("3-5", [3, 4, 5])])
def test_the_environment_chooses_the_seeds_of_explore(
    monkeypatch: pytest.MonkeyPatch, text: str, seeds: list[int]
) -> None:
    def work(sim: Simulation) -> None:
        _add_a_pool(sim)
        sim.enqueuer.enqueue("work")
        played.append(int(sim.seed))

    played: list[int] = []
    monkeypatch.setenv("WORKKIT_SEEDS", text)
    explore(work, faults=None, processes=1, trouble_s=1)
    assert played == seeds
