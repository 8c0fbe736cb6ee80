"""The demo's own corner of a server: free before, empty afterwards, nobody else's at any time."""

from __future__ import annotations

import re
from typing import Final, TypeVar

from workkit.errors import InvalidOption
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target
from workkit.store.keys import Keys
from workkit.store.round_trip import RoundTrip, Step

__all__ = ["remove_keys", "require_free"]

R = TypeVar("R")

#: Keys that one round trip looks at.
_SCANNED: Final = 1_000


def require_free(namespace: str, redis: object) -> None:
    """Make sure that a namespace holds nothing, since it will be cleared in the end.

    Args:
        namespace: The namespace.
        redis: The server.

    Raises:
        InvalidOption: It has keys, or is the empty one, to which every key belongs.
        InvalidName: It cannot be a namespace.
        ServerError: The server does not answer or refuses.
    """
    taken = _on_link(redis, _first(_pattern(namespace)))
    if taken is not None:
        raise InvalidOption(
            f"namespace {namespace!r} is in use (there is a key {taken!r}), and the demo clears "
            "its namespace in the end; choose another"
        )


def remove_keys(namespace: str, redis: object) -> int:
    """Remove a namespace.

    Args:
        namespace: The namespace; not the empty one.
        redis: The server.

    Returns:
        How many keys were removed.

    Raises:
        InvalidOption: The namespace is the empty one.
        ServerError: The server does not answer or refuses.
    """
    return _on_link(redis, _remove(_pattern(namespace)))


def _on_link(redis: object, step: Step[R]) -> R:
    link = Link(Target.of(redis))
    try:
        return link.carry(step)
    finally:
        link.close()


def _pattern(namespace: str) -> str:
    """Return the SCAN pattern of a namespace's keys, made from one of them."""
    prefix = Keys(namespace).retry.decode().removesuffix("retry")
    if not prefix:
        raise InvalidOption(
            "the demo clears its namespace in the end, so it cannot be the empty one"
        )
    return re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"


def _first(pattern: str) -> Step[str | None]:
    cursor = 0
    while True:
        cursor, found = yield from _scan(pattern, cursor)
        if found:
            return found[0].decode("utf-8", "replace")
        if not cursor:
            return None


def _remove(pattern: str) -> Step[int]:
    removed = cursor = 0
    while True:
        cursor, found = yield from _scan(pattern, cursor)
        if found:
            removed += yield from RoundTrip.one(("UNLINK", *found), int)
        if not cursor:
            return removed


def _scan(pattern: str, cursor: int) -> RoundTrip[tuple[int, list[bytes]]]:
    """Look at some more of the keyspace, without holding the server up."""
    command = ("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED)
    return RoundTrip.one(command, lambda reply: (int(reply[0]), list(reply[1])))
