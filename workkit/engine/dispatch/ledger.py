"""The books of a pool: which jobs it holds, and which fates Redis has not heard of yet."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable

from workkit.core.clock import Clock
from workkit.core.history import Record
from workkit.engine.handling.execution import Execution, Fate, remember

__all__ = ["Ledger"]


class Ledger:
    """Every claimed job from its claim to the moment its fate stands in Redis.

    A held job is open until its fate is decided; then the fate waits in the outbox; then Redis
    confirms it and the job is forgotten. A job that somebody else has taken over is fenced off at
    any point, and nothing more is said about it.

    Args:
        clock: For the records of fenced jobs.
        keep_records: Whether history is wanted.
    """

    def __init__(self, clock: Clock, *, keep_records: bool) -> None:
        self._clock = clock
        self._keep_records = keep_records
        self._held: dict[Execution, None] = {}  # in the order in which they were claimed
        self._open: set[Execution] = set()
        self.ghosts: list[Execution] = []  # fenced off, and their handlers still run
        self.fenced_waiting = False  # whether the runner still has fenced ones that must not start
        self.outbox: list[Fate] = []
        self.records: list[Record] = []  # of what has no settlement of its own
        self._reported: deque[Record] = deque()  # as such, from other threads
        self.totals: Counter[str] = Counter()
        self.expected = 0  # claimed jobs that are about to be entered

    @property
    def running(self) -> int:
        """How many workers are taken: by jobs without a fate, and by handlers of fenced ones."""
        return len(self._open) + len(self.ghosts) + self.expected

    def __len__(self) -> int:
        return len(self._held) + self.expected

    def held(self) -> list[Execution]:
        """Return all held jobs; safe from any thread."""
        return list(self._held)

    def holds(self, execution: Execution) -> bool:
        """Tell whether the pool still answers for a job."""
        return execution in self._held

    def is_open(self, execution: Execution) -> bool:
        """Tell whether a job's fate is undecided."""
        return execution in self._open

    def ghosts_gone(self) -> list[str]:
        """Forget fenced jobs whose handlers have ended; returns their queues."""
        if not self.ghosts:
            return []
        gone = [ghost for ghost in self.ghosts if ghost.finished is not None]
        self.ghosts = [ghost for ghost in self.ghosts if ghost.finished is None]
        return [ghost.queue for ghost in gone]

    def open(self) -> list[Execution]:
        """Return the jobs without a fate."""
        return [execution for execution in self._held if execution in self._open]

    def hold(self, *executions: Execution) -> None:
        """Enter claimed jobs."""
        self._held.update(dict.fromkeys(executions))
        self._open.update(executions)

    def conclude(self, fate: Fate) -> bool:
        """Put a job's fate into the outbox; its first fate stands, later ones do not count.

        Returns:
            Whether it was the first.
        """
        execution = fate.execution
        if execution not in self._open:
            return False
        self._open.remove(execution)
        self.outbox.append(fate)
        return True

    def take_outbox(self) -> list[Fate]:
        """Return the fates to tell Redis, and empty the outbox."""
        fates = [fate for fate in self.outbox if not fate.execution.fenced]
        self.outbox = []
        return fates

    def put_back(self, fates: Iterable[Fate]) -> None:
        """Return fates that Redis has not taken."""
        self.outbox = [fate for fate in (*fates, *self.outbox) if not fate.execution.fenced]

    def settled(self, fates: Collection[Fate]) -> None:
        """Forget jobs whose fates stand in Redis."""
        held = self._held
        for fate in fates:
            held.pop(fate.execution, None)
        self.totals.update([fate.record.outcome for fate in fates])

    def fence_off(self, execution: Execution) -> None:
        """Give up a job that somebody else has taken over."""
        execution.fenced = True
        self._open.discard(execution)
        if execution not in self._held:
            return
        del self._held[execution]
        self.totals["fenced"] += 1
        if execution.started is None:
            self.fenced_waiting = True
        elif execution.finished is None:
            self.ghosts.append(execution)
        if self._keep_records:
            self.records.append(remember(execution, "fenced", self._clock.read().epoch_ms))

    def report(self, record: Record) -> None:
        """Take a record of what another part of the pool has done; safe from any thread."""
        if self._keep_records:
            self._reported.append(record)

    @property
    def has_reports(self) -> bool:
        """Whether there are reports that `take_reports` has not taken."""
        return bool(self._reported)

    def take_reports(self) -> None:
        """Put what was reported among the records."""
        while self._reported:
            self.records.append(self._reported.popleft())
