"""Watches the loops of a pool: a pool whose dispatcher hangs must not seem alive.

A loop can end or hang for reasons that it cannot handle itself: a thread is killed, a call never
returns. With heartbeats, its jobs would stay in progress, and nobody would recover them. So each
loop gives signs of life, and the others check them: the heartbeat stops with the dispatcher, and
the pool ends when any of its loops has ended or hangs.

The logic receives the time. An observer counts only the time between two of its own looks, and a
limited amount for each. So a process that was suspended finds no loop silent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from workkit.store.connections.routine import Wait

__all__ = ["HANGS_S", "STILL_S", "Lookout", "LoopWatch", "Pulse", "Vigil", "Vitals"]

R = TypeVar("R")

#: After this long without a turn of the dispatcher, heartbeats stop, seconds. An exchange with a
#: server that is slow to connect and to answer takes less.
STILL_S: Final = 15.0
#: A loop without a turn for this long hangs, and the pool ends, seconds.
HANGS_S: Final = 30.0
#: While a loop connects, this fraction of its time counts: it looks up names and asks sentinels,
#: one after the other, each with a separate time limit.
_CONNECTING: Final = 1 / 5
#: An observer counts at most this much between two looks, seconds; they come every few seconds.
_LOOK_S: Final = 6.0


class Pulse:
    """The signs of life of one loop.

    Attributes:
        name: The loop's name.
        turns: How many requests it has made.
        rest_s: How long its current request may take, seconds, without the time that Redis takes.
        left: Whether it has ended normally.
        ended: Whether it has ended, normally or not.
        connects: Tells whether it is connecting to Redis.
    """

    __slots__ = ("connects", "ended", "left", "name", "rest_s", "turns")

    def __init__(self, name: str) -> None:
        self.name = name
        self.connects: Callable[[], bool] = lambda: False
        self.turns = 0
        self.rest_s = 0.0
        self.left = self.ended = False

    def check(self, thread: threading.Thread) -> None:
        """Record the end of the loop's thread if the thread could not do it itself."""
        if thread.ident is not None and not thread.is_alive():
            self.ended = True

    def of(self, routine: Generator[Any, Any, R]) -> Generator[Any, Any, R]:
        """Wrap a routine: pass requests and answers through, and give signs of life."""
        try:
            request = next(routine)
            while True:
                self.turns += 1
                self.rest_s = request.for_s if type(request) is Wait else 0.0
                try:
                    answer = yield request
                except Exception as error:  # noqa: BLE001 - the routine handles it
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
    """One observer's view of one loop."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._turns = -1
        self._silent_s = 0.0
        self._looked_s = 0.0

    def silent_s(self, now_s: float) -> float:
        """Return how long the loop has been silent beyond its rest, seconds.

        The result is infinite for a loop that has not ended normally.

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
        dispatcher: The dispatcher's loop.
        heartbeat: The heartbeat's loop.
        maintenance: The loop of the other duties.
        failure: Why the pool must end; "" while it works.
        failed: Called once, by the observer that finds the first failure.
    """

    def __init__(self) -> None:
        self.failed: Callable[[Pulse, str], object] = lambda _pulse, _why: None
        self.dispatcher = Pulse("dispatcher")
        self.heartbeat = Pulse("heartbeat")
        self.maintenance = Pulse("maintenance")
        self.failure = ""

    def lookout(self) -> Lookout:
        """Return a new observer of all loops."""
        return Lookout(self, (self.dispatcher, self.heartbeat, self.maintenance))

    def watch(self, pulse: Pulse) -> LoopWatch:
        """Return how the loop with this pulse takes part in the watch."""
        return LoopWatch(pulse, self.lookout())


class Lookout:
    """Checks all loops of a pool for one observer.

    Args:
        vitals: Stores the failure.
        pulses: The loops.

    Attributes:
        silences: Loop -> how long it had been silent beyond its rest at the last look, seconds.
    """

    def __init__(self, vitals: Vitals, pulses: Sequence[Pulse]) -> None:
        self.silences: dict[str, float] = {}
        self._vitals = vitals
        self._vigils = [(pulse, Vigil(pulse)) for pulse in pulses]

    def look(self, now_s: float) -> str:
        """Check all loops.

        Args:
            now_s: The time, monotonic seconds.

        Returns:
            Why the pool must end; "" while it works.
        """
        for pulse, vigil in self._vigils:
            silent_s = self.silences[pulse.name] = vigil.silent_s(now_s)
            if silent_s >= HANGS_S and not self._vitals.failure:
                how = "has ended" if pulse.ended else f"has made no progress for {silent_s:.0f} s"
                self._vitals.failure = f"its {pulse.name} {how}"
                self._vitals.failed(pulse, self._vitals.failure)
        return self._vitals.failure


class LoopWatch(NamedTuple):
    """How one loop takes part in the watch.

    Attributes:
        pulse: Its own signs of life.
        lookout: Checks the signs of life of all loops; None for a loop without a pool.
    """

    pulse: Pulse
    lookout: Lookout | None
