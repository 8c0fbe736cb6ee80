"""Round trips before a unique, a cron or a recovered job starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from workkit.core.lifetimes import MARKS_KEPT_S
from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.replies import number, text
from workkit.store.round_trip import Command, RoundTrip, call

__all__ = [
    "StartQuestion",
    "StartVerdict",
    "begin",
    "newest",
    "recovery_counts",
    "unique_value",
]


class StartQuestion(NamedTuple):
    """A claimed job that needs a further check before it starts.

    Attributes:
        kind: Of a unique job "swap", "keep", "own" or "theirs", of a cron job "slot", "held",
            "late" or "take"; see begin.lua.
        key: The unique key or the slot key.
        queue: The queue that the pool claimed it from.
        raw: Its bytes.
        job_id: Its id.
        found: The value that the pool read from the unique key.
    """

    kind: str
    key: bytes
    queue: str
    raw: bytes
    job_id: str
    found: bytes = b""


class StartVerdict(NamedTuple):
    """Redis's verdict on a job that does not run unchanged.

    Attributes:
        says: "update": `raw` waits to replace it; "swap": run `raw` instead, which has replaced it;
            "drop": its slot has run already; "late": its slot is older than its entry allows;
            "busy": the pool `owner` has started it.
        raw: The bytes, for "update" and "swap".
        owner: A pool id, for "busy".
    """

    says: str
    raw: bytes = b""
    owner: str = ""


def begin(
    keys: Keys,
    pool_id: str,
    fence: int,
    now_s: int,
    unique: Sequence[tuple[bytes, str]],
    others: Sequence[StartQuestion] = (),
    meanwhile: Callable[[], None] | None = None,
) -> RoundTrip[dict[int, StartVerdict] | None]:
    """Free unique keys, take updates and cron slots.

    Args:
        keys: The namespace.
        pool_id: The pool that holds the jobs.
        fence: The pool's fence.
        now_s: Epoch seconds.
        unique: Key and id of unique jobs that have not failed before.
        others: Jobs that need a further check.
        meanwhile: Work to do while the server works.

    Returns:
        A round trip that gives the verdicts on jobs that do not run unchanged, by their index in
        `unique` followed by `others`; None if the pool is fenced or not registered.
    """
    key_list: list[bytes] = [
        keys.pool(pool_id), keys.worker_pools, keys.begun, keys.recoveries, keys.scheduled,
        *[key for key, _ in unique],
    ]  # fmt: skip
    args: list[Any] = [pool_id, fence, now_s, MARKS_KEPT_S, len(unique)]
    args += [job_id for _, job_id in unique]
    for job in others:
        queue = keys.queue(job.queue, pool_id)
        key_list += (job.key, queue.inprogress, queue.jobs)
        args += (job.kind, job.raw, job.found, job.job_id)

    def parse(reply: Any) -> dict[int, StartVerdict] | None:
        if reply[0] != b"ok":
            return None
        return {int(place) - 1: _word(*said) for place, *said in reply[1:]}

    return RoundTrip(
        (call(scripts.BEGIN, key_list, args),),
        lambda replies: parse(replies[0]),
        meanwhile=meanwhile,
    )


def _word(says: bytes, what: bytes = b"") -> StartVerdict:
    if says == b"busy":
        return StartVerdict("busy", owner=text(what))
    return StartVerdict(says.decode(), raw=what)


def unique_value(key: bytes) -> RoundTrip[bytes | None]:
    """Read the value of a unique key; None if it is free or has a wrong type."""

    def parse(replies: list[Any]) -> bytes | None:
        return replies[0] if isinstance(replies[0], bytes) else None

    return RoundTrip((("GET", key),), parse, tolerant=True)


def newest(keys: Keys, name: str, start: int, count: int) -> RoundTrip[list[bytes]]:
    """Read a part of a queue, counted from its newest job; nothing if it has a wrong type.

    The caller sees every job that stays in the queue, even if jobs come or go between two reads.
    """
    command: Command = ("LRANGE", keys.jobs(name), start, start + count - 1)

    def parse(replies: list[Any]) -> list[bytes]:
        return replies[0] if isinstance(replies[0], list) else []

    return RoundTrip((command,), parse, tolerant=True)


def recovery_counts(keys: Keys, job_ids: Sequence[str]) -> RoundTrip[list[int]]:
    """Read how often jobs have been recovered from dead pools; a hash of a wrong type is empty."""
    command: Command = ("HMGET", keys.recoveries, *job_ids)

    def parse(replies: list[Any]) -> list[int]:
        counts = replies[0] if isinstance(replies[0], list) else [None] * len(job_ids)
        return [number(count) or 0 for count in counts]

    return RoundTrip((command,), parse, tolerant=True)
