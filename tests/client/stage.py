"""A namespace in which jobs of any kind can be laid out, and pools stepped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Literal

from tests.parity.gopeer import Clock, Scene
from tests.support.steps import FakeClock, FaultyLink, StepPool
from workkit import Client, Enqueuer, Entropy, Job, WorkerPool
from workkit.core import job as wire
from workkit.store.connections.target import Target
from workkit.store.keys import Keys
from workkit.store.round_trip import Command

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["JUNK", "SETS", "BusyLink", "SetName", "Stage", "raw_job"]

SetName = Literal["scheduled", "retry", "dead"]

SETS: Final[tuple[SetName, ...]] = ("scheduled", "retry", "dead")
#: Bytes that are not a job, each for a reason of its own.
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
    """A connection beside which something happens before each of its exchanges."""

    def __init__(self, target: Target, happens: Callable[[int], object]) -> None:
        super().__init__(target)
        self._happens = happens

    def send(
        self, commands: Sequence[Command], meanwhile: Callable[[], None] | None = None
    ) -> list[Any]:
        self._happens(len(self.sent))
        return super().send(commands, meanwhile)


class Stage:
    """One namespace, its client and its enqueuer on a clock that stands still."""

    def __init__(self, redis_client: Redis, namespace: str, url: str) -> None:
        self.redis: Any = redis_client
        self.namespace = namespace
        self.url = url
        self.clock = FakeClock()
        self.keys = Keys(namespace)
        self.scene = Scene(redis_client, namespace, Clock(self.clock.now_s))
        self.client = Client(namespace, url, clock=self.clock)
        self.enqueuer = Enqueuer(namespace, url, clock=self.clock, entropy=Entropy("stage"))
        self._open = ExitStack()
        self._open.callback(self.client.close)
        self._open.callback(self.enqueuer.close)
        self._seeds: Iterator[int] = iter(range(1, 1_000))

    def close(self) -> None:
        self._open.close()

    def on_close(self, close: Callable[[], object]) -> None:
        """Have something closed at the end."""
        self._open.callback(close)

    # Laying out.

    def lay(self, place: SetName, members: Mapping[bytes, float]) -> None:
        """Put members into a sorted set."""
        self.redis.zadd(f"{self.namespace}:{place}", dict(members))

    def queue(self, name: str, *raws: bytes) -> None:
        """Put jobs into a queue, the one that runs next first."""
        self.redis.lpush(f"{self.namespace}:jobs:{name}", *raws)
        self.redis.sadd(f"{self.namespace}:known_jobs", name)

    def hold(self, key: str, value: str | bytes = "1") -> None:
        """Let somebody hold a unique key."""
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
        """Open a connection that notes what it sends."""
        link = FaultyLink(Target.of(self.url))
        self._open.callback(link.close)
        return link

    def client_on(self, link: FaultyLink) -> Client:
        """Make a client that uses one connection, on which a test may look and interfere."""
        client = Client(self.namespace, self.url, clock=self.clock)
        client._links.inner = link  # the client has opened no other yet
        return client

    def pool(
        self, handler: Callable[[Job], Any] = repr, name: str = "mail", **options: Any
    ) -> StepPool:
        """Start a pool whose every move the test makes."""
        pool = WorkerPool(self.namespace, self.url, max_recoveries=options.pop("max_recoveries", 3))
        pool.job(name, handler, **options)
        stepped = StepPool(pool, self.url, self.clock, next(self._seeds))
        self._open.callback(stepped.close)
        return stepped.start()

    def crash_and_recover(self, pool: StepPool) -> None:
        """Let a pool die with what it holds, and another one, of another name, find it."""
        pool.close()
        self.pool(name="other", max_recoveries=1_000).watch(20)

    def job_at(self, place: SetName) -> tuple[int, Job]:
        """Return the only job of a set, and its time."""
        ((raw, score),) = self.redis.zrange(f"{self.namespace}:{place}", 0, -1, withscores=True)
        return int(score), wire.decode(raw)
