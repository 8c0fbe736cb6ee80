"""Recovers the jobs of pools that died.

A pool is dead when its `heartbeat_at` has not changed for 12 s on this reaper's monotonic clock,
watched without a gap. Wall clocks of two hosts are never compared. An outage of Redis proves
nothing about pools. Neither does a server that refuses writes, such as a replica during a failover.
So silence counts only while the reaper's own heartbeat arrives. The script that moves the jobs
checks the heartbeat once more.
"""

from __future__ import annotations

import logging
from bisect import bisect
from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from workkit.core import job as wire
from workkit.core.batching import batches
from workkit.core.clock import Instant
from workkit.core.fingerprint import fingerprint
from workkit.core.history import Record
from workkit.core.liveness import DEAD_S, SUSPECT_S
from workkit.core.undecodable import bury_undecodable
from workkit.engine.duties.callbacks import Callbacks
from workkit.engine.handling.events import ReapedPool
from workkit.engine.handling.failures import headline
from workkit.engine.process.identity import Identity
from workkit.engine.process.sources import Sources
from workkit.errors import Undecodable
from workkit.store.calls import beat, reap
from workkit.store.calls.beat import Beat
from workkit.store.calls.reap import Recoverable
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["Reaper"]

_log = logging.getLogger("workkit")

_EVERY_S: Final = 3.0
#: After a longer gap between two looks, the earlier one proves nothing, seconds.
_GAP_S: Final = 7.0
#: At most this many jobs go back with one script call, and about this many bytes of them; the
#: call has each job twice.
_BATCH: Final = 200
_BATCH_BYTES: Final = 4 * 1024 * 1024
_RAW: Final = attrgetter("raw")
#: In a large fleet each pool watches this many others; otherwise the cost would be quadratic.
_NEIGHBOURS: Final = 8


