"""Checkers of plans of cron slots: they have all slots, and say until when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workkit.core.job import PERIODIC
from workkit.cron.slots import PeriodicEntry, split_slot
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.dates import due_times, newest_due
from workkit.simulation.checkers.moves import EXPIRED, RESTORED, RedisChange
from workkit.store.calls.layout import keys_and_args
from workkit.store.calls.plan_slots import PlanArgs

__all__ = ["PlansAreNoted", "PlansAreWhole", "RetiredSlotsAreTakenBack"]

#: Clocks are right up to a second, and times are whole seconds.
_NEAR_S: Final = 2.5
#: A pool notes a time that is a little older, for Go pools; seconds.
_OLDER_S: Final = 3
#: How far ahead pools plan, seconds.
_HORIZON_S: Final = 240
#: A pool has compared its clock with the server's after this long, seconds.
_CLOCK_S: Final = 45.0
#: A pool reads until when an entry is planned, and plans within this time, seconds.
_PLANS_S: Final = 60.0
#: It makes up to fifteen round trips from the time that it reads to its last plan.
_WAYS: Final = 30
#: An entry is retired after 90 s, by a clock that begins within a minute; seconds.
_RETIRED_S: Final = 155.0


def _read(change: RedisChange) -> tuple[PlanArgs, Sequence[Any]]:
    args = keys_and_args(change.sent)[1]
    return PlanArgs(*args[: len(PlanArgs._fields)]), args[len(PlanArgs._fields) :]


class PlansAreNoted(Checker):
    """A pool that plans says until when it has planned, when it was, and that the entry lives.

    It leaves the newest time at which a Go pool has planned where workkit pools read it.
    """

    rule = "who plans cron slots says so"

    def __init__(self) -> None:
        self._until: dict[str, int] = {}
        self._last = b""  # what stands in last_periodic_enqueue
        self._peer = b""  # what a Go pool has written there last

    def changed(self, change: RedisChange) -> None:
        """Compare what a plan has written with its time."""
        keys = self.scene.keys
        if change.command == "plan_slots":
            self._look(change)
        elif change.command in {EXPIRED, RESTORED, "move"}:
            self._until.clear()
        if keys.last_periodic_enqueue in change.keys or change.command == RESTORED:
            value = self.scene.read("GET", keys.last_periodic_enqueue) or b""
            if change.command != "plan_slots" and value != self._last:
                self._peer = value if change.command != RESTORED else b"?"
            self._last = value

    def _look(self, change: RedisChange) -> None:
        scene, keys = self.scene, self.scene.keys
        plan, rows = _read(change)
        field = str(plan.field)
        until_s = int(scene.read("HGET", keys.periodic, field) or 0)
        if until_s < max([self._until.get(field, 0), *map(int, rows[::2])]):
            self.violated(f"{change.pool} has planned {field} beyond {until_s}, which it says")
        self._until[field] = until_s
        last_s = scene.read("GET", keys.last_periodic_enqueue) or b""
        ours, _, peer = (scene.read("GET", keys.periodic_peer) or b"").partition(b" ")
        if ours != last_s or self._peer not in {peer, b"?"}:
            self.violated(f"{ours!r} {peer!r} is noted, it was {last_s!r} {self._peer!r}")
        if change.pool and scene.conditions.undisturbed_s(change.pool) > _CLOCK_S:
            seen_s = int(scene.read("HGET", keys.periodic_seen, field) or 0)
            near_s = _NEAR_S + _WAYS * scene.conditions.slowness_s()
            times = {"declared": seen_s, "planned": int(last_s) + _OLDER_S}
            for what, at_s in times.items():
                if abs(at_s - scene.true_s()) > near_s:
                    self.violated(f"{change.pool} has {what} {field} at {at_s}")
            if until_s > scene.true_s() + _HORIZON_S + near_s:
                self.violated(f"{change.pool} has planned {field} until {until_s}")

    def wiped(self) -> None:
        """Forget what was noted, as Redis has."""
        self._until.clear()
        self._last = self._peer = b""


class RetiredSlotsAreTakenBack(Checker):
    """A slot is not queued when no pool has declared its entry for three minutes.

    While there are Go pools, they may have the entry too.
    """

    rule = "slots of retired entries do not run"

    def __init__(self) -> None:
        self._declared_s: dict[str, float] = {}

    def changed(self, change: RedisChange) -> None:
        """Record who declares what, and look at slots that are queued."""
        scene = self.scene
        if change.command == "plan_slots":
            self._declared_s[str(_read(change)[0].field)] = scene.now_s()
        if change.command != "move" or not change.pool:
            return
        for move in change.moves:
            if not (move.job_id.startswith(PERIODIC) and move.went_to("queued")):
                continue
            assert move.after is not None  # noqa: S101 - it went to a queue
            field, _ = split_slot(move.job_id, move.after.place.queue)
            ago_s = scene.now_s() - self._declared_s.get(field, scene.now_s())
            if min(ago_s, scene.conditions.undisturbed_s(change.pool)) <= _RETIRED_S:
                continue
            known = scene.read("GET", scene.keys.periodic_peer) or b" "
            ours, _, peer = known.partition(b" ")
            last = scene.read("GET", scene.keys.last_periodic_enqueue)
            if move.came_from("scheduled") and not peer and last in {None, ours}:
                self.violated(f"nobody has declared it for {ago_s:.0f} s", move.job_id)


class PlansAreWhole(Checker):
    """A plan has each slot of the next four minutes, and of those that were missed the newest.

    A new entry has missed none. An older one has that slot only if it catches up that much. While
    there are Go pools, they may have planned it. The slots are those of the spec as the documents
    read it, on the wall clock of its zone; the engine's own schedule is not asked.
    """

    rule = "a plan has all slots of its entry"

    def __init__(self) -> None:
        self._until: dict[str, tuple[int, float]] = {}  # field -> planned until, known since
        self._is_told = True  # whether only plans have changed how far entries are planned

    def changed(self, change: RedisChange) -> None:
        """Compare a plan with the schedule of its entry."""
        if change.command == "plan_slots":
            if change.pool:
                self._look(change)
            field = str(_read(change)[0].field)
            self._note(field)
        elif self.scene.keys.periodic in change.keys or change.command == RESTORED:
            self._is_told = False
            for field in list(self._until):
                self._note(field)

    def _note(self, field: str) -> None:
        until_s = int(self.scene.read("HGET", self.scene.keys.periodic, field) or 0)
        if self._until.get(field, (0, 0.0))[0] != until_s:
            self._until[field] = until_s, self.scene.now_s()

    def _look(self, change: RedisChange) -> None:
        plan, rows = _read(change)
        now_s, planned = int(plan.now_s), [int(at_s) for at_s in rows[::2]]
        for entry in self.scene.conditions.spec(change.pool).periodic:
            if entry.field != plan.field:
                continue
            wanted = list(due_times(entry, now_s, now_s + _HORIZON_S))
            if [at_s for at_s in planned if at_s > now_s] != wanted:
                self.violated(f"{change.pool} plans {planned} of {entry.field}, not {wanted}")
            late = [at_s for at_s in planned if at_s <= now_s]
            self._check_missed(change.pool, entry, now_s, late)

    def _check_missed(
        self, pool: str, entry: PeriodicEntry, now_s: int, planned: Sequence[int]
    ) -> None:
        until_s, since_s = self._until.get(entry.field, (0, 0.0))
        if not planned and not 0 < until_s < now_s:
            return
        newest = newest_due(entry, now_s - entry.catch_up_s - 1, now_s)
        if planned and self._is_told and entry.field not in self._until:
            self.violated(f"{pool} plans {planned} of {entry.field}, from before it was there")
        if planned and planned != [newest]:
            self.violated(f"{pool} catches up {planned} of {entry.field}, not {newest}")
        was_missed = newest is not None and 0 < until_s < newest
        peer = (self.scene.read("GET", self.scene.keys.periodic_peer) or b" ").partition(b" ")[2]
        if was_missed and not planned and not peer and self.scene.now_s() - since_s > _PLANS_S:
            self.violated(f"{pool} does not catch up {newest} of {entry.field}, which was missed")

    def wiped(self) -> None:
        """Forget what was planned, as Redis has."""
        self._is_told = False
        self._until.clear()
