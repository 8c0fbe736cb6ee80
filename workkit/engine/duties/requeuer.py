"""Moves due jobs into their queues.

Unlike the original's, it moves jobs of every name, not only those that this pool handles: the next
release or another service may handle a job that is unknown here.
"""

from __future__ import annotations

import logging
import math
from typing import Final

from workkit.core import job as wire
from workkit.core.clock import Instant
from workkit.core.entropy import Entropy
from workkit.core.text import counted
from workkit.core.undecodable import bury_undecodable
from workkit.cron import parse
from workkit.cron.slots import split_field, split_slot
from workkit.engine.duties import peers
from workkit.engine.duties.planner import HORIZON_S, RETIRED_S
from workkit.engine.observing import Observers
from workkit.errors import InvalidSpec, ServerUnavailable, Undecodable
from workkit.store.calls import move, plan_slots
from workkit.store.calls.move import Due
from workkit.store.keys import Keys
from workkit.store.replies import number
from workkit.store.round_trip import Step

__all__ = ["UNTOLD_S", "Requeuer"]

_log = logging.getLogger("workkit")

#: Cron entries are checked this often, seconds.
_WATCH_S: Final = 30.0
#: After a longer gap between two checks, the earlier one proves nothing, seconds.
_GAP_S: Final = 75.0
_BATCH: Final = 500
#: After this many good batches in a row, the size of failed batches is doubled again.
_GOOD: Final = 20
#: The sets are checked this often even if nothing in them seems due, seconds: the first if the
#: server does not announce changes, the second if it does.
UNTOLD_S: Final = 1.0
_TOLD_S: Final = 30.0
#: How long a pool leaves due jobs to a pool that was faster before, seconds.
_COURTESY_S: Final = (0.01, 0.03)


