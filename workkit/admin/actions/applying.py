"""Applies one plan, batch by batch, at the rate of its throttle, without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from workkit.admin.actions import steps
from workkit.admin.actions.outcomes import BulkOutcome, BulkProgress
from workkit.admin.actions.plan import digest
from workkit.admin.actions.throttle import STAGES, FailureWatch
from workkit.admin.acts.recording import Began
from workkit.admin.steps.history import HistoryQuery
from workkit.admin.steps.reads import read_job
from workkit.core.lifetimes import TRASH_KEPT_S
from workkit.core.text import counted
from workkit.store.calls import restore
from workkit.store.calls.remove import Trash

if TYPE_CHECKING:
    from workkit.admin.actions.outcomes import Each, Fate, Stopping
    from workkit.admin.actions.plan import Plan
    from workkit.admin.actions.throttle import Throttle
    from workkit.admin.acts.recording import ActsLog
    from workkit.core.clock import Clock
    from workkit.core.job import Job
    from workkit.store.keys import Keys
from workkit.store.round_trip import Step
from workkit.store.walking import Item, Walk, advance

__all__ = ["Application", "Pause"]

_BATCH: Final = 500
#: To find a job in a queue, the server compares all jobs before it. This many comparisons in a
#: batch take it a few milliseconds.
_COMPARISONS: Final = 200_000
_POLL_S: Final = 0.5
#: Each read of history overlaps the last one by this much, seconds: pools record executions late.
_LATE_S: Final = 5.0
#: What an action makes of jobs, in the record of acts.
_AFTER: Final = {"delete": "in the trash", "retry": "in their queues"}


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait of the walk; its answer is whether it was stopped meanwhile.

    Attributes:
        for_s: How long, seconds.
    """

    for_s: float


