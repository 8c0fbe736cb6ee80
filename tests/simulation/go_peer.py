"""A pool of the original in a simulated world: its effects on Redis, each script in one step.

It uses the true time, and knows nothing of workkit. It runs jobs, moves due jobs, plans cron slots,
reaps by the wall clock, and leaves the same traces as a Go pool: entries of updated jobs, fields
that are zero, and, when it is killed, all jobs that it held. Two more hashes record the slots that
it has planned and run, for the checkers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workkit.core import job as wire
from workkit.core.entropy import Entropy
from workkit.simulation import SimulatedPool, Simulation
from workkit.store.scripts import Script

__all__ = ["GoPool", "expel", "requeue", "requeue_one"]

_FETCH: Final = b"""
local limit = tonumber(redis.call('GET', KEYS[6]) or '0') or 0
local held = tonumber(redis.call('GET', KEYS[3]) or '0') or 0
if redis.call('GET', KEYS[5]) or (limit > 0 and held >= limit) then return '' end
local found = redis.call('RPOP', KEYS[1], 1)
if not found or not found[1] then return '' end
redis.call('LPUSH', KEYS[2], found[1])
redis.call('INCRBY', KEYS[3], 1)
redis.call('HINCRBY', KEYS[4], ARGV[1], 1)
return found[1]
"""
_SETTLE: Final = b"""
redis.call('LREM', KEYS[1], 1, ARGV[2])
redis.call('DECRBY', KEYS[2], 1)
redis.call('HINCRBY', KEYS[3], ARGV[1], -1)
redis.call('HSET', KEYS[4], ARGV[3], '1')
return 1
"""
_MOVE: Final = b"""
if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 then redis.call('LPUSH', KEYS[2], ARGV[2]) end
return 1
"""
_PLAN: Final = b"""
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[1])
return 1
"""
#: What a Go pool does first with the jobs of a pool that it takes for dead. Here in one script for
#: all jobs of a queue, so that locks are true after it.
_REQUEUE: Final = b"""
local pool_id, count = ARGV[1], redis.call('LLEN', KEYS[1])
for _ = 1, count do redis.call('LPUSH', KEYS[2], redis.call('RPOP', KEYS[1])) end
redis.call('DECRBY', KEYS[3], count)
redis.call('HDEL', KEYS[4], pool_id)
return count
"""
#: The same for the oldest job only, as a Go pool does it: job after job.
_REQUEUE_ONE: Final = b"""
local pool_id, job = ARGV[1], redis.call('RPOP', KEYS[1])
if not job then return 0 end
redis.call('LPUSH', KEYS[2], job)
redis.call('DECRBY', KEYS[3], 1)
if redis.call('HINCRBY', KEYS[4], pool_id, -1) <= 0 then redis.call('HDEL', KEYS[4], pool_id) end
return 1
"""
_DEAD_S: Final = 10
_HORIZON_S: Final = 240


def _script(name: str, source: bytes) -> Script:
    digest = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
    return Script(f"go_{name}", source, digest)


def _run(sim: Simulation, name: str, source: bytes, keys: tuple[bytes, ...], *args: Any) -> Any:
    (reply,) = sim.server.execute([(_script(name, source), len(keys), *keys, *args)])
    return reply


def requeue(sim: Simulation, pool_id: str, name: str) -> None:
    """Put what a pool holds of a queue back, at its end, as a Go reaper does first."""
    queue = sim.keys.queue(name, pool_id)
    keys = (queue.inprogress, queue.jobs, queue.lock, queue.lock_info)
    _run(sim, "requeue", _REQUEUE, keys, pool_id)


def requeue_one(sim: Simulation, pool_id: str, name: str) -> None:
    """Put the oldest job that a pool holds of a queue back, as a Go reaper does."""
    queue = sim.keys.queue(name, pool_id)
    keys = (queue.inprogress, queue.jobs, queue.lock, queue.lock_info)
    _run(sim, "requeue_one", _REQUEUE_ONE, keys, pool_id)


def expel(sim: Simulation, pool: SimulatedPool) -> None:
    """Take a pool out of the set of pools, as a Go pool does last that takes it for dead."""
    sim.server.execute([("SREM", sim.keys.worker_pools, pool.pool_id)])


def _planned(sim: Simulation) -> bytes:
    return f"{sim.keys.prefix}go_planned".encode()


def _ran(sim: Simulation) -> bytes:
    return f"{sim.keys.prefix}go_ran".encode()


def _over(sim: Simulation) -> bytes:
    return f"{sim.keys.prefix}go_over".encode()


@dataclass
class GoPool:
    """A pool of the original.

    Attributes:
        sim: The world.
        pool_id: Its id.
        jobs: Job name -> how long a handler takes, seconds.
        limits: Job name -> `max_concurrency`.
        every_s: Cron period -> job name, seconds; the spec is "@every Ns".
    """

    sim: Simulation
    pool_id: str
    jobs: Mapping[str, float]
    limits: Mapping[str, int] = field(default_factory=dict)
    every_s: Mapping[int, str] = field(default_factory=dict)
    concurrency: int = 3

    def __post_init__(self) -> None:
        self._entropy = Entropy(f"{self.sim.seed}/{self.pool_id}")
        self._alive = False
        self._held = 0
        self._stopping = False
        self._replaced: list[str] = []

    def live(self, from_s: float, to_s: float, *, killed: bool) -> None:
        """Plan its life: from its start to its end, which is a kill or a graceful stop."""
        self.sim.at(from_s, self._start)
        self.sim.at(to_s, self._kill if killed else self._stop)

    def _start(self) -> None:
        self._alive, self._stopping = True, False
        do = self.sim.server.execute
        for name in self.jobs:
            do([("SADD", self.sim.keys.known_jobs, name)])
            limit = self.limits.get(name, 0)
            do([("SET", self.sim.keys.queue(name, "").max_concurrency, limit)])
        self._started_s = int(self.sim.now_s)
        for action, every_s in (
            (self._beat, 5.0), (self._work, 0.5), (self._move, 1.0), (self._plan, 130.0),
        ):  # fmt: skip
            self._repeat(action, every_s)
        self.sim.at(self.sim.now + _DEAD_S, self._repeat, self._reap, 60.0)

    def _repeat(self, action: Any, every_s: float) -> None:
        if self._alive:
            action()
            self.sim.at(self.sim.now + every_s, self._repeat, action, every_s)

    def _kill(self) -> None:
        self._alive = False

    def _stop(self) -> None:
        self._stopping = True
        if self._alive and self._held:
            self.sim.at(self.sim.now + 0.5, self._stop)
        elif self._alive:
            self._alive = False
            for job_id in self._replaced:
                self.sim.server.execute([("HSET", _over(self.sim), job_id, 1)])
            self._leave(self.pool_id)

    def _leave(self, pool_id: str) -> None:
        keys = self.sim.keys
        self.sim.server.execute([("SREM", keys.worker_pools, pool_id), ("DEL", keys.pool(pool_id))])

    def _beat(self) -> None:
        keys = self.sim.keys
        fields: tuple[Any, ...] = (
            "heartbeat_at", int(self.sim.now_s), "started_at", self._started_s,
            "job_names", ",".join(sorted(self.jobs)), "concurrency", self.concurrency,
            "worker_ids", "", "host", "go", "pid", 1,
        )  # fmt: skip
        self.sim.server.execute(
            [
                ("SADD", keys.worker_pools, self.pool_id),
                ("HSET", keys.pool(self.pool_id), *fields),
            ]
        )

    # Jobs.

    def _work(self) -> None:
        names = list(self.jobs)
        for _ in range(self.concurrency):
            name = names[self._entropy.below(len(names))]
            if self._held < self.concurrency and not self._stopping:
                self._fetch(name)

    def take(self, name: str, count: int) -> None:
        """Fetch jobs of a paused queue, however many workers are free."""
        self.sim.client.unpause(name)
        for _ in range(count if self._alive else 0):
            self._fetch(name)
        self.sim.client.pause(name)

    def _fetch(self, name: str) -> None:
        queue = self.sim.keys.queue(name, self.pool_id)
        raw = _run(self.sim, "fetch", _FETCH, tuple(queue), self.pool_id)
        if isinstance(raw, bytes) and raw:
            self._begin(name, raw)

    def _begin(self, name: str, raw: bytes) -> None:
        job, settled = wire.read(raw), raw
        if job.unique:
            key = self.sim.keys.unique_of(job).encode()
            value = self.sim.server.read(("GET", key))
            self.sim.server.execute([("DEL", key)])
            if isinstance(value, bytes) and value.startswith(b"{"):
                settled = value  # the entry of the job that was fetched stays
                if value != raw:
                    self._replaced.append(job.id)
        self._held += 1
        self.sim.at(self.sim.now + self.jobs[name], self._settle, name, settled)

    def _settle(self, name: str, raw: bytes) -> None:
        if self._alive:
            queue = self.sim.keys.queue(name, self.pool_id)
            keys = (queue.inprogress, queue.lock, queue.lock_info, _ran(self.sim))
            _run(self.sim, "settle", _SETTLE, keys, self.pool_id, raw, wire.read(raw).id)
            self._held -= 1

    # Duties.

    def _move(self) -> None:
        keys, now_s = self.sim.keys, int(self.sim.now_s)
        for key in (keys.scheduled, keys.retry):
            due = self.sim.server.read(("ZRANGEBYSCORE", key, 0, now_s, "LIMIT", 0, 20))
            for raw in due if isinstance(due, list) else ():
                job = json.loads(raw)
                if job["name"] in self.jobs:
                    fields = {"t": now_s, "args": job.pop("args", None), **job} | {"t": now_s}
                    new = json.dumps(fields, separators=(",", ":")).encode()
                    _run(self.sim, "move", _MOVE, (key, keys.jobs(job["name"])), raw, new)

    def _plan(self) -> None:
        keys, now_s = self.sim.keys, int(self.sim.now_s)
        for every_s, name in self.every_s.items():
            spec = f"@every {every_s}s"
            for at_s in range((now_s // every_s + 1) * every_s, now_s + _HORIZON_S, every_s):
                slot = f"periodic:{name}:{spec}:{at_s}"
                raw = wire.encode(name, slot, at_s, b"null")
                _run(self.sim, "plan", _PLAN, (keys.scheduled, _planned(self.sim)), at_s, raw, slot)
        self.sim.server.execute([("SET", keys.last_periodic_enqueue, now_s)])

    def _reap(self) -> None:
        keys = self.sim.keys
        for member in self.sim.server.read(("SMEMBERS", keys.worker_pools)):
            pool_id = member.decode()
            beat = self.sim.server.read(("HGET", keys.pool(pool_id), "heartbeat_at"))
            if beat is None or int(beat) + _DEAD_S > self.sim.now_s:
                continue
            names = self.sim.server.read(("HGET", keys.pool(pool_id), "job_names")) or b""
            for name in names.decode().split(","):
                requeue(self.sim, pool_id, name)
            self._leave(pool_id)