class Requeuer:
    """Moves due jobs of the namespace.

    Args:
        keys: The namespace.
        entropy: Ids for buried members.
        observers: Hear how late scheduled jobs enter their queues; None for nobody.

    Attributes:
        told: Whether the server now announces changes of the sets to the pool, which then hurries
            the requeuer.
        courtesy_s: How long to leave a due job to the other pools, seconds. It is not 0 if another
            pool has moved the last ones; so one pool of several does the work.
    """

    name = "requeuer"

    def __init__(self, keys: Keys, entropy: Entropy, observers: Observers | None = None) -> None:
        self._keys = keys
        self._observers = observers
        self._entropy = entropy
        self._declared: dict[str, tuple[str, float]] = {}  # entry -> value, time of its last change
        self._watched_at = float("-inf")
        self._gone: dict[str, bool] = {}  # retired entry -> whether no Go pool plans it either
        self.told = False
        self.courtesy_s = 0.0
        self._skip = {keys.scheduled: 0, keys.retry: 0}
        self._halvings = dict.fromkeys(self._skip, 0)
        self._good = 0  # good batches in a row
        self._stuck = False

    def step(self, now: Instant) -> Step[float]:
        """Move one batch of each set; return 0 while there is more."""
        yield from self._watch_entries(now)
        more, self._stuck = False, False
        sets = {self._keys.scheduled: "scheduled", self._keys.retry: "retry"}
        heads = yield from move.heads(list(sets))
        due = [source for source, at_s in zip(sets, heads, strict=True) if _is_due(at_s, now)]
        for source, origin in sets.items():
            if source in due:
                more = (yield from self._moved(source, origin, now)) or more
            else:
                self._skip[source] = 0
        if more:
            return self.courtesy_s
        if self._stuck:
            return UNTOLD_S  # the first due job stays due while its queue is broken
        if due:
            heads = yield from move.heads(list(sets))
        next_due_s = min((at_s for at_s in heads if at_s is not None), default=math.inf)
        wait_s = max(next_due_s - now.epoch_ms / 1000, 0.01) + self.courtesy_s
        return min(wait_s, _TOLD_S if self.told else UNTOLD_S)

    def _moved(self, source: bytes, origin: str, now: Instant) -> Step[bool]:
        """Move one batch; if that fails, make the next batch smaller.

        A batch can be too large for the free memory, here or in the server. If a single job is too
        large, the jobs behind it are moved.
        """
        try:
            more = yield from self._move(source, origin, now)
        except Exception as error:
            self._good = 0
            if self._size(source)[0] > 1:
                self._halvings[source] += 1
            elif not isinstance(error, ServerUnavailable):
                _log.error(
                    "a due job of the %s set cannot be moved; the jobs behind it are moved", origin
                )
                self._skip[source] += 1
            raise
        self._good += 1
        if self._halvings[source] and self._good >= _GOOD:
            self._halvings[source] -= 1
            self._good = 0
        return more

    def _size(self, source: bytes) -> tuple[int, int]:
        """Return the most jobs and the most bytes of a batch of a set."""
        halvings = self._halvings[source]
        return max(_BATCH >> halvings, 1), max(move.BATCH_BYTES >> halvings, 1)

    def _move(self, source: bytes, origin: str, now: Instant) -> Step[bool]:
        skip = self._skip[source]
        count, size = self._size(source)
        rows = yield from move.due(source, now.epoch_s, offset=skip, count=count, size=size)
        if not rows:
            self._skip[source] = 0
            return False
        raws = [raw for raw, _ in rows]
        jobs = [self._read(raw, origin, now) for raw in raws]
        jobs = yield from self._taking_back(jobs, now)
        moved = yield from move.move(self._keys, source, jobs, now.epoch_s)
        self._be_courteous(len(jobs), moved)
        if self._observers and source == self._keys.scheduled:
            self._observers.requeued(_lateness([at_s for _, at_s in rows], moved.moved, now))
        if moved.taken:
            self._log_taken_back([jobs[at - 1] for at in moved.taken])
        if moved.buried:
            _log.error(
                "%d members of the %s set are not jobs; they are in the dead set now",
                moved.buried, origin,
            )  # fmt: skip
        if moved.left and not skip:
            _log.error(
                "%d due jobs cannot be moved: the keys of their queues have a wrong type",
                moved.left,
            )
        self._stuck = self._stuck or moved.left > 0
        # Jobs that cannot be moved stay at the head; continue behind them.
        more = len(raws) == count or sum(map(len, raws)) >= size
        self._skip[source] = skip + moved.left if more else 0
        return more

    def _be_courteous(self, tried: int, result: move.MoveResult) -> None:
        """Leave the next due jobs to another pool if it was faster with these."""
        ours = result.moved + result.buried + result.dropped + len(result.taken)
        others = tried - ours - result.left
        if others > ours:
            self.courtesy_s = self._entropy.uniform(*_COURTESY_S)
        elif ours:
            self.courtesy_s = 0.0

    def _watch_entries(self, now: Instant) -> Step[None]:
        """Check by our own clock whether pools still declare their cron entries."""
        passed_s = now.monotonic_s - self._watched_at
        if passed_s < _WATCH_S:
            return
        declared = yield from move.declared(self._keys)
        if passed_s > _GAP_S:
            self._declared.clear()  # nothing is known of the time in between
        self._watched_at = now.monotonic_s
        self._gone.clear()
        for field, value in declared.items():
            if self._declared.get(field, ("", 0.0))[0] != value:
                self._declared[field] = (value, now.monotonic_s)

    def _taking_back(self, jobs: list[Due], now: Instant) -> Step[list[Due]]:
        """Mark slots whose cron entry no pool declares any more; `move` removes workkit's."""
        marked = []
        for job in jobs:
            field, due_s = split_slot(job.slot, job.queue) if job.slot else ("", 0)
            known = self._declared.get(field)
            if known is None or now.monotonic_s - known[1] < RETIRED_S:
                marked.append(job)
                continue
            if field not in self._gone:
                self._gone[field] = yield from self._is_gone(field, known[0], now)
            marked.append(
                job._replace(retired=field, due_s=due_s, seen=known[0])
                if self._gone[field]
                else job
            )
        return marked

    def _is_gone(self, field: str, declared_at: str, now: Instant) -> Step[bool]:
        """Tell whether no Go pool plans an entry that workkit pools no longer declare."""
        entry = split_field(field)
        go_s = yield from plan_slots.peer_planned_at(self._keys)
        if entry is None or go_s is None:
            return True
        name, spec = entry
        handling = yield from peers.go_pools(self._keys)
        if not any(name in beat.job_names.split(",") for beat in handling):
            return True
        try:
            schedule = parse(spec)
        except InvalidSpec:
            return True  # Go has the same grammar
        planned_s = max((number(declared_at) or 0) + HORIZON_S, now.epoch_s)
        is_planned = yield from peers.plans(self._keys, name, spec, schedule, planned_s, go_s)
        return is_planned is False

    def _log_taken_back(self, slots: list[Due]) -> None:
        for field in dict.fromkeys(slot.retired for slot in slots):
            name, spec = split_field(field) or (field, "")
            times = [slot.due_s for slot in slots if slot.retired == field]
            _log.warning(
                "cron %r of %r: no pool declares it any more, so %s that had been planned for it "
                "%s taken back (the first was due at %d)",
                spec, name, counted(len(times), "slot"), "is" if len(times) == 1 else "are",
                times[0],
            )  # fmt: skip

    def _read(self, raw: bytes, origin: str, now: Instant) -> Due:
        try:
            job = wire.decode(raw)
            return Due(
                raw, wire.splice(raw, t=now.epoch_s, t_ms=now.epoch_ms), job.name, wire.slot_of(job)
            )
        except Undecodable as error:
            job_id = self._entropy.identifier()
            return Due(raw, bury_undecodable(raw, origin, str(error), job_id, now.epoch_s), "", "")


def _is_due(head_s: float | None, now: Instant) -> bool:
    """Tell whether to read the due jobs of a set, also to meet the error of a wrong type."""
    return head_s is None or head_s <= now.epoch_s


def _lateness(due_s: list[float], moved: int, now: Instant) -> list[float]:
    """Return how late jobs were moved, seconds.

    The reply says how many were moved, and not which: other pools move jobs of the same batch. So
    the times are taken evenly from the batch, whose jobs were due one after the other.
    """
    picked = (due_s[at * len(due_s) // moved] for at in range(moved))
    return [max(now.epoch_ms / 1000 - at_s, 0.0) for at_s in picked]
