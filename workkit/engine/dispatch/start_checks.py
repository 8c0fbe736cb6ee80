"""Jobs that need an atomic check in Redis before they start: unique, cron and recovered ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from workkit.core.clock import Instant
from workkit.engine.dispatch.board import QueueBoard
from workkit.engine.dispatch.ledger import Ledger
from workkit.engine.dispatch.parts import PoolParts
from workkit.engine.handling.execution import Execution, quick_fate
from workkit.store.calls import beat, begin, reap
from workkit.store.calls.begin import StartQuestion, StartVerdict
from workkit.store.round_trip import Step

__all__ = ["IsolatedRun", "StartChecks", "Startable"]

#: A job on its last recovery waits this long to be the pool's only job, seconds.
ISOLATION_WAIT_S: Final = 30.0
_UNKNOWN: Final = -1
_PAGE: Final = 1_000
_DROPPED: Final = {"drop": "duplicate slot", "late": "late slot"}


class Startable(NamedTuple):
    """Jobs that may start.

    Attributes:
        ready: Start at once.
        suspects: On their last recovery; each starts only when the pool runs nothing else.
    """

    ready: list[Execution]
    suspects: list[Execution]


class StartChecks:
    """Asks Redis about claimed jobs before they start.

    Args:
        parts: The pool's parts.
    """

    def __init__(self, parts: PoolParts) -> None:
        self._keys = parts.keys
        self._identity = parts.identity
        self._admission = parts.admission
        self._ledger = parts.ledger
        self._max_recoveries = parts.spec.max_recoveries
        self._waiting: list[Execution] = []

    @property
    def waiting(self) -> bool:
        """Whether there are jobs to ask about."""
        return bool(self._waiting)

    def add(self, execution: Execution, *, ask_recoveries: bool) -> None:
        """Add a claimed job."""
        execution.recovered = _UNKNOWN if ask_recoveries else 0
        self._waiting.append(execution)

    def ask(
        self, fence: int, now: Instant, meanwhile: Callable[[], None] | None = None
    ) -> Step[Startable | None]:
        """Ask about all waiting jobs.

        Args:
            fence: The pool's fence.
            now: The time.
            meanwhile: Called while the server works.

        Returns:
            The jobs that may start; None if the pool is out of step, then ask again later.

        Raises:
            ServerError: Redis did not answer; ask again later.
        """
        self._waiting = [e for e in self._waiting if self._ledger.is_open(e)]
        if unknown := [e for e in self._waiting if e.recovered == _UNKNOWN]:
            ids = [execution.payload.id for execution in unknown]
            counts = yield from begin.recovery_counts(self._keys, ids)
            for execution, count in zip(unknown, counts, strict=True):
                execution.recovered = count
        asked = [execution for execution in self._waiting if execution.asks]
        verdicts: dict[Execution, StartVerdict] = {}
        if asked:
            answer = yield from self._begin(asked, fence, now, meanwhile)
            if answer is None:
                return None
            verdicts = answer
        executions, self._waiting = self._waiting, []
        for execution in asked:
            if execution not in verdicts:
                self._admission.begun(execution)
        may_start = [
            e for e in executions if e not in verdicts or self._apply_verdict(e, verdicts[e], now)
        ]
        suspects = [e for e in may_start if self._is_suspect(e)]
        if suspects:
            may_start = [e for e in may_start if not self._is_suspect(e)]
        return Startable(may_start, suspects)

    def _begin(
        self,
        asked: Sequence[Execution],
        fence: int,
        now: Instant,
        meanwhile: Callable[[], None] | None,
    ) -> Step[dict[Execution, StartVerdict] | None]:
        """Ask Redis whether jobs may begin; resolve updates, and slots that were started before.

        Returns:
            A verdict on each job that does not simply run; None if the pool is out of step.
        """
        admission, verdicts = self._admission, {}
        unique = [execution for execution in asked if execution.payload.unique]
        slots = [execution for execution in asked if not execution.payload.unique]
        theirs = yield from self._succeeded(unique)
        unique = [execution for execution in unique if execution not in theirs]
        keys = [(admission.unique_key(e), e.payload.id) for e in unique]
        others = [admission.theirs(execution) for execution in theirs]
        if slots:
            others += admission.slots(slots, self._ledger.held(), now)
        order = [*unique, *theirs, *slots]
        while True:
            found = yield from begin.begin(
                self._keys, self._identity.pool_id, fence, now.epoch_s, keys, others, meanwhile
            )
            if found is None:
                return None
            repeat: dict[Execution, StartQuestion] = {}
            for index, verdict in found.items():
                execution = order[index]
                if verdict.says == "update":  # the key may change again before we ask
                    repeat[execution] = admission.update(execution, verdict.raw)
                elif verdict.says != "busy":
                    verdicts[execution] = verdict
                elif (yield from self._holds(verdict.owner, execution.queue, execution.payload.id)):
                    verdicts[execution] = StartVerdict("drop")
                else:  # The slot's owner was just reaped; its mark is about to be deleted.
                    repeat[execution] = admission.take_over(execution)
            if not repeat:
                return verdicts
            keys, order, others = [], list(repeat), list(repeat.values())

    def _succeeded(self, unique: Sequence[Execution]) -> Step[list[Execution]]:
        """Return the jobs that came back from dead pools and have lost their key."""
        found: dict[Execution, bool] = {}
        for execution in unique:
            if execution.recovered > 0:
                found[execution] = yield from self._has_successor(execution)
        return [execution for execution, is_so in found.items() if is_so]

    def _has_successor(self, execution: Execution) -> Step[bool]:
        """Look whether another waiting job has its own place in the queue and the same unique key.

        If a job began in a Go pool, nothing shows this when it comes back. Its key may belong to a
        newer job, whose bytes may have been rewritten since it took the key. If the key holds an
        update, this is in no queue; it may be one of the newer job, which is.
        """
        admission, key = self._admission, self._admission.unique_key(execution)
        value = yield from begin.unique_value(key)
        if value is None or admission.job_id(value) == execution.payload.id:
            return False
        holder = admission.job_id(value)  # "" if the key does not name its owner

        def is_successor(raw: bytes) -> bool:
            is_holder = bool(holder) and admission.job_id(raw) == holder
            return is_holder or admission.is_newer(raw, execution, key)

        start = 0
        while raws := (yield from begin.newest(self._keys, execution.queue, start, _PAGE)):
            if any(map(is_successor, raws)):
                return True
            start += len(raws)
        if not holder:
            return False
        for pool_id in sorted((yield from beat.registered(self._keys))):
            if (yield from self._holds(pool_id, execution.queue, holder)):
                return True
        return False

    def _holds(self, owner: str, queue: str, job_id: str) -> Step[bool]:
        """Look whether a pool has a job in progress, even if its bytes have changed."""
        held = yield from reap.in_progress(self._keys, owner, [queue])
        return any(self._admission.job_id(raw) == job_id for raw in held.get(queue, []))

    def _apply_verdict(self, execution: Execution, verdict: StartVerdict, now: Instant) -> bool:
        """Apply Redis's verdict on a job that does not simply run; return whether it may start."""
        if verdict.says == "swap":
            self._admission.begun(execution, verdict.raw)
            return True
        reason = _DROPPED[verdict.says]
        self._ledger.conclude(quick_fate(execution, "discarded", now, reason=reason))
        return False

    def _is_suspect(self, execution: Execution) -> bool:
        return 0 < execution.recovered >= self._max_recoveries - 1


