"""The life of a pool: start, stop, drain and run, for threads and for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Final, Self, TypeVar

from workkit.core.current import execution_here
from workkit.core.options import check_wait
from workkit.core.records import Drained
from workkit.engine.driver import PoolDriver
from workkit.engine.handling.values import value_of
from workkit.engine.health import Health
from workkit.engine.process.off_loop import off_loop
from workkit.engine.process.signals import signals_to
from workkit.engine.running import Run, StartRequest, refuse_import
from workkit.engine.spec import PoolSpec
from workkit.errors import LifespanFailed, PoolState

__all__ = ["PoolLife"]

T = TypeVar("T")

_log = logging.getLogger("workkit")

#: How often `run_async` checks that the pool lives, seconds.
_LOOK_S: Final = 0.2


class PoolLife:
    """The life of a pool: the base class of `WorkerPool`.

    A pool may be started and stopped as often as one likes. Each method with ``_async`` runs its
    twin on a thread of its own, so that the caller's event loop goes on.
    """

    _run: Run
    _spec: PoolSpec

    @property
    def _driver(self) -> PoolDriver | None:
        return self._run.driver

    @property
    def pool_id(self) -> str:
        """The id under which the pool now holds jobs; "" before the first start.

        It changes with each start, and when other pools take the pool for dead and it continues.
        """
        return self._driver.pool_id if self._driver else ""

    @property
    def running(self) -> bool:
        """Whether this process has started the pool, and it has not stopped."""
        return self._run.running

    @property
    def ended_itself(self) -> bool:
        """Whether the pool stops, or has stopped, by itself: replace the process."""
        return self._driver is not None and self._driver.ended_itself

    @property
    def overdue(self) -> bool:
        """Whether a stop takes longer than its timeout and two seconds: a stop hook may hang."""
        return self._run.overdue

    @property
    def health(self) -> Health:
        """Whether the pool lives and can claim jobs, with the reasons; from any thread."""
        return self._run.health

    @property
    def totals(self) -> Mapping[str, int]:
        """How many executions have ended since the last start, by outcome; from any thread.

        An execution counts when Redis has confirmed its outcome. The outcomes are those of
        `HistoryRecord`; outcomes that have not occurred are left out. "returned" jobs went back
        unfinished; another pool has recovered "fenced" ones.
        """
        return dict(self._driver.engine.ledger.totals) if self._driver else {}

    def lifespan_value(self, kind: type[T]) -> T:
        """Return what a lifespan of the running pool has yielded; see `WorkerPool.lifespan`.

        In a handler, this is the value of the pool that runs the handler, also in the simulator.

        Args:
            kind: The class of the value. A value of exactly this class comes before one of a
                subclass, and an earlier lifespan before a later one.

        Raises:
            PoolState: No lifespan has yielded such a value, or the pool does not run.
        """
        if execution_here() is not None:
            return value_of(kind)
        return self._spec.values.find(kind)

    # Start.

    def start(self) -> None:
        """Start processing on background threads. It does nothing if the pool runs.

        A pool that was stopped may be started again. A process that ends without `stop()` gives its
        jobs back, as `stop(0)` does.

        Raises:
            PoolState: Nothing is registered, the pool is being stopped, it runs in the process of
                which this one is a fork, or this system cannot run pools.
            LifespanFailed: A lifespan has failed; no job was claimed.
            ServerError: Redis cannot be reached or refuses us; this is not retried.
        """
        self._run.start()

    async def start_async(self) -> None:
        """Start as `start` does, while the caller's event loop goes on.

        If it is cancelled, the pool does not start, or stops again at once.
        """
        request = StartRequest()

        def undo() -> None:
            driver = self._driver
            if request.cancel() and driver is not None:
                self._run.stop_soon(driver, 0.0)

        await off_loop(lambda: self._run.start(request), "workkit-start", undo)

    # Stop.

    def stop(self, timeout: float | None = None) -> None:
        """Claim no more jobs, wait for the running ones, and return unfinished ones to their queue.

        A call does nothing if the pool does not run, or in a forked child of the pool's process. It
        cancels a start on another thread. A call from a handler, a hook or a lifespan of the pool
        requests the stop and returns at once, since the stop waits for its caller.

        Args:
            timeout: Seconds to wait for handlers; None for no limit, 0 to return all jobs at once.
                The stop takes at most two seconds more, even if Redis hangs; then lifespans and
                stop hooks end. A sync handler that was given up still runs in the background, and
                its job runs again elsewhere.

        Raises:
            LifespanFailed: A lifespan has failed behind its yield. The pool has stopped.
        """
        self._run.stop(timeout)

    def stop_soon(self, timeout: float | None = None) -> None:
        """Request what `stop` does and return at once; the pool stops in the background.

        Args:
            timeout: As for `stop`.
        """
        check_wait("timeout", timeout)
        driver = self._driver
        if driver is not None and driver.is_ours:
            self._run.stop_soon(driver, timeout)

    async def stop_async(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - of handlers
        """Stop as `stop` does, while the caller's event loop goes on.

        If the wait is cancelled, the stop goes on; a second call may give a shorter timeout.
        """
        if self._run.closes_here():
            self._run.stop(timeout)
            return
        await off_loop(lambda: self._run.stop(timeout), "workkit-stop", lambda: None)

    # Drain.

    def drain(self, timeout: float | None = None) -> Drained:
        """Wait until no job is left that could run now: queues empty, nothing running.

        Scheduled jobs and retries that are not due do not count, nor do paused queues. The pool
        continues to run.

        Args:
            timeout: Seconds to wait at most; None for no limit.

        Returns:
            Whether all is done, and which queues are paused or not empty.

        Raises:
            PoolState: The pool is not running.
            ServerError: Redis does not answer, so the state is unknown.
        """
        return self._drained(timeout, lambda: False)

    async def drain_async(self, timeout: float | None = None) -> Drained:  # noqa: ASYNC109
        """Drain as `drain` does, while the caller's event loop goes on.

        If it is cancelled, the pool continues to run.
        """
        gave_up = threading.Event()
        return await off_loop(
            lambda: self._drained(timeout, gave_up.is_set), "workkit-drain", gave_up.set
        )

    def _drained(self, timeout: float | None, gave_up: Callable[[], bool]) -> Drained:
        driver = self._driver
        if driver is None or not self._run.running:
            raise PoolState("only a running pool can be drained; call start() first")
        paused, waiting, complete = driver.drain(timeout, gave_up)
        return Drained(complete, tuple(paused), waiting)

    # Run.

    def run(self, timeout: float | None = 25.0) -> bool:
        """Start, wait for SIGINT or SIGTERM, then stop.

        A second signal stops at once: unfinished jobs go back to their queues.

        Args:
            timeout: Seconds that `stop` waits for handlers.

        Returns:
            True after a signal or a `stop()`. False if the pool ended by itself and the process
            must be replaced: a thread of the pool has ended or hangs, or too many handlers were
            abandoned after their timeouts.

        Raises:
            PoolState: This thread runs an event loop, which the call would block; or as `start`.
            LifespanFailed: As `start` and `stop`.
            ServerError: As `start`.
        """
        return self._run.until_asked(timeout)

    async def run_async(self, timeout: float | None = 25.0) -> bool:  # noqa: ASYNC109 - of handlers
        """Run as `run` does, while the caller's event loop goes on.

        Signals are handled only on the main thread, and only meanwhile. If the call is cancelled,
        the pool stops before the cancellation goes on; a second one returns unfinished jobs at
        once.

        Args:
            timeout: Seconds that `stop` waits for handlers, also after a cancellation.

        Returns:
            As `run`.
        """
        refuse_import("pool.run_async()")
        loop, asked = asyncio.get_running_loop(), asyncio.Event()
        signals, starting = list[int](), asyncio.ensure_future(self.start_async())

        def on_signal(number: int, _frame: FrameType | None) -> None:
            signals.append(number)
            driver = self._driver
            if len(signals) > 1 and starting.done() and driver is not None:
                driver.request_stop(0.0)
            loop.call_soon_threadsafe(take)

        def take() -> None:
            asked.set()
            if len(signals) > 1:
                starting.cancel()  # does nothing once it has ended

        with signals_to(on_signal):
            try:
                await self._started(starting, signals)
                await self._wait_asked(asked)
            except asyncio.CancelledError:
                await self._stop_cancelled(timeout)
                raise
            if signals:
                _log.info("stopping after signal %s", signal.Signals(signals[0]).name)
            await self._stop_or_hurry(timeout)
        return bool(signals) or not self.ended_itself

    @staticmethod
    async def _started(starting: asyncio.Future[None], signals: list[int]) -> None:
        """Wait for a start; a second signal ends it."""
        try:
            await starting
        except asyncio.CancelledError:
            if len(signals) > 1 and not _is_cancelled():
                return
            starting.cancel()
            raise

    async def _wait_asked(self, asked: asyncio.Event) -> None:
        """Wait for a signal, or for the end of the pool."""
        driver = self._driver
        while driver is not None and not driver.stopping and driver.alive and not asked.is_set():
            driver.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), _LOOK_S)

    async def _stop_or_hurry(self, timeout: float | None) -> None:  # noqa: ASYNC109 - of handlers
        """Stop; a cancellation meanwhile returns unfinished jobs at once."""
        try:
            await self.stop_async(timeout)
        except asyncio.CancelledError:
            await self._stop_cancelled(0.0)
            raise

    async def _stop_cancelled(self, timeout: float | None) -> None:  # noqa: ASYNC109 - of handlers
        """Stop to the end, although this task is cancelled."""
        stopping = asyncio.ensure_future(self.stop_async(timeout))
        while not stopping.done():
            try:
                await asyncio.wait([stopping])
            except asyncio.CancelledError:
                if (driver := self._driver) is None or not driver.is_ours:
                    return  # it has not started, and the start was cancelled
                driver.request_stop(0.0)
        if not stopping.cancelled() and (error := stopping.exception()) is not None:
            _log.error("the pool was stopped after a cancellation: %s", error)

    # Context managers.

    def __enter__(self) -> Self:
        """Start the pool."""
        self.start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _where: object) -> None:
        """Stop the pool, waiting for running handlers."""
        try:
            self.stop()
        except LifespanFailed:
            if error is None:  # else that is what the caller has to see; the log has this one
                raise

    async def __aenter__(self) -> Self:
        """Start the pool, while the event loop goes on."""
        await self.start_async()
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _where: object) -> None:
        """Stop the pool, waiting for running handlers, while the event loop goes on."""
        try:
            await self.stop_async()
        except LifespanFailed:
            if error is None:
                raise


def _is_cancelled() -> bool:
    """Tell whether the current task was asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
