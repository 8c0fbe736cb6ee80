"""Reads everything that the checks need, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from workkit.admin.steps.job_state import unique_key_of
from workkit.admin.steps.reads import read_job
from workkit.core.job import Job
from workkit.core.options import LARGE_BYTES
from workkit.engine.server_risks import OUTPUT_SETTING
from workkit.errors import ServerRefused
from workkit.store.calls import beat, pages, queues, reap, recount, server, tally
from workkit.store.calls.queues import QueueState
from workkit.store.calls.tally import Large, LockTally
from workkit.store.keys import Keys
from workkit.store.round_trip import RoundTrip, Step

__all__ = ["Examination", "look"]

_PAGE: Final = 1_000
_QUEUES_AT_ONCE: Final = 500
_LARGEST: Final = 10


@dataclass(frozen=True, slots=True)
class Examination:
    """A namespace at one time. The parts are read one after another.

    Attributes:
        server_ms: The server's clock, epoch ms; 0 if it cannot be read.
        info: The reply of INFO; empty if it cannot be read.
        save: The server's setting "save"; None if it cannot be read.
        outputs: The server's setting "client-output-buffer-limit"; None as above.
        types: All keys of the namespace with their types.
        known: The known job names.
        beats: Registered pool -> its heartbeat; empty if it is missing.
        held: (pool, queue) -> payloads that the pool holds, newest claim first. Also for pools
            that are not registered.
        observed: Ids of jobs that workers report as running.
        tallies: Queue -> its lock, and the jobs that pools hold.
        states: Queue -> its length, pause and limit.
        limits: Queue -> the limit that workkit pools have written.
        uniques: Unique key -> its value.
        claimed: Unique keys that some job names; None if there are no unique keys.
        large: The ten largest jobs above 10 KiB with their places, the largest first.
    """

    server_ms: int
    info: Mapping[str, str]
    save: str | None
    outputs: str | None
    types: Mapping[bytes, str]
    known: frozenset[str]
    beats: Mapping[str, Mapping[str, str]]
    held: Mapping[tuple[str, str], list[bytes]]
    observed: frozenset[str]
    tallies: Mapping[str, LockTally]
    states: Mapping[str, QueueState]
    limits: Mapping[str, str]
    uniques: Mapping[bytes, bytes]
    claimed: frozenset[str] | None
    large: tuple[tuple[str, Large], ...]


def look(keys: Keys) -> Step[Examination]:
    """Read everything once."""
    types = yield from _types(keys)
    uniques = yield from _uniques(types, keys)
    known = yield from _members(keys.known_jobs, types, beat.known_jobs(keys))
    registered = yield from _members(keys.worker_pools, types, beat.registered(keys))
    beats = (yield from pages.pools(keys, sorted(registered))) if registered else {}
    owners = [
        owner for key in types if (owner := keys.parse_inprogress(key)) and types[key] == "list"
    ]
    names = sorted(known | {name for name, _ in owners} | _queued_names(keys, types))
    held: dict[tuple[str, str], list[bytes]] = {}
    for name, pool_id in owners:
        found = yield from reap.in_progress(keys, pool_id, [name])
        held[pool_id, name] = found.get(name, [])
    tallies = yield from _tallies(keys, names, {pool for _, pool in owners} | registered)
    states: dict[str, QueueState] = {}
    for start in range(0, len(names), _QUEUES_AT_ONCE):
        for state in (yield from queues.states(keys, names[start : start + _QUEUES_AT_ONCE])):
            states[state.name] = state
    server_ms, info, save, outputs = yield from _server()
    return Examination(
        server_ms, info, save, outputs, types, frozenset(known), beats, held,
        (yield from _observed(keys, beats)), tallies, states,
        (yield from _limits(keys, types)), uniques,
        (yield from _claimed(keys, names, types, held)) if uniques else None,
        (yield from _large(keys, names, types)),
    )  # fmt: skip


def _types(keys: Keys) -> Step[dict[bytes, str]]:
    found: dict[bytes, str] = {}
    cursor = -1
    while cursor:
        cursor, page = yield from server.scan(keys, max(cursor, 0))
        if page:
            found |= yield from server.types(page)
    return {key: kind for key, kind in found.items() if kind != "none"}


def _uniques(types: Mapping[bytes, str], keys: Keys) -> Step[dict[bytes, bytes]]:
    names = [key for key, kind in types.items() if kind == "string" and keys.is_unique(key)]
    found: dict[bytes, bytes] = {}
    for start in range(0, len(names), _PAGE):
        page = [key.decode("utf-8", "surrogateescape") for key in names[start : start + _PAGE]]
        values = yield from pages.unique_values(page)
        found |= {
            key.encode("utf-8", "surrogateescape"): value
            for key, value in values.items()
            if value is not None
        }
    return found


def _members(
    key: bytes, types: Mapping[bytes, str], round_trip: RoundTrip[set[str]]
) -> Step[set[str]]:
    """Read a set, unless its key has a wrong type."""
    if types.get(key, "set") != "set":
        return set()
    return (yield from round_trip)


def _queued_names(keys: Keys, types: Mapping[bytes, str]) -> set[str]:
    names = (keys.queue_of(key) for key, kind in types.items() if kind == "list")
    return {name for name in names if name is not None}


def _tallies(keys: Keys, names: list[str], pool_ids: set[str]) -> Step[dict[str, LockTally]]:
    states = yield from recount.locks(keys, names)
    found: dict[str, LockTally] = {}
    for name in names:
        ids = sorted(pool_ids | set(states[name].info))
        counted = yield from tally.tally(keys, name, ids)
        if counted is not None:
            found[name] = counted
    return found


def _observed(keys: Keys, beats: Mapping[str, Mapping[str, str]]) -> Step[frozenset[str]]:
    workers = [
        w for heartbeat in beats.values() for w in heartbeat.get("worker_ids", "").split(",") if w
    ]
    rows = (yield from pages.observations(keys, workers)) if workers else {}
    return frozenset(row["job_id"] for row in rows.values() if row.get("job_id"))


def _limits(keys: Keys, types: Mapping[bytes, str]) -> Step[dict[str, str]]:
    if types.get(keys.limits, "hash") != "hash":
        return {}
    return (yield from recount.written_limits(keys))


def _server() -> Step[tuple[int, dict[str, str], str | None, str | None]]:
    """Read the server's clock and settings, as far as the user may."""
    server_ms, info = 0, {}
    try:
        server_ms = yield from server.server_time()
        info = yield from server.info()
    except ServerRefused:
        pass
    save = yield from server.setting("save")
    return server_ms, info, save, (yield from server.setting(OUTPUT_SETTING))


