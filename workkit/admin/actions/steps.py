"""The logic of bulk actions, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from workkit.admin.actions.outcomes import Fate
from workkit.admin.actions.plan import Verb
from workkit.admin.steps.job_state import unique_key_of
from workkit.admin.steps.reads import FOREVER, epoch, read_job
from workkit.admin.steps.repair import removal, revival
from workkit.core import job as wire
from workkit.core.job import Job
from workkit.core.lifetimes import UNIQUE_LIVES_S
from workkit.core.records import Place
from workkit.errors import ServerRefused
from workkit.store.calls import pages, restore, revive
from workkit.store.calls import remove as remove_calls
from workkit.store.calls.remove import Trash
from workkit.store.calls.restore import Entry, Recall, Restore
from workkit.store.calls.revive import Revival
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = [
    "KeyUse",
    "SetCursor",
    "key_uses",
    "queue_page",
    "remove",
    "set_page",
    "take_back",
    "work",
]

#: From here on, a double is a whole number.
_WHOLE: Final = 2**53
_FATES: Final[dict[str, Fate]] = {"1": "done", "0": "gone", "t": "refused"}


class KeyUse(NamedTuple):
    """The effect of an action on a job's unique key; see `Plan`."""

    unique: bool
    contested: bool


def key_uses(keys: Keys, verb: Verb, place: Place, jobs: Sequence[Job]) -> Step[list[KeyUse]]:
    """Return the effect of an action on the unique keys of jobs."""
    names = [unique_key_of(keys, job) for job in jobs]
    if verb == "retry" and place.kind != "dead":
        return [KeyUse(unique=False, contested=False)] * len(jobs)
    wanted = list(dict.fromkeys(filter(None, names)))
    values = (yield from pages.unique_values(wanted)) if wanted else {}
    return [
        _key_use(keys, verb, job, values[name]) if name else KeyUse(unique=False, contested=False)
        for job, name in zip(jobs, names, strict=True)
    ]


def _key_use(keys: Keys, verb: Verb, job: Job, value: bytes | None) -> KeyUse:
    if verb == "retry":
        return KeyUse(unique=True, contested=value is not None)
    if value is None:
        return KeyUse(unique=False, contested=False)
    own = removal(keys, job).rule == "free" or wire.is_payload_of(value, job.id)
    return KeyUse(unique=True, contested=not own)


# Reading pinned jobs.


class SetCursor(NamedTuple):
    """The position in a span of a set."""

    raw: bytes
    score: float


def set_page(
    keys: Keys, place: Place, low: int, high: int, cursor: SetCursor | None, count: int
) -> Step[tuple[list[bytes], SetCursor | None]]:
    """Read members of a span of scores, bounds included, and the next cursor; None at the end."""
    key = _key_of(keys, place)
    if cursor is None:
        first, last = _bounds(low, high)
        rows = yield from pages.members_at(key, first, last, offset=0, count=count)
    else:
        _, rows = yield from pages.members_after(key, cursor.raw, cursor.score, count)
    inside = [(raw, score) for raw, score in rows if epoch(score) <= high]
    more = len(inside) == len(rows) and pages.is_full(rows, count)
    return [raw for raw, _ in inside], SetCursor(*inside[-1]) if more else None


def _bounds(low: int, high: int) -> tuple[str, str]:
    """Return the ends of a span of scores as Redis reads them; a fraction belongs to its second."""
    first = "-inf" if low <= -FOREVER else str(low)
    if high >= FOREVER:
        return first, "+inf"
    # Doubles from 2^53 on have no fractions, and `high + 1` may be the same double as `high`.
    return first, f"({high + 1}" if high < _WHOLE else str(high)


def queue_page(keys: Keys, place: Place, start: int, count: int) -> Step[tuple[list[bytes], bool]]:
    """Read a part of a queue, counted from its newest job; gives whether there may be more."""
    key = _key_of(keys, place)
    _, rows = yield from pages.page(key, start, count, queue=True, reverse=True)
    return [raw for raw, _ in rows], pages.is_full(rows, count)


