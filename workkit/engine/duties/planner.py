"""Plans the slots of cron jobs.

Every half minute, each pool plans the next four minutes of its entries. The first pool to set a
slot's key schedules it, so it is scheduled once even if the pools' clocks differ.

If slots were missed because no pool was running, the newest of them runs once, unless it is older
than the entry's `catch_up_s`; older slots do not run. The log reports both. A Go pool may have
planned and run them; see `_ran_in_go`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from workkit.core.clock import Instant
from workkit.core.entropy import Entropy
from workkit.cron.slots import PeriodicEntry
from workkit.engine.duties import peers
from workkit.store.calls import plan_slots
from workkit.store.keys import Keys
from workkit.store.replies import number
from workkit.store.round_trip import Step

__all__ = ["RETIRED_S", "Planner"]

_log = logging.getLogger("workkit")

#: How far ahead slots are scheduled, seconds; the original's horizon.
HORIZON_S: Final = 240
#: An entry that no pool has declared for this long is retired: its planned slots do not run.
RETIRED_S: Final = 90
_EVERY_S: Final = 30.0
_BATCH: Final = 250


class Planner:
    """Plans the entries of one pool.

    Args:
        keys: The namespace.
        entries: The pool's cron entries.
        entropy: For the jitter.
    """

    name = "periodic"

    def __init__(self, keys: Keys, entries: Sequence[PeriodicEntry], entropy: Entropy) -> None:
        self._keys = keys
        self._entries = list(entries)
        self._entropy = entropy

    def step(self, now: Instant) -> Step[float]:
        """Plan every entry up to the horizon."""
        if not self._entries:
            return _EVERY_S
        planned = yield from plan_slots.planned_until(self._keys, [e.field for e in self._entries])
        go_s = None
        if any(0 < until_s < now.epoch_s for until_s in planned):
            go_s = yield from plan_slots.peer_planned_at(self._keys)  # before we overwrite it
        for entry, until_s in zip(self._entries, planned, strict=True):
            yield from self._plan(entry, until_s, now.epoch_s, go_s)
        return _EVERY_S * self._entropy.uniform(0.8, 1.2)

    def _plan(
        self, entry: PeriodicEntry, planned_until_s: int, now_s: int, go_s: int | None
    ) -> Step[None]:
        times = list(entry.schedule.upcoming(now_s, now_s + HORIZON_S))
        if 0 < planned_until_s < now_s:
            times = (yield from self._missed(entry, planned_until_s, now_s, go_s)) + times
        for start in range(0, max(len(times), 1), _BATCH):
            batch = times[start : start + _BATCH]
            last = start + _BATCH >= len(times)
            yield from plan_slots.plan_slots(
                self._keys,
                name=entry.name,
                field=entry.field,
                slots=[entry.slot(at_s) for at_s in batch],
                until_s=now_s + HORIZON_S if last else batch[-1],
                now_s=now_s,
            )

    def _missed(
        self, entry: PeriodicEntry, planned_until_s: int, now_s: int, go_s: int | None
    ) -> Step[list[int]]:
        """Return the missed slot that must still run, if any."""
        first = entry.schedule.next_after(planned_until_s)
        if first is None or first > now_s:
            return []
        newest = first
        for at_s in entry.schedule.upcoming(
            max(planned_until_s, now_s - entry.catch_up_s - 1), now_s
        ):
            newest = at_s
        runs = now_s - newest <= entry.catch_up_s
        if runs and go_s is not None and (yield from self._ran_in_go(entry, newest, now_s, go_s)):
            _log.warning(
                "cron %r of %r: slots were missed while no workkit pool was running; a Go pool has "
                "planned since then, so they are left to it",
                entry.spec, entry.name,
            )  # fmt: skip
            return []
        _log.warning(
            "cron %r of %r: slots were missed while no pool was running; %s",
            entry.spec,
            entry.name,
            "the newest runs now" if runs else "they are older than catch_up_s and do not run",
        )
        return [newest] if runs else []

    def _ran_in_go(self, entry: PeriodicEntry, slot_s: int, now_s: int, go_s: int) -> Step[bool]:
        """Tell whether a Go pool has planned a slot that workkit has missed.

        Every Go pool records when it plans, even without cron entries. The jobs scheduled for the
        next minutes show whether a Go pool plans this entry. If the entry has no slot in that time,
        a Go pool counts if it handles the job and was running when the slot was due.

        Args:
            entry: The entry.
            slot_s: The slot, epoch seconds.
            now_s: The time, epoch seconds.
            go_s: When a Go pool last planned, epoch seconds.
        """
        if slot_s >= go_s + peers.GO_HORIZON_S:
            return False
        is_planned = yield from peers.plans(
            self._keys, entry.name, entry.spec, entry.schedule, now_s, go_s
        )
        if is_planned is False:
            return False
        if is_planned and slot_s > go_s:
            return True
        there = [
            beat for beat in (yield from peers.go_pools(self._keys))
            if (number(beat.started_at) or 0) <= slot_s
        ]  # fmt: skip
        return any(is_planned or entry.name in beat.job_names.split(",") for beat in there)
