"""Runs a pool once in one process, from start to stop, within time limits."""

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
from workkit.engine.engine import PoolSpec
from workkit.engine.process.signals import SignalEvent, signals_to
from workkit.errors import PoolState

__all__ = ["IMPORTING", "Run"]

_log = logging.getLogger("workkit")

#: The module that is imported only to find the pool in it; "" if there is none. A pool that runs
#: during the import would keep it from ending.
IMPORTING: Final[ContextVar[str]] = ContextVar("workkit_importing", default="")
#: A stop that takes this much longer than its timeout hangs, seconds.
_OVERDUE_S: Final = 2.5


class _StopAskedError(BaseException):
    """A second signal interrupts a start or a stop hook."""


class Run:
    """Starts and stops a pool.

    Args:
        spec: The pool's registrations and options.
        make_driver: Makes its driver.
        start_hooks: Calls the hooks that precede the first job.
        stop_hooks: Calls the hooks that follow the last job.
        start_failed: Called when the pool could not be started.
        clock: Measures how long a stop takes.

    Attributes:
        driver: The pool's driver, after the start.
    """

    def __init__(
        self,
        spec: PoolSpec,
        make_driver: Callable[[], PoolDriver],
        start_hooks: Callable[[], None],
        stop_hooks: Callable[[], None],
        start_failed: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._give_up_at_s = math.inf
        self._spec = spec
        self._make_driver = make_driver
        self._start_hooks = start_hooks
        self._stop_hooks = stop_hooks
        self._start_failed = start_failed
        self._lock = threading.RLock()
        self._is_starting = False
        self._runs_hooks = False
        self.driver: PoolDriver | None = None

    @property
    def running(self) -> bool:
        """Whether this process has started the pool, and it has not stopped."""
        driver = self.driver
        if driver is None or not driver.is_ours:
            return False
        driver.look()
        return driver.alive

    @property
    def overdue(self) -> bool:
        """Whether a stop takes too long: something hangs, such as a stop hook."""
        if self.driver is not None:
            return self.driver.is_overdue(_OVERDUE_S)
        return self._clock.read().monotonic_s > self._give_up_at_s + _OVERDUE_S

    def rest_may_take_s(self, most_s: float) -> float:
        """Return how long a part of the stop may take, seconds."""
        return self.driver.rest_may_take_s(most_s) if self.driver is not None else most_s

    def start(self) -> PoolDriver:
        """Start the pool, unless it was started already.

        Raises:
            PoolState: It cannot be started.
            ServerError: Redis cannot be reached or refuses us.
        """
        _check_system()
        if self.driver is not None and not self.driver.is_ours:  # a fork may copy a held lock
            raise PoolState(
                f"the pool runs in process {self.driver.pid}, and this process is a fork of it; "
                "make a new pool in the child"
            )
        with self._lock:
            if self.driver is not None:
                if not self.driver.alive:
                    raise PoolState("the pool was stopped; make a new one")
                return self.driver
            if self._is_starting:
                raise PoolState("a start hook cannot start its own pool")
            if not self._spec.registrations and not self._spec.periodic:
                raise PoolState("the pool has no jobs; register some with pool.job(...)")
            self._is_starting = True
            try:
                self._start_hooks()
                driver = self._make_driver()
                driver.start()
                self.driver = driver
            except BaseException:
                self._start_failed()
                raise
            finally:
                self._is_starting = False
            atexit.register(self._at_exit)
            return driver

    def _at_exit(self) -> None:
        """Give jobs back at the end of a process that did not stop the pool."""
        if self.running:
            _log.warning("the process ends while its pool runs; jobs go back; call stop() first")
            self.stop(0.0)

    def stop(self, timeout_s: float | None) -> None:
        """Stop the pool within the timeout plus two seconds.

        Args:
            timeout_s: Seconds that handlers may take; None for no limit.
        """
        check_wait("timeout", timeout_s)
        driver = self.driver
        if driver is None or not driver.is_ours:
            return
        if not driver.runs_here():
            self._stop(driver, timeout_s)
            return
        driver.request_stop(timeout_s)
        with contextlib.suppress(RuntimeError):  # no thread; `_at_exit` stops the pool
            threading.Thread(
                target=self._stop, args=(driver, timeout_s), name="workkit-stop", daemon=True
            ).start()

    def _stop(self, driver: PoolDriver, timeout_s: float | None) -> None:
        if driver.stop(timeout_s):
            try:
                self._spec.events.close(driver.rest_may_take_s(5.0))
                self._runs_hooks = True
                self._stop_hooks()
            finally:
                self._runs_hooks = False
                driver.closed()
                atexit.unregister(self._at_exit)

    def until_asked(self, timeout_s: float | None) -> bool:
        """Start the pool, wait for SIGINT or SIGTERM, then stop; at once after a second signal.

        A second signal also interrupts a start or a stop hook that hangs.

        Args:
            timeout_s: Seconds that handlers may take; None for no limit.

        Returns:
            Whether a signal asked for it; False if the pool has ended by itself.

        Raises:
            PoolState: The pool cannot be started, or would block a running event loop.
            ServerError: Redis cannot be reached or refuses us.
        """
        check_wait("timeout", timeout_s)
        _refuse_loop()
        if module := IMPORTING.get():
            raise PoolState(
                f"importing {module!r} must not run the pool: put pool.run(), and other code only "
                'for a script, below `if __name__ == "__main__":`'
            )
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
        "run() would block the running event loop; call pool.start() here, and at the end "
        "await asyncio.to_thread(pool.stop)"
    )