def _key_of(keys: Keys, place: Place) -> bytes:
    """Return the key of a place."""
    return keys.jobs(place.queue) if place.kind == "queued" else pages.set_key(keys, place.kind)


# Acting.


def remove(
    keys: Keys, place: Place, raws: Sequence[bytes], into: Trash, now_s: int
) -> Step[list[Fate]]:
    """Move jobs to the trash."""
    removals = [removal(keys, read_job(raw, place.queue)) for raw in raws]
    kind: Literal["list", "zset"] = "list" if place.kind == "queued" else "zset"
    there = yield from remove_calls.remove(
        keys, _key_of(keys, place), kind, removals, trash=into, now_s=now_s
    )
    return ["done" if was else "gone" for was in there]


def work(
    keys: Keys, place: Place, raws: Sequence[bytes], into: Trash, now_s: int
) -> Step[list[Fate]]:
    """Move jobs of a set to their queues. Their old payloads go to the trash."""
    revivals = [_comeback(keys, place, read_job(raw), now_s) for raw in raws]
    able = [comeback for comeback in revivals if comeback is not None]
    letters = ""
    if able:
        letters = yield from revive.revive(keys, _key_of(keys, place), able, now_s, trash=into)
    fates = iter(letters)
    return ["refused" if each is None else _FATES[next(fates)] for each in revivals]


def _comeback(keys: Keys, place: Place, job: Job, now_s: int) -> Revival | None:
    """Return how a job goes to its queue: a dead job is reset, a waiting one only gets a new time.

    None for a malformed payload.
    """
    if place.kind == "dead":
        return revival(keys, job, now_s)
    if job.undecodable:
        return None
    new = wire.splice(job.raw, t=now_s, t_ms=None)
    return Revival(job.raw, new, b"", job.name, keys.jobs(job.name))


# Undoing.


def take_back(
    keys: Keys, operation_id: str, verb: str, place: Place, found: Sequence[Entry], now_s: int
) -> Step[str]:
    """Bring jobs back from the trash. Return one letter a job, see restore.lua and recall.lua."""
    if verb == "delete":
        restores = [_restore(keys, place, entry, now_s) for entry in found]
        kind: Literal["list", "zset"] = "list" if place.kind == "queued" else "zset"
        target = _key_of(keys, place)
        letters = yield from restore.restore(keys, operation_id, target, kind, restores, now_s)
    else:
        recalls = [_recall(keys, place, entry) for entry in found]
        letters = yield from restore.recall(keys, operation_id, _key_of(keys, place), recalls)
    if letters == "t":
        raise ServerRefused("WRONGTYPE", f"the key of {place} has a wrong type; rename it first")
    return letters


def _restore(keys: Keys, place: Place, entry: Entry, now_s: int) -> Restore:
    job = read_job(entry.raw, place.queue)
    unique_key = unique_key_of(keys, job) if entry.mark == "k" else ""
    plain = entry.raw
    if unique_key:
        plain = wire.splice(entry.raw, unique=None, unique_key=None, unique_until=None)
    due_s = 0 if place.kind == "queued" else max(epoch(entry.score) - now_s, 0)
    value = entry.value or b"1"
    return Restore(entry, plain, unique_key, value, min(due_s, 2**40) + UNIQUE_LIVES_S, job.id)


def _recall(keys: Keys, place: Place, entry: Entry) -> Recall:
    """Return the payload with which a job went to its queue, computed from its old payload."""
    job = read_job(entry.raw)
    comeback = _comeback(keys, place, job, entry.at_s)
    if comeback is None:  # a malformed payload never went to a queue, so the script finds nothing
        return Recall(entry, entry.raw, keys.jobs(job.name), "list", "")
    new = comeback.plain if entry.mark == "p" else comeback.new
    unique_key = comeback.unique_key if entry.mark == "k" else ""
    return Recall(entry, new, comeback.target, "list" if comeback.queue else "zset", unique_key)
