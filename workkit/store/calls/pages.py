"""Round trips that only read: pages, pools, single jobs, history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from workkit.core.history import PackedHistory
from workkit.errors import ServerError
from workkit.store import scripts
from workkit.store.calls.span import SpanArgs, span
from workkit.store.keys import Keys
from workkit.store.replies import number, pairs, text
from workkit.store.round_trip import Command, RoundTrip, call

__all__ = [
    "PAGE_BYTES",
    "SetName",
    "history_entries",
    "history_extent",
    "is_full",
    "members",
    "members_after",
    "members_at",
    "observations",
    "page",
    "pools",
    "queued",
    "scored",
    "set_key",
    "size",
    "stream_range",
    "trim_history",
    "unique_values",
]

#: A page ends after this many bytes of jobs, even if the caller asked for more jobs.
PAGE_BYTES: Final = 8 * 1024 * 1024

SetName = Literal["scheduled", "retry", "dead"]


def set_key(keys: Keys, name: SetName) -> bytes:
    """Return the key of a sorted set of jobs."""
    return {"scheduled": keys.scheduled, "retry": keys.retry, "dead": keys.dead}[name]


def members(
    key: bytes, start: int, count: int, *, reverse: bool = False
) -> RoundTrip[tuple[int, list[tuple[bytes, float]]]]:
    """Read a page of a sorted set by rank: its total, and members with their scores."""

    def parse(replies: list[Any]) -> tuple[int, list[tuple[bytes, float]]]:
        return int(replies[0]), scored(replies[1])

    command = "ZREVRANGE" if reverse else "ZRANGE"
    # A stop of -1 would mean the last member.
    first, last = (start, start + count - 1) if count else (1, 0)
    return RoundTrip([("ZCARD", key), (command, key, first, last, "WITHSCORES")], parse)


def members_after(
    key: bytes, member: bytes, score: float, count: int, *, reverse: bool = False
) -> RoundTrip[tuple[int, list[tuple[bytes, float]]]]:
    """Read the members after a given one, even if that one is gone; otherwise as `members`."""

    def parse(reply: Any) -> tuple[int, list[tuple[bytes, float]]]:
        return int(reply[0]), scored(reply[1:])

    arguments = [member, repr(score), count, int(reverse), PAGE_BYTES]
    return RoundTrip.one(call(scripts.PAGE_AFTER, [key], arguments), parse)


def page(
    key: bytes, start: int, count: int, *, queue: bool, reverse: bool = False
) -> RoundTrip[tuple[int, list[tuple[bytes, float]]]]:
    """Read a page of a queue or a sorted set by position; a page of large jobs holds fewer.

    Args:
        key: The queue, or the set.
        start: How many jobs to skip.
        count: How many jobs at most; fewer at the end, and if they reach `PAGE_BYTES`.
        queue: Whether the key is a queue; then the next job to run comes first.
        reverse: Whether to go backwards.

    Returns:
        A round trip that gives how many there are, and jobs with their scores, or with their
        positions.
    """

    def parse(reply: Any) -> tuple[int, list[tuple[bytes, float]]]:
        total, rows = int(reply[0]), reply[1:]
        if not queue:
            return total, scored(rows)
        first = total - 1 - start if reverse else start
        return total, [(raw, first - at if reverse else first + at) for at, raw in enumerate(rows)]

    kind = "list" if queue else "zset"
    arguments = [kind, start, count, PAGE_BYTES, int(reverse)]
    return RoundTrip.one(call(scripts.PAGE, [key], arguments), parse)


def size(key: bytes) -> RoundTrip[int]:
    """Read how many members a sorted set has."""
    return RoundTrip.one(("ZCARD", key), int)


def members_at(
    key: bytes, low: float | str, high: float | str, *, offset: int, count: int
) -> RoundTrip[list[tuple[bytes, float]]]:
    """Read members of a sorted set by score, fewer if they are large: see `is_full`."""
    return RoundTrip.one(span(key, SpanArgs(low, high, offset, count, PAGE_BYTES)), scored)


def is_full(rows: Sequence[tuple[bytes, float]], count: int) -> bool:
    """Tell whether a page reached one of its bounds, so that more jobs may follow it.

    Args:
        rows: The page.
        count: The maximum that the caller asked for.
    """
    return len(rows) == count or sum(len(raw) for raw, _ in rows) >= PAGE_BYTES


def scored(reply: Any) -> list[tuple[bytes, float]]:
    """Read members with scores, which RESP3 sends as pairs and RESP2 as a flat list."""
    if reply and isinstance(reply[0], list):
        return [(member, float(score)) for member, score in reply]
    return [(member, float(score)) for member, score in zip(reply[::2], reply[1::2], strict=True)]


def queued(
    key: bytes, start: int, count: int, *, reverse: bool = False
) -> RoundTrip[tuple[int, list[bytes]]]:
    """Read a page of a queue, the next to run first: its length, and jobs."""
    if not count:
        return RoundTrip([("LLEN", key)], lambda replies: (int(replies[0]), []))
    if reverse:
        return RoundTrip(
            [("LLEN", key), ("LRANGE", key, start, start + count - 1)],
            lambda replies: (int(replies[0]), list(replies[1])),
        )
    # Pools claim from the right end of the queue.
    command = ("LRANGE", key, -start - count, -start - 1)
    return RoundTrip(
        [("LLEN", key), command],
        lambda replies: (int(replies[0]), list(reversed(replies[1]))),
    )


def pools(keys: Keys, pool_ids: Sequence[str]) -> RoundTrip[dict[str, dict[str, str]]]:
    """Read whole heartbeats; a missing one, or a key of a wrong type, is empty."""

    def parse(replies: list[Any]) -> dict[str, dict[str, str]]:
        return {
            pool_id: {text(k): text(v) for k, v in pairs(reply)}
            for pool_id, reply in zip(pool_ids, replies, strict=True)
        }

    return RoundTrip([("HGETALL", keys.pool(i)) for i in pool_ids], parse, tolerant=True)


def observations(keys: Keys, worker_ids: Sequence[str]) -> RoundTrip[dict[str, dict[str, str]]]:
    """Read the observations of workers; that of an idle worker is empty."""

    def parse(replies: list[Any]) -> dict[str, dict[str, str]]:
        return {
            worker_id: {text(k): text(v) for k, v in pairs(reply)}
            for worker_id, reply in zip(worker_ids, replies, strict=True)
        }

    return RoundTrip([("HGETALL", keys.worker(i)) for i in worker_ids], parse, tolerant=True)


def unique_values(unique_keys: Sequence[str]) -> RoundTrip[Mapping[str, bytes | None]]:
    """Read unique keys; one of a wrong type counts as free."""

    def parse(replies: list[Any]) -> Mapping[str, bytes | None]:
        return {
            key: None if isinstance(reply, ServerError) else reply
            for key, reply in zip(unique_keys, replies, strict=True)
        }

    return RoundTrip([("GET", key.encode()) for key in unique_keys], parse, tolerant=True)


def stream_range(key: bytes, low: str, high: str, count: int, *, newest_first: bool) -> Command:
    """Return the command that reads entries of a stream; the arguments are `history_entries`'."""
    if newest_first:
        return ("XREVRANGE", key, high, low, "COUNT", count)
    return ("XRANGE", key, low, high, "COUNT", count)


