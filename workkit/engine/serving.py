"""The dispatcher's loop, without threads.

After a turn of the dispatcher it rests and listens, polls, backs off while Redis is away, returns
jobs that have not ended in time, or leaves. `PoolDriver` runs it on a thread, the simulator in
virtual time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

from workkit.core.clock import Clock
from workkit.engine.agenda import Agenda
from workkit.engine.dispatch.dispatcher import Rest
from workkit.engine.duties.requeuer import UNTOLD_S
from workkit.engine.engine import Engine
from workkit.engine.noise import Noise
from workkit.engine.process.outage import Outage
from workkit.errors import ServerError
from workkit.store.calls import exchange, move, queues, reap
from workkit.store.connections.routine import Alarm, ChangeListener, Routine, Wait, WatchRequest
from workkit.store.round_trip import RoundTrip, Step, ping

__all__ = ["LAST_JOBS_S", "Serving", "draining"]

_log = logging.getLogger("workkit")

#: After a silence this long, the loop tests a connection that should announce changes, seconds.
_TRY_S: Final = 10.0
#: How long a stopping pool keeps trying to return jobs to a Redis that does not answer, seconds.
_LAST_WORDS_S: Final = 1.0
#: How long running handlers may take when the pool ends by itself, seconds.
LAST_JOBS_S: Final = 5.0
#: How often the pool retries to start a worker that the system has refused, seconds.
_STAFF_S: Final = 0.5
#: A pool ends if the system refuses all its workers for this long, seconds.
_UNSTAFFED_S: Final = 30.0
_AFTER_BUG_S: Final = 1.0
_DRAIN_LOOK_S: Final = 0.05


class Serving:
    """The dispatcher's loop.

    Args:
        engine: The pool's parts.
        sleep_backoffs_s: Polling intervals for a server that does not announce changes, seconds.
        alarm: Ends the loop's waits.
        listener: The loop's connection.
        hurry_requeuer: Called with the time when the next job is due, monotonic seconds.
        safety_look_s: How often to look while the server announces changes, seconds.

    Attributes:
        stopping: Whether the pool was asked to stop, or stops by itself.
        ended_itself: Whether it stops by itself.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        sleep_backoffs_s: Sequence[float],
        alarm: Alarm,
        listener: ChangeListener,
        hurry_requeuer: Callable[[float], None],
        safety_look_s: float | None = None,
    ) -> None:
        self._safety_look_s = safety_look_s
        self._engine = engine
        self._concurrency = engine.spec.concurrency
        self._clock = engine.clock
        self._sleeps = sleep_backoffs_s
        self._alarm = alarm
        self._listener = listener
        self._hurry_requeuer = hurry_requeuer
        self._outage = Outage("dispatcher", engine.clock, engine.sources.entropy)
        self._noise = Noise(2 + engine.identity.jobs)
        self._agenda = Agenda()
        self._due_keys = frozenset({engine.keys.scheduled, engine.keys.retry})
        self._idle_turns = 0
        self._is_failing = False
        self._give_back_at_s = float("inf")
        self._gave_back = False
        self._short_since_s = self._staffed_at_s = 0.0
        self.stopping = self.ended_itself = False

    def request_stop(self, timeout_s: float | None) -> None:
        """Ask the pool to stop; from any thread, and safe in a signal handler.

        Args:
            timeout_s: Seconds after which the pool gives unfinished jobs back; None for never.
        """
        if timeout_s is not None:
            at_s = self._clock.read().monotonic_s + timeout_s
            self._give_back_at_s = min(self._give_back_at_s, at_s)
        self._engine.dispatcher.stop_claiming()
        self.stopping = True
        self._alarm.wake()

    @property
    def give_back_at_s(self) -> float:
        """When the pool gives unfinished jobs back, monotonic seconds; infinity for never."""
        return self._give_back_at_s

    @property
    def out_of_touch(self) -> bool:
        """Whether Redis did not answer the last request."""
        return self._outage.lasting

    def end(self, why: str, *, within_s: float | None) -> None:
        """Stop the pool by itself, so that the process can be replaced.

        Args:
            why: The fault of the pool.
            within_s: As for `request_stop`.
        """
        if not self.ended_itself:
            self.ended_itself = True
            _log.error("%s; the pool stops so that the process can be replaced", why)
            self.request_stop(within_s)

    def routine(self) -> Routine:
        """Process jobs until the pool was asked to stop and all jobs are settled."""
        return self._engine.vitals.dispatcher.of(self._routine())

    def _routine(self) -> Routine:
        while not (self.stopping and self._is_done()):
            yield from self._turn()
        yield from self._leave()

    def _turn(self) -> Routine:
        try:
            if self._outage.lasting:
                yield from ping()  # only an answer ends the outage; a turn may send no request
            dispatcher, heard = self._engine.dispatcher, self._listener.take_announced()
            claimed, loud = dispatcher.claimed, self._noise.is_loud
            rest = yield from dispatcher.turn(
                watched=self._listener.armed or loud, heard=() if loud else heard
            )
            if heard:
                now = self._clock.read()
                self._noise.announced(now, gained=dispatcher.claimed > claimed)
            self._outage.over()
            self._is_failing = False
            if rest.for_s > 0:
                yield from self._rest(rest)
            else:
                self._idle_turns = 0
        except ServerError as error:
            if not self._outage.lasting:
                self._engine.spec.observers.disrupted()
            yield from self._pause(self._outage.failed(error))
        except Exception:  # noqa: BLE001 - a bug of ours must not end the pool
            _log.exception("the dispatcher failed; it continues in %.0f s", _AFTER_BUG_S)
            self._is_failing = True
            yield from self._pause(_AFTER_BUG_S)
        if self._engine.requeuer.told and not self._listener.armed:
            self._engine.requeuer.told = False
            now = self._clock.read()
            # A change that was announced, but not read, is for the requeuer now.
            wait_s = self._agenda.pause_s(now) if self._listener.stale else UNTOLD_S
            self._hurry_requeuer(now.monotonic_s + min(wait_s, UNTOLD_S))
        self._check_workers()

    def _rest(self, rest: Rest) -> Routine:
        """Wait for a finished job, an announcement of the server, or the dispatcher's next time."""
        dispatcher = self._engine.dispatcher
        self._alarm.arm()
        try:
            wait_s = min(rest.for_s, self._until_give_back())
            if self._engine.runner.short:
                wait_s = min(wait_s, _STAFF_S)
            settled = self.stopping and not len(self._engine.ledger)
            if settled or dispatcher.has_finished or wait_s <= 0:
                return
            if not rest.listen or self.stopping:
                # In parts: the watchdog notices a loop that hangs only after its wait is over.
                yield Wait(min(wait_s, self._safety_look_s or _TRY_S))
                return
            if self._listener.armed or (yield from self._look(wait_s)):
                yield from self._listen(wait_s)
        finally:
            self._alarm.disarm()

    def _look(self, wait_s: float) -> Generator[Any, Any, bool]:
        """Look for work and watch for changes; return whether to wait for an announcement."""
        dispatcher = self._engine.dispatcher
        if self._noise.is_deaf(self._clock.read()):
            yield self._poll(wait_s)
            return False
        if pause_s := self._noise.pause_s(self._clock.read()):
            yield Wait(min(wait_s, pause_s))
            if dispatcher.has_finished or self.stopping or pause_s >= wait_s:
                return False
        self._agenda.read(self._clock.read())
        look = yield WatchRequest(dispatcher.look(), patient=self._due_keys)
        if look is None:
            yield self._poll(wait_s)
            return False
        has_work = dispatcher.looked(look)
        self._hurry(look.next_due_s)
        if has_work:
            return False
        if self._noise.is_suspect(now := self._clock.read()):
            yield from self._noise.judge(now)
            return False
        return True

    def _listen(self, wait_s: float) -> Routine:
        """Wait for an announcement; after a long silence, test the connection."""
        self._engine.requeuer.told = self._listener.armed
        if self._listener.stale:
            pause_s = self._agenda.pause_s(self._clock.read())
            if not pause_s:
                yield from self._read_agenda()
                return
            wait_s = min(wait_s, pause_s)
        try_s, began = self._safety_look_s or _TRY_S, self._clock.read()
        yield Wait(min(wait_s, try_s), listen=True)
        if self._listener.armed and self._clock.read().monotonic_s - began.monotonic_s >= try_s:
            yield from ping()

    def _read_agenda(self) -> Generator[Any, Any, None]:
        """Read the sets of due jobs that have changed, and wake the requeuer when one is due."""
        self._agenda.read(self._clock.read())
        heads = yield WatchRequest(move.heads(sorted(self._listener.stale)), again=True)
        self._hurry(min((at_s for at_s in heads if at_s is not None), default=None))

    def _poll(self, wait_s: float) -> Wait:
        """Wait a little longer each time: the server does not announce changes."""
        at = min(self._idle_turns, len(self._sleeps) - 1)
        self._idle_turns += 1
        return Wait(min(wait_s, max(self._sleeps[at], 0.001)))

    def _hurry(self, next_due_s: float | None) -> None:
        if next_due_s is not None:
            now, courtesy_s = self._clock.read(), self._engine.requeuer.courtesy_s
            wait_s = max(next_due_s - now.epoch_ms / 1000, 0) + courtesy_s
            self._hurry_requeuer(now.monotonic_s + wait_s)

    def _pause(self, for_s: float) -> Routine:
        self._alarm.arm()
        if not self.stopping:
            yield Wait(for_s)
        elif for_s > 0:
            yield Wait(min(for_s, max(self._until_give_back(), 0.05)))
        self._alarm.disarm()

    def _check_workers(self) -> None:
        """Start missing workers; end the pool if that fails, or if all workers were abandoned."""
        runner = self._engine.runner
        if runner.short:
            self._staff()
        if runner.fault:
            self.end(runner.fault, within_s=LAST_JOBS_S)
        elif not self.stopping and runner.abandoned() >= self._concurrency:
            why = f"{self._concurrency} handlers were abandoned after their timeouts"
            self.end(why, within_s=LAST_JOBS_S)

    def _staff(self) -> None:
        """Start workers that the system has refused before; it may have room by now."""
        runner, now_s = self._engine.runner, self._clock.read().monotonic_s
        if not self._short_since_s:
            self._short_since_s = now_s
            _log.warning(
                "the system starts no more threads; %d of %d workers run, and the pool tries again",
                runner.capacity, self._concurrency,
            )  # fmt: skip
        if now_s - self._staffed_at_s < _STAFF_S:
            return
        self._staffed_at_s = now_s
        runner.staff()
        if not runner.short:
            _log.warning("the system starts threads again")
            self._short_since_s = 0.0
        elif not runner.capacity and now_s - self._short_since_s >= _UNSTAFFED_S:
            why = f"the system has refused every worker for {_UNSTAFFED_S:.0f} s"
            self.end(why, within_s=LAST_JOBS_S)

    # Ending.

    def _until_give_back(self) -> float:
        if self._gave_back:
            return float("inf")
        return self._give_back_at_s - self._clock.read().monotonic_s

    def _is_done(self) -> bool:
        """Tell whether all jobs are settled; give back those that have not ended in time."""
        ledger = self._engine.ledger
        if not len(ledger):
            return True
        if self._until_give_back() <= 0:
            self._gave_back = True
            running = self._engine.dispatcher.give_back()
            if running:
                _log.warning("%d jobs were unfinished and go back to their queues", len(running))
            for execution in running:
                self._engine.runner.interrupt(execution)
        now_s = self._clock.read().monotonic_s
        is_stuck = self._outage.lasting or self._is_failing
        if is_stuck and now_s > self._give_back_at_s + _LAST_WORDS_S:
            _log.error(
                "%d jobs could not be given back and stay in progress; another pool recovers them",
                len(ledger),
            )
            return True
        return False

    def _leave(self) -> Routine:
        if self._outage.lasting:  # another wait would make the stop exceed its time limit
            _log.warning("the pool could not unregister: Redis is away; other pools will notice")
            return
        try:
            held = yield from self._engine.dispatcher.leave()
        except ServerError as error:
            _log.warning("the pool could not unregister (%s); other pools will notice", error)
            return
        if held:
            _log.warning("%d jobs stay in progress; another pool recovers them", held)


