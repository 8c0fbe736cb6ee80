"""Compares the short path to fakeredis with its ordinary one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workkit.core.entropy import Entropy
from workkit.errors import ServerRefused
from workkit.simulation.redis.backend import StockFake
from workkit.simulation.redis.fake import FakeBackend
from workkit.store.round_trip import Command

__all__ = ["differences"]

#: Both paths must reply alike to this script, which gives replies of all types, and to `_PROBES`.
_SCRIPT: Final = b"""
local key = KEYS[1]
local replies = {redis.call('SET', key, 'a', 'EX', 60), redis.call('TYPE', key)}
replies[3] = redis.pcall('LPUSH', key, 'b').err
replies[4] = redis.call('HSET', KEYS[2], 'field', 1, 'other', ARGV[1])
replies[5] = redis.call('HGETALL', KEYS[2])
replies[6] = redis.call('ZADD', KEYS[3], 2.5, 'member')
replies[7] = redis.call('ZSCORE', KEYS[3], 'member')
replies[8] = redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES')
replies[9] = {redis.call('LPUSH', KEYS[4], 'x', 'y'), redis.call('RPOP', KEYS[4], 1)}
replies[10] = redis.call('GET', KEYS[5])
replies[11] = redis.call('XADD', KEYS[6], '1-1', 'field', 'value')
return replies
"""
_PROBES: Final[tuple[Command, ...]] = (
    ("EVAL", _SCRIPT, 6, "a", "b", "c", "d", "e", "f", "args"),
    ("EVAL", b"return redis.call('INCRBY', KEYS[1], 'x')", 1, "b"),
    ("GET", "a"), ("LLEN", "a"), ("SMEMBERS", "none"), ("SADD", "s", "one", "two"),
    ("SMEMBERS", "s"), ("HGETALL", "b"), ("HDEL", "b", "field", "other"), ("EXISTS", "b"),
    ("SET", "g", "1", "KEEPTTL"), ("INCRBY", "g", 4), ("PTTL", "g"), ("PTTL", "none"),
    ("LREM", "d", 0, "y"), ("TYPE", "d"), ("ZRANGEBYSCORE", "c", "-inf", "(3", "LIMIT", 0, 5),
    ("XRANGE", "f", "-", "+"), ("DEL", "a", "c", "f"), ("MGET", "a", "g"),
)  # fmt: skip


class _Probe:
    """A world in which each command of a user takes a second."""

    def __init__(self) -> None:
        self.start_s = 1_800_000_000.0
        self.dice = Entropy("probe")
        self.now_s = 0
        self.heard: list[bytes] = []

    def now_us(self) -> int:
        """Return the time, microseconds."""
        return self.now_s * 1_000_000

    def admit(self) -> None:
        """Always be reachable."""

    def arrives(self, verb: str, fields: Sequence[bytes], *, writes: bool) -> str:
        """Refuse nothing."""
        del verb, fields, writes
        self.now_s += 1
        return ""

    def wrote(self, verb: str, keys: Sequence[bytes]) -> None:
        """Record the keys."""
        del verb
        self.heard += keys


def differences() -> str:
    """Return how the short path differs from the ordinary one, or ""."""
    stock, short, probe = StockFake(), FakeBackend(), _Probe()
    try:
        for command in _PROBES:
            theirs, ours = stock.send([command])[0], short.send([command])[0]
            if _plain(theirs) != _plain(ours):
                return f"{command[0]} answers {ours!r} instead of {theirs!r}"
        short.receive(probe)
        client = short.client
        client.set("visit", 1, ex=10)
        client.hset("fields", "one", 1)
        client.hexpire("fields", 10, "one")
        if client.time()[0] != int(probe.start_s) + probe.now_s:
            return "its commands read another clock"
        lived = [client.exists("visit"), client.hexists("fields", "one"), client.ttl("visit") < 10]  # noqa: PLR2004
        probe.now_s += 20
        died = [client.exists("visit"), client.hexists("fields", "one")]
        if not all(lived) or any(died) or short.ends_us([b"visit"]) != [None]:
            return "its keys do not expire in virtual time"
        if probe.heard[:2] != [b"visit", b"fields"]:
            return "it does not report the keys that a command writes"
    finally:
        stock.close()
        short.close()
    return ""


def _plain(reply: Any) -> Any:
    """Make replies of two protocol versions comparable."""
    if isinstance(reply, ServerRefused):
        return "an error"  # redis-py leaves out some codes
    if isinstance(reply, dict):
        return [each for pair in reply.items() for each in pair]
    if isinstance(reply, (set, frozenset)):
        return sorted(reply)
    return reply
