"""Checkers of cron slots: each runs once, and each that is planned runs."""

from __future__ import annotations

from typing import Final

from workkit.core.job import PERIODIC
from workkit.cron.slots import PeriodicEntry, split_slot
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.claims import TakenSlots
from workkit.simulation.checkers.moves import RESTORED, HandlerRun, Move, RedisChange
from workkit.simulation.checkers.slots import taken_back
from workkit.simulation.checkers.verdicts import promised
from workkit.store.calls.layout import keys_and_args
from workkit.store.calls.plan_slots import PlanArgs

__all__ = ["CronSlots", "SlotsRun"]

#: A pool plans the slots of the next minutes within this time, seconds.
_PLANS_S: Final = 90.0
#: The slots of this time from now on are planned, seconds.
_AHEAD_S: Final = 120
#: A slot has run this long after it was due, seconds.
_OVERDUE_S: Final = 60
_EVERY_S: Final = 10.0
#: A pool has compared its clock with the server's after this long, seconds.
_CLOCK_S: Final = 45.0
#: A slot may wait in its queue this long even if its entry catches up nothing, seconds.
_WAITS_S: Final = 60
#: Between its check and its start it may wait for a worker, seconds.
_STARTS_S: Final = 3.0
#: And for less than this many requests.
_REQUESTS: Final = 25


