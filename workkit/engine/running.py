"""Runs a pool in one process, from start to stop, as often as asked, within time limits."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import math
import os
import signal
import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import FrameType
from typing import Final

from workkit.core.clock import Clock
from workkit.core.options import check_wait
from workkit.engine.driver import PoolDriver
from workkit.engine.health import UNSTARTED, Health
from workkit.engine.process.signals import SignalEvent, signals_to
from workkit.engine.spec import PoolSpec
from workkit.engine.surroundings import Surroundings
from workkit.errors import LifespanFailed, PoolState

__all__ = ["IMPORTING", "Run", "StartRequest", "refuse_import"]

_log = logging.getLogger("workkit")

#: The module that is imported only to find the pool in it; "" if there is none. A pool that runs
#: during the import would keep it from ending.
IMPORTING: Final[ContextVar[str]] = ContextVar("workkit_importing", default="")
#: A stop that takes this much longer than its timeout hangs, seconds.
_OVERDUE_S: Final = 2.5
#: How long a start waits for the end of a stop on another thread, seconds.
_CLOSING_S: Final = 10.0


class _StopAskedError(BaseException):
    """A second signal interrupts a start or a stop hook."""


class StartRequest:
    """One call that starts a pool; another thread may cancel it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_cancelled = self._is_over = False

    def cancelled(self) -> bool:
        """Tell whether it was cancelled."""
        return self._is_cancelled

    def over(self) -> bool:
        """End it; return whether the pool may run."""
        with self._lock:
            self._is_over = True
            return not self._is_cancelled

    def cancel(self) -> bool:
        """Cancel it; return whether that is too late, because the pool runs."""
        with self._lock:
            self._is_cancelled = True
            return self._is_over


