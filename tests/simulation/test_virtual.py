"""Handlers have the time of their host and chance from the seed; the test keeps its own."""

# ruff: noqa: TID251 - these tests call what handlers of users call

from __future__ import annotations

import _thread
import asyncio
import contextlib
import datetime
import os
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from random import random as early_random
from time import monotonic as early_monotonic
from time import sleep as early_sleep
from typing import Any

import pytest
import time_machine

from workkit import InvalidOption, Job, MissingExtra, WorkerPool
from workkit.simulation import NotSimulated, Simulation
from workkit.simulation.simulation import START_S

UTC = datetime.UTC
HOUR_S = 3_600


def clocks() -> dict[str, float]:
    """Read every wall clock, as epoch seconds."""
    return {
        "time": time.time(),
        "time_ns": time.time_ns() / 1e9,
        "clock_gettime": time.clock_gettime(time.CLOCK_REALTIME),
        "now": datetime.datetime.now(UTC).timestamp(),
        "local now": datetime.datetime.now().timestamp(),  # noqa: DTZ005 - what users write
        "utcnow": datetime.datetime.utcnow().replace(tzinfo=UTC).timestamp(),  # noqa: DTZ003
        "gmtime": datetime.datetime(*time.gmtime()[:6], tzinfo=UTC).timestamp(),
        "localtime": time.mktime(time.localtime()),
        "ctime": time.mktime(time.strptime(time.ctime())),
        "asctime": time.mktime(time.strptime(time.asctime())),
        "CLOCK_TAI": time.clock_gettime(time.CLOCK_TAI),
        "CLOCK_REALTIME_COARSE": time.clock_gettime_ns(5) / 1e9,
        "uuid1": (uuid.uuid1().time - 0x01B21DD213814000) / 1e7,
    }


def steady_clocks() -> dict[str, float]:
    """Read every clock that never goes back, seconds."""
    return {
        "monotonic": time.monotonic(),
        "monotonic_ns": time.monotonic_ns() / 1e9,
        "perf_counter": time.perf_counter(),
        "perf_counter_ns": time.perf_counter_ns() / 1e9,
        "clock_gettime": time.clock_gettime(time.CLOCK_MONOTONIC),
        "clock_gettime_ns": time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e9,
        "CLOCK_MONOTONIC_COARSE": time.clock_gettime(6),
        "imported early": early_monotonic(),
    }


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize("is_async", [False, True])
def test_every_clock_of_a_handler_is_that_of_its_host(is_async: bool) -> None:
    seen: list[dict[str, float]] = []

    def handler(job: Job) -> None:
        seen.append(clocks())

    async def handler_async(job: Job) -> None:
        handler(job)

    with Simulation() as sim:
        pool = sim.pool()
        pool.job("work", handler_async if is_async else handler)
        sim.step_clock(pool, HOUR_S)
        sim.at(100, sim.enqueuer.enqueue, "work")
        sim.run_until_idle()
    (read,) = seen
    assert read == dict.fromkeys(read, pytest.approx(START_S + HOUR_S + 100, abs=1.01))
    assert read["time"] == pytest.approx(START_S + HOUR_S + 100, abs=0.01)


@pytest.mark.parametrize("is_async", [False, True])
def test_every_steady_clock_goes_on_in_virtual_time_whatever_the_wall_clock_does(
    is_async: bool,
) -> None:
    passed: list[dict[str, float]] = []

    def handler(job: Job) -> None:
        before = steady_clocks()
        time.sleep(30)
        passed.append({name: at - before[name] for name, at in steady_clocks().items()})

    async def handler_async(job: Job) -> None:
        before = steady_clocks()
        await asyncio.sleep(30)
        passed.append({name: at - before[name] for name, at in steady_clocks().items()})

    with Simulation() as sim:
        pool = sim.pool()
        pool.job("work", handler_async if is_async else handler)
        sim.enqueuer.enqueue("work")
        sim.at(10, sim.step_clock, pool, -HOUR_S)
        sim.run_until_idle()
    (read,) = passed
    assert read == dict.fromkeys(read, pytest.approx(30))


