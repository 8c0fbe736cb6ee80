"""Exchanges of the doctor: what the server says of itself, all keys with their types, locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workkit.errors import ServerError
from workkit.store.exchange import Exchange, call
from workkit.store.keys import Keys
from workkit.store.replies import number, text
from workkit.store.scripts import script

__all__ = [
    "Tally", "free_unique", "info", "know", "return_ghost", "scan", "server_time", "set_aside",
    "setting", "tally", "types",
]  # fmt: skip


def info(*sections: str) -> Exchange[dict[str, str]]:
    """Read what the server says of itself: field -> value."""

    def parse(reply: Any) -> dict[str, str]:
        lines = text(reply).splitlines() if isinstance(reply, bytes) else []
        pairs = (line.partition(":") for line in lines if not line.startswith("#"))
        return {field: value for field, found, value in pairs if found}

    return Exchange.one(("INFO", *sections), parse)


def server_time() -> Exchange[int]:
    """Read the server's clock, epoch ms."""
    return Exchange.one(("TIME",), lambda reply: int(reply[0]) * 1000 + int(reply[1]) // 1000)


def setting(name: str) -> Exchange[str | None]:
    """Read a setting of the server; None if it is not told."""

    def parse(replies: list[Any]) -> str | None:
        reply = replies[0]
        if isinstance(reply, ServerError) or not reply:
            return None
        value = reply.get(name.encode()) if isinstance(reply, dict) else reply[1]
        return text(value)

    return Exchange([("CONFIG", "GET", name)], parse, tolerant=True)


def scan(keys: Keys, cursor: int) -> Exchange[tuple[int, list[bytes]]]:
    """Walk all keys of the namespace one step; the next cursor is 0 at the end."""
    command = ("SCAN", cursor, "MATCH", keys.everything_pattern(), "COUNT", 1_000)
    return Exchange.one(command, lambda reply: (int(reply[0]), list(reply[1])))


def types(found: Sequence[bytes]) -> Exchange[dict[bytes, str]]:
    """Read the types of keys; "none" for one that has gone."""
    return Exchange(
        [("TYPE", key) for key in found],
        lambda replies: {key: text(kind) for key, kind in zip(found, replies, strict=True)},
    )


class Tally(NamedTuple):
    """One queue's lock and what is really in progress, read at one moment.

    Attributes:
        lock: The counter; None if it is no number.
        info: Pool id -> how many it is said to hold.
        held: Pool id -> how many it holds.
    """

    lock: int | None
    info: Mapping[str, int]
    held: Mapping[str, int]


def tally(keys: Keys, name: str, pool_ids: Sequence[str]) -> Exchange[Tally | None]:
    """Count one queue's lock; None if a key of it has a wrong type."""
    queue = keys.queue(name, "")
    lists = [keys.queue(name, pool_id).inprogress for pool_id in pool_ids]

    def parse(reply: Any) -> Tally | None:
        if reply[0] == b"type":
            return None
        _, lock, fields, lengths = reply
        counts = {
            text(field): number(value) or 0
            for field, value in zip(fields[::2], fields[1::2], strict=True)
        }
        return Tally(number(lock), counts, dict(zip(pool_ids, map(int, lengths), strict=True)))

    return Exchange.one(call(script("tally"), [queue.lock, queue.lock_info, *lists]), parse)


def set_aside(key: bytes, to: bytes, wrong: str) -> Exchange[bool]:
    """Rename a key that has a wrong type; says whether it still had it and the name was free."""
    return Exchange.one(call(script("set_aside"), [key, to], [wrong]), bool)


def free_unique(key: bytes, value: bytes) -> Exchange[bool]:
    """Delete a unique key that still has a value."""
    return Exchange.one(call(script("free_unique"), [key], [value]), bool)


def return_ghost(keys: Keys, pool_id: str, name: str, raw: bytes) -> Exchange[bool]:
    """Put what a pool is said to hold back to the front of its queue; says whether it was there."""
    queue = keys.queue(name, pool_id)
    key_list = [queue.jobs, queue.inprogress, queue.lock, queue.lock_info]
    return Exchange.one(call(script("return_ghost"), key_list, [pool_id, raw]), bool)


def know(keys: Keys, name: str) -> Exchange[None]:
    """Add a name to the known jobs."""
    return Exchange.one(("SADD", keys.known_jobs, name), lambda _: None)
