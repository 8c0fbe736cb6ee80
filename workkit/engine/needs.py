"""Checks at the start that the server has the commands that a pool uses, and lets it call them."""

from __future__ import annotations

from typing import Any, Final

from workkit.errors import ServerError, ServerRefused
from workkit.store.keys import Keys
from workkit.store.round_trip import Command, RoundTrip, Step

__all__ = ["NEEDED", "NEEDED_FOR_HISTORY", "check_commands"]

#: What a pool calls, in scripts and outside, with arguments that change nothing. A script that the
#: server refuses in the middle has already taken the job out of its list, and the job would be
#: lost. Where a script calls with `pcall`, it would take the refusal for a key of a wrong type, or
#: for a pool that is not registered.
NEEDED: Final = (
    ("DECRBY", 1), ("EXISTS",), ("EXPIRE", 60), ("GET",), ("HDEL", "x"), ("HEXISTS", "x"),
    ("HGET", "x"), ("HGETALL",), ("HINCRBY", "x", 1), ("HLEN",), ("HMGET", "x"), ("HSET", "x", 1),
    ("HVALS",), ("INCRBY", 1), ("LINDEX", 0), ("LLEN",), ("LPOS", "x"), ("LPUSH", "x"),
    ("LRANGE", 0, 0), ("LREM", 1, "x"), ("MGET",), ("RPOP",), ("RPUSH", "x"), ("SADD", "x"),
    ("SISMEMBER", "x"), ("SMEMBERS",), ("SREM", "x"), ("TYPE",), ("ZADD", 1, "x"),
    ("ZRANGE", 0, 0), ("ZRANGEBYSCORE", 0, 0), ("ZREM", "x"), ("ZSCORE", "x"),
)  # fmt: skip
NEEDED_FOR_HISTORY: Final = (
    ("XADD", "NOMKSTREAM", "*", "x", "x"), ("XLEN",), ("XRANGE", "-", "+", "COUNT", 1),
    ("XREVRANGE", "+", "-", "COUNT", 1), ("XTRIM", "MAXLEN", 1),
)  # fmt: skip


def check_commands(keys: Keys, *, history: bool) -> Step[None]:
    """Call each command on a string, which most of them refuse without a change.

    Args:
        keys: The namespace.
        history: Whether the pool keeps history.

    Raises:
        ServerRefused: The server lacks commands, or the user may not call them.
        ServerError: Redis does not answer.
    """
    key = keys.lease("commands")
    calls = NEEDED + NEEDED_FOR_HISTORY if history else NEEDED
    commands: list[Command] = [("SET", key, "1", "PX", 60_000)]
    commands += [(name, key, *rest) for name, *rest in calls]
    commands.append(("DEL", key))

    def parse(replies: list[Any]) -> None:
        lacking = {
            str(command[0]): reply
            for command, reply in zip(commands, replies, strict=True)
            if isinstance(reply, ServerRefused) and _is_lacking(reply)
        }
        if not lacking:
            return
        first, *others = lacking
        refused = lacking[first]
        if not others:
            raise refused
        raise ServerRefused(refused.code, f"{refused}; pools also need {', '.join(others)}")

    yield from RoundTrip(commands, parse, tolerant=True)


def _is_lacking(error: ServerError) -> bool:
    return getattr(error, "code", "") == "NOPERM" or "unknown command" in str(error).lower()