def test_two_hosts_have_two_clocks() -> None:
    seen: dict[str, float] = {}
    with Simulation() as sim:
        for skew_s in (0, 500):
            pool = sim.pool(concurrency=1)
            pool.job(f"work{skew_s}", lambda job: seen.update({job.name: time.time()}))
            sim.step_clock(pool, skew_s)
            sim.enqueuer.enqueue(f"work{skew_s}")
        sim.run_until_idle()
    assert seen["work500"] - seen["work0"] == pytest.approx(500, abs=0.1)


def test_whatever_a_pool_calls_has_its_time() -> None:
    seen: dict[str, float] = {}

    def note(what: str) -> None:
        seen[what] = time.time()

    def backoff(job: Job) -> float:
        note("backoff")
        return 60

    def fail(job: Job) -> None:
        note("handler")
        raise LookupError

    async def around(job: Job, next: Callable[[], Any]) -> None:  # noqa: A002 - its name
        note("middleware")
        await next()

    async def stopped() -> None:
        note("on_stop")

    with Simulation() as sim:
        pool = sim.pool(context=lambda: note("context"))
        pool.job("work", fail, backoff=backoff)
        pool.middleware(around)
        pool.on_start(lambda: note("on_start"))
        pool.on("failed", lambda job, error: note("failed"))
        pool.on_stop(stopped)
        sim.enqueuer.enqueue("work")
        sim.at(0, lambda: note("planned call"))
        sim.run_for(1)
        pool.stop()
        sim.run_for(1)
    assert sorted(seen) == [
        "backoff", "context", "failed", "handler", "middleware", "on_start", "on_stop",
        "planned call",
    ]  # fmt: skip
    assert seen == dict.fromkeys(seen, pytest.approx(START_S, abs=3))


def test_the_test_and_other_threads_keep_the_real_time() -> None:
    real: list[bool] = []
    go_on = threading.Event()
    began = time.time()

    def is_real() -> bool:
        return abs(time.time() - began) < HOUR_S

    def look() -> None:
        go_on.wait(30)
        real.append(is_real())

    def condition() -> bool:
        real.append(is_real())
        return not thread.is_alive()

    functions = [time.sleep, time.monotonic, os.urandom, early_sleep, _thread.start_new_thread]
    thread = threading.Thread(target=look)
    thread.start()
    with Simulation(start=datetime.datetime(1999, 1, 1, tzinfo=UTC)) as sim:

        def work(job: Job) -> None:
            assert not is_real()
            go_on.set()
            thread.join()  # it reads the clock while this handler runs

        sim.pool().job("work", work)
        sim.enqueuer.enqueue("work")
        sim.run_until(condition)
    assert all(real)
    assert functions == [
        time.sleep, time.monotonic, os.urandom, early_sleep, _thread.start_new_thread,
    ]  # fmt: skip
    assert time.sleep is early_sleep


def draws() -> list[object]:
    """Draw from every source of chance."""
    own = random.Random()
    random.seed()
    return [
        own.random(), random.random(), early_random(), random.choice(range(10**9)),
        random.SystemRandom().random(), secrets.token_hex(), secrets.randbelow(10**9),
        os.urandom(8), os.getrandom(8), uuid.uuid4(), uuid.uuid1(), free_name(),
    ]  # fmt: skip


def free_name() -> str:
    with (
        tempfile.TemporaryDirectory() as directory,
        tempfile.TemporaryDirectory(dir=directory) as one,
    ):
        return Path(one).name


def drawn(seed: int) -> list[object]:
    """Draw in a sync handler, in an async one and in a hook of a world."""
    found: list[object] = []

    async def handler_async(job: Job) -> None:
        found.extend(draws())

    with Simulation(seed) as sim:
        pool = sim.pool()
        pool.on_start(lambda: found.extend(draws()))
        pool.job("work", lambda job: found.extend(draws()))
        pool.job("work_async", handler_async)
        sim.enqueuer.enqueue("work")
        sim.enqueuer.enqueue("work_async")
        sim.run_until_idle()
    return found


