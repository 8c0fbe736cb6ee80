"""Handlers in virtual time: sync and async ones, their timeouts, and those that really block."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from workkit import AsyncEnqueuer, Enqueuer, Job, JobTimeout, PoolState, WorkerPool
from workkit.simulation import Simulation
from workkit.simulation.machine import parking


def test_async_handlers_sleep_in_virtual_time_and_overlap(sim: Simulation) -> None:
    ends: list[float] = []

    async def work(job: Job) -> None:
        await asyncio.sleep(job.arg_float("s"))
        ends.append(sim.now)

    sim.pool(concurrency=3).job("work", work)
    for seconds in (30, 10, 20):
        sim.enqueuer.enqueue("work", {"s": seconds})
    sim.run_for(minutes=1)
    assert ends == [pytest.approx(each, abs=0.1) for each in (10, 20, 30)]


def test_asyncio_timeouts_and_tasks_work_in_virtual_time(sim: Simulation) -> None:
    seen: list[Any] = []

    async def child(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    async def work(job: Job) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(child(60), 5)
        seen.append(await asyncio.gather(child(1), child(2)))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child(each)) for each in (3, 4)]
        seen.append([task.result() for task in tasks])
        seen.append(sim.now)

    sim.pool().job("work", work)
    sim.enqueuer.enqueue("work")
    sim.run_for(minutes=1)
    assert seen == [[1, 2], [3, 4], pytest.approx(16, abs=0.1)]
    sim.assert_ran("work", times=1)


def test_sync_handlers_sleep_in_virtual_time_and_overlap(sim: Simulation) -> None:
    steps: list[tuple[int, str]] = []

    def work(job: Job) -> None:
        steps.append((job.arg_int("n"), "begin"))
        sim.sleep(10)
        steps.append((job.arg_int("n"), "end"))

    sim.pool(concurrency=2).job("work", work)
    for number in range(3):
        sim.enqueuer.enqueue("work", {"n": number})
    sim.run_until_idle()
    assert steps == [(0, "begin"), (1, "begin"), (0, "end"), (1, "end"), (2, "begin"), (2, "end")]
    assert 20 <= sim.now < 20.1


def _nothing(job: Job) -> None:
    """Do nothing."""


def _threads_of_handlers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "simulated-handler"]


def test_only_what_runs_something_has_a_stack_of_its_own(sim: Simulation) -> None:
    ran: list[float] = []
    pool = sim.pool()
    pool.job("nothing", _nothing, takes=3)
    pool.job("something", lambda job: ran.append(sim.now))
    sim.enqueuer.enqueue("nothing")
    sim.run_until_idle()
    assert sim.now == pytest.approx(3, abs=0.1)
    assert _threads_of_handlers() == []
    sim.enqueuer.enqueue("something")
    sim.run_until_idle()
    assert len(_threads_of_handlers()) == len(ran) == 1


@pytest.mark.parametrize("kind", ["empty", "sync", "async"])
def test_thousands_of_handlers_that_end_at_once_run_one_after_another(
    sim: Simulation, kind: str
) -> None:
    ran: list[int] = []

    async def on_loop(job: Job) -> None:
        ran.append(job.arg_int("n"))

    handlers: dict[str, Any] = {
        "empty": _nothing, "sync": lambda job: ran.append(job.arg_int("n")), "async": on_loop,
    }  # fmt: skip
    sim.pool().job("ok", handlers[kind])
    for number in range(3_000):
        sim.enqueuer.enqueue("ok", {"n": number})
    sim.run_until_idle()
    sim.assert_ran("ok", times=3_000)
    assert ran == ([] if kind == "empty" else list(range(3_000)))


def test_what_is_around_a_handler_that_does_nothing_can_sleep(sim: Simulation) -> None:
    pool = sim.pool()
    pool.job("nothing", _nothing)

    @pool.middleware
    def sleepy(job: Job, proceed: Any) -> None:
        sim.sleep(7)
        proceed()

    sim.enqueuer.enqueue("nothing")
    sim.run_until_idle()
    assert sim.now == pytest.approx(7, abs=0.1)


def test_what_a_handler_takes_is_said_where_it_is_registered(sim: Simulation) -> None:
    pool = sim.pool(concurrency=1)
    pool.job("fixed", lambda job: None, takes=7)
    pool.job("drawn", lambda job: None, takes=(1, 5))
    sim.enqueuer.enqueue("fixed")
    sim.enqueuer.enqueue("drawn")
    sim.run_until_idle()
    took = {}
    for name in ("fixed", "drawn"):
        (started, ended) = [
            e.at for e in sim.trace.of(name=name) if e.kind in {"started", "succeeded"}
        ]
        took[name] = ended - started
    assert took["fixed"] == pytest.approx(7)
    assert 1 <= took["drawn"] <= 5


@pytest.mark.parametrize("kind", ["sync", "async", "takes"])
def test_a_timeout_interrupts_a_handler(sim: Simulation, kind: str) -> None:
    interrupted: list[str] = []

    def sync(job: Job) -> None:
        try:
            sim.sleep(100)
        except JobTimeout:
            interrupted.append(f"{sim.now:.0f}")
            raise

    async def on_loop(job: Job) -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            interrupted.append(f"{sim.now:.0f}")
            raise

    handlers: dict[str, Any] = {"sync": sync, "async": on_loop, "takes": lambda job: None}
    takes = 100 if kind == "takes" else None
    sim.pool().job("work", handlers[kind], timeout=5, max_fails=1, takes=takes)
    sim.enqueuer.enqueue("work")
    sim.run_for(minutes=2)
    (dead,) = sim.client.dead_jobs().jobs
    assert dead.job.last_err.startswith("JobTimeout: timed out after 5 s")
    assert interrupted == ([] if kind == "takes" else ["5"])


def test_a_handler_that_cannot_be_interrupted_is_abandoned(sim: Simulation) -> None:
    pool = sim.pool(concurrency=2)
    pool.job("work", lambda job: sim.sleep(60, interruptible=False), timeout=5, max_fails=1)
    sim.enqueuer.enqueue("work")
    sim.run_for(20)
    assert sim.client.dead_jobs().total == 1
    assert pool.abandoned == 1
    sim.run_for(60)
    assert pool.abandoned == 0


def test_handlers_enqueue_in_virtual_time(sim: Simulation) -> None:
    enqueuer = Enqueuer(sim.namespace, sim.redis, clock=sim.clock)
    awaited = AsyncEnqueuer(sim.namespace, sim.redis, clock=sim.clock)

    async def second(job: Job) -> None:
        await awaited.enqueue("third")

    pool = sim.pool()
    pool.job("first", lambda job: enqueuer.enqueue_in("second", 10))
    pool.job("second", second)
    pool.job("third", lambda job: None)
    sim.enqueuer.enqueue("first")
    sim.run_for(minutes=1)
    sim.assert_ran("third", times=1, at=10)


def test_the_pool_that_is_shipped_is_the_one_that_is_tested() -> None:
    pool = WorkerPool("live", "redis://localhost:1", concurrency=4)
    ran: list[Any] = []

    @pool.middleware
    def around(job: Job, proceed: Any) -> None:
        ran.append("before")
        proceed()
        ran.append("after")

    @pool.job(max_fails=2)
    def work(job: Job) -> None:
        ran.append(job.args)

    pool.on_start(lambda: ran.append("start"))
    with Simulation() as sim:
        sim.pool(pool, takes={"work": 3})
        sim.enqueuer.enqueue("work", {"a": 1})
        sim.run_for(minutes=1)
        assert [event.at for event in sim.trace.of(kind="succeeded")] == [pytest.approx(3, abs=0.1)]
    assert ran == ["start", "before", {"a": 1}, "after"]


@pytest.mark.parametrize("outer", ["sync", "async"])
def test_chains_that_are_sync_in_parts_run_and_are_interrupted(sim: Simulation, outer: str) -> None:
    passed: list[str] = []

    async def async_layer(job: Job, proceed: Any) -> None:
        await asyncio.sleep(1)
        try:
            await proceed()
        finally:
            passed.append(f"async {sim.now:.0f}")

    def sync_layer(job: Job, proceed: Any) -> None:
        sim.sleep(1)
        try:
            proceed()
        finally:
            passed.append(f"sync {sim.now:.0f}")

    async def async_handler(job: Job) -> None:
        await asyncio.sleep(job.arg_float("s"))

    def sync_handler(job: Job) -> None:
        sim.sleep(job.arg_float("s"))

    pool = sim.pool(concurrency=4)
    layers: dict[str, Any] = {"sync": sync_layer, "async": async_layer}
    pool.middleware(layers.pop(outer))
    pool.middleware(*layers.values())
    pool.job("async", async_handler, timeout=10, max_fails=1)
    pool.job("sync", sync_handler, timeout=10, max_fails=1)
    for name in ("async", "sync"):
        sim.enqueuer.enqueue(name, {"s": 3})
        sim.run_until_idle()
        sim.enqueuer.enqueue(name, {"s": 300})
        sim.run_until_idle(within=60)
        dead = sim.client.dead_jobs().jobs[0].job
        assert dead.last_err.startswith("JobTimeout: timed out after 10 s"), dead.last_err
        sim.client.delete_all_dead_jobs()
    assert len(passed) == 8
    assert {line.split()[1] for line in passed[:2]} == {"5"}


def test_hooks_are_called_in_virtual_time(sim: Simulation) -> None:
    told: list[Any] = []
    pool = sim.pool()
    pool.job("work", lambda job: 1 / 0, max_fails=1)
    pool.on(
        "dead",
        lambda job, error: told.append((job.name, type(error), threading.current_thread().name)),
    )
    sim.enqueuer.enqueue("work")
    sim.run_for(1)
    assert told == [("work", ZeroDivisionError, "simulated-handler")]


def test_a_handler_that_really_blocks_is_reported_with_its_stack(
    sim: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "BLOCKED_S", 0.2)
    held = threading.Lock()
    held.acquire()

    def hang_here(job: Job) -> None:
        with held:
            pass
        sim.sleep(1)  # too late to ask for anything

    sim.pool().job("work", hang_here)
    sim.enqueuer.enqueue("work")
    with pytest.raises(
        parking.HandlerBlocked, match=r"handler of 'work' has blocked[\s\S]*hang_here"
    ):
        sim.run_for(1)
    (blocked,) = _threads_of_handlers()
    held.release()
    blocked.join(timeout=10)
    assert not blocked.is_alive()


def test_a_handler_that_works_for_long_is_not_taken_for_one_that_blocks(
    sim: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "BLOCKED_S", 0.02)
    monkeypatch.setattr(parking, "_WORKING", 10_000)  # however slow the machine is
    steps = 0

    def works(job: Job) -> None:
        nonlocal steps
        until_s = time.thread_time() + 0.2
        while time.thread_time() < until_s:
            steps += 1

    sim.pool().job("work", works)
    sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    sim.assert_ran("work", times=1)


class _Late:
    """A lock whose release comes through later, as where a thread gets no processor."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def acquire(self) -> bool:
        return bool(self._lock.acquire())

    def release(self) -> None:
        threading.Timer(0.1, self._lock.release).start()