class CronSlots(Checker):
    """A slot that has run never runs again, even if somebody adds a copy of it.

    `TakenSlots` describes the only exception. A slot that is older than its entry allows does not
    start, unless it has started before.
    """

    rule = "a cron slot runs once"

    def __init__(self) -> None:
        self._taken = TakenSlots()
        self._succeeded: set[tuple[str, str]] = set()
        self._done: set[str] = set()
        self._began: set[str] = set()

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record slots that have run."""
        if error is None and run.job_id.startswith(PERIODIC):
            self._succeeded.add((run.pool, run.job_id))

    def changed(self, change: RedisChange) -> None:
        """Record claims of slots, and slots that were settled by the pool that ran them."""
        self._taken.changed(self.scene, change, self._done)
        for move in change.moves:
            if move.came_from("in progress") and move.went_to("queued"):
                self._began.add(move.job_id)  # its pool may have asked whether it may start
        if change.command != "exchange":
            return
        for move in change.moves:
            ours = change.pool, move.job_id
            settled = move.came_from("in progress") and move.after is None
            if settled and ours in self._succeeded:
                self._succeeded.discard(ours)
                self._done.add(move.job_id)

    def crashed(self, pool: str) -> None:
        """Forget a crashed process: slots that it ran without settling them run again elsewhere."""
        self._taken.crashed(pool)
        self._succeeded = {each for each in self._succeeded if each[0] != pool}

    def started(self, run: HandlerRun) -> None:
        """Check that the slot has not run before."""
        excused = self._taken.excuse(run)
        if run.job_id in self._done and not run.fails and not excused:
            self.violated(f"{run.pool} runs it again", run.job_id)
        if run.job_id.startswith(PERIODIC):
            if run.job_id not in self._began:
                self._look_at_age(run)
            self._began.add(run.job_id)

    def _look_at_age(self, run: HandlerRun) -> None:
        """Check that a slot is not too old to start."""
        conditions = self.scene.conditions
        if conditions.undisturbed_s(run.pool) < _CLOCK_S:
            return
        field, due_s = split_slot(run.job_id, run.name)
        for entry in conditions.spec(run.pool).periodic:
            late_s = self.scene.true_s() - due_s
            most_s = max(entry.catch_up_s, _WAITS_S) + _STARTS_S
            if entry.field == field and late_s > most_s + _REQUESTS * conditions.slowness_s():
                self.violated(
                    f"{run.pool} starts it {late_s:g} s late, it catches up {entry.catch_up_s} s",
                    run.job_id,
                )

    def wiped(self) -> None:
        """Forget which slots have run, as Redis has."""
        self._done.clear()
        self._succeeded.clear()


class SlotsRun(Checker):
    """Every slot of an entry is planned by the pool that takes its key, and runs to an end.

    A slot has run when its handler has succeeded, or has failed it for good, and its pool has
    settled it. Exceptions: slots of entries that no pool declares any more, and slots that were
    older than their entry allows before they had started.
    """

    rule = "a cron slot that is planned runs to an end"

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._planned: dict[str, tuple[str, int]] = {}
        self._finished: set[tuple[str, str]] = set()
        self._over: set[str] = set()
        self._started: set[str] = set()
        self._dropped: dict[str, float] = {}  # slot -> when it was dropped without a run, epoch s
        self._is_unsure = False
        self._next_s = 0.0

    def started(self, run: HandlerRun) -> None:
        """Record slots that must run to an end."""
        if run.job_id.startswith(PERIODIC):
            self._started.add(run.job_id)

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record slots that may leave Redis."""
        if run.job_id.startswith(PERIODIC):
            kind = "dropped" if error is None else promised(error, run.options).kind
            if kind == "dropped" or run.options.skip_dead:
                self._finished.add((run.pool, run.job_id))

    def changed(self, change: RedisChange) -> None:
        """Follow the slots from their plan to their end."""
        if change.command == RESTORED:  # keys of slots that have run may be there
            self._is_unsure = True
        for move in change.moves:
            if move.job_id.startswith(PERIODIC):
                self._follow(move, change)
        for job_id in taken_back(self.scene, change):
            self._seen.discard(job_id)
            self._planned.pop(job_id, None)
        if change.command == "plan_slots":
            self._look_at_plan(change)
        if self.scene.now_s() >= self._next_s:
            self._next_s = self.scene.now_s() + _EVERY_S
            self._look_ahead()

    def _follow(self, move: Move, change: RedisChange) -> None:
        self._seen.add(move.job_id)
        ours = change.pool, move.job_id
        if change.command == "remove":
            self._over.add(move.job_id)
        if change.command == "exchange" and move.after is None and ours in self._finished:
            self._finished.discard(ours)
            self._over.add(move.job_id)
        elif change.command == "exchange" and move.after is None:
            self._dropped[move.job_id] = self.scene.true_s()

    def _look_at_plan(self, change: RedisChange) -> None:
        args = keys_and_args(change.sent)[1]
        plan, rows = PlanArgs(*args[: len(PlanArgs._fields)]), args[len(PlanArgs._fields) :]
        for _, raw in zip(rows[::2], rows[1::2], strict=True):
            job_id = self.scene.identify(raw)
            if job_id not in self._seen and not self._is_unsure:
                self.violated(f"{change.pool} has taken its key and not scheduled it", job_id)
            self._planned[job_id] = split_slot(job_id, str(plan.name))

    def _declared(self) -> dict[str, PeriodicEntry]:
        """Return the entries of the pools that run, by their fields."""
        conditions = self.scene.conditions
        return {
            entry.field: entry
            for pool in conditions.running()
            for entry in conditions.spec(pool).periodic
        }

    def _look_ahead(self) -> None:
        """Check that pools without a fault have planned what comes next."""
        conditions, now_s = self.scene.conditions, int(self.scene.true_s()) + 1
        for pool in conditions.running():
            if conditions.undisturbed_s(pool) < _PLANS_S:
                continue
            for entry in conditions.spec(pool).periodic:
                for at_s in entry.schedule.upcoming(now_s, now_s + _AHEAD_S):
                    job_id = entry.slot(at_s)[0]
                    if job_id not in self._seen and not self._is_unsure:
                        self.violated(f"{pool} has not planned it, and it is due soon", job_id)
                    break

    def wiped(self) -> None:
        """Forget the slots, as Redis has."""
        self._seen.clear()
        self._planned.clear()

    def at_rest(self) -> None:
        """Check that every slot that was due has run, or still stands somewhere."""
        declared, now_s = self._declared(), self.scene.true_s()
        for job_id, (field, due_s) in self._planned.items():
            entry = declared.get(field)
            if entry is None or due_s > now_s - _OVERDUE_S or job_id in self._over:
                continue
            dropped_s = self._dropped.get(job_id, 0.0)
            was_late = dropped_s - due_s > max(entry.catch_up_s, _WAITS_S) - _STARTS_S
            if was_late and job_id not in self._started:
                continue
            if not self.scene.where(job_id):
                self.violated("it was planned, and has not run to an end", job_id)