def test_chance_in_handlers_comes_from_the_seed() -> None:
    first = drawn(1)
    assert len(set(first)) == len(first) == 36
    assert drawn(1) == first
    assert not set(drawn(2)) & set(first)


def test_chance_in_handlers_does_not_disturb_that_of_the_test() -> None:
    random.seed(5)
    expected = [random.random() for _ in range(3)]
    random.seed(5)
    found = [random.random()]
    drawn(1)
    found += [random.random(), random.random()]
    assert found == expected
    assert os.urandom(8) != os.urandom(8)


def test_numpy_draws_from_the_seed() -> None:
    numpy = pytest.importorskip("numpy")

    def draw() -> list[object]:
        found: list[object] = []

        def handler(job: Job) -> None:
            found.append(numpy.random.random())
            found.append(numpy.random.default_rng().random())

        with Simulation(3) as sim:
            sim.pool().job("work", handler)
            for _ in range(2):
                sim.enqueuer.enqueue("work")
                sim.run_for(1)
        return found

    first = draw()
    assert len(set(first)) == 4
    assert draw() == first


def sleep(job: Job) -> None:
    time.sleep(job.arg_float("s"))


def sleep_by_a_name_of_its_own(job: Job) -> None:
    early_sleep(job.arg_float("s"))


@pytest.mark.parametrize("handler", [sleep, sleep_by_a_name_of_its_own])
def test_a_sleep_passes_virtual_time_and_a_timeout_ends_it_when_it_is_over(
    handler: Callable[[Job], None],
) -> None:
    with Simulation() as sim:
        sim.pool().job("work", handler, timeout=20, max_fails=1)
        short = sim.enqueuer.enqueue("work", {"s": 0.5})
        long = sim.enqueuer.enqueue("work", {"s": 21})
        sim.run_until_idle()
        ends = {
            event.job_id: (event.kind, round(event.at, 1))
            for event in sim.trace
            if event.kind in {"succeeded", "failed"}
        }
    assert ends[short.id] == ("succeeded", 0.5)
    assert ends[long.id] == ("failed", 21.0)


@pytest.mark.parametrize(("seconds", "error"), [(-1, ValueError), ("1", TypeError)])
def test_a_sleep_refuses_what_the_real_one_refuses(seconds: Any, error: type[Exception]) -> None:
    with Simulation(raise_errors=True) as sim:
        sim.pool().job("work", lambda job: time.sleep(seconds))
        sim.enqueuer.enqueue("work")
        with pytest.raises(error):
            sim.run_until_idle()


def test_a_hook_can_sleep() -> None:
    seen = []
    with Simulation() as sim:
        pool = sim.pool()
        pool.job("work", lambda job: seen.append(("handler", round(sim.now))))
        pool.on_start(lambda: time.sleep(5))

        @pool.on_stop
        def stopped() -> None:
            time.sleep(7)
            seen.append(("stopped", round(sim.now)))

        sim.enqueuer.enqueue("work")
        sim.run_for(10)
        pool.stop()
        sim.run_for(10)
    assert seen == [("handler", 5), ("stopped", 17)]


def test_asyncio_run_in_a_sync_handler_uses_the_loop_of_the_pool() -> None:
    async def fetch() -> float:
        await asyncio.sleep(40)
        return time.time()

    found = []
    with Simulation() as sim:
        sim.pool().job("work", lambda job: found.append(asyncio.run(fetch())))
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
    assert found == [pytest.approx(START_S + 40, abs=0.1)]


def test_functions_of_to_thread_sleep_in_virtual_time_beside_each_other() -> None:
    def fail() -> None:
        time.sleep(10)
        raise LookupError("no such order")

    found: list[object] = []

    async def handler(job: Job) -> None:
        naps = [asyncio.to_thread(time.sleep, 30) for _ in range(3)]
        found.append(await asyncio.gather(*naps, asyncio.to_thread(max, 1, 2)))
        found.append(await asyncio.gather(asyncio.to_thread(fail), return_exceptions=True))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(time.sleep, 60), 5)

    with Simulation() as sim:
        sim.pool().job("work", handler)
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        assert 45 <= sim.now < 46
    assert found[0] == [None, None, None, 2]
    assert repr(found[1]) == "[LookupError('no such order')]"


