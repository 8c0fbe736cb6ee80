"""Handlers wait for each other in virtual time, and async ones find a whole event loop."""

# ruff: noqa: TID251 - these tests call what handlers of users call

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from workkit import Job
from workkit.simulation import NotSimulated, Simulation


def returned(handler: Callable[[Job], Any], count: int = 1, **options: Any) -> list[Any]:
    """Run jobs beside each other; return what each handler returned, and after how long."""
    found: list[Any] = []

    def timed(job: Job) -> None:
        begun_s = time.monotonic()
        try:
            result = handler(job)
        except BaseException as error:
            result = type(error).__name__
            raise
        finally:
            found.append((result, round(time.monotonic() - begun_s, 3)))

    with Simulation() as sim:
        sim.pool(concurrency=5).job("work", timed, max_fails=1, **options)
        for n in range(count):
            sim.enqueuer.enqueue("work", {"n": n})
        sim.run_for(minutes=5)
        return list(found)


def number_of(job: Job) -> int:
    assert job.args is not None
    return int(job.args["n"])


def get(job: Job) -> str:
    try:
        return str(queue.Queue[str]().get(timeout=70))
    except queue.Empty:
        return "nothing"


def future(job: Job) -> str:
    try:
        return str(concurrent.futures.Future[str]().result(timeout=80))
    except TimeoutError:
        return "nothing"


@pytest.mark.parametrize(
    ("handler", "found"),
    [
        (lambda job: threading.Event().wait(60), (False, 60.0)),
        (lambda job: threading.Event().wait(0), (False, 0.0)),
        (get, ("nothing", 70.0)),
        (future, ("nothing", 80.0)),
        (lambda job: threading.Semaphore(0).acquire(timeout=90), (False, 90.0)),
    ],
)
def test_a_wait_in_a_handler_passes_virtual_time(handler: Any, found: tuple[Any, float]) -> None:
    assert returned(handler) == [found]


def test_handlers_wake_each_other() -> None:
    changed, woken = threading.Condition(), threading.Event()
    meeting, one_at_a_time = threading.Barrier(3), threading.Semaphore(1)
    given: queue.Queue[int] = queue.Queue(1)

    def notify(job: Job) -> Any:
        if number_of(job) == 0:
            time.sleep(30)
            woken.set()
            with changed:
                changed.notify_all()
                time.sleep(20)  # the others get the lock later
            return "notified"
        if number_of(job) == 1:
            return woken.wait()
        with changed:
            return changed.wait(10 if number_of(job) == 2 else None)

    def hand_over(job: Job) -> Any:
        if number_of(job) > 0:
            return given.get()
        for number in (1, 2):
            time.sleep(10)
            given.put(number)
        return "put"

    def meet(job: Job) -> Any:
        time.sleep(10 * number_of(job))
        meeting.wait()
        return "met"

    def take_turns(job: Job) -> Any:
        with one_at_a_time:
            time.sleep(10)
            return number_of(job)

    assert returned(notify, 4) == [(False, 10.0), (True, 30.0), ("notified", 50.0), (True, 50.0)]
    assert returned(hand_over, 3) == [(1, 10.0), ("put", 20.0), (2, 20.0)]
    assert returned(meet, 3) == [("met", 20.0)] * 3
    assert returned(take_turns, 3) == [(0, 10.0), (1, 20.0), (2, 30.0)]


def test_a_timeout_interrupts_a_wait_when_it_is_over() -> None:
    assert returned(lambda job: threading.Event().wait(9), timeout=5) == [("JobTimeout", 9.0)]


def test_a_handler_that_waits_for_ever_is_given_up() -> None:
    with Simulation() as sim:
        pool = sim.pool(concurrency=2)
        pool.job("work", lambda job: threading.Event().wait(), timeout=5, max_fails=1)
        sim.enqueuer.enqueue("work")
        sim.run_for(minutes=1)
        assert sim.client.dead_jobs().jobs[0].job.last_err.startswith("JobTimeout")