def draining(
    engine: Engine, names: Sequence[str], clock: Clock, timeout_s: float | None
) -> Generator[RoundTrip[Any] | Wait, Any, tuple[list[str], dict[str, int], bool]]:
    """Wait until no job is left that could run now.

    Args:
        engine: The pool's parts.
        names: Its job names.
        clock: The pool's clock.
        timeout_s: Seconds to wait at most; None for no limit.

    Returns:
        Paused queues with jobs, lengths of queues that are not empty, and whether all is done. The
        caller answers a wait with True if the pool has ended.

    Raises:
        ServerError: Redis does not answer.
    """
    started_s, ledger = clock.read().monotonic_s, engine.ledger
    while True:
        # A running job may enqueue another and be settled before its in-progress list is read. So
        # a reading counts only if the pool has settled nothing during it.
        settled = ledger.totals.total()
        is_late = timeout_s is not None and clock.read().monotonic_s - started_s >= timeout_s
        if is_late or not len(ledger):  # otherwise the pool is busy; no need to ask Redis
            paused, waiting, is_busy = yield from _drained(engine, names, clock)
            moved = len(ledger) or ledger.totals.total() != settled
            if is_late or not (is_busy or moved):
                return paused, waiting, not (is_busy or moved)
        if (yield Wait(_DRAIN_LOOK_S)):
            paused, waiting, _ = yield from _drained(engine, names, clock)
            return paused, waiting, False


def _drained(
    engine: Engine, names: Sequence[str], clock: Clock
) -> Step[tuple[list[str], dict[str, int], bool]]:
    """Read paused queues with jobs, lengths of queues that are not empty, and whether work is left.

    The order of the reads is the order in which jobs move, so that no job is missed. Only queues
    with jobs are read one by one, since there may be thousands of queues.
    """
    pool_id = engine.identity.pool_id
    look = yield from exchange.look(engine.keys, pool_id, names)
    states = (yield from queues.states(engine.keys, look.ready)) if look.ready else []
    waiting = {state.name: state.length for state in states if state.length}
    paused = [state.name for state in states if state.length and state.paused]
    overdue = look.next_due_s is not None and look.next_due_s <= clock.read().epoch_s
    is_busy = overdue or bool(set(waiting) - set(paused))
    if not is_busy:
        is_busy = bool((yield from reap.in_progress(engine.keys, pool_id, names)))
    return paused, waiting, is_busy