class Application:
    """One plan being applied; see `Actions.apply`."""

    def __init__(
        self,
        keys: Keys,
        clock: Clock,
        log: ActsLog,
        plan: Plan,
        *,
        operation_id: str,
        by: str,
        throttle: Throttle | None,
        each: Each | None,
        stop: Stopping | None,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._log = log
        self._plan = plan
        self._trash = Trash(operation_id, TRASH_KEPT_S[plan.verb])
        self._by = by
        self._throttle = throttle
        self._stages = list(STAGES) if throttle else []
        self._each = each
        self._stop = stop
        self._watch = FailureWatch()
        self._done = self._gone = self._refused = 0
        self._stopped = ""
        self._last_read_s = self._precise_s()

    def carry_out(self) -> Walk[Any, BulkOutcome]:
        """Act on every pinned job, unless it is stopped."""
        if not self._plan.count or self._is_stopped():
            return self._outcome()
        act_id = yield from self._record_operation()
        outcome: BulkOutcome = yield from self._log.ending(act_id, self._act_on_all())
        yield from self._log.end(act_id, done=outcome.done, note=_note(outcome))
        return outcome

    def _act_on_all(self) -> Walk[Any, BulkOutcome]:
        pinned, goes_on = self._pinned(), True
        while goes_on and isinstance(found := (yield from advance(pinned)), Item):
            goes_on = yield from self._act_paced(found.value)
        outcome = self._outcome()
        if not self._done:
            yield from restore.forget(self._keys, self._trash.operation)
        return outcome

    def _outcome(self) -> BulkOutcome:
        left = self._plan.count - self._done - self._gone - self._refused
        if left and self._is_stopped():
            self._stopped = self._stopped or "you stopped it"
        return BulkOutcome(
            self._trash.operation if self._done else "",
            self._done, self._gone, self._refused, left, self._stopped,
        )  # fmt: skip

    def _is_stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def _record_operation(self) -> Step[str]:
        """Record the operation before it begins, so that another process can undo it.

        Returns:
            The id of the act.
        """
        plan, now_s = self._plan, self._now_s()
        fields = {
            "verb": plan.verb,
            "kind": plan.place.kind,
            "queue": plan.place.queue,
            "query": plan.query,
            "by": self._by or self._log.by,
            "at": now_s,
            "planned": plan.count,
            "expires_at": now_s + self._trash.kept_s,
        }
        trash = self._trash
        before = f"in queue {plan.place.queue}" if plan.place.queue else plan.place.kind
        began = Began(
            plan.verb, by=self._by, place=plan.place.kind, queue=plan.place.queue,
            query=plan.query, planned=plan.count, ids=plan.ids, digest=plan.pins.digest(),
            before=before, after=_AFTER[plan.verb], operation=trash.operation,
        )  # fmt: skip
        act_id, entry = yield from self._log.entry(began)
        noting = restore.note(self._keys, trash.operation, fields, now_s, trash.kept_s, entry)
        yield from self._log.guarded(noting)
        return act_id

    def _now_s(self) -> int:
        return self._clock.read().epoch_s

    def _precise_s(self) -> float:
        return self._clock.read().epoch_ms / 1_000

    # Finding pinned jobs.

    def _pinned(self) -> Walk[list[bytes], None]:
        """Produce the payloads of pinned jobs that are still in the place, batch by batch."""
        queued = self._plan.place.kind == "queued"
        # The trash of a queue needs the order of the queue, which only a search finds.
        if self._plan.count == (1 if queued else len(self._plan.sample)):
            yield Item([record.job.raw for record in self._plan.sample])
            return
        if queued:
            yield from self._pinned_in_queue()
            return
        for low, high, digests in self._plan.pins.spans(_BATCH):
            before, cursor, more = self._done + self._refused + self._gone, None, True
            while more:
                raws, cursor = yield from steps.set_page(
                    self._keys, self._plan.place, low, high, cursor, _BATCH
                )
                yield Item([raw for raw in raws if digest(raw) in digests])
                more = cursor is not None
            # `_act` has counted the jobs that were found.
            met = self._done + self._refused + self._gone - before
            self._gone += len(digests) - met

    def _pinned_in_queue(self) -> Walk[list[bytes], None]:
        wanted, start = self._plan.pins.all(), 0
        while wanted:
            raws, more = yield from steps.queue_page(self._keys, self._plan.place, start, _BATCH)
            found = [raw for raw in raws if _take(wanted, digest(raw))]
            size = max(_COMPARISONS // (start + _BATCH), 1)
            before = self._done
            for at in range(0, len(found), size):
                yield Item(found[at : at + size])
            start += len(raws) - (self._done - before)
            if not more:
                break
        self._gone = self._plan.count - self._done - self._refused

    # Acting.

    def _act(self, raws: Sequence[bytes]) -> Walk[Any, None]:
        act = steps.remove if self._plan.verb == "delete" else steps.work
        fates = yield from act(self._keys, self._plan.place, raws, self._trash, self._now_s())
        self._done += fates.count("done")
        self._refused += fates.count("refused")
        self._gone += fates.count("gone")
        if self._throttle is not None or self._each is not None:
            for raw, fate in zip(raws, fates, strict=True):
                self._settle(read_job(raw), fate)
        yield self._progress()

    def _settle(self, job: Job, fate: Fate) -> None:
        if fate == "done" and self._throttle is not None:
            self._watch.expect(job.id, job.failed_at)
        if self._each is not None:
            self._each(job.id, fate)

    def _progress(self, note: str = "") -> Item[BulkProgress]:
        acted = self._done + self._gone + self._refused
        return Item(BulkProgress(acted, self._plan.count, note=note))

    # How fast.

    def _act_paced(self, raws: list[bytes]) -> Walk[Any, bool]:
        """Act on a batch, cut to the throttle's size; return whether to go on."""
        throttle = self._throttle
        while raws and not self._is_stopped():
            first = bool(self._stages)
            size = self._stages.pop(0) if first else throttle.batch if throttle else _BATCH
            yield from self._act(raws[:size])
            raws = raws[size:]
            if throttle and not (yield from self._goes_on(throttle, first=first)):
                return False
        return not self._is_stopped()

    def _goes_on(self, throttle: Throttle, *, first: bool) -> Walk[Any, bool]:
        """Wait as long as the throttle requires. Return whether to go on.

        After the first jobs, wait for their outcomes. Later, send one batch in each interval.
        """
        began, watch = self._clock.read().monotonic_s, self._watch
        while True:
            yield from self._read_outcomes()
            if watch.ended and watch.failure_rate > throttle.max_failure_rate:
                self._stopped = (
                    f"{watch.failed:,} of {counted(watch.ended, 'retried job')} that ended failed"
                )
                return False
            waited_s = self._clock.read().monotonic_s - began
            if not watch.open if first else waited_s >= throttle.every_s:
                return True
            if first and waited_s > throttle.patience_s:
                self._stopped = (
                    f"{counted(watch.open, 'job')} of the first stage did not end in time"
                )
                return False
            yield self._progress(f"waiting for the outcome of {watch.open}" if first else "")
            left_s = throttle.every_s - waited_s
            if (yield Item(Pause(_POLL_S if first else min(max(left_s, 0.01), _POLL_S)))):
                return False

    def _read_outcomes(self) -> Step[None]:
        """Read from history which retried jobs have ended."""
        if self._watch.open:
            since_s, self._last_read_s = self._last_read_s, self._precise_s()
            query = HistoryQuery(max(since_s - _LATE_S, 0), None, None, None, None)
            newest, walk = [], query.walk(self._keys)
            while isinstance(found := (yield from advance(walk)), Item):
                newest.append(found.value)
            for record in reversed(newest):
                self._watch.settle(record.job_id, record.outcome, record.finished_ms)


def _note(outcome: BulkOutcome) -> str:
    """Return what kept an action from all its jobs, for the record of acts."""
    parts = (
        (outcome.gone, "gone before"),
        (outcome.refused, "left in place"),
        (outcome.left, f"not reached: {outcome.stopped}"),
    )
    return "; ".join(f"{number:,} {words}" for number, words in parts if number)


def _take(wanted: Counter[bytes], pin: bytes) -> bool:
    """Tell whether the plan still counts a job with this digest, and count it down."""
    if pin not in wanted:
        return False
    wanted[pin] -= 1
    if not wanted[pin]:
        del wanted[pin]
    return True
