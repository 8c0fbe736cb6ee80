"""Which keys commands and scripts name, read, write and expire."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple

from workkit.store.calls.exchange import read_exchange
from workkit.store.calls.layout import head, keys_and_args
from workkit.store.calls.move import MoveResult
from workkit.store.calls.plan_slots import PlanKeys
from workkit.store.round_trip import Command
from workkit.store.scripts import Script

__all__ = ["Nature", "changed_by", "command_name", "keys_of", "nature_of"]

#: Commands that change nothing.
READS: Final = frozenset(
    {
        "EXISTS", "GET", "HEXISTS", "HGET", "HGETALL", "HLEN", "HMGET", "HVALS", "LINDEX", "LLEN",
        "LRANGE", "MGET", "PING", "PTTL", "SCAN", "SISMEMBER", "SMEMBERS", "TYPE", "XLEN", "XRANGE",
        "XREVRANGE", "ZCARD", "ZCOUNT", "ZRANGE", "ZRANGEBYSCORE", "ZRANK", "ZREVRANGE", "ZSCORE",
        "WAIT", "WAITAOF", "INFO", "TIME",
    }
)  # fmt: skip
#: Commands that name several keys.
_MANY: Final = frozenset({"DEL", "EXISTS", "MGET", "RPOPLPUSH", "UNLINK"})
_CALL: Final = re.compile(r"redis\.p?call\('([A-Z]+)'")
_COMMENT: Final = re.compile(r"--.*")
_SETS_EXPIRY: Final = re.compile(r"'(EX|PX)'")


class Nature(NamedTuple):
    """The effects that a command can have.

    Attributes:
        reads: It changes nothing.
        gives_life: It can give strings a time to live.
        gives_hash_life: It can give keys of any type a time to live.
    """

    reads: bool
    gives_life: bool
    gives_hash_life: bool


def nature_of(command: Command) -> Nature:
    """Return the effects that a command can have on its keys."""
    first = command[0]
    return _nature_of_verb(first) if type(first) is str else _nature_of_script(first.source)


@cache
def _nature_of_verb(verb: str) -> Nature:
    return Nature(verb in READS, verb == "SET", verb in {"EXPIRE", "PEXPIRE"})


@cache
def _nature_of_script(source: bytes) -> Nature:
    code = _COMMENT.sub("", source.decode())
    verbs = set(_CALL.findall(code))
    return Nature(verbs <= READS, bool(_SETS_EXPIRY.search(code)), "EXPIRE" in verbs)


def keys_of(command: Command) -> tuple[bytes, ...]:
    """Return the keys that a command names; it touches no others."""
    first = command[0]
    if isinstance(first, Script):
        return keys_and_args(command)[0]
    if first in {"PING", "SCAN", "SCRIPT", "WAIT", "WAITAOF", "INFO", "TIME"}:
        return ()
    return command[1:] if first in _MANY else command[1:2]


def command_name(command: Command) -> str:
    """Return the name of a command: its verb, or the name of its script."""
    first: Any = command[0]
    return first.name if isinstance(first, Script) else str(first)


def changed_by(
    command: Command, reply: Any, type_of: Callable[[bytes], bytes]
) -> tuple[bytes, ...]:
    """Return the keys that a command may have changed, as far as its reply shows.

    Args:
        command: The command.
        reply: The reply.
        type_of: Returns the type of a key: jobs go back to the retry set if their queue is no list.

    `exchange` names every key of its queues but changes few of them. If all counted, pools that
    listen to these queues would be woken for nothing.
    """
    keys = keys_of(command)
    name = command_name(command)
    if name == "plan_slots" and reply == 0:
        return head(PlanKeys, keys)[0].written_always
    if name == "move" and isinstance(reply, list):
        result = MoveResult._make(reply)
        if not (result.moved or result.buried or result.dropped or result.taken):
            return ()  # all due jobs belong to queues of wrong types
    if name != "exchange" or not isinstance(reply, list) or reply[0] != b"ok":
        return keys
    call = read_exchange(command)
    fixed = call.keys
    changed = [
        fixed.pool, fixed.history, fixed.history_head, fixed.recoveries, fixed.begun,
    ]  # fmt: skip
    fates: set[bytes] = set()
    strays = False
    for part, got in zip(call.parts, call.reply(reply).claimed, strict=True):
        mine, queue = {settled.fate for settled in part.settled}, part.keys
        if got.raws or b"b" in mine:
            changed.append(queue.jobs)
        strays = strays or (b"b" in mine and type_of(queue.jobs) not in {b"list", b"none"})
        if got.raws or mine:
            changed += (queue.inprogress, queue.lock, queue.lock_info)
        fates |= mine
    changed += [fixed.retry] * (strays or b"r" in fates) + [fixed.dead] * (b"x" in fates)
    return (*changed, *call.effect_keys)
