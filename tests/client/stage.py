"""A namespace in which jobs of any kind can be laid out, and pools stepped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from tests.parity.gopeer import Clock, Scene
from tests.support.stage import Stage
from tests.support.steps import FaultyLink, StepPool
from workkit import Client, Job, WorkerPool
from workkit.core import job as wire
from workkit.store.connections.target import Target
from workkit.store.round_trip import Command

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["JUNK", "SETS", "BusyLink", "ClientStage", "SetName", "raw_job"]

SetName = Literal["scheduled", "retry", "dead"]

SETS: Final[tuple[SetName, ...]] = ("scheduled", "retry", "dead")
#: Bytes that are not a job, each for another reason.
JUNK: Final = (
    b"",
    b"junk",
    b"{}",
    b"null",
    b"[1]",
    b"\xff\xfe\x00",
    b'{"name":"a","id":"x","t":1',
    b'{"name":5,"id":"x","t":1}',
    b'{"name":"a","id":"x","t":1.5}',
    b'{"name":"","id":"x","t":1}',
    b'{"name":"a","id":"x","t":1,"args":[1]}',
)


def raw_job(job_id: str, name: str = "mail", **fields: Any) -> bytes:
    """Write a job; fields come after the first four."""
    return json.dumps({"name": name, "id": job_id, "t": 17, "args": None, **fields}).encode()


class BusyLink(FaultyLink):
    """A connection that calls a function before each of its exchanges."""

    def __init__(self, target: Target, happens: Callable[[int], object]) -> None:
        super().__init__(target)
        self._happens = happens

    def send(
        self, commands: Sequence[Command], meanwhile: Callable[[], None] | None = None
    ) -> list[Any]:
        self._happens(len(self.sent))
        return super().send(commands, meanwhile)


class ClientStage(Stage):
    """A namespace in which jobs of any kind can be laid out, and pools stepped."""

    def __init__(self, redis: Redis, url: str, namespace: str) -> None:
        super().__init__(redis, url, namespace)
        self.scene = Scene(redis, namespace, Clock(self.clock.now_s))

    # Laying out.

    def lay(self, place: SetName, members: Mapping[bytes, float]) -> None:
        """Put members into a sorted set."""
        self.redis.zadd(f"{self.namespace}:{place}", dict(members))

    def queue(self, name: str, *raws: bytes) -> None:
        """Put jobs into a queue, the one that runs next first."""
        self.redis.lpush(f"{self.namespace}:jobs:{name}", *raws)
        self.redis.sadd(f"{self.namespace}:known_jobs", name)

    def hold(self, key: str, value: str | bytes = "1") -> None:
        """Set a unique key, as its holder does."""
        self.redis.set(key, value, ex=86_400)

    # Looking.

    def queued(self, name: str = "mail") -> list[bytes]:
        """Read a queue, the job that runs next first."""
        return self.scene.queue(name)[::-1]

    def members(self, place: SetName) -> list[bytes]:
        """Read a sorted set in its order."""
        return list(self.redis.zrange(f"{self.namespace}:{place}", 0, -1))

    def held(self, key: str) -> bytes | None:
        value: bytes | None = self.redis.get(key)
        return value

    def unique_key(self, args_json: str = '{"k":1}', name: str = "mail") -> str:
        return self.keys.unique(name, args_json.encode())

    # Working.

    def link(self) -> FaultyLink:
        """Open a connection that records the commands that it sends."""
        link = FaultyLink(Target.of(self.url))
        self.on_close(link.close)
        return link

    def client_on(self, link: FaultyLink) -> Client:
        """Make a client that uses one connection, which a test can watch and disturb."""
        client = self.make_client()
        client._links = link  # the client has opened no other yet
        return client

    def pool(
        self, handler: Callable[[Job], Any] = repr, name: str = "mail", **options: Any
    ) -> StepPool:
        """Start a pool that works only when the test says so."""
        pool = WorkerPool(self.namespace, self.url, max_recoveries=options.pop("max_recoveries", 3))
        pool.job(name, handler, **options)
        return self.stepped(pool)

    def crash_and_recover(self, pool: StepPool) -> None:
        """Let a pool die with the jobs that it holds, and let a pool of other jobs find it."""
        pool.close()
        self.pool(name="other", max_recoveries=1_000).watch(20)

    def job_at(self, place: SetName) -> tuple[int, Job]:
        """Return the only job of a set, and its time."""
        ((raw, score),) = self.redis.zrange(f"{self.namespace}:{place}", 0, -1, withscores=True)
        return int(score), wire.decode(raw)
