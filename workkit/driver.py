"""Drives an engine with threads: dispatcher, heartbeat and maintenance, a connection each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Final

from workkit.clock import Clock
from workkit.dispatcher import Rest
from workkit.engine import Engine, PoolSpec, RunnerFactory
from workkit.entropy import Entropy
from workkit.errors import ServerError
from workkit.maintenance.loop import DutyLoop
from workkit.outage import Outage
from workkit.store import due, pools, queues
from workkit.store.link import Link
from workkit.store.target import Target
from workkit.waker import Waker

__all__ = ["PoolDriver"]

_log = logging.getLogger("workkit")

#: While it listens for announcements, the dispatcher still looks by itself this often, seconds.
_SAFETY_LOOK_S: Final = 5.0
#: How long a pool that stops keeps trying to tell a silent Redis what it gives back, seconds.
_LAST_WORDS_S: Final = 5.0
_AFTER_BUG_S: Final = 1.0
_DRAIN_LOOK_S: Final = 0.05


class PoolDriver:
    """The threads of one running pool.

    Args:
        spec: What the pool is to be.
        target: Where Redis is.
        clock: Where times come from.
        entropy: Where chance comes from.
        sleep_backoffs_s: Waits between looks where the server does not announce changes, seconds.
        make_runner: Makes the runner.
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
        self._spec = spec
        self._clock = clock
        self._target = target
        self._sleeps = sleep_backoffs_s
        self._waker = Waker()
        self.engine = Engine(
            spec, clock=clock, entropy=entropy, make_runner=make_runner, notify=self._waker.wake
        )
        self._link = Link(target, name="workkit-dispatcher")
        self._heartbeat = DutyLoop(
            "workkit-heartbeat",
            Link(target, timeout_s=2.0, name="workkit-heartbeat"),
            [self.engine.heartbeat],
            clock,
            entropy,
        )
        self._maintenance = DutyLoop(
            "workkit-maintenance",
            Link(target, name="workkit-maintenance"),
            self.engine.duties,
            clock,
            entropy,
        )
        self._outage = Outage("dispatcher", clock, entropy)
        self._thread = threading.Thread(target=self._serve, name="workkit-dispatcher", daemon=True)
        self._idle_turns = 0
        self._stop_lock = threading.Lock()
        self._stopped = False
        self._stopping = False
        self._give_back_at_s = float("inf")
        self._gave_back = False
        self._ended = threading.Event()

    @property
    def alive(self) -> bool:
        """Whether the dispatcher runs."""
        return not self._ended.is_set()

    @property
    def pool_id(self) -> str:
        """The id under which the pool holds jobs at present."""
        return self.engine.identity.pool_id

    def start(self) -> None:
        """Register the pool and start the threads.

        Raises:
            ServerError: Redis cannot be reached or refuses; nothing has been started.
        """
        try:
            self._link.run(self.engine.dispatcher.register())
        except ServerError:
            self._link.close()
            self._waker.close()
            self._heartbeat.discard()
            self._maintenance.discard()
            raise
        self._heartbeat.start()
        self._maintenance.start()
        self._thread.start()

    # Stopping.

    def stop(self, timeout_s: float | None) -> bool:
        """Stop; returns False if another call has done it."""
        self._request_stop(timeout_s)
        self._ended.wait()
        with self._stop_lock:
            if self._stopped:
                return False
            self._stopped = True
        self._maintenance.stop(1.0)
        self._heartbeat.stop(1.0)
        self._clear_observations()
        self.engine.runner.close(wait_s=0.5)
        self._waker.close()
        return True

    def stop_now(self) -> None:
        """Cut a stop short; safe in a signal handler."""
        self._request_stop(0.0)

    def _request_stop(self, timeout_s: float | None) -> None:
        if timeout_s is not None:
            at_s = self._clock.read().monotonic_s + timeout_s
            self._give_back_at_s = min(self._give_back_at_s, at_s)
        self.engine.dispatcher.stop_claiming()
        self._stopping = True
        self._waker.wake()

    def wait_ended(self, asked: threading.Event) -> None:
        """Wait for a request to stop, or for the pool's own end."""
        while not asked.wait(0.2) and not self._stopping:
            pass

    def _clear_observations(self) -> None:
        link = Link(self._target, timeout_s=1.0)
        try:
            link.run(self.engine.observer.clear())
        except ServerError:
            pass  # they expire
        finally:
            link.close()

    # The dispatcher's thread.

    def _serve(self) -> None:
        try:
            while not (self._stopping and self._is_done()):
                self._turn()
            self._leave()
        finally:
            self._link.close()
            self._ended.set()

    def _turn(self) -> None:
        try:
            rest = self._link.run(self.engine.dispatcher.turn())
            self._outage.over()
            if rest.for_s > 0:
                self._rest(rest)
            else:
                self._idle_turns = 0
        except ServerError as error:
            self._pause(self._outage.failed(error))
        except Exception:  # noqa: BLE001 - a bug of ours must not end the pool
            _log.exception("the dispatcher failed; it goes on in %.0f s", _AFTER_BUG_S)
            self._pause(_AFTER_BUG_S)
        self._check_abandoned()

    def _rest(self, rest: Rest) -> None:
        """Wait for a finished job, an announcement of the server, or the dispatcher's own time."""
        dispatcher, waker = self.engine.dispatcher, self._waker
        waker.arm()
        try:
            wait_s = min(rest.for_s, self._until_give_back())
            settled = self._stopping and not len(self.engine.ledger)
            if settled or dispatcher.has_finished or wait_s <= 0:
                return
            if not rest.listen or self._stopping:
                waker.wait(wait_s)
                return
            if not self._link.armed:
                look = self._link.arm(dispatcher.look())
                if look is None:
                    self._poll(wait_s)
                    return
                hopeful = dispatcher.looked(look)
                self._hurry_requeuer(look.next_due_s)
                if hopeful:
                    return
            self._link.wait(min(wait_s, _SAFETY_LOOK_S), waker.fileno())
        finally:
            waker.disarm()

    def _poll(self, wait_s: float) -> None:
        """Wait a little longer each time, where the server does not announce changes."""
        at = min(self._idle_turns, len(self._sleeps) - 1)
        self._idle_turns += 1
        self._waker.wait(min(wait_s, max(self._sleeps[at], 0.001)))

    def _hurry_requeuer(self, next_due_s: float | None) -> None:
        if next_due_s is not None:
            now = self._clock.read()
            in_s = max(next_due_s - now.epoch_ms / 1000, 0)
            self._maintenance.hurry(self.engine.requeuer, now.monotonic_s + in_s)

    def _pause(self, for_s: float) -> None:
        self._waker.arm()
        if not self._stopping:
            self._waker.wait(for_s)
        elif for_s > 0:
            self._waker.wait(min(for_s, max(self._until_give_back(), 0.05)))
        self._waker.disarm()

    def _check_abandoned(self) -> None:
        """End the pool when as many handlers were abandoned as it has workers."""
        if not self._stopping and self.engine.runner.abandoned() >= self._spec.concurrency:
            _log.error(
                "%d handlers were abandoned after their timeouts; the pool stops so that the "
                "process can be replaced",
                self._spec.concurrency,
            )
            self._request_stop(_LAST_WORDS_S)

    # The end.

    def _until_give_back(self) -> float:
        if self._gave_back:
            return float("inf")
        return self._give_back_at_s - self._clock.read().monotonic_s

    def _is_done(self) -> bool:
        """Tell whether everything is settled, giving back what has not ended in time."""
        if not len(self.engine.ledger):
            return True
        if self._until_give_back() <= 0:
            self._gave_back = True
            running = self.engine.dispatcher.give_back()
            if running:
                _log.warning("%d jobs were unfinished and go back to their queues", len(running))
            for execution in running:
                self.engine.runner.interrupt(execution)
        now_s = self._clock.read().monotonic_s
        if self._outage.lasting and now_s > self._give_back_at_s + _LAST_WORDS_S:
            _log.error(
                "Redis does not answer, so %d jobs stay in progress; another pool recovers them",
                len(self.engine.ledger),
            )
            return True
        return False

    def _leave(self) -> None:
        try:
            held = self._link.run(self.engine.dispatcher.leave())
        except ServerError as error:
            _log.warning("the pool could not sign off (%s); others will notice", error)
            return
        if held:
            _log.warning("%d jobs stay in progress; another pool recovers them", held)

    # Draining.

    def drain(self, timeout_s: float | None) -> tuple[list[str], dict[str, int], bool]:
        """Wait until nothing is left to do now.

        Returns:
            Paused queues with jobs, lengths of queues that are not empty, and whether all was done.

        Raises:
            ServerError: Redis does not answer.
        """
        names = list(self._spec.registrations)
        started_s = self._clock.read().monotonic_s
        link = Link(self._target)
        try:
            while True:
                # In the order in which jobs move on, so that none slips through between two looks.
                next_due_s = link.do(due.next_due(self.engine.keys))
                states = link.do(queues.states(self.engine.keys, names))
                held = link.do(pools.in_progress(self.engine.keys, self.pool_id, names))
                waiting = {state.name: state.length for state in states if state.length}
                paused = [state.name for state in states if state.length and state.paused]
                now = self._clock.read()
                overdue = next_due_s is not None and next_due_s <= now.epoch_s
                busy = overdue or held or len(self.engine.ledger) or set(waiting) - set(paused)
                elapsed_s = now.monotonic_s - started_s
                if not busy or (timeout_s is not None and elapsed_s >= timeout_s):
                    return paused, waiting, not busy
                if self._ended.wait(_DRAIN_LOOK_S):
                    return paused, waiting, False
        finally:
            link.close()
