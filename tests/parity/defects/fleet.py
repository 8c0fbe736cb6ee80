"""Pools of both libraries in one namespace, on clocks that the test moves together."""

from __future__ import annotations

import json
import random  # noqa: TID251 -- the peers' dice are seeded here
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.parity.gopeer import Clock, GoJob, GoPeer, Scene
from tests.parity.gopeer.keys import GoKeys
from tests.support.stage import Stage
from tests.support.steps import FakeClock, FaultyLink, StepPool
from workkit import Job, WorkerPool
from workkit.store.connections.target import Target
from workkit.store.round_trip import Command
from workkit.store.scripts import Script

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["Fleet", "FleetPool", "HookedLink", "member", "script_names"]

#: After this long without a heartbeat, a pool is dead for Go (10 s) and workkit (12 s), seconds.
DEAD_FOR_S = 14.0

Handlers = Mapping[str, Callable[[Job], object]]


class HookedLink(FaultyLink):
    """A connection at which something can happen just before a script is sent."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._hooks: dict[str, Callable[[], object]] = {}

    def before(self, script: str, do: Callable[[], object]) -> None:
        """Do something just before the next exchange with a script, once.

        Args:
            script: The script's name.
            do: For example `lose_reply`, or an action of another pool.
        """
        self._hooks[script] = do

    def send(
        self, commands: Sequence[Command], meanwhile: Callable[[], None] | None = None
    ) -> list[Any]:
        for name in script_names(commands):
            if (hook := self._hooks.pop(name, None)) is not None:
                hook()
        return super().send(commands, meanwhile)


def script_names(commands: Sequence[Command]) -> list[str]:
    """Name the scripts among commands."""
    return [command[0].name for command in commands if isinstance(command[0], Script)]


class FleetPool(StepPool):
    """A stepped pool whose connection has hooks."""

    def __init__(self, pool: WorkerPool, url: str, clock: FakeClock, seed: int) -> None:
        super().__init__(pool, url, clock, seed)
        self.link: HookedLink = HookedLink(Target.of(url))

    def crash(self) -> None:
        """Die: the jobs that the pool holds stay in Redis."""
        self.close()


class _GoClock(Clock):
    """The whole seconds of a clock, for Go pools."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def __call__(self) -> int:
        return self._clock.now_s


class Fleet(Stage):
    """Everything that works in one namespace.

    Attributes:
        go_keys: The original's key names.
    """

    def __init__(self, redis: Redis, url: str, namespace: str) -> None:
        super().__init__(redis, url, namespace)
        self.go_keys = GoKeys(namespace)
        self._clocks = [self.clock]
        self._scene = Scene(redis, namespace, _GoClock(self.clock))

    # Who is there.

    def go(self, pool_id: str = "go1", ahead_s: float = 0, **jobs: GoJob) -> GoPeer:
        """Start a pool of the original.

        Args:
            pool_id: Its id.
            ahead_s: How far its clock is ahead of the others.
            jobs: What it handles.
        """
        peer = GoPeer(
            self._scene.redis,
            self.namespace,
            now=_GoClock(self._clock(ahead_s)),
            rng=random.Random(pool_id),
            jobs=jobs,
            concurrency=2,
            pool_id=pool_id,
        )
        peer.start()
        return peer

    def pool(
        self,
        handlers: Handlers,
        *,
        ahead_s: float = 0,
        cron: Sequence[tuple[str, str]] = (),
        catch_up_s: int = 3600,
        concurrency: int = 2,
        **options: Any,
    ) -> FleetPool:
        """Start a pool of workkit.

        Args:
            handlers: Job name -> handler.
            ahead_s: How far its clock is ahead of the others.
            cron: Specs and job names.
            catch_up_s: How old a missed slot may be.
            concurrency: How many workers it has.
            options: Of each job.
        """
        pool = WorkerPool(self.namespace, self.url, concurrency=concurrency)
        for name, handler in handlers.items():
            pool.job(name, handler, **options)
        for spec, name in cron:
            pool.periodically_enqueue(spec, name, catch_up_s=catch_up_s)
        stepped = FleetPool(pool, self.url, self._clock(ahead_s), self.next_seed())
        self.on_close(stepped.close)
        stepped.start()
        return stepped

    def _clock(self, ahead_s: float) -> FakeClock:
        if not ahead_s:
            return self.clock
        clock = self.clock.skewed(ahead_s)
        self._clocks.append(clock)
        return clock

    # What happens.

    def advance(self, seconds: float) -> None:
        """Let time pass for all pools."""
        for clock in self._clocks:
            clock.advance(seconds)

    def watch(self, reaper: FleetPool, *alive: GoPeer | FleetPool) -> None:
        """Let a reaper watch until each pool without heartbeats is dead.

        Args:
            reaper: The pool that watches.
            alive: Pools that send heartbeats in that time.
        """
        reaper.duty("reaper")
        for _ in range(int(DEAD_FOR_S / 2)):
            self.advance(2)
            for pool in alive:
                if isinstance(pool, GoPeer):
                    pool.heartbeat()
                else:
                    pool.duty("heartbeat")
            reaper.duty("reaper")

    def reconcile(self, pool: FleetPool) -> None:
        """Let a pool reconcile, even if another pool did it last."""
        self.redis.delete(self.keys.lease("reconciler"))
        pool.duty("reconciler")

    # What is there.

    def queue(self, name: str) -> list[bytes]:
        """Read a queue, the next job last."""
        return self._scene.queue(name)

    def held(self, name: str) -> list[bytes]:
        """Read the jobs in progress of all pools."""
        pattern = self.go_keys.in_progress(name, "*")
        return [
            raw for key in self.redis.scan_iter(pattern) for raw in self.redis.lrange(key, 0, -1)
        ]

    def members(self, which: str) -> dict[bytes, int]:
        """Read `retry`, `scheduled` or `dead` as members and scores."""
        return self._scene.members(which)

    def jobs(self, which: str) -> list[dict[str, Any]]:
        """Read `retry`, `scheduled` or `dead` as decoded jobs, in the order of their scores."""
        return [json.loads(raw) for raw in self.members(which)]

    def lock(self, name: str) -> int:
        """Read how many jobs of a name are counted as running."""
        return self._scene.lock(name)

    def registered(self) -> set[str]:
        """Read the ids of the registered pools."""
        return {pool_id.decode() for pool_id in self.redis.smembers(self.go_keys.worker_pools)}


def member(name: str, job_id: str, args: str = "null", **more: Any) -> bytes:
    """Write a job as another program may have written it.

    Args:
        name: Its name.
        job_id: Its id.
        args: Its args, as JSON.
        more: Further fields.
    """
    rest = "".join(f",{json.dumps(key)}:{json.dumps(value)}" for key, value in more.items())
    return f'{{"name":"{name}","id":"{job_id}","t":1,"args":{args}{rest}}}'.encode()
