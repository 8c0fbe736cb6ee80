"""Whether the loops of a pool turn: a pool whose dispatcher stands still must not seem alive.

A loop can end or stand still for reasons that it cannot handle itself: a thread is killed, a call
never returns. Its heartbeat would go on, its jobs would stay in progress, and nobody would recover
them. So each loop leaves signs of life, and the others look at them: the heartbeat stops with the
dispatcher, and the pool ends when any of its loops has ended or hangs.

Logic: it is told the time. An observer counts only time between two looks of its own, and little of
it for each, so that a process that was suspended finds nobody silent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, TypeVar

from workkit.store.connections.routine import Wait

__all__ = ["HANGS_S", "STILL_S", "Lookout", "Pulse", "Vigil", "Vitals"]

R = TypeVar("R")

#: After so long without a turn of the dispatcher, the heart does not beat, seconds. An exchange
#: with a server that is slow to connect and to answer takes less.
STILL_S: Final = 15.0
#: A loop that has not turned for so long hangs, and the pool ends, seconds.
HANGS_S: Final = 30.0
#: While a loop connects, its time counts for so much: names are looked up and sentinels are asked,
#: one after the other, each with a limit of its own.
_CONNECTING: Final = 1 / 5
#: An observer counts no more than this between two looks, seconds; they come every few seconds.
_LOOK_S: Final = 6.0


class Pulse:
    """The signs of life of one loop.

    Attributes:
        name: The loop.
        turns: How often it has asked for something.
        rest_s: How long it may take until it asks again, seconds, beside what Redis takes.
        left: Whether it has come to its end.
        ended: Whether it has ended, however.
        connects: Tells whether it is about to connect to Redis.
    """

    __slots__ = ("connects", "ended", "left", "name", "rest_s", "turns")

    def __init__(self, name: str) -> None:
        self.name = name
        self.connects: Callable[[], bool] = lambda: False
        self.turns = 0
        self.rest_s = 0.0
        self.left = self.ended = False

    def of(self, routine: Generator[Any, Any, R]) -> Generator[Any, Any, R]:
        """Return a routine that asks and is answered as another, and leaves signs of life."""
        try:
            request = next(routine)
            while True:
                self.turns += 1
                self.rest_s = request.for_s if type(request) is Wait else 0.0
                try:
                    answer = yield request
                except Exception as error:  # noqa: BLE001 - the routine knows what to do
                    request = routine.throw(error)
                else:
                    request = routine.send(answer)
        except StopIteration as stop:
            self.left = True
            result: R = stop.value
            return result
        finally:
            self.ended = True


class Vigil:
    """One observer's look at one loop.

    Args:
        pulse: The signs of life of the loop.
    """

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._turns = -1
        self._silent_s = 0.0
        self._looked_s = 0.0

    def silent_s(self, now_s: float) -> float:
        """Look, and return for how long the loop has given no sign of life that was due, seconds.

        It is infinite for a loop that has ended without having come to its end.

        Args:
            now_s: The time, monotonic seconds.
        """
        pulse = self._pulse
        passed_s = min(max(now_s - self._looked_s, 0.0), _LOOK_S)
        self._looked_s = now_s
        if pulse.ended:
            return 0.0 if pulse.left else float("inf")
        if pulse.turns != self._turns or not pulse.turns:
            self._turns, self._silent_s = pulse.turns, 0.0
        else:
            self._silent_s += passed_s * _CONNECTING if pulse.connects() else passed_s
        return self._silent_s - pulse.rest_s


class Vitals:
    """The signs of life of a pool.

    Attributes:
        dispatcher: Of its dispatcher.
        heartbeat: Of its heartbeat.
        maintenance: Of its maintenance.
        failure: Why the pool must end, as an observer has found; "" while all is well.
        failed: Called once with the first failure, by whoever has found it.
    """

    def __init__(self) -> None:
        self.failed: Callable[[Pulse, str], object] = lambda _pulse, _why: None
        self.dispatcher = Pulse("dispatcher")
        self.heartbeat = Pulse("heartbeat")
        self.maintenance = Pulse("maintenance")
        self.failure = ""

    def lookout(self) -> Lookout:
        """Return one more lookout over all loops."""
        return Lookout(self, (self.dispatcher, self.heartbeat, self.maintenance))


class Lookout:
    """Looks at all loops of a pool, for whoever calls it.

    Args:
        vitals: Where it says what it has found.
        pulses: The loops.
    """

    def __init__(self, vitals: Vitals, pulses: Sequence[Pulse]) -> None:
        self._vitals = vitals
        self._vigils = [(pulse, Vigil(pulse)) for pulse in pulses]

    def look(self, now_s: float) -> str:
        """Look at all loops.

        Args:
            now_s: The time, monotonic seconds.

        Returns:
            Why the pool must end; "" if all is well.
        """
        for pulse, vigil in self._vigils:
            silent_s = vigil.silent_s(now_s)
            if silent_s >= HANGS_S and not self._vitals.failure:
                how = "has ended" if pulse.ended else f"has not turned for {silent_s:.0f} s"
                self._vitals.failure = f"its {pulse.name} {how}"
                self._vitals.failed(pulse, self._vitals.failure)
        return self._vitals.failure
