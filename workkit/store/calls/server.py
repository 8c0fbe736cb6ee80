"""Round trips that read facts about the server and its keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workkit.errors import ServerError
from workkit.store.keys import Keys
from workkit.store.replies import number, text
from workkit.store.round_trip import RoundTrip

__all__ = [
    "info",
    "scan",
    "server_ms",
    "server_time",
    "setting",
    "tracked_keys",
    "types",
]

_TRACKED: Final = "tracking_total_keys:"


def info(*sections: str) -> RoundTrip[dict[str, str]]:
    """Read INFO: field -> value."""

    def parse(reply: Any) -> dict[str, str]:
        lines = text(reply).splitlines() if isinstance(reply, bytes) else []
        pairs = (line.partition(":") for line in lines if not line.startswith("#"))
        return {field: value for field, found, value in pairs if found}

    return RoundTrip.one(("INFO", *sections), parse)


def server_time() -> RoundTrip[int]:
    """Read the server's clock, epoch ms."""
    return RoundTrip.one(("TIME",), lambda reply: int(reply[0]) * 1000 + int(reply[1]) // 1000)


def server_ms() -> RoundTrip[int | None]:
    """Read the server's clock, epoch milliseconds; None if the server refuses."""

    def parse(replies: list[Any]) -> int | None:
        reply = replies[0]
        if isinstance(reply, ServerError):
            return None
        return int(reply[0]) * 1000 + int(reply[1]) // 1000

    return RoundTrip([("TIME",)], parse, tolerant=True)


def setting(name: str) -> RoundTrip[str | None]:
    """Read a setting of the server; None if the server does not say."""

    def parse(replies: list[Any]) -> str | None:
        reply = replies[0]
        if isinstance(reply, ServerError) or not reply:
            return None
        value = reply.get(name.encode()) if isinstance(reply, dict) else reply[1]
        return text(value)

    return RoundTrip([("CONFIG", "GET", name)], parse, tolerant=True)


def scan(keys: Keys, cursor: int) -> RoundTrip[tuple[int, list[bytes]]]:
    """Walk all keys of the namespace one step; the next cursor is 0 at the end."""
    command = ("SCAN", cursor, "MATCH", keys.everything_pattern(), "COUNT", 1_000)
    return RoundTrip.one(command, lambda reply: (int(reply[0]), list(reply[1])))


def types(found: Sequence[bytes]) -> RoundTrip[dict[bytes, str]]:
    """Read the types of keys; "none" for a key that is gone."""
    return RoundTrip(
        [("TYPE", key) for key in found],
        lambda replies: {key: text(kind) for key, kind in zip(found, replies, strict=True)},
    )


def tracked_keys() -> RoundTrip[int | None]:
    """Read how many keys the server tracks; None if the server does not say."""

    def parse(replies: list[Any]) -> int | None:
        reply = replies[0]
        lines = text(reply).splitlines() if isinstance(reply, bytes) else []
        found = (line.removeprefix(_TRACKED) for line in lines if line.startswith(_TRACKED))
        return number(next(found, None))

    return RoundTrip([("INFO", "stats")], parse, tolerant=True)