def history_entries(
    keys: Keys, low: str, high: str, count: int, *, newest_first: bool
) -> RoundTrip[list[PackedHistory]]:
    """Read entries of the history stream.

    Args:
        keys: The namespace.
        low: Lowest id, "-" for the first; "(" in front excludes it.
        high: Highest id, "+" for the last; "(" in front excludes it.
        count: At most this many.
        newest_first: The order.
    """
    command = stream_range(keys.history, low, high, count, newest_first=newest_first)

    def parse(reply: Any) -> list[PackedHistory]:
        entries = []
        for entry_id, fields in reply:
            row = dict(pairs(fields))
            entries.append(
                PackedHistory(
                    text(entry_id),
                    text(row.get(b"v")),
                    text(row.get(b"pool")),
                    text(row.get(b"host")),
                    row.get(b"r", b""),
                    number(row.get(b"n")) or 0,
                    text(row.get(b"ver")),
                )
            )
        return entries

    return RoundTrip.one(command, parse)


def history_extent(keys: Keys) -> RoundTrip[tuple[int, int, int, str]]:
    """Read how much history there is.

    Returns:
        A round trip that gives how many records pools have written since the stream began, how many
        of them are left, when the oldest entry was written (epoch milliseconds), and the id of the
        newest.
    """

    def parse(replies: list[Any]) -> tuple[int, int, int, str]:
        head = text(replies[0]).split()
        written = (number(head[1]) if len(head) > 1 else None) or 0
        last_id = "-".join(head[:2]) if written else ""
        first = replies[1]
        if not first:
            return written, 0, 0, last_id
        entry_id, fields = first[0]
        ms, _, total = text(entry_id).partition("-")
        before = int(total) - (number(dict(pairs(fields)).get(b"n")) or 0)
        return written, max(written - before, 0), int(ms), last_id

    return RoundTrip(
        [("GET", keys.history_head), ("XRANGE", keys.history, "-", "+", "COUNT", 1)], parse
    )


def trim_history(keys: Keys, before_ms: int) -> RoundTrip[None]:
    """Delete history that is older than a time; leaves a key of a wrong type alone."""
    command = ("XTRIM", keys.history, "MINID", before_ms)
    return RoundTrip((command,), lambda _: None, tolerant=True)
