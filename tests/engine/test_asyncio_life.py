"""A pool lives in an event loop that it never blocks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.conftest import WaitUntil
from tests.engine.conftest import MakePool
from tests.engine.leaks import traces
from tests.engine.signals import PATIENCE_S, Gate, Notes
from workkit import Client, Enqueuer, Job, PoolState, ServerError, WorkerPool

pytestmark = pytest.mark.one_server


def nothing(job: Job) -> None:
    """Do nothing."""


class Ticks:
    """A coroutine that goes on while the loop does."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._count = 0

    async def run(self) -> None:
        while True:
            async with self._changed:
                self._count += 1
                self._changed.notify_all()
            await asyncio.sleep(0.001)

    async def more(self, ticks: int = 20) -> None:
        """Wait for further ticks."""
        async with self._changed:
            target = self._count + ticks
            await self._changed.wait_for(lambda: self._count >= target)


@contextlib.asynccontextmanager
async def ticking() -> AsyncIterator[Ticks]:
    ticks = Ticks()
    task = asyncio.create_task(ticks.run())
    yield ticks
    task.cancel()


@pytest.fixture
def silent_server() -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of a server that accepts and does not answer until it is closed."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted.append(listener.accept()[0])

    def close() -> None:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in accepted:
            connection.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{listener.getsockname()[1]}", close
    close()
    thread.join(PATIENCE_S)


def within(seconds: float, main: Awaitable[Any]) -> Any:
    """Run a coroutine, for a limited time."""

    async def limited() -> Any:
        async with asyncio.timeout(seconds):
            return await main

    return asyncio.run(limited())


def test_a_pool_runs_inside_of_async_with(make_pool: MakePool, enqueuer: Enqueuer) -> None:
    pool, seen = make_pool(), Notes()
    pool.job("work", lambda job: seen(job.arg_int("n")))

    async def main() -> None:
        for n in range(3):
            enqueuer.enqueue("work", {"n": n})
            async with pool as entered:
                assert entered is pool
                assert (await pool.drain_async(PATIENCE_S)).complete
            assert not pool.running

    within(3 * PATIENCE_S, main())
    assert seen.items == [0, 1, 2]


def test_the_loop_goes_on_while_a_pool_starts_at_a_slow_server(
    silent_server: tuple[str, Callable[[], None]],
) -> None:
    url, close = silent_server
    pool = WorkerPool("slow", url)
    pool.job("work", nothing)

    async def main() -> None:
        async with ticking() as ticks:
            starting = asyncio.create_task(pool.start_async())
            await ticks.more()
            assert not starting.done()
            close()
            with pytest.raises(ServerError):
                await starting
        assert not pool.running

    within(PATIENCE_S, main())