def test_a_test_can_keep_the_real_time_in_handlers() -> None:
    found = []
    with Simulation(patch=False) as sim:
        sim.pool().job("work", lambda job: found.append((time.time(), os.getpid())))
        sim.enqueuer.enqueue("work")
        before = time.time()
        sim.run_until_idle()
        assert before <= found[0][0] <= time.time()


def test_a_function_that_the_test_has_replaced_stays_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with Simulation() as sim:
        sim.pool().job("work", lambda job: time.sleep(5))
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        assert sim.now < 1
    assert slept == [5]
    assert time.sleep == slept.append


def test_a_world_has_its_own_time_in_a_test_that_travels() -> None:
    found = []
    with time_machine.travel(0, tick=False), Simulation() as sim:
        sim.pool().job("work", lambda job: found.append(time.time()))
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        assert time.time() == 0
    assert found == [pytest.approx(START_S, abs=0.1)]


def test_a_world_in_a_time_that_freezegun_has_frozen_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class FakeDatetime(datetime.datetime):
        pass

    monkeypatch.setitem(sys.modules, "freezegun", sys)
    monkeypatch.setattr(datetime, "datetime", FakeDatetime)
    with Simulation() as sim, pytest.raises(InvalidOption, match=r"Simulation\(start=\.\.\.\)"):
        sim.run_for(1)
    with Simulation(patch=False) as sim:
        sim.run_for(1)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "time_machine", None)
    with Simulation() as sim, pytest.raises(MissingExtra, match=r"workkit\[simulation\]"):
        sim.run_for(1)


# What is refused.


def connect(job: Job) -> None:
    socket.create_connection(("127.0.0.1", 9))


async def connect_async(job: Job) -> None:
    await asyncio.open_connection("127.0.0.1", 9)


def resolve(job: Job) -> None:
    socket.getaddrinfo("localhost", 80)


def send(job: Job) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.sendto(b"x", ("127.0.0.1", 9))


def call_program(job: Job) -> None:
    subprocess.run(["true"], check=True)  # noqa: S607


def call_shell(job: Job) -> None:
    os.system("true")  # noqa: S605, S607 - refused


async def call_program_async(job: Job) -> None:
    await asyncio.create_subprocess_exec("true")


def fork(job: Job) -> None:
    if os.fork() == 0:
        os._exit(0)


def start_thread(job: Job) -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def make_loop(job: Job) -> None:
    asyncio.new_event_loop().close()


def make_loop_by_its_class(job: Job) -> None:
    asyncio.SelectorEventLoop().close()


def make_loop_with_a_runner(job: Job) -> None:
    with asyncio.Runner() as runner:
        runner.get_loop()


def swallow(job: Job) -> None:
    with contextlib.suppress(Exception):
        connect(job)


@pytest.mark.parametrize(
    ("handler", "does", "kind"),
    [
        (connect, "opens a real connection", "sockets"),
        (connect_async, "opens a real connection", "sockets"),
        (resolve, "opens a real connection", "sockets"),
        (send, "opens a real connection", "sockets"),
        (swallow, "opens a real connection", "sockets"),
        (call_program, "starts a process", "subprocesses"),
        (call_program_async, "starts a process", "subprocesses"),
        (call_shell, "starts a process", "subprocesses"),
        (fork, "starts a process", "subprocesses"),
        (start_thread, "starts a thread", "threads"),
        (make_loop, "makes an event loop", "loops"),
        (make_loop_by_its_class, "makes an event loop", "loops"),
        (make_loop_with_a_runner, "makes an event loop", "loops"),
    ],
)
def test_a_real_thing_in_a_handler_is_refused_and_fails_the_test(
    handler: Callable[[Job], Any], does: str, kind: str
) -> None:
    with Simulation() as sim:
        sim.pool().job("work", handler)
        sim.enqueuer.enqueue("work")
        with pytest.raises(NotSimulated, match=f"the handler of 'work' {does}") as refused:
            sim.run_until_idle()
        assert f"Simulation(allow=[{kind!r}])" in str(refused.value)
        sim.run_for(1)  # told once