def _large(
    keys: Keys, names: list[str], types: Mapping[bytes, str]
) -> Step[tuple[tuple[str, Large], ...]]:
    """Find the largest jobs that wait or are dead."""
    found: list[tuple[str, Large]] = []
    places = [("the scheduled set", keys.scheduled), ("the retry set", keys.retry)]
    places += [("the dead set", keys.dead), *((f"queue {n!r}", keys.jobs(n)) for n in names)]
    for where, key in places:
        kind, start, looked = types.get(key), 0, 1
        while kind in {"list", "zset"} and looked:
            looked, jobs = yield from tally.large(key, start, LARGE_BYTES + 1, queue=kind == "list")
            found = nlargest(_LARGEST, [*found, *((where, job) for job in jobs)], key=_size)
            start += looked
    return tuple(found)


def _size(found: tuple[str, Large]) -> int:
    return found[1].size


def _claimed(
    keys: Keys,
    names: list[str],
    types: Mapping[bytes, str],
    held: Mapping[tuple[str, str], list[bytes]],
) -> Step[frozenset[str]]:
    """Collect the unique keys of all jobs. The order follows the moves of jobs, to miss none."""
    claimed: set[str] = set()

    def note(jobs: Iterable[Job]) -> None:
        claimed.update(key for job in jobs if (key := unique_key_of(keys, job)))

    for key in (keys.scheduled, keys.retry, keys.dead):
        start = 0
        while types.get(key) == "zset":
            _, rows = yield from pages.page(key, start, _PAGE, queue=False)
            if not rows:
                break
            note(read_job(raw) for raw, _ in rows)
            start += len(rows)
    for name in names:
        start = 0
        while types.get(keys.jobs(name)) == "list":
            _, rows = yield from pages.page(keys.jobs(name), start, _PAGE, queue=True)
            if not rows:
                break
            note(read_job(raw, name) for raw, _ in rows)
            start += len(rows)
    note(read_job(raw, name) for (_, name), raws in held.items() for raw in raws)
    for pool_id, name in held:
        again = yield from reap.in_progress(keys, pool_id, [name])
        note(read_job(raw, name) for raw in again.get(name, []))
    return frozenset(claimed)