def test_the_loop_goes_on_while_a_pool_drains_and_stops_with_a_running_job(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, gate = make_pool(), Gate()
    pool.job("work", gate.pass_through)
    enqueuer.enqueue("work")

    async def main() -> None:
        await pool.start_async()
        await asyncio.to_thread(gate.arrived.wait_for, 1)
        async with ticking() as ticks:
            draining = asyncio.create_task(pool.drain_async())
            stopping = asyncio.create_task(pool.stop_async())
            await ticks.more()
            assert not draining.done()
            assert not stopping.done()
            gate.open()
            await asyncio.gather(draining, stopping)
        assert not pool.running

    within(PATIENCE_S, main())


# Cancellations.


def test_a_cancelled_start_leaves_a_pool_that_does_not_run_and_can_be_started(
    make_pool: MakePool, client: Client
) -> None:
    pool, gate = make_pool(), Gate()
    pool.job("work", nothing)
    pool.on_start(gate.pass_through)

    async def main() -> None:
        starting = asyncio.create_task(pool.start_async())
        await asyncio.to_thread(gate.arrived.wait_for, 1)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not pool.running
        gate.open()
        await pool.stop_async()
        assert not pool.running
        assert client.worker_pool_heartbeats() == []
        await pool.start_async()
        assert pool.running
        await pool.stop_async()

    within(PATIENCE_S, main())


def test_a_cancelled_start_ends_an_async_lifespan_that_hangs(make_pool: MakePool) -> None:
    pool, entered, left = make_pool(), Notes(), Notes()
    pool.job("work", nothing)

    @pool.lifespan
    async def resources() -> AsyncIterator[None]:
        entered()
        try:
            await asyncio.Event().wait()
            yield
        finally:
            left()

    async def main() -> None:
        starting = asyncio.create_task(pool.start_async())
        await asyncio.to_thread(entered.wait_for, 1)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await pool.stop_async()

    within(PATIENCE_S, main())
    assert left.wait_for(1)
    assert not pool.running


def test_a_start_that_was_cancelled_too_late_is_undone(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool()
    pool.job("work", nothing)
    real = pool._run.start

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        def start(*args: Any) -> Any:
            driver = real(*args)
            cancelled = threading.Event()

            def cancel() -> None:
                starting.cancel()
                cancelled.set()

            loop.call_soon_threadsafe(cancel)
            assert cancelled.wait(PATIENCE_S)
            return driver

        monkeypatch.setattr(pool._run, "start", start)
        starting = asyncio.create_task(pool.start_async())
        with pytest.raises(asyncio.CancelledError):
            await starting
        await pool.stop_async()
        assert not pool.running

    within(PATIENCE_S, main())


def test_a_cancelled_start_of_a_running_pool_leaves_it_running(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", nothing)

    async def main() -> None:
        await pool.start_async()
        starting = asyncio.create_task(pool.start_async())
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert pool.running
        assert (await pool.drain_async(PATIENCE_S)).complete
        await pool.stop_async()

    within(PATIENCE_S, main())


def test_a_cancelled_stop_goes_on_and_a_second_one_may_hurry_it(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate = make_pool(), Gate()
    pool.job("work", gate.spin)
    job = enqueuer.enqueue("work")

    async def main() -> None:
        await pool.start_async()
        await asyncio.to_thread(gate.arrived.wait_for, 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.stop_async(), 0.05)
        await pool.stop_async(0)
        assert not pool.running

    within(PATIENCE_S, main())
    assert [each.job.id for each in client.iter_queued_jobs("work")] == [job.id]


def test_a_cancelled_drain_leaves_the_pool_running_and_no_thread(
    make_pool: MakePool, enqueuer: Enqueuer, wait_until: WaitUntil
) -> None:
    pool, gate = make_pool(), Gate()
    pool.job("work", gate.pass_through)
    enqueuer.enqueue("work")

    async def main() -> None:
        async with pool:
            await asyncio.to_thread(gate.arrived.wait_for, 1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pool.drain_async(), 0.05)
            assert pool.running
            await asyncio.to_thread(wait_until, lambda: "workkit-drain" not in traces().threads)
            gate.open()
            assert (await pool.drain_async(PATIENCE_S)).complete

    within(PATIENCE_S, main())


@pytest.mark.parametrize("how", ["cancelled", "cancelled twice"])
def test_a_cancelled_run_stops_the_pool(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, wait_until: WaitUntil, how: str
) -> None:
    pool, gate = make_pool(), Gate()
    pool.job("work", gate.spin)
    enqueuer.enqueue("work")

    async def main() -> None:
        running = asyncio.create_task(pool.run_async(timeout=None))
        await asyncio.to_thread(gate.arrived.wait_for, 1)
        await asyncio.to_thread(wait_until, lambda: pool.running)  # else the start is cancelled
        async with ticking() as ticks:
            await ticks.more()
            running.cancel()
            await ticks.more()
        assert not running.done()
        if how == "cancelled":
            gate.open()
        else:
            running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not pool.running

    within(PATIENCE_S, main())
    assert client.queues()[0].count == (0 if how == "cancelled" else 1)
    assert client.worker_pool_heartbeats() == []


# Signals.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_async_ends_with_a_signal_and_gives_the_handlers_back(
    make_pool: MakePool, enqueuer: Enqueuer, number: signal.Signals
) -> None:
    pool, seen = make_pool(), Notes()
    pool.job("work", lambda job: seen(job.id))

    async def main() -> None:
        before = traces().handlers
        for n in range(2):
            enqueuer.enqueue("work")
            running = asyncio.create_task(pool.run_async())
            await asyncio.to_thread(seen.wait_for, n + 1)
            os.kill(os.getpid(), number)
            assert await running is True
            assert not pool.running
            assert traces().handlers == before

    within(PATIENCE_S, main())


def test_a_second_signal_returns_the_jobs_at_once(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate = make_pool(), Gate()
    pool.job("work", gate.spin)
    enqueuer.enqueue("work")

    async def main() -> None:
        running = asyncio.create_task(pool.run_async(timeout=None))
        await asyncio.to_thread(gate.arrived.wait_for, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        async with ticking() as ticks:
            await ticks.more()
        assert not running.done()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running is True

    within(PATIENCE_S, main())
    assert client.queues()[0].count == 1


def test_a_second_signal_ends_a_start_that_hangs(make_pool: MakePool) -> None:
    pool, gate = make_pool(), Gate()
    pool.job("work", nothing)

    @pool.lifespan
    async def resources() -> AsyncIterator[None]:
        gate.arrived()
        await asyncio.Event().wait()
        yield

    async def main() -> None:
        running = asyncio.create_task(pool.run_async())
        await asyncio.to_thread(gate.arrived.wait_for, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert await running is True
        assert not pool.running

    within(PATIENCE_S, main())


def test_run_async_ends_when_other_code_stops_the_pool(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool()

    async def work(job: Job) -> None:
        await pool.stop_async()

    pool.job("work", work)
    enqueuer.enqueue("work")
    assert within(PATIENCE_S, pool.run_async()) is True
    assert not pool.running


def test_errors_of_the_start_come_out_of_run_async(make_pool: MakePool) -> None:
    before = traces().handlers
    with pytest.raises(PoolState, match="no jobs"):
        within(PATIENCE_S, make_pool().run_async())
    assert traces().handlers == before


def test_an_error_inside_of_async_with_stops_the_pool(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", nothing)

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            async with pool:
                raise ZeroDivisionError
        assert not pool.running

    within(PATIENCE_S, main())


def test_lives_in_asyncio_leave_no_thread_and_no_descriptor(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool()
    pool.job("work", nothing)

    async def main() -> None:
        async with pool:
            assert (await pool.drain_async(PATIENCE_S)).complete

    enqueuer.enqueue("work")
    within(PATIENCE_S, main())
    before = traces()
    for _ in range(10):
        enqueuer.enqueue("work")
        within(PATIENCE_S, main())
    after = traces()
    assert after.threads == before.threads
    assert after.descriptors <= before.descriptors
