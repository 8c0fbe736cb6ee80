"""Checks at the start that the server has the commands whose errors the scripts cannot report."""

from __future__ import annotations

from typing import Any, Final

from workkit.errors import ServerError, ServerRefused
from workkit.store.keys import Keys
from workkit.store.round_trip import Command, RoundTrip, Step

__all__ = ["check_commands"]

#: Commands that scripts call with `pcall`, since a key may have a wrong type. Where the server
#: lacks one, or the user may not call it, the scripts would take that for a wrong type.
_COMMANDS: Final = (
    ("LREM", 1, "x"), ("LPUSH", "x"), ("RPUSH", "x"), ("RPOP",), ("LPOS", "x"), ("HDEL", "x"),
    ("HGET", "x"), ("HINCRBY", "x", 1), ("INCRBY", 1), ("GET",),
)  # fmt: skip
_OF_HISTORY: Final = (("XADD", "NOMKSTREAM", "*", "x", "x"),)


def check_commands(keys: Keys, *, history: bool) -> Step[None]:
    """Call each command on a string, which most of them refuse without a change.

    Args:
        keys: The namespace.
        history: Whether the pool keeps history.

    Raises:
        ServerRefused: The server lacks a command, or the user may not call it.
        ServerError: Redis does not answer.
    """
    key = keys.lease("commands")
    calls = _COMMANDS + _OF_HISTORY if history else _COMMANDS
    commands: list[Command] = [("SET", key, "1", "PX", 60_000)]
    commands += [(name, key, *rest) for name, *rest in calls]
    commands.append(("DEL", key))

    def parse(replies: list[Any]) -> None:
        for reply in replies:
            if isinstance(reply, ServerRefused) and _is_lacking(reply):
                raise reply

    yield from RoundTrip(commands, parse, tolerant=True)


def _is_lacking(error: ServerError) -> bool:
    return getattr(error, "code", "") == "NOPERM" or "unknown command" in str(error).lower()