class IsolatedRun:
    """Runs a job on its last recovery alone.

    If such a job kills the process again, no other job is lost with it. So while it waits or runs,
    the pool claims nothing and holds nothing else.

    Args:
        ledger: The jobs that the pool holds.
        board: The pool's queues.
    """

    def __init__(self, ledger: Ledger, board: QueueBoard) -> None:
        self._ledger = ledger
        self._board = board
        self._job: Execution | None = None
        self._started = False

    @property
    def pending(self) -> bool:
        """Whether the pool must not claim other jobs for now."""
        return self._job is not None

    @property
    def next_s(self) -> float:
        """When the job's wait ends, monotonic seconds; infinity for never."""
        if self._job is None or self._started:
            return float("inf")
        return self._job.claimed_s + ISOLATION_WAIT_S

    def add(self, executions: Sequence[Execution]) -> list[Execution]:
        """Take the first of some jobs on their last recovery.

        Returns:
            The others, which must go back to their queues for now.
        """
        waiting = list(executions)
        if self._job is None and waiting:
            self._job, self._started = waiting.pop(0), False
        return waiting

    def next(self) -> list[Execution]:
        """Return the job if it may start now."""
        if self._job is not None and not self._ledger.holds(self._job):
            self._job = None
        alone = len(self._ledger) == 1
        if self._job is None or self._started or not alone:
            return []
        self._started = True
        return [self._job]

    def overdue(self, now: Instant) -> list[Execution]:
        """Return the job if it has waited too long to be the only one.

        Its queue is excluded for a while, so that an idle process takes the job.
        """
        if self._job is None or now.monotonic_s < self.next_s:
            return []
        late, self._job = self._job, None
        self._board.leave_alone(late.queue, now.monotonic_s + ISOLATION_WAIT_S)
        return [late]
