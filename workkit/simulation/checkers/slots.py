"""Checkers of cron slots: what they hold, and who takes them back."""

from __future__ import annotations

import json
from typing import Final

from workkit.core.job import PERIODIC
from workkit.cron.slots import PeriodicEntry, split_slot
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.dates import is_due, newest_due
from workkit.simulation.checkers.moves import RESTORED, PlacedJob, RedisChange
from workkit.simulation.checkers.scene import Scene
from workkit.store.calls.layout import keys_and_args
from workkit.store.calls.move import read_move
from workkit.store.calls.plan_slots import PlanArgs

__all__ = ["SlotsAreAsDeclared", "TakenSlotsReturn", "taken_back"]

#: Slots are taken back if no pool has declared their entry for this long, seconds.
_RETIRED_S: Final = 90.0


def taken_back(scene: Scene, change: RedisChange) -> list[str]:
    """Return the slots that a command has removed because no pool declares their entry."""
    if change.command != "move":
        return []
    gone = {
        each.job_id
        for each in change.moves
        if each.after is None and each.job_id.startswith(PERIODIC) and each.came_from("scheduled")
    }
    if not gone:
        return []
    said = {scene.identify(row.raw) for row in read_move(change.sent) if row.retired}
    return [job_id for job_id in gone & said if not scene.where(job_id)]


def _new_slots(change: RedisChange) -> list[PlacedJob]:
    """Return the slots that a plan has scheduled."""
    if change.command != "plan_slots":
        return []
    return [each.after for each in change.moves if each.before is None and each.after is not None]


def _entry(scene: Scene, pool: str, field: str) -> PeriodicEntry | None:
    """Return the entry of a pool with a name in the `periodic` hash."""
    entries = scene.conditions.spec(pool).periodic
    return next((entry for entry in entries if entry.field == field), None)


class SlotsAreAsDeclared(Checker):
    """A slot has the name, the args, the id and a time of an entry of the pool that plans it."""

    rule = "a cron slot is what its entry declares"

    def changed(self, change: RedisChange) -> None:
        """Compare the slots of a plan with the entry."""
        for slot in _new_slots(change):
            plan = PlanArgs(*keys_and_args(change.sent)[1][: len(PlanArgs._fields)])
            entry = _entry(self.scene, change.pool, str(plan.field))
            if entry is None:
                self.violated(f"{change.pool} plans it, and does not declare it", slot.job_id)
            else:
                self._compare(slot, entry, change)

    def _compare(self, slot: PlacedJob, entry: PeriodicEntry, change: RedisChange) -> None:
        job, due_s = slot.job, int(slot.score)
        if job is None:
            self.violated("it is not a job", slot.job_id)
        expected = {
            "name": (job.name, entry.name),
            "id": (job.id, f"{PERIODIC}{entry.name}:{entry.spec}:{due_s}"),
            "args": (job.args, json.loads(entry.args_json)),
            "time": (job.enqueued_at, due_s),
        }
        for what, (is_so, should_be) in expected.items():
            if is_so != should_be:
                self.violated(f"its {what} is {is_so!r}, its entry says {should_be!r}", job.id)
        if not is_due(entry, due_s):
            self.violated(f"its due time is {due_s}, its entry says {entry.spec!r}", job.id)
        if self.scene.keys.slot(job.id) not in change.keys:
            self.violated(f"{change.pool} has planned it without its key", job.id)


class TakenSlotsReturn(Checker):
    """A slot that was taken back counts as missed when its entry comes back.

    Then the newest missed slot runs, if its entry catches up that much. Slots are taken back only
    if no pool that runs without a fault declares their entry.
    """

    rule = "a slot that was taken back counts as missed"

    def __init__(self) -> None:
        self._until: dict[str, int] = {}  # field of an entry -> planned until
        self._taken_at: dict[str, float] = {}
        self._stands: set[str] = set()
        self._moved: set[str] = set()

    def changed(self, change: RedisChange) -> None:
        """Follow plans, and slots that are taken back."""
        if change.command == RESTORED:
            self._until.clear()  # older plans are back
        for move in change.moves:
            if move.after is not None and move.job_id.startswith(PERIODIC):
                self._stands.add(move.job_id)
                if move.after.place.kind != "scheduled":
                    self._moved.add(move.job_id)
        for job_id in taken_back(self.scene, change):
            if job_id not in self._moved:  # it is no second copy
                self._take_back(job_id, change.pool)
        if change.command == "plan_slots":
            self._look(change)

    def _take_back(self, job_id: str, taker: str) -> None:
        conditions = self.scene.conditions
        field, due_s = split_slot(job_id, job_id.split(":", 2)[1])
        for pool in conditions.running():
            if conditions.healthy_s(pool) > _RETIRED_S and _entry(self.scene, pool, field):
                self.violated(f"{taker} takes it back, and {pool} declares its entry", job_id)
        self._stands.discard(job_id)
        self._taken_at[field] = self.scene.now_s()
        if field in self._until:
            self._until[field] = min(self._until[field], due_s - 1)

    def _look(self, change: RedisChange) -> None:
        plan = PlanArgs(*keys_and_args(change.sent)[1][: len(PlanArgs._fields)])
        field, now_s = str(plan.field), int(plan.now_s)
        before_s = self._until.get(field, 0)
        self._until[field] = max(before_s, int(plan.until_s))
        taken_at_s = self._taken_at.get(field)
        entry = _entry(self.scene, change.pool, field) if change.pool else None
        if taken_at_s is None or entry is None or not 0 < before_s < now_s:
            return
        del self._taken_at[field]
        if self.scene.now_s() - taken_at_s < self.scene.conditions.runs_s(change.pool):
            return  # it may have read the plan before the slot was taken back
        oldest_s = max(before_s, now_s - entry.catch_up_s - 1)
        newest_s = newest_due(entry, oldest_s, now_s)
        job_id = f"{PERIODIC}{entry.name}:{entry.spec}:{newest_s}"
        if newest_s is not None and job_id not in self._stands:
            self.violated(f"it was taken back, and {change.pool} has not planned it", job_id)

    def wiped(self) -> None:
        """Forget the plans, as Redis has."""
        self._until.clear()
        self._taken_at.clear()
        self._stands.clear()
        self._moved.clear()
