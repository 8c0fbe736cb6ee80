"""Drives an engine with threads: dispatcher, heartbeat and maintenance, a connection each."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from collections.abc import Sequence
from typing import Final

from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.engine.duties.loop import DutyLoop
from workkit.engine.engine import Engine, PoolSpec, RunnerFactory
from workkit.engine.eviction import warn_of_eviction
from workkit.engine.process.courier import COURIER
from workkit.engine.process.signals import SignalEvent
from workkit.engine.process.vitals import Pulse
from workkit.engine.process.waker import Waker
from workkit.engine.serving import Serving, draining
from workkit.errors import PoolState, ServerError
from workkit.store.connections.link import Link
from workkit.store.connections.routine import Wait, carry_out
from workkit.store.connections.target import Target

__all__ = ["PoolDriver", "ThreadsRefusedError"]

_log = logging.getLogger("workkit")


class ThreadsRefusedError(PoolState):
    """The system starts no thread for the pool; it may do so later."""


#: How often whoever waits for a pool looks whether it still lives, seconds.
_LOOK_S: Final = 0.2
#: A stop ends so long after its timeout, whatever hangs, seconds. The first part is for the
#: dispatcher, which gives jobs back and signs off, the rest for all others.
_DISPATCHER_S: Final = 1.4
_ALL_S: Final = 1.9
#: How long the others may take where there is no timeout, seconds.
_OTHERS_S: Final = 1.0
#: How long stop hooks may take, counted from the end of the last handler, seconds.
_HOOKS_S: Final = 30.0


class PoolDriver:
    """The threads of one running pool.

    Args:
        spec: What the pool is to be.
        target: Where Redis is.
        clock: Where times come from.
        entropy: Where chance comes from.
        sleep_backoffs_s: Waits between looks where the server does not announce changes, seconds.
        make_runner: Makes the runner.

    Attributes:
        pid: The process in which it runs; a forked child has its memory, and none of its threads.
    """

    def __init__(
        self,
        spec: PoolSpec,
        target: Target,
        clock: Clock,
        entropy: Entropy,
        sleep_backoffs_s: Sequence[float],
        make_runner: RunnerFactory,
    ) -> None:
        self.pid = os.getpid()
        self._spec = spec
        self._target = target
        self._waker = Waker()
        self.engine = Engine(
            spec, clock=clock, entropy=entropy, make_runner=make_runner, notify=self._waker.wake
        )
        clock = self._clock = self.engine.clock
        vitals = self.engine.vitals
        self._link = Link(target, name="workkit-dispatcher")
        vitals.dispatcher.connects = lambda: self._link.connecting
        self._heartbeat = DutyLoop(
            "workkit-heartbeat",
            Link(target, timeout_s=2.0, name="workkit-heartbeat"),
            [self.engine.heartbeat],
            clock,
            entropy,
            pulse=vitals.heartbeat,
            lookout=vitals.lookout(),
        )
        self._maintenance = DutyLoop(
            "workkit-maintenance",
            Link(target, name="workkit-maintenance"),
            self.engine.duties,
            clock,
            entropy,
            pulse=vitals.maintenance,
            lookout=vitals.lookout(),
        )
        self._serving = Serving(
            self.engine,
            spec.concurrency,
            clock=clock,
            entropy=entropy,
            sleep_backoffs_s=sleep_backoffs_s,
            alarm=self._waker,
            listener=self._link,
            hurry_requeuer=lambda at_s: self._maintenance.hurry(self.engine.requeuer, at_s),
        )
        self._lookout = vitals.lookout()
        vitals.failed = self._failed
        self._thread = threading.Thread(target=self._serve, name="workkit-dispatcher", daemon=True)
        self._stop_lock = threading.Lock()
        self._stopper: threading.Thread | None = None
        self._hooks_until_s = math.inf
        self._ended = threading.Event()
        self._closed = threading.Event()

    @property
    def is_ours(self) -> bool:
        """Whether this is the process in which the pool was started, and no fork of it."""
        return self.pid == os.getpid()

    @property
    def alive(self) -> bool:
        """Whether the dispatcher runs, as far as anybody knows."""
        return not self._ended.is_set()

    @property
    def stopping(self) -> bool:
        """Whether the pool has been asked to stop, or stops by itself."""
        return self._serving.stopping

    @property
    def ended_itself(self) -> bool:
        """Whether the pool stops, or has stopped, by itself."""
        return self._serving.ended_itself

    @property
    def pool_id(self) -> str:
        """The id under which the pool holds jobs at present."""
        return self.engine.identity.pool_id

    def start(self) -> None:
        """Register the pool and start the threads.

        Raises:
            ServerError: Redis cannot be reached or refuses; nothing has been started.
            PoolState: The system starts no more threads; nothing has been started.
        """
        COURIER.open()
        try:
            # Before it can write a time, or move what is due by its own clock.
            self._link.carry(self.engine.clock.ask())
            self._link.carry(self.engine.dispatcher.register())
            if warning := self._link.carry(warn_of_eviction()):
                _log.warning("%s", warning)
            self._start_threads()
        except BaseException:
            self._heartbeat.stop(0.5)
            self._maintenance.stop(0.5)
            self._link.close()
            self._waker.close()
            self._ended.set()
            COURIER.close(0.5)
            raise

    def _start_threads(self) -> None:
        try:
            self._heartbeat.start()
            self._maintenance.start()
            self._thread.start()
        except RuntimeError as error:
            with contextlib.suppress(ServerError):
                self._link.carry(self.engine.dispatcher.leave())
            raise ThreadsRefusedError(
                f"the pool was not started, since the system starts no thread ({error}); raise its "
                "limit of threads, such as ulimit -u or the pids limit of the container"
            ) from None

    # The end.

    def look(self) -> None:
        """Look whether all threads of the pool are alive and turn; end the pool if not."""
        self._lookout.look(self._clock.read().monotonic_s)
        why = self.engine.runner.fault
        if self._waker.broken or self._heartbeat.broken or self._maintenance.broken:
            why = "other code in this process has closed its descriptors"
        if why:
            self._end(why)

    def _failed(self, pulse: Pulse, why: str) -> None:
        """End the pool, one of whose loops does not turn; called by the first to find it."""
        self._end(why)
        if pulse is self.engine.vitals.dispatcher and not self._ended.is_set():
            _log.error("what the pool holds stays in progress; other pools recover it")
            self._ended.set()

    def _end(self, why: str) -> None:
        if not self._serving.stopping:
            self._serving.end(f"the pool cannot go on: {why}", within_s=None)

    def runs_here(self) -> bool:
        """Tell whether this is called from a handler, a hook or another thread of the pool."""
        thread = threading.current_thread()
        return (
            self.engine.runner.runs_here()
            or self._spec.events.runs_here()
            or COURIER.runs_here()
            or thread is self._thread
            or thread is self._stopper
        )

    def request_stop(self, timeout_s: float | None) -> None:
        """Ask the pool to stop; safe in a signal handler."""
        self._serving.request_stop(timeout_s)

    def wait_ended(self, asked: SignalEvent) -> None:
        """Wait for a request to stop, or for the pool's own end."""
        while not asked.wait(_LOOK_S) and not self._serving.stopping and self.alive:
            self.look()

    def stop(self, timeout_s: float | None) -> bool:
        """Stop, within the timeout and two seconds; returns False if another call has done it.

        Args:
            timeout_s: Seconds that handlers may take; None for no limit.
        """
        self._serving.request_stop(timeout_s)
        while not self._ended.wait(_LOOK_S):
            self.look()
            if self._left_s(_DISPATCHER_S) <= 0:
                self._give_up()
        with self._stop_lock:
            is_first = self._stopper is None
            self._stopper = self._stopper or threading.current_thread()
            if is_first:
                self._hooks_until_s = self._clock.read().monotonic_s + _HOOKS_S
        if not is_first:
            self._closed.wait(self._left_s(_ALL_S, most_s=_OTHERS_S))
            return False
        self._close()
        return True

    def _left_s(self, more_s: float, most_s: float = math.inf) -> float:
        """Return how much is left of the timeout and some more, seconds."""
        now_s = self._clock.read().monotonic_s
        return min(max(self._serving.give_back_at_s + more_s - now_s, 0.0), most_s)

    def _give_up(self) -> None:
        """End without the dispatcher, which waits for Redis, or for what never comes."""
        self._link.sever()
        if not self._ended.wait(0.2):
            _log.error(
                "the pool could not give its jobs back in time; what it holds stays in progress, "
                "and other pools recover it"
            )
            self._ended.set()

    def _close(self) -> None:
        """Let all threads but the dispatcher's end, and free what they hold."""
        for loop in (self._maintenance, self._heartbeat):
            loop.stop(self._left_s(_ALL_S, most_s=_OTHERS_S / 2))
            loop.sever()
        if not self._serving.out_of_touch and self._left_s(_ALL_S) > 0:
            self._clear_observations()
        self.engine.runner.close(wait_s=self._left_s(_ALL_S, most_s=_OTHERS_S / 2))
        self._waker.close()

    def is_overdue(self, by_s: float) -> bool:
        """Tell whether a stop that was asked for should have ended so long ago, seconds."""
        if self._closed.is_set():
            return False
        until_s = self._serving.give_back_at_s
        if until_s == math.inf:
            until_s = self._hooks_until_s
        return self._clock.read().monotonic_s > until_s + by_s

    def hooks_may_take_s(self) -> float:
        """Return how long hooks may take that are due when the pool has ended, seconds."""
        return self._left_s(_ALL_S, most_s=5.0)

    def closed(self) -> None:
        """Let go whoever waits for the end, when the hooks have run too; deliver the log."""
        self._closed.set()
        COURIER.close(max(self._left_s(_ALL_S, most_s=1.0), 0.1))

    def _clear_observations(self) -> None:
        link = Link(self._target, timeout_s=0.3)
        try:
            link.carry(self.engine.observer.clear())
        except ServerError:
            pass  # they expire
        finally:
            link.close()

    def _serve(self) -> None:
        try:
            carry_out(self._serving.routine(), self._link, self._wait)
        except BaseException:  # noqa: BLE001 - whatever has ended it, the pool must end
            _log.exception("the dispatcher has ended; other pools recover what the pool holds")
            self._end("its dispatcher has ended")
        finally:
            self.engine.vitals.dispatcher.ended = True
            try:
                self._link.close()
            finally:
                self._ended.set()

    def _wait(self, wait: Wait) -> None:
        if wait.listen:
            self._link.wait(wait.for_s, self._waker.fileno())
        else:
            self._waker.wait(wait.for_s)

    def drain(self, timeout_s: float | None) -> tuple[list[str], dict[str, int], bool]:
        """Wait until nothing is left to do now.

        Returns:
            Paused queues with jobs, lengths of queues that are not empty, and whether all was done.

        Raises:
            ServerError: Redis does not answer.
        """
        names = list(self._spec.registrations)
        link = Link(self._target)
        try:
            return carry_out(
                draining(self.engine, names, self._clock, timeout_s), link, self._wait_draining
            )
        finally:
            link.close()
            COURIER.flush(_OTHERS_S)

    def _wait_draining(self, wait: Wait) -> bool:
        self.look()
        return self._ended.wait(wait.for_s)
