"""What commands and scripts do to the keys that they name."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, NamedTuple

from workkit.store.exchange import Command
from workkit.store.scripts import Script

__all__ = ["Nature", "command_name", "keys_of", "nature_of"]

#: Commands that change nothing.
READS: Final = frozenset(
    {
        "EXISTS", "GET", "HEXISTS", "HGET", "HGETALL", "HLEN", "HMGET", "HVALS", "LINDEX", "LLEN",
        "LRANGE", "PTTL", "SCAN", "SISMEMBER", "SMEMBERS", "TYPE", "XLEN", "XRANGE", "XREVRANGE",
        "ZCARD", "ZCOUNT", "ZRANGE", "ZRANGEBYSCORE", "ZSCORE",
    }
)  # fmt: skip
#: Commands that name several keys.
_MANY: Final = frozenset({"DEL", "EXISTS", "UNLINK"})
_CALL: Final = re.compile(r"redis\.p?call\('([A-Z]+)'")
_COMMENT: Final = re.compile(r"--.*")
_SETS_EXPIRY: Final = re.compile(r"'(EX|PX)'")


class Nature(NamedTuple):
    """What a command can do.

    Attributes:
        reads: It changes nothing.
        gives_life: It can give strings a time to live.
        gives_hash_life: It can give any key a time to live.
    """

    reads: bool
    gives_life: bool
    gives_hash_life: bool


def nature_of(command: Command) -> Nature:
    """Say what a command can do to its keys."""
    first = command[0]
    if isinstance(first, Script):
        return _nature_of_script(first.name, first.source)
    return Nature(first in READS, first == "SET", first in {"EXPIRE", "PEXPIRE"})


@cache
def _nature_of_script(_name: str, source: bytes) -> Nature:
    code = _COMMENT.sub("", source.decode())
    verbs = set(_CALL.findall(code))
    return Nature(verbs <= READS, bool(_SETS_EXPIRY.search(code)), "EXPIRE" in verbs)


def keys_of(command: Command) -> tuple[bytes, ...]:
    """Return the keys that a command names: all that it touches."""
    first = command[0]
    if isinstance(first, Script):
        return command[2 : 2 + command[1]]
    if first in {"SCAN", "SCRIPT"}:
        return ()
    return command[1:] if first in _MANY else command[1:2]


def command_name(command: Command) -> str:
    """Return what a command is called: a verb, or the name of its script."""
    first: Any = command[0]
    return first.name if isinstance(first, Script) else str(first)
