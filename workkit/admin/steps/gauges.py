"""Reads the numbers of a namespace for monitoring, without I/O.

The cost depends on the numbers of queues, pools and cron entries, and never on that of jobs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from workkit.admin.steps.reads import heartbeat_of
from workkit.admin.steps.survey import named, past_slots
from workkit.core import job as wire
from workkit.core.gauges import Gauges, QueueGauge
from workkit.errors import Undecodable
from workkit.store.calls import pages, queues, survey, tally
from workkit.store.calls.queues import QueueState
from workkit.store.calls.tally import LockTally
from workkit.store.keys import Keys
from workkit.store.replies import text
from workkit.store.round_trip import RoundTrip, Step, together

__all__ = ["gauges"]

#: The states of a cron slot whose job has started.
_STARTED: Final = frozenset({"started", "returned", "failed", "done"})


def gauges(keys: Keys, now_ms: int) -> Step[Gauges]:
    """Read the numbers of a namespace in at most three round trips."""
    found, extent, (seen, planned) = yield from together(
        survey.survey(keys), pages.history_extent(keys), survey.cron_entries(keys)
    )
    names, pool_ids = sorted(found.names), sorted(found.pool_ids)
    entries = {named(field) for field in seen | planned}
    slots = {entry: past_slots(*entry, now_ms // 1000) for entry in entries}
    slot_ids = [slot for times in slots.values() for slot in times]
    states, locks, rows, marks = yield from _parts(
        queues.states(keys, names),
        tally.locks(keys, names),
        pages.pools(keys, pool_ids),
        survey.slot_states(keys, slot_ids),
    )
    locks |= yield from _with_strangers(keys, locks, found.pool_ids)
    marked = dict(zip(slot_ids, marks, strict=True))
    held: Counter[str] = Counter()
    for lock in locks.values():
        held.update(lock.info)
    written, kept = extent[:2]
    return Gauges(
        taken_at=now_ms / 1000,
        queues=[_gauge(keys, state, locks.get(state.name), now_ms) for state in states],
        pools=[heartbeat_of(pool_id, rows[pool_id]) for pool_id in pool_ids],
        scheduled=found.scheduled,
        retry=found.retry,
        dead=found.dead,
        held=held,
        trimmed=written - kept,
        last_runs={entry: _last_run(slots[entry], marked) for entry in sorted(entries)},
    )


def _parts(*parts: RoundTrip[Any]) -> Step[list[Any]]:
    """Carry out round trips as one; a namespace without anything needs none."""
    if any(part.commands for part in parts):
        return (yield from together(*parts))
    return [part.parse([]) for part in parts]


def _with_strangers(
    keys: Keys, locks: Mapping[str, LockTally], registered: set[str]
) -> Step[dict[str, LockTally]]:
    """Read again the locks that pools hold which are not registered, with their lists.

    Such a pool has just started, or it is dead: then `lock_info` says what it held, and only the
    lists say what is still there.
    """
    strangers = {
        name: sorted(set(lock.info) - registered)
        for name, lock in locks.items()
        if not lock.info.keys() <= registered
    }
    if not strangers:
        return {}
    tallies = yield from tally.tallies(keys, strangers)
    return {
        name: LockTally(lock.lock, dict(lock.info) | dict(lock.held), lock.held)
        for name, lock in tallies.items()
        if lock is not None
    }


def _gauge(keys: Keys, state: QueueState, lock: LockTally | None, now_ms: int) -> QueueGauge:
    queue, wrong, drift = keys.queue(state.name, ""), state.wrong, None
    if lock is None and queue.lock not in wrong:
        wrong = (*wrong, queue.lock_info)
    elif lock is not None and lock.lock is not None:
        drift = lock.lock - sum(lock.info.values())
    has_jobs = queue.jobs not in wrong
    return QueueGauge(
        state.name,
        state.length if has_jobs else None,
        _waited_s(state.oldest, now_ms) if has_jobs else None,
        None if queue.paused in wrong else state.paused,
        None if queue.lock in wrong else state.running,
        None if queue.max_concurrency in wrong else state.max_concurrency,
        drift,
        tuple(map(text, wrong)),
    )


def _waited_s(oldest: bytes | None, now_ms: int) -> float:
    """Return how long a job has waited; with milliseconds if workkit has enqueued it."""
    if oldest is None:
        return 0.0
    try:
        payload = wire.read(oldest)
    except Undecodable:
        return 0.0
    if payload.enqueued_at <= 0:
        return 0.0
    since_ms = payload.enqueued_at * 1000 + max(wire.millis_of(payload), 0)
    return max(now_ms - since_ms, 0) / 1000


def _last_run(times: Mapping[str, int], marked: Mapping[str, str]) -> int | None:
    """Return the newest slot whose job has started; `times` has the newest first."""
    started: Iterable[int] = (
        at_s for slot, at_s in times.items() if marked[slot].partition(":")[0] in _STARTED
    )
    return next(iter(started), None)