def test_a_wait_that_would_block_the_loop_is_refused() -> None:
    async def wait(job: Job) -> None:
        threading.Event().wait(1)

    with Simulation() as sim:
        sim.pool().job("work", wait)
        sim.enqueuer.enqueue("work")
        with pytest.raises(NotSimulated, match="wait with asyncio"):
            sim.run_for(1)


def test_a_thread_waits_for_the_loop_of_its_pool() -> None:
    found: list[object] = []

    async def cross(job: Job) -> None:
        loop = asyncio.get_running_loop()

        def wait() -> object:
            return asyncio.run_coroutine_threadsafe(asyncio.sleep(40, "slept"), loop).result()

        found.append((await asyncio.to_thread(wait), round(loop.time() - 1_000)))

    with Simulation() as sim:
        sim.pool().job("work", cross)
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
    assert found == [("slept", 40)]


# The event loop.


def run_async(handler: Callable[[Job], Any], *, raise_errors: bool = True) -> None:
    with Simulation(raise_errors=raise_errors) as sim:
        sim.pool().job("work", handler)
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()


def test_anyio_works_in_handlers() -> None:
    found: list[object] = []

    async def work(job: Job) -> None:
        sending, receiving = anyio.create_memory_object_stream[int](1)

        async def send() -> None:
            async with sending:
                for number in range(3):
                    await anyio.sleep(10)
                    await sending.send(number)

        async with anyio.create_task_group() as group, receiving:
            group.start_soon(send)
            found.extend([number async for number in receiving])
        with anyio.move_on_after(30) as scope:
            await anyio.Event().wait()
        found.append((scope.cancelled_caught, round(anyio.current_time() - 1_000)))

    run_async(work)
    assert found == [0, 1, 2, (True, 60)]


def test_an_async_http_client_is_refused_the_network_but_not_a_transport_of_the_test() -> None:
    found: list[str] = []

    def client(**options: Any) -> Callable[[Job], Any]:
        async def get(job: Job) -> None:
            async with httpx.AsyncClient(**options) as made:
                found.append((await made.get("http://127.0.0.1:9/")).text)

        return get

    run_async(client(transport=httpx.MockTransport(lambda request: httpx.Response(200, text="x"))))
    assert found == ["x"]
    with pytest.raises(NotSimulated, match="opens a real connection"):
        run_async(client(), raise_errors=False)


def test_a_loop_has_a_task_factory_and_an_exception_handler() -> None:
    made: list[str] = []
    told: list[str] = []

    def factory(loop: Any, coro: Any, **options: Any) -> Any:
        made.append(coro.__name__)
        return asyncio.Task(coro, loop=loop, **options)

    async def fails() -> None:
        raise ValueError("nobody awaits it")

    async def work(job: Job) -> None:
        loop = asyncio.get_running_loop()
        assert loop.get_task_factory() is None
        loop.set_task_factory(factory)
        loop.set_exception_handler(lambda loop, context: told.append(str(context["exception"])))
        assert asyncio.create_task(fails(), name="one").get_name() == "one"
        await asyncio.sleep(1)
        loop.set_task_factory(None)

    run_async(work)
    assert made == ["fails"]
    assert told == ["nobody awaits it"]


def test_a_loop_refuses_what_that_of_a_real_pool_refuses() -> None:
    async def work(job: Job) -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="main thread"):
            loop.add_signal_handler(signal.SIGTERM, print)
        assert not loop.remove_signal_handler(signal.SIGTERM)
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_forever()
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_until_complete(asyncio.sleep(1))
        with pytest.raises(RuntimeError, match=r"pool.stop\(\)"):
            loop.stop()
        assert not loop.remove_reader(0)
        loop.set_debug(enabled=True)
        loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
        assert await loop.run_in_executor(None, time.monotonic) == loop.time()
        await loop.shutdown_default_executor()

    run_async(work)
