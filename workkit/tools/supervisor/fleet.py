"""What a supervisor's processes report: their numbers and their health.

The supervisor's loop writes, and the threads of the metrics server read. Numbers that a process has
reported stay when it ends, so counters never go back.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from workkit.core.clock import Clock
from workkit.engine.health import Health
from workkit.engine.process.vitals import STILL_S
from workkit.telemetry.counts import Counts

__all__ = ["Fleet"]

#: A process that has reported nothing for this long is not ready, seconds; it does every two.
_SILENT_S: Final = 10.0


@dataclass(slots=True)
class _Member:
    """One process, as far as it has reported."""

    slot: int
    pid: int
    health: Health = field(
        default_factory=lambda: Health("starting", (), ("its pool has not started",))
    )
    heard_s: float = 0.0


class Fleet:
    """The processes of one supervisor.

    Args:
        slots: How many processes there are to be.
        clock: The time.
    """

    def __init__(self, slots: int, clock: Clock) -> None:
        self._slots = slots
        self._clock = clock
        self._lock = threading.Lock()
        self._members: dict[int, _Member] = {}
        self._counts = Counts()
        self._restarts: Counter[str] = Counter()
        self._busy_since_s: float | None = None
        self._stopping = False

    # The supervisor's loop.

    def started(self, child: int, slot: int, pid: int) -> None:
        """Add a process."""
        with self._lock:
            self._members[child] = _Member(slot, pid, heard_s=self._now_s())

    def counted(self, line: str) -> None:
        """Add the numbers that a process has sent."""
        counts = Counts.load(line)
        with self._lock:
            self._counts.add(counts)

    def reported(self, child: int, line: str) -> None:
        """Take the health that a process has sent."""
        fields = json.loads(line)
        health = Health(fields["state"], tuple(fields["faults"]), tuple(fields["obstacles"]))
        with self._lock:
            member = self._members[child]
            member.health = health
            member.heard_s = self._now_s()

    def gone(self, child: int) -> None:
        """Remove a process that has ended."""
        with self._lock:
            self._members.pop(child, None)

    def restarted(self, restarts: Counter[str]) -> None:
        """Take how many processes were replaced since the start, by reason."""
        with self._lock:
            for reason, number in restarts.items():
                new = number - self._restarts[reason]
                if new:
                    self._counts.counters["workkit_process_restarts", reason] += new
            self._restarts = Counter(restarts)

    def busy(self, *, stopping: bool) -> None:
        """Note that the loop works, until it calls `resting`."""
        self._busy_since_s = self._now_s()
        self._stopping = stopping

    def resting(self) -> None:
        """Note that the loop waits for the next event."""
        self._busy_since_s = None

    # The threads of the server.

    def take(self) -> Counts:
        """Return the numbers since the last call."""
        with self._lock:
            counts, self._counts = self._counts, Counts()
        return counts

    def health(self) -> Health:
        """Return the supervisor's health: it is ready if a process of each slot is.

        A process that hangs makes it unready and leaves it live, since the supervisor replaces that
        process itself; a restart of everything would stop the others.
        """
        now_s = self._now_s()
        faults: tuple[str, ...] = ()
        busy_since_s = self._busy_since_s
        if busy_since_s is not None and now_s - busy_since_s >= STILL_S:
            silent_s = now_s - busy_since_s
            faults = (f"the supervisor has made no progress for {silent_s:.0f} s",)
        with self._lock:
            members = list(self._members.values())
        obstacles = [
            obstacle
            for slot in range(1, self._slots + 1)
            if (obstacle := _obstacle(slot, [m for m in members if m.slot == slot], now_s))
        ]
        if self._stopping:
            obstacles.insert(0, "the worker is stopping")
        started = any(member.health.state == "running" for member in members)
        state = "stopping" if self._stopping else "running" if started else "starting"
        return Health(state, faults, tuple(obstacles))  # type: ignore[arg-type]  # of a literal

    def _now_s(self) -> float:
        return self._clock.read().monotonic_s


def _obstacle(slot: int, members: list[_Member], now_s: float) -> str:
    """Return why no process of a slot can claim jobs; "" if one can."""
    why = f"process {slot} does not run"
    for member in members:
        silent_s = now_s - member.heard_s
        if member.health.ready and silent_s < _SILENT_S:
            return ""
        reasons = "; ".join(member.health.reasons) or f"has reported nothing for {silent_s:.0f} s"
        why = f"process {slot} (pid {member.pid}): {reasons}"
    return why