class Reaper:
    """Watches all pools of a namespace.

    Args:
        keys: The namespace.
        identity: This pool, which does not watch itself.
        sources: The times of heartbeats, ids for buried members, and jitter.
        callbacks: Hear what the reaper finds, and take its records.
        job_names: This pool's job names.
        max_recoveries: A job that was recovered this often goes to the dead set.
    """

    name = "reaper"

    def __init__(
        self,
        keys: Keys,
        identity: Identity,
        sources: Sources,
        callbacks: Callbacks,
        *,
        job_names: Iterable[str],
        max_recoveries: int,
    ) -> None:
        self._keys = keys
        self._identity = identity
        self._job_names = set(job_names)
        self._max_recoveries = max_recoveries
        self._clock = sources.clock
        self._entropy = sources.entropy
        self._callbacks = callbacks
        self._watched: dict[str, tuple[str, float]] = {}
        self._suspects: dict[str, set[str]] = {}
        self._looked_at = float("-inf")
        self._watches_all_until_s = float("-inf")

    def suspect(self, pool_id: str, job_name: str) -> None:
        """Watch a pool that holds jobs but is not registered."""
        self._suspects.setdefault(pool_id, set()).add(job_name)

    @property
    def has_suspects(self) -> bool:
        """Whether it watches pools that hold jobs but are not registered."""
        return bool(self._suspects)

    def step(self, now: Instant) -> Step[float]:
        """Read heartbeats; recover the jobs of pools that are dead."""
        own_id = self._identity.pool_id
        registered = yield from beat.registered(self._keys)
        taken_out = self._identity.started_at and own_id not in registered
        if taken_out and own_id == self._identity.pool_id:
            self._callbacks.expelled()
        watched = self._watchlist(registered, now) | set(self._suspects)
        beats = (yield from beat.heartbeats(self._keys, sorted(watched))) if watched else {}
        if now.monotonic_s - self._looked_at > _GAP_S or not self._callbacks.is_heard():
            self._watched.clear()
        self._looked_at = now.monotonic_s
        # A heartbeat may have been written while the reply was under way.
        read_s = self._clock.read().monotonic_s
        dead = []
        for pool_id, heartbeat in beats.items():
            before = self._watched.get(pool_id)
            if before is None or before[0] != heartbeat.heartbeat_at:
                self._watched[pool_id] = (heartbeat.heartbeat_at, read_s)
            elif now.monotonic_s - before[1] >= DEAD_S:
                dead.append((pool_id, heartbeat))
        for pool_id in set(self._watched) - set(beats):
            del self._watched[pool_id]
        for pool_id, heartbeat in dead:
            yield from self.recover(pool_id, heartbeat, now)
            # The time that recoveries take is no gap: Redis has answered meanwhile.
            answered_s = self._clock.read().monotonic_s
            if answered_s - self._looked_at <= _GAP_S:
                self._looked_at = answered_s
        return _EVERY_S * self._entropy.uniform(0.8, 1.0)

    def _watchlist(self, registered: set[str], now: Instant) -> set[str]:
        """Choose the pools to watch: the next in the ring of ids, or all if one is silent."""
        own_id = self._identity.pool_id
        others = sorted(registered - {own_id})
        # If one host dies, all watchers of a pool may be among the dead. So one suspect makes its
        # watchers watch every pool, for so long that those that are dead become suspects too: the
        # first one may be recovered, and gone, before that.
        if any(now.monotonic_s - since >= SUSPECT_S for _, since in self._watched.values()):
            self._watches_all_until_s = now.monotonic_s + DEAD_S
        if len(others) > _NEIGHBOURS and now.monotonic_s >= self._watches_all_until_s:
            at = bisect(others, own_id)
            others = [*others[at:], *others[:at]][:_NEIGHBOURS]
        return set(others)

    def recover(self, pool_id: str, heartbeat: Beat, now: Instant) -> Step[None]:
        """Return a dead pool's jobs and forget the pool, unless its heartbeat has changed.

        Args:
            pool_id: The pool.
            heartbeat: The heartbeat that has not changed.
            now: The time.
        """
        known = yield from beat.known_jobs(self._keys)
        names = known | self._job_names | self._suspects.get(pool_id, set())
        names |= {name for name in heartbeat.job_names.split(",") if name}
        ordered = sorted(names)
        held = yield from reap.in_progress(self._keys, pool_id, ordered)
        if not heartbeat.heartbeat_at and not (yield from self._drop_ghosts(pool_id, held)):
            return
        requeued = died = 0
        for name, raws in held.items():
            jobs = [self._recoverable(raw, name, now) for raw in raws]
            for batch in batches(jobs, _RAW, _BATCH, _BATCH_BYTES):
                outcome = yield from reap.reap(
                    self._keys,
                    pool_id,
                    name,
                    batch,
                    heartbeat_at=heartbeat.heartbeat_at,
                    now_s=now.epoch_s,
                    max_recoveries=self._max_recoveries,
                )
                if outcome.status == "alive":
                    return
                if outcome.status == "type":
                    _log.error("queue %r: its key has a wrong type; jobs stay in progress", name)
                for job, fate in zip(batch, outcome.fates, strict=False):
                    if fate != "-":
                        self._callbacks.remember(_record(job, fate == "d", pool_id, now))
                requeued += outcome.requeued
                died += outcome.died
        left = yield from reap.forget(self._keys, pool_id, ordered, heartbeat)
        if left == 0:
            self._watched.pop(pool_id, None)
            self._suspects.pop(pool_id, None)
        if requeued or died or left == 0:
            self._callbacks.reaped(ReapedPool(pool_id, requeued, died))

    def _drop_ghosts(self, pool_id: str, held: dict[str, list[bytes]]) -> Step[bool]:
        """Remove jobs that have run from the lists of a Go pool that has stopped.

        If an update has replaced a unique job, Go settles the update and leaves the list entry of
        the replaced job. Only the pool's counts distinguish such entries from held jobs, and only
        if they match: if the count equals the number of jobs that are not unique, all unique ones
        have run. A killed pool may have released too much, so its counts prove nothing.

        Args:
            pool_id: A pool without a heartbeat.
            held: Its lists; removed jobs are taken out of them.

        Returns:
            Whether the pool has not changed.
        """
        counts = (yield from reap.held_counts(self._keys, pool_id, list(held))) if held else {}
        for name, count in counts.items():
            ghosts = [raw for raw in held[name] if _is_unique(raw)]
            if not ghosts or count != len(held[name]) - len(ghosts):
                continue
            for batch in batches(ghosts, bytes, _BATCH, _BATCH_BYTES):
                gone = yield from reap.drop_ghosts(self._keys, pool_id, name, batch, count)
                if gone < 0:
                    return False
                _log.warning(
                    "Go pool %r: %d jobs of queue %r had run in newer versions; the entries of the "
                    "old versions are removed from its list",
                    pool_id, gone, name,
                )  # fmt: skip
            held[name] = [raw for raw in held[name] if not _is_unique(raw)]
        return True

    def _recoverable(self, raw: bytes, name: str, now: Instant) -> Recoverable:
        try:
            job = wire.decode(raw)
        except Undecodable as reason:
            job_id = self._entropy.identifier()
            return Recoverable(
                raw, "", bury_undecodable(raw, name, str(reason), job_id, now.epoch_s)
            )
        error = (
            f"PoolDied: the worker process died {self._max_recoveries} times while it held this "
            "job; the job itself may be the cause"
        )
        dead = wire.failed(raw, job.fails + 1, error, now.epoch_s)
        unique_key = self._keys.unique_of(job) if job.unique else ""
        # A job that has run released its key when it began; another job may hold it now.
        own = wire.has_run(job) or job.unique_until == "done"
        own_id = wire.id_text(job) if own else ""
        return Recoverable(raw, job.id, dead, wire.slot_of(job), unique_key, own_id)


def _is_unique(raw: bytes) -> bool:
    """Tell whether bytes are a unique job."""
    try:
        return wire.read(raw).unique
    except Undecodable:
        return False


def _record(job: Recoverable, died: bool, pool_id: str, now: Instant) -> Record:
    """Make the history record of a job that a dead pool held, from the job's bytes."""
    known = wire.decode(job.dead)
    error = known.last_err if died else f"PoolDied: pool {pool_id} died while it held this job"
    return Record(
        known.id,
        known.name,
        known.enqueued_at,
        0,
        now.epoch_ms,
        "dead" if died else "recovered",
        known.fails if died else known.fails - 1,
        headline(error),
        fingerprint(error),
        reason="pool died" if job.job_id else "undecodable",
    )
