"""Round trips that read an overview of a namespace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from workkit.errors import ServerError
from workkit.store.calls.pages import scored
from workkit.store.keys import Keys
from workkit.store.replies import number, pairs, text, texts
from workkit.store.round_trip import RoundTrip

__all__ = [
    "Standing",
    "Survey",
    "cron_entries",
    "died_since",
    "slot_states",
    "standing",
    "survey",
]


class Survey(NamedTuple):
    """Names and sizes: they show which parts must be read in detail.

    Attributes:
        names: All job names.
        pool_ids: All registered pools.
        scheduled: Size of the scheduled set.
        retry: Size of the retry set.
        dead: Size of the dead set.
        next_scheduled: Lowest score of the scheduled set; None if it is empty.
        next_retry: Lowest score of the retry set; None if it is empty.
        executions: How many executions history has recorded.
    """

    names: set[str]
    pool_ids: set[str]
    scheduled: int
    retry: int
    dead: int
    next_scheduled: float | None
    next_retry: float | None
    executions: int


def survey(keys: Keys) -> RoundTrip[Survey]:
    """Read names, pools and sizes in one round trip."""
    commands = (
        ("SMEMBERS", keys.known_jobs),
        ("SMEMBERS", keys.worker_pools),
        ("ZCARD", keys.scheduled),
        ("ZCARD", keys.retry),
        ("ZCARD", keys.dead),
        ("ZRANGE", keys.scheduled, 0, 0, "WITHSCORES"),
        ("ZRANGE", keys.retry, 0, 0, "WITHSCORES"),
        ("GET", keys.history_head),
    )

    def parse(replies: list[Any]) -> Survey:
        names, pool_ids, scheduled, retry, dead, first_scheduled, first_retry, head = replies
        return Survey(
            texts(names), texts(pool_ids), scheduled, retry, dead,
            _lowest(first_scheduled), _lowest(first_retry), _total(head),
        )  # fmt: skip

    return RoundTrip(commands, parse)


def _lowest(reply: Any) -> float | None:
    rows = scored(reply)
    return rows[0][1] if rows else None


def _total(head: Any) -> int:
    """Read the number of written records from `history:head`: its second word."""
    words = text(head).split()
    return (number(words[1]) if len(words) > 1 else None) or 0


class Standing(NamedTuple):
    """The state of one job.

    Attributes:
        holders: Pool id → how many jobs of its queue that pool holds.
        unique_holder: The value of its unique key; None if the key is free or the job has none.
        there: Whether it is still in its set; None without a set.
    """

    holders: dict[str, int]
    unique_holder: bytes | None
    there: bool | None


def standing(
    keys: Keys, name: str, unique_key: str, place: bytes | None, raw: bytes
) -> RoundTrip[Standing]:
    """Read the state of a job in one round trip.

    Args:
        keys: The namespace.
        name: The job's name.
        unique_key: Its unique key; "" for none.
        place: The set that it was in; None if it was elsewhere.
        raw: Its bytes.
    """
    commands: list[tuple[Any, ...]] = [("HGETALL", keys.queue(name, "").lock_info)]
    commands.append(("GET", unique_key or keys.queue(name, "").lock))
    if place is not None:
        commands.append(("ZSCORE", place, raw))

    def parse(replies: list[Any]) -> Standing:
        holders = {text(pool): number(held) or 0 for pool, held in pairs(replies[0])}
        value = replies[1] if unique_key and isinstance(replies[1], bytes) else None
        there = None if place is None else replies[2] is not None
        return Standing({pool: held for pool, held in holders.items() if held}, value, there)

    return RoundTrip(commands, parse, tolerant=True)


def cron_entries(keys: Keys) -> RoundTrip[tuple[dict[str, int], dict[str, int]]]:
    """Read cron entries by field: when a pool last declared them, and until when planned."""

    def parse(replies: list[Any]) -> tuple[dict[str, int], dict[str, int]]:
        seen, planned = (
            {text(field): number(value) or 0 for field, value in pairs(reply)} for reply in replies
        )
        return seen, planned

    return RoundTrip([("HGETALL", keys.periodic_seen), ("HGETALL", keys.periodic)], parse)


def slot_states(keys: Keys, slot_ids: Sequence[str]) -> RoundTrip[list[str]]:
    """Read the states of cron slots; "" for an unknown slot."""

    def parse(replies: list[Any]) -> list[str]:
        return ["" if isinstance(reply, ServerError) else text(reply) for reply in replies]

    return RoundTrip([("GET", keys.slot(slot_id)) for slot_id in slot_ids], parse, tolerant=True)


def died_since(keys: Keys, since_s: Sequence[int], until_s: int) -> RoundTrip[list[int]]:
    """Count the jobs of the dead set that died after each time, up to and with `until_s`."""
    commands = [("ZCOUNT", keys.dead, f"({start}", until_s) for start in since_s]
    return RoundTrip(commands, lambda replies: [int(reply) for reply in replies])