def test_a_thread_that_gets_no_processor_is_not_taken_for_a_handler_that_blocks(
    sim: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "BLOCKED_S", 0.05)
    ran: list[float] = []
    sim.pool().job("work", lambda job: ran.append(sim.now))
    for _ in range(2):
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        (idle,) = sim.threads._idle
        monkeypatch.setattr(idle, "_to_worker", _Late(idle._to_worker))
    assert len(ran) == 2


def test_when_a_world_is_closed_its_threads_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulation() as sim:
        pool = sim.pool(concurrency=2)
        pool.job("work", lambda job: sim.sleep(1))
        for _ in range(2):
            sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        workers = list(sim.threads._idle)
        assert len(workers) == 2
        for worker in workers:
            monkeypatch.setattr(worker, "_to_worker", _Late(worker._to_worker))
    assert not any(worker.thread.is_alive() for worker in workers)


def test_sim_sleep_outside_of_a_handler_says_what_to_use(sim: Simulation) -> None:
    with pytest.raises(PoolState, match="run_for"):
        sim.sleep(1)


def test_check_ins_are_in_the_trace(sim: Simulation) -> None:
    def work(job: Job) -> None:
        job.checkin("half way")
        sim.sleep(5)

    sim.pool().job("work", work)
    sim.enqueuer.enqueue("work")
    sim.run_for(10)
    assert [event.detail["says"] for event in sim.trace.of(kind="check-in")] == ["half way"]
