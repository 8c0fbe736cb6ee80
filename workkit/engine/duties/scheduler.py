"""Runs background duties in turn."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from typing import Any, Final

from workkit.engine.duties.duty import Duty
from workkit.engine.process.outage import Outage
from workkit.engine.process.sources import Sources
from workkit.engine.process.vitals import LoopWatch
from workkit.errors import ServerError
from workkit.store.connections.routine import Alarm, Routine, Wait
from workkit.store.round_trip import ping

__all__ = ["DutyScheduler"]

_log = logging.getLogger("workkit")

_AFTER_BUG_S: Final = 5.0


class DutyScheduler:
    """The duties of one loop and their due times; at first, all are due.

    Args:
        duties: The duties.
        sources: The pool's clock, and the jitter after failures.
        alarm: Ends the loop's waits.
        watch: The loop's signs of life, and its view of the other loops; None to go unwatched.
    """

    def __init__(
        self,
        duties: Sequence[Duty],
        sources: Sources,
        alarm: Alarm,
        watch: LoopWatch | None = None,
    ) -> None:
        self._clock = sources.clock
        self._alarm = alarm
        self._pulse = None if watch is None else watch.pulse
        self._lookout = None if watch is None else watch.lookout
        self._due_s = {id(duty): 0.0 for duty in duties}
        self._duties = [
            (duty, Outage(duty.name, sources.clock, sources.entropy)) for duty in duties
        ]
        self._stopping = False

    def is_due_by(self, duty: Duty, at_s: float) -> bool:
        """Tell whether a duty is due at a time (monotonic seconds), or earlier."""
        return self._due_s[id(duty)] <= at_s

    def hurry(self, duty: Duty, at_s: float) -> None:
        """Make a duty due at a time (monotonic seconds) unless it is earlier; from any thread."""
        if not self.is_due_by(duty, at_s):
            self._due_s[id(duty)] = at_s
            self._alarm.wake()

    def stop(self) -> None:
        """End the loop after its current step; from any thread."""
        self._stopping = True
        self._alarm.wake()

    def routine(self) -> Routine:
        """Run due duties until `stop`."""
        routine = self._routine()
        return routine if self._pulse is None else self._pulse.of(routine)

    def _routine(self) -> Routine:
        while not self._stopping:
            if self._lookout is not None:
                self._lookout.look(self._clock.read().monotonic_s)
            for duty, outage in self._duties:
                if not self._stopping and self._due_s[id(duty)] <= self._clock.read().monotonic_s:
                    yield from self._turn(duty, outage)
            yield from self._rest()

    def _turn(self, duty: Duty, outage: Outage) -> Generator[Any, Any, None]:
        self._due_s[id(duty)] = float("inf")  # so that `hurry` during the step counts
        try:
            if outage.lasting:
                yield from ping()  # only an answer ends the outage; a step may send no request
            delay_s = yield from duty.step(self._clock.read())
            outage.over()
        except ServerError as error:
            delay_s = outage.failed(error)
        except Exception:  # noqa: BLE001 - a bug of ours must not end the pool
            _log.exception("%s failed; it continues in %.0f s", duty.name, _AFTER_BUG_S)
            delay_s = _AFTER_BUG_S
        due_s = self._clock.read().monotonic_s + delay_s
        self._due_s[id(duty)] = min(due_s, self._due_s[id(duty)])

    def _rest(self) -> Generator[Wait, None, None]:
        self._alarm.arm()
        wait_s = min(self._due_s.values()) - self._clock.read().monotonic_s
        if not self._stopping and wait_s > 0:
            yield Wait(wait_s)
        self._alarm.disarm()