@pytest.mark.parametrize(
    ("handler", "kind"),
    [(resolve, "sockets"), (call_program, "subprocesses"), (start_thread, "threads"),
     (make_loop, "loops")],
)  # fmt: skip
def test_a_real_thing_can_be_allowed(handler: Callable[[Job], Any], kind: str) -> None:
    with Simulation(allow=[kind], raise_errors=True) as sim:
        sim.pool().job("work", handler)
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()


def test_a_thread_is_refused_also_where_a_library_has_replaced_its_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = threading.Thread.start

    def started(thread: threading.Thread) -> None:
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", started)
    with Simulation() as sim:
        sim.pool().job("work", start_thread)
        sim.enqueuer.enqueue("work")
        with pytest.raises(NotSimulated, match="starts a thread"):
            sim.run_until_idle()


def test_a_planned_call_may_do_real_things() -> None:
    with Simulation() as sim:
        sim.at(1, resolve, None)
        sim.at(2, start_thread, None)
        sim.run_until_idle()


def test_a_sleep_that_would_block_the_loop_is_refused() -> None:
    async def handler(job: Job) -> None:
        time.sleep(1)  # noqa: ASYNC251 - the mistake

    with Simulation() as sim:
        sim.pool().job("work", handler)
        sim.enqueuer.enqueue("work")
        with pytest.raises(NotSimulated, match=r"write await asyncio\.sleep"):
            sim.run_until_idle()


def test_a_planned_call_that_sleeps_says_how_to_wait() -> None:
    with Simulation() as sim:
        sim.at(1, lambda: time.sleep(5))
        with pytest.raises(NotSimulated, match=r"another sim\.at"):
            sim.run_until_idle()


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidOption, match="'socket'; did you mean sockets"):
        Simulation(allow=["socket"])


def test_handlers_reach_a_real_server_of_the_world(redis_url: str, namespace: str) -> None:
    with Simulation(server=redis_url, namespace=namespace, raise_errors=True) as sim:
        pool = WorkerPool(namespace, sim.redis)
        pool.job("work", lambda job: sim.redis.connection_pool.disconnect() or sim.redis.ping())
        sim.pool(pool)
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()


# The order of tasks.


def orders() -> list[object]:
    """Let tasks end together, and note the orders in which asyncio names them."""
    found: list[object] = []

    async def nap(n: int) -> int:
        await asyncio.sleep(1)
        return n

    async def cancelled(n: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            found.append(n)

    async def handler(job: Job) -> None:
        tasks = [asyncio.create_task(nap(n)) for n in range(20)]
        done, _ = await asyncio.wait(tasks)
        found.append([task.result() for task in done])
        found.append([task.get_name() for task in done])
        found.append([await each for each in asyncio.as_completed([nap(n) for n in range(20)])])
        loop = asyncio.get_running_loop()
        found.append([each.done() for each in {loop.create_future() for _ in range(3)}])
        try:
            async with asyncio.TaskGroup() as group:
                for n in range(20):
                    group.create_task(cancelled(n))
                await asyncio.sleep(1)
                raise LookupError
        except ExceptionGroup:
            pass

    with Simulation() as sim:
        sim.pool().job("work", handler)
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
    return found


def test_the_order_of_tasks_does_not_depend_on_addresses() -> None:
    first = orders()
    ballast = [object() for _ in range(1_000)]
    assert orders() == first
    assert first[0] == list(range(20))
    assert first[2] == list(range(20))
    assert first[-20:] == list(range(20))
    del ballast


def test_a_world_on_a_real_server_keeps_its_sockets_whatever_else_is_allowed(
    redis_url: str, namespace: str
) -> None:
    with Simulation(server=redis_url, namespace=namespace, allow=["threads"]) as sim:
        assert sim.allow == {"sockets", "threads"}
        sim.allow = "loops"
        assert sim.allow == {"sockets", "loops"}