class Run:
    """Starts and stops a pool.

    Args:
        spec: The pool's registrations and options.
        make_driver: Makes the driver of one run.
        surroundings: Opens and closes what surrounds the jobs.
        clock: Measures how long a stop takes.

    Attributes:
        driver: The driver of the present or the last run; None before the first start.
    """

    def __init__(
        self,
        spec: PoolSpec,
        make_driver: Callable[[], PoolDriver],
        surroundings: Surroundings,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._give_up_at_s = math.inf
        self._spec = spec
        self._make_driver = make_driver
        self._surroundings = surroundings
        self._lock = threading.RLock()
        self._starting: StartRequest | None = None
        self._runs_hooks = False
        self.driver: PoolDriver | None = None

    @property
    def running(self) -> bool:
        """Whether this process has started the pool, and it has not stopped."""
        driver = self.driver
        if driver is None or not driver.is_ours or self._starting is not None:
            return False
        driver.look()
        return driver.alive

    @property
    def health(self) -> Health:
        """Whether the pool lives and can claim jobs; from any thread."""
        driver = self.driver
        if driver is None or self._starting is not None:
            return UNSTARTED
        return driver.health()

    @property
    def overdue(self) -> bool:
        """Whether a stop takes too long: something hangs, such as a stop hook."""
        if self.driver is not None:
            return self.driver.is_overdue(_OVERDUE_S)
        return self._clock.read().monotonic_s > self._give_up_at_s + _OVERDUE_S

    def start(self, request: StartRequest | None = None) -> PoolDriver:
        """Start the pool, unless it runs.

        Args:
            request: Lets another thread cancel the start.

        Raises:
            PoolState: It cannot be started, or the start was cancelled.
            LifespanFailed: A lifespan has failed.
            ServerError: Redis cannot be reached or refuses us.
        """
        _check_system()
        if self.driver is not None and not self.driver.is_ours and self.driver.alive:
            raise PoolState(  # before the lock: a fork may copy a held one
                f"the pool runs in process {self.driver.pid}, and this process is a fork of it; "
                "make a new pool in the child"
            )
        with self._lock:
            if self._starting is not None:
                raise PoolState("a start hook or a lifespan cannot start its own pool")
            if self.driver is not None and self._still_runs(self.driver):
                return self.driver
            if not self._spec.registrations and not self._spec.periodic:
                raise PoolState(
                    "the pool has no jobs; register some with @tasks.task or pool.job(...)"
                )
            request = self._starting = request or StartRequest()
            try:
                driver = self._started(request)
            finally:
                self._starting = None
            if not request.over():
                self.stop(0.0)
                raise PoolState("the start of the pool was cancelled")
            return driver

    def _still_runs(self, driver: PoolDriver) -> bool:
        """Tell whether the pool runs; make sure that a run that has ended is closed.

        Raises:
            PoolState: It is being stopped.
        """
        if driver.alive and not driver.stopping:
            return True
        if driver.is_ours and not driver.alive and not self.closes_here():
            # It has ended by itself, or a stop on another thread is about to return.
            with contextlib.suppress(LifespanFailed):  # logged
                self._stop(driver, 0.0)
            driver.wait_closed(_CLOSING_S)
        if driver.is_ours and not driver.is_closed:
            raise PoolState("the pool is being stopped; start it when stop() has returned")
        return False

    def closes_here(self) -> bool:
        """Tell whether the caller is a handler, a hook or a lifespan, for which a stop waits."""
        driver = self.driver
        return self._surroundings.runs_here() or (driver is not None and driver.runs_here())

    def _started(self, request: StartRequest) -> PoolDriver:
        former = self.driver
        try:
            self._surroundings.open(request.cancelled)
            if request.cancelled():
                raise PoolState("the start of the pool was cancelled")  # noqa: TRY301
            # Before the start, since a handler may stop the pool before `start` returns.
            driver = self.driver = self._make_driver()
            _running.add(self)
            driver.start()
        except BaseException:
            self.driver = former
            _running.discard(self)
            self._surroundings.fail()
            raise
        return driver

    def at_exit(self) -> None:
        """Give jobs back at the end of a process that did not stop the pool."""
        if self.running:
            _log.warning("the process ends while its pool runs; jobs go back; call stop() first")
            with contextlib.suppress(LifespanFailed):  # logged
                self.stop(0.0)

    def stop(self, timeout_s: float | None) -> None:
        """Stop the pool within the timeout plus two seconds; cancel a start on another thread.

        Args:
            timeout_s: Seconds that handlers may take; None for no limit.

        Raises:
            LifespanFailed: A lifespan has failed behind its yield. The pool has stopped.
        """
        check_wait("timeout", timeout_s)
        driver, request = self.driver, self._starting
        if driver is not None and driver.is_ours and driver.runs_here():
            self.stop_soon(driver, timeout_s)
            return
        if request is not None:
            request.cancel()
            if not self._surroundings.runs_here():
                with self._lock:  # until the start has ended
                    pass
        driver = self.driver
        if driver is None or not driver.is_ours:
            return
        if not self.closes_here():
            self._stop(driver, timeout_s)
        else:
            self.stop_soon(driver, timeout_s)

    def stop_soon(self, driver: PoolDriver, timeout_s: float | None) -> None:
        """Stop on another thread; return at once."""

        def stop() -> None:
            with contextlib.suppress(LifespanFailed):  # logged
                self._stop(driver, timeout_s)

        driver.request_stop(timeout_s)
        with contextlib.suppress(RuntimeError):  # no thread; `at_exit` stops the pool
            threading.Thread(target=stop, name="workkit-stop", daemon=True).start()

    def _stop(self, driver: PoolDriver, timeout_s: float | None) -> None:
        if not driver.stop(timeout_s):
            return
        failed: LifespanFailed | None = None
        try:
            self._spec.events.close(driver.rest_may_take_s(5.0))
            self._runs_hooks = True
            failed = self._surroundings.close(driver.rest_may_take_s)
        finally:
            self._runs_hooks = False
            driver.closed()
            _running.discard(self)
        if failed is not None:
            raise failed

    def until_asked(self, timeout_s: float | None) -> bool:
        """Start the pool, wait for SIGINT or SIGTERM, then stop; at once after a second signal.

        A second signal also interrupts a start or a stop hook that hangs.

        Args:
            timeout_s: Seconds that handlers may take; None for no limit.

        Returns:
            Whether a signal asked for it; False if the pool has ended by itself.

        Raises:
            PoolState: The pool cannot be started, or would block a running event loop.
            LifespanFailed: A lifespan has failed.
            ServerError: Redis cannot be reached or refuses us.
        """
        check_wait("timeout", timeout_s)
        _refuse_loop()
        refuse_import("pool.run()")
        self._give_up_at_s = math.inf
        asked, signals = SignalEvent(), list[int]()
        driver: PoolDriver | None = None

        def on_signal(number: int, _frame: FrameType | None) -> None:
            signals.append(number)
            asked.set()
            if len(signals) > 1:
                if driver is None or self._runs_hooks:
                    raise _StopAskedError("a second signal asked for the end")
                driver.request_stop(0.0)
            elif timeout_s is not None:
                self._give_up_at_s = self._clock.read().monotonic_s + timeout_s

        with signals_to(on_signal):
            try:
                driver = self.start()
            except _StopAskedError:
                self.stop(0.0)  # it may have been started just before
                return True
            driver.wait_ended(asked)
            if signals:
                _log.info("stopping after signal %s", signal.Signals(signals[0]).name)
            with contextlib.suppress(_StopAskedError):
                self.stop(timeout_s)
        return bool(signals) or not driver.ended_itself


#: The pools that run in this process.
_running: Final[set[Run]] = set()


@atexit.register
def _at_exit() -> None:
    """Stop all pools at the end of the process. Python keeps a slot for each callback ever made."""
    for run in list(_running):
        run.at_exit()


def _check_system() -> None:
    """Refuse a system that cannot run a pool."""
    if os.name != "posix":
        raise PoolState(
            f"worker pools need a POSIX system, such as Linux or macOS, not {os.name!r}; run them "
            "in a container or under WSL. Enqueuers and clients work here"
        )


def _refuse_loop() -> None:
    """Refuse to block a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise PoolState(
        "run() would block the running event loop; write: await pool.run_async(), or "
        "async with pool: ..."
    )


def refuse_import(call: str) -> None:
    """Refuse to run a pool during the import of its module.

    Args:
        call: The call, for the message.
    """
    if module := IMPORTING.get():
        raise PoolState(
            f"importing {module!r} must not run the pool: put {call}, and other code only "
            'for a script, below `if __name__ == "__main__":`'
        )
