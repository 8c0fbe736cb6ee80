"""A private namespace in which peers of the original share a clock that the test moves."""

from __future__ import annotations

import random  # noqa: TID251 -- the peers' dice are seeded here
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.parity.gopeer.peer import GoPeer

if TYPE_CHECKING:
    from redis import Redis

    from tests.parity.gopeer.records import GoJob


@dataclass(slots=True)
class Clock:
    """The wall clock that a peer is told, in epoch seconds."""

    now: int = 1_700_000_000

    def __call__(self) -> int:
        """Tell the time."""
        return self.now


@dataclass(slots=True)
class Scene:
    """One namespace: who works in it, and what lies there."""

    redis: Redis
    namespace: str
    clock: Clock = field(default_factory=Clock)

    def peer(self, pool_id: str = "p1", *, concurrency: int = 2, **jobs: GoJob) -> GoPeer:
        """Start a pool.

        Args:
            pool_id: Its id, which seeds its dice as well.
            concurrency: How many workers it has.
            jobs: The jobs that it has handlers for.
        """
        peer = GoPeer(
            self.redis,
            self.namespace,
            now=self.clock,
            rng=random.Random(pool_id),
            jobs=jobs,
            concurrency=concurrency,
            pool_id=pool_id,
        )
        peer.start()
        return peer

    def queue(self, name: str) -> list[bytes]:
        """Read a queue, the next job last."""
        return list(self._redis.lrange(f"{self.namespace}:jobs:{name}", 0, -1))

    def in_progress(self, name: str, pool_id: str = "p1") -> list[bytes]:
        """Read what a pool holds of a queue."""
        return self.queue(f"{name}:{pool_id}:inprogress")

    def members(self, which: str) -> dict[bytes, int]:
        """Read ``retry``, ``scheduled`` or ``dead`` as members and scores."""
        pairs = self._redis.zrange(f"{self.namespace}:{which}", 0, -1, withscores=True)
        return {member: int(score) for member, score in pairs}

    def lock(self, name: str) -> int:
        """Read how many jobs of a name are counted as running."""
        return int(self._redis.get(f"{self.namespace}:jobs:{name}:lock") or 0)

    def lock_info(self, name: str) -> dict[bytes, bytes]:
        """Read how many of them each pool is said to run."""
        return dict(self._redis.hgetall(f"{self.namespace}:jobs:{name}:lock_info"))

    def dump(self) -> dict[str, dict[str, Any]]:
        """Read every key of the namespace: its type, its value, its expiry in seconds."""
        keys = self._redis.scan_iter(f"{self.namespace}:*")
        return {key.decode(): self._entry(key) for key in keys}

    def _entry(self, key: bytes) -> dict[str, Any]:
        kind = self._redis.type(key).decode()
        value: Any
        match kind:
            case "string":
                value = self._redis.get(key).decode()
            case "list":
                value = [item.decode() for item in self._redis.lrange(key, 0, -1)]
            case "set":
                value = {item.decode() for item in self._redis.smembers(key)}
            case "hash":
                value = {name.decode(): v.decode() for name, v in self._redis.hgetall(key).items()}
            case "stream":
                value = [(at.decode(), fields) for at, fields in self._redis.xrange(key)]
            case _:
                pairs = self._redis.zrange(key, 0, -1, withscores=True)
                value = {member.decode(): int(score) for member, score in pairs}
        return {"type": kind, "value": value, "ttl_s": self._redis.ttl(key)}

    @property
    def _redis(self) -> Any:
        # redis-py's types do not tell a client that answers bytes from one that answers str.
        return self.redis
