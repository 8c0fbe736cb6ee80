"""The jobs that a pool holds, and the fates that Redis has not yet received."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Final

from workkit.core.clock import Clock
from workkit.core.history import Record
from workkit.engine.handling.execution import Execution, Fate
from workkit.engine.handling.remembering import remember
from workkit.engine.observing import Fenced, Observers

__all__ = ["Ledger"]

#: About how many bytes of jobs one exchange settles at most; failed jobs are sent twice. A server
#: closes a connection that sends too much at once (`client-query-buffer-limit`).
_MOST_BYTES: Final = 8 * 1024 * 1024


class Ledger:
    """Every job, from its claim until Redis confirms its fate.

    A held job is open until its fate is decided. The fate then waits in the outbox. When Redis
    confirms it, the ledger forgets the job. A job that another pool has taken over is fenced off
    at any point; the pool reports nothing more about it.

    Args:
        clock: For the records of fenced jobs.
        keep_records: Whether to keep records for history.
        observers: Hear of executions whose outcomes count; None for nobody.
    """

    def __init__(
        self, clock: Clock, *, keep_records: bool, observers: Observers | None = None
    ) -> None:
        self._clock = clock
        self._observers = observers
        self._keep_records = keep_records
        self._held: dict[Execution, None] = {}  # in the order in which they were claimed
        self._open: set[Execution] = set()
        self.ghosts: list[Execution] = []  # fenced off, but their handlers still run
        self.fenced_waiting = False  # whether the runner still queues fenced jobs
        self.outbox: list[Fate] = []
        self._kept = 0  # fates at the head of the outbox that `take_outbox` has left
        self.records: list[Record] = []  # without a settlement
        self._reported: deque[Record] = deque()  # records from other threads
        self.totals: Counter[str] = Counter()
        self.expected = 0  # claimed jobs that are about to be entered

    @property
    def running(self) -> int:
        """How many workers are occupied: by jobs without a fate, and by fenced handlers."""
        return len(self._open) + len(self.ghosts) + self.expected

    def __len__(self) -> int:
        return len(self._held) + self.expected

    def held(self) -> list[Execution]:
        """Return all held jobs; safe from any thread."""
        return list(self._held)

    def holds(self, execution: Execution) -> bool:
        """Tell whether the pool is still responsible for a job."""
        return execution in self._held

    def is_open(self, execution: Execution) -> bool:
        """Tell whether a job's fate is undecided."""
        return execution in self._open

    def ghosts_gone(self) -> list[str]:
        """Forget fenced jobs whose handlers have ended; return their queues."""
        if not self.ghosts:
            return []
        gone = [ghost for ghost in self.ghosts if ghost.finished is not None]
        self.ghosts = [ghost for ghost in self.ghosts if ghost.finished is None]
        return [ghost.queue for ghost in gone]

    def open(self) -> list[Execution]:
        """Return the jobs without a fate."""
        return [execution for execution in self._held if execution in self._open]

    def hold(self, *executions: Execution) -> None:
        """Add claimed jobs."""
        self._held.update(dict.fromkeys(executions))
        self._open.update(executions)

    def conclude(self, fate: Fate) -> bool:
        """Put a job's fate into the outbox; only the first fate of a job counts.

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
        """Take the fates to send to Redis out of the outbox.

        Of many large jobs, the older ones stay in the outbox for now. Jobs go back to the front of
        their queue, so the older ones must go back last.
        """
        fates = [fate for fate in self.outbox if not fate.execution.fenced]
        self.outbox, self._kept = [], 0
        if sum([len(fate.raw) for fate in fates]) > _MOST_BYTES:
            self._kept = _end_of_older(fates)
            self.outbox, fates = fates[: self._kept], fates[self._kept :]
        return fates

    @property
    def is_behind(self) -> bool:
        """Whether the last `take_outbox` has left fates for later."""
        return self._kept > 0

    def put_back(self, fates: Iterable[Fate]) -> None:
        """Put fates back that Redis has not applied, in their order."""
        older, newer = self.outbox[: self._kept], self.outbox[self._kept :]
        both = (*older, *fates, *newer)
        self.outbox = [fate for fate in both if not fate.execution.fenced]

    def settled(self, fates: Sequence[Fate]) -> None:
        """Forget jobs whose fates Redis has applied."""
        held = self._held
        for fate in fates:
            held.pop(fate.execution, None)
        self.totals.update([fate.record.outcome for fate in fates])
        if self._observers:
            self._observers.executed(fates)

    def confirmed(
        self, fates: Sequence[Fate], applied: Sequence[bool], records: Sequence[Record]
    ) -> list[Fate]:
        """Forget the jobs that an exchange has settled, and give up those that it has not.

        If there are such, the script has told history nothing, so the records are kept.

        Args:
            fates: The fates that the exchange sent.
            applied: One flag a fate.
            records: The other records that it sent.

        Returns:
            The fates that Redis has applied.
        """
        if all(applied):
            self.settled(fates)
            return list(fates)
        ours = [fate for fate, is_ours in zip(fates, applied, strict=True) if is_ours]
        self.settled(ours)
        for fate, is_ours in zip(fates, applied, strict=True):
            if not is_ours:
                self.fence_off(fate.execution)
        self.records += [*records, *(fate.record for fate in ours)]
        return ours

    def fence_off(self, execution: Execution) -> None:
        """Give up a job that another pool has taken over."""
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
        if not (self._keep_records or self._observers):
            return
        record = remember(execution, "fenced", self._clock.read().epoch_ms)
        if self._keep_records:
            self.records.append(record)
        if self._observers:
            self._observers.executed([Fenced(execution.queue, record)])

    def report(self, record: Record) -> None:
        """Add a record from another part of the pool; safe from any thread."""
        if self._keep_records:
            self._reported.append(record)

    @property
    def has_reports(self) -> bool:
        """Whether there are reports that `take_reports` has not taken."""
        return bool(self._reported)

    def take_reports(self) -> None:
        """Move the reports to the records."""
        while self._reported:
            self.records.append(self._reported.popleft())


def _end_of_older(fates: Sequence[Fate]) -> int:
    """Return how many of the fates are not among the newest that one exchange settles."""
    at, size = len(fates) - 1, len(fates[-1].raw)
    while at and size + len(fates[at - 1].raw) <= _MOST_BYTES:
        at -= 1
        size += len(fates[at].raw)
    return at
