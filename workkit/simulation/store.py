"""Keys and values in memory, and the commands on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from workkit.simulation.values import (
    OK,
    SortedSet,
    Status,
    Stream,
    bound,
    integer,
    read_id,
    refused,
    span,
    with_scores,
    written,
)  # fmt: skip

__all__ = ["Store"]

T = TypeVar("T")

_WRONG_TYPE: Final = "WRONGTYPE Operation against a key holding the wrong kind of value"
_SMALL_ID: Final = (
    "ERR The ID specified in XADD is equal or smaller than the target stream top item"
)


_TYPES: Final[dict[type, bytes]] = {
    bytes: b"string", dict: b"hash", deque: b"list", set: b"set",
    SortedSet: b"zset", Stream: b"stream",
}  # fmt: skip


class Store:
    """All keys. A method a command; its arguments are bytes."""

    def __init__(self) -> None:
        self._values: dict[bytes, Any] = {}
        self._lives: dict[bytes, int] = {}
        self._commands: dict[bytes, Callable[..., Any]] = {
            name.removeprefix("do_").upper().encode(): getattr(self, name)
            for name in dir(self)
            if name.startswith("do_")
        }

    def do(self, verb: bytes, arguments: list[bytes]) -> Any:
        """Carry out a command.

        Raises:
            ServerRefused: It is refused.
        """
        command = self._commands.get(verb)
        if command is None:
            raise refused(f"ERR unknown command '{verb.decode()}' in memory; use another server")
        return command(*arguments)

    def do_wait(self, replicas: bytes, _timeout_ms: bytes) -> int:
        """Have as many replicas as are asked for, none of which is behind."""
        return int(replicas)

    def do_waitaof(self, local: bytes, replicas: bytes, _timeout_ms: bytes) -> list[int]:
        """Have a disk as well."""
        return [int(local), int(replicas)]

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._lives.clear()

    def _read(self, key: bytes, kind: type[T]) -> T | None:
        value = self._values.get(key)
        if value is not None and type(value) is not kind:
            raise refused(_WRONG_TYPE)
        return value

    def _open(self, key: bytes, kind: type[T]) -> T:
        value = self._read(key, kind)
        if value is None:
            value = self._values[key] = kind()
        return value

    def _tidy(self, key: bytes, value: Any) -> None:
        if not value:
            self._drop(key)

    def _drop(self, key: bytes) -> int:
        self._lives.pop(key, None)
        return int(self._values.pop(key, None) is not None)

    # Keys.

    def do_ping(self) -> Any:
        return OK

    def do_del(self, *keys: bytes) -> int:
        return sum(self._drop(key) for key in keys)

    do_unlink = do_del

    def do_exists(self, *keys: bytes) -> int:
        return sum(key in self._values for key in keys)

    def do_type(self, key: bytes) -> Status:
        return Status(_TYPES.get(type(self._values.get(key)), b"none"))

    def do_expire(self, key: bytes, seconds: bytes) -> int:
        if key not in self._values:
            return 0
        self._lives[key] = int(seconds) * 1000
        return 1

    def do_pexpireat(self, key: bytes, at_ms: bytes) -> int:
        if key not in self._values:
            return 0
        self._lives[key] = int(at_ms)
        return 1

    def do_pttl(self, key: bytes) -> int:
        return self._lives.get(key, -1) if key in self._values else -2

    def do_scan(self, *_: bytes) -> list[Any]:
        return [b"0", sorted(self._values)]

    # Strings.

    def do_get(self, key: bytes) -> bytes | None:
        return self._read(key, bytes)

    def do_getdel(self, key: bytes) -> bytes | None:
        value = self._read(key, bytes)
        self._drop(key)
        return value

    def do_mget(self, *keys: bytes) -> list[Any]:
        values = [self._values.get(key) for key in keys]
        return [value if type(value) is bytes else None for value in values]

    def do_set(self, key: bytes, value: bytes, *options: bytes) -> Status | None:
        names = [option.upper() for option in options]
        if (b"NX" in names and key in self._values) or (b"XX" in names and key not in self._values):
            return None
        life = self._lives.pop(key, None) if b"KEEPTTL" in names else None
        for unit, ms in ((b"EX", 1000), (b"PX", 1)):
            if unit in names:
                life = int(options[names.index(unit) + 1]) * ms
        self._drop(key)
        self._values[key] = value
        if life is not None:
            self._lives[key] = life
        return OK

    def do_incrby(self, key: bytes, by: bytes) -> int:
        total = integer(self._read(key, bytes) or b"0") + integer(by)
        self._values[key] = b"%d" % total
        return total

    def do_decrby(self, key: bytes, by: bytes) -> int:
        return self.do_incrby(key, b"%d" % -integer(by))

    # Hashes.

    def do_hget(self, key: bytes, field: bytes) -> bytes | None:
        return (self._read(key, dict) or {}).get(field)

    def do_hmget(self, key: bytes, *fields: bytes) -> list[Any]:
        value = self._read(key, dict) or {}
        return [value.get(field) for field in fields]

    def do_hgetall(self, key: bytes) -> list[bytes]:
        value = self._read(key, dict) or {}
        return [item for pair in value.items() for item in pair]

    def do_hvals(self, key: bytes) -> list[bytes]:
        return list((self._read(key, dict) or {}).values())

    def do_hlen(self, key: bytes) -> int:
        return len(self._read(key, dict) or ())

    def do_hexists(self, key: bytes, field: bytes) -> int:
        return int(field in (self._read(key, dict) or ()))

    def do_hset(self, key: bytes, *pairs: bytes) -> int:
        value = self._open(key, dict)
        before = len(value)
        value.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(value) - before

    def do_hdel(self, key: bytes, *fields: bytes) -> int:
        value = self._read(key, dict)
        if value is None:
            return 0
        gone = sum(value.pop(field, None) is not None for field in fields)
        self._tidy(key, value)
        return gone

    def do_hincrby(self, key: bytes, field: bytes, by: bytes) -> int:
        value = self._open(key, dict)
        total = integer(value.get(field, b"0"), "ERR hash value is not an integer") + integer(by)
        value[field] = b"%d" % total
        return total

    # Lists.

    def do_llen(self, key: bytes) -> int:
        return len(self._read(key, deque) or ())

    def do_lindex(self, key: bytes, index: bytes) -> bytes | None:
        value = self._read(key, deque) or deque()
        at = int(index)
        return value[at] if -len(value) <= at < len(value) else None

    def do_lrange(self, key: bytes, start: bytes, stop: bytes) -> list[bytes]:
        value = list(self._read(key, deque) or ())
        return value[span(len(value), start, stop)]

    def do_lpush(self, key: bytes, *items: bytes) -> int:
        value = self._open(key, deque)
        value.extendleft(items)
        return len(value)

    def do_rpush(self, key: bytes, *items: bytes) -> int:
        value = self._open(key, deque)
        value.extend(items)
        return len(value)

    def do_rpop(self, key: bytes, count: bytes | None = None) -> Any:
        value = self._read(key, deque)
        if value is None:
            return None
        popped = [value.pop() for _ in range(min(int(count or 1), len(value)))]
        self._tidy(key, value)
        return popped[0] if count is None else popped

    def do_lrem(self, key: bytes, count: bytes, item: bytes) -> int:
        value = self._read(key, deque)
        if value is None:
            return 0
        backwards, left = int(count) < 0, abs(int(count)) or len(value)
        items = list(value)[::-1] if backwards else list(value)
        kept = []
        for each in items:
            if left and each == item:
                left -= 1
            else:
                kept.append(each)
        gone = len(items) - len(kept)
        if gone:
            value.clear()
            value.extend(kept[::-1] if backwards else kept)
            self._tidy(key, value)
        return gone

    # Sets.

    def do_smembers(self, key: bytes) -> list[bytes]:
        return sorted(self._read(key, set) or ())

    def do_sismember(self, key: bytes, member: bytes) -> int:
        return int(member in (self._read(key, set) or ()))

    def do_sadd(self, key: bytes, *members: bytes) -> int:
        value = self._open(key, set)
        before = len(value)
        value.update(members)
        return len(value) - before

    def do_srem(self, key: bytes, *members: bytes) -> int:
        value = self._read(key, set)
        if value is None:
            return 0
        before = len(value)
        value.difference_update(members)
        gone = before - len(value)
        self._tidy(key, value)
        return gone

    # Sorted sets.

    def do_zadd(self, key: bytes, *pairs: bytes) -> int:
        value = self._open(key, SortedSet)
        scored = zip(pairs[::2], pairs[1::2], strict=True)
        return sum(value.add(member, float(score)) for score, member in scored)

    def do_zrem(self, key: bytes, *members: bytes) -> int:
        value = self._read(key, SortedSet)
        if value is None:
            return 0
        gone = sum(value.remove(member) for member in members)
        self._tidy(key, value)
        return gone

    def do_zcard(self, key: bytes) -> int:
        return len(self._read(key, SortedSet) or ())

    def do_zscore(self, key: bytes, member: bytes) -> bytes | None:
        value = self._read(key, SortedSet)
        score = value.scores.get(member) if value else None
        return None if score is None else written(score)

    def do_zrank(self, key: bytes, member: bytes) -> int | None:
        value = self._read(key, SortedSet)
        return value.rank(member) if value else None

    def do_zcount(self, key: bytes, low: bytes, high: bytes) -> int:
        return len(self._between(key, low, high))

    def do_zrange(self, key: bytes, start: bytes, stop: bytes, *options: bytes) -> list[bytes]:
        value = self._read(key, SortedSet)
        found = value.order[span(len(value), start, stop)] if value else []
        return with_scores(found, options)

    def do_zrevrange(self, key: bytes, start: bytes, stop: bytes, *options: bytes) -> list[bytes]:
        value = self._read(key, SortedSet)
        found = value.order[::-1][span(len(value), start, stop)] if value else []
        return with_scores(found, options)

    def do_zrangebyscore(self, key: bytes, low: bytes, high: bytes, *options: bytes) -> list[bytes]:
        found = self._between(key, low, high)
        names = [option.upper() for option in options]
        if b"LIMIT" in names:
            at = names.index(b"LIMIT")
            first, count = int(options[at + 1]), int(options[at + 2])
            found = found[first : first + count if count >= 0 else None]
        return with_scores(found, options)

    def do_zremrangebyscore(self, key: bytes, low: bytes, high: bytes) -> int:
        return self.do_zrem(key, *(member for _, member in self._between(key, low, high)))

    def _between(self, key: bytes, low: bytes, high: bytes) -> list[tuple[float, bytes]]:
        value = self._read(key, SortedSet)
        least, most = bound(low, 1), bound(high, -1)
        return [pair for pair in value.order if least <= pair[0] <= most] if value else []

    # Streams.

    def do_xlen(self, key: bytes) -> int:
        return len(self._read(key, Stream) or ())

    def do_xadd(self, key: bytes, entry_id: bytes, *fields: bytes) -> bytes:
        value = self._open(key, Stream)
        number = read_id(entry_id, 0)
        if number <= value.last:
            raise refused(_SMALL_ID)
        value.last = number
        value.entries.append((number, list(fields)))
        return entry_id

    def do_xrange(self, key: bytes, low: bytes, high: bytes, *options: bytes) -> list[Any]:
        return self._entries(key, low, high, options)

    def do_xrevrange(self, key: bytes, high: bytes, low: bytes, *options: bytes) -> list[Any]:
        return self._entries(key, low, high, options, step=-1)

    def _entries(
        self, key: bytes, low: bytes, high: bytes, options: tuple[bytes, ...], step: int = 1
    ) -> list[Any]:
        value = self._read(key, Stream)
        if value is None:
            return []
        after, before = low[:1] == b"(", high[:1] == b"("
        least, most = read_id(low.lstrip(b"("), 0), read_id(high.lstrip(b"("), 2**64)
        found = [
            [b"%d-%d" % number, fields]
            for number, fields in value.entries
            if least <= number <= most
            and not (after and number == least)
            and not (before and number == most)
        ][::step]
        return found[: int(options[1])] if options else found

    def do_xtrim(self, key: bytes, how: bytes, *most: bytes) -> int:
        value = self._read(key, Stream)
        if value is None:
            return 0
        if how == b"MINID":
            least = read_id(most[-1], 0)
            gone = sum(number < least for number, _ in value.entries)
        else:
            gone = max(len(value) - int(most[-1]), 0)
        del value.entries[:gone]
        return gone
