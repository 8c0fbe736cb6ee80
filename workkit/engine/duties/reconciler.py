"""Repairs the namespace's locks, limits and orphaned in-progress lists.

One pool at a time does this for all. It recomputes locks from the in-progress lists, so that wrong
counts left by a crash, a failover or a Go pool are gone within a minute.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Final

from workkit.core.clock import Instant
from workkit.core.entropy import Entropy
from workkit.engine.duties.reaper import Reaper
from workkit.engine.process.identity import Identity
from workkit.errors import ServerRefused
from workkit.store.calls import beat, recount
from workkit.store.calls.beat import Beat
from workkit.store.calls.recount import LockState
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["Reconciler"]

_log = logging.getLogger("workkit")

_EVERY_S: Final = 60.0
#: One pass out of this many checks all locks; the others check only those that are not free.
_ALL_EVERY: Final = 5
_RETRY_RECOUNT: Final = 3
#: The fields of a registered pool that has sent no heartbeat yet.
_NO_BEAT: Final = Beat("", "", "", "")
#: The most scan steps through all keys per pass.
_STEPS: Final = 100


class Reconciler:
    """Corrects locks and limits, and reports orphans to the reaper.

    Args:
        keys: The namespace.
        identity: This pool.
        reaper: Watches pools that hold jobs but are not registered.
        entropy: For the jitter.
    """

    name = "reconciler"

    def __init__(self, keys: Keys, identity: Identity, reaper: Reaper, entropy: Entropy) -> None:
        self._keys = keys
        self._identity = identity
        self._reaper = reaper
        self._entropy = entropy
        self._cursor = 0
        self._logged: set[str] = set()  # names of undeclared limits
        self._passes = 0
        self._scan_refused = False

    def step(self, now: Instant) -> Step[float]:
        """Reconcile, if this pool has the lease."""
        del now
        lives_ms = int(_EVERY_S * 900)
        if (yield from recount.lease(self._keys, self._identity.pool_id, "reconciler", lives_ms)):
            registered = yield from beat.registered(self._keys)
            beats = yield from beat.heartbeats(self._keys, sorted(registered))
            ours = {pool_id for pool_id, heartbeat in beats.items() if heartbeat.limits}
            yield from self._locks(registered, ours)
            yield from self._limits(beats)
            yield from self._orphans(registered)
        return _EVERY_S * self._entropy.uniform(0.9, 1.1)

    def _locks(self, registered: set[str], ours: set[str]) -> Step[None]:
        names = sorted((yield from beat.known_jobs(self._keys)))
        if not names:
            return
        if self._passes % _ALL_EVERY:
            names = yield from recount.held_locks(self._keys, names)
        self._passes += 1
        states = yield from recount.locks(self._keys, names)
        for name, state in states.items():
            for pool_id in state.info:
                if pool_id not in registered:
                    self._reaper.suspect(pool_id, name)
            if state.info or state.lock:
                yield from self._recount(name, state, registered, ours)

    def _recount(
        self, name: str, state: LockState, registered: set[str], ours: set[str]
    ) -> Step[None]:
        pool_ids = set(state.info) | registered
        for _ in range(_RETRY_RECOUNT):
            kinds = {pool_id: _kind(pool_id, registered, ours) for pool_id in sorted(pool_ids)}
            result = yield from recount.recount(self._keys, name, kinds)
            if result is not None:
                before, after, _ = result
                if before != after:
                    _log.warning("queue %r: its lock was %d, %d are held", name, before, after)
                return
            # There is a pool that we did not know: read again.
            fresh = yield from recount.locks(self._keys, [name])
            pool_ids |= set(fresh[name].info)
            ours |= set(fresh[name].info) - registered

    def _limits(self, beats: Mapping[str, Beat]) -> Step[None]:
        """Lift limits that workkit has written for jobs that no live pool handles any more.

        A Go pool writes its limit only when it starts, and no pool declares that it relies on one.
        So a limit stays while any pool may rely on it.
        """
        written = yield from recount.written_limits(self._keys)
        if not written or any(heartbeat == _NO_BEAT for heartbeat in beats.values()):
            return  # a pool without a heartbeat may need any of them
        # This pool may just have been reaped, and register again soon.
        declared = set(self._identity.limits)
        handled = declared.copy()
        for heartbeat in beats.values():
            declared.update(_names(heartbeat.limits))
            handled.update(declared, heartbeat.job_names.split(","))
        for name, limit in written.items():
            if name in handled:
                self._warn_of_undeclared(name, limit, declared)
            elif (yield from recount.lift_limit(self._keys, name, limit)):
                _log.info("queue %r: limit %s lifted: no pool handles such jobs", name, limit)

    def _warn_of_undeclared(self, name: str, limit: str, declared: set[str]) -> None:
        """Log once that a limit is in force that no live workkit pool declares."""
        if name in declared:
            self._logged.discard(name)
        elif name not in self._logged:
            self._logged.add(name)
            _log.warning(
                "queue %r: no live pool declares the limit of %s any more; it stays, since pools "
                "that handle such jobs may rely on it (`workkit doctor --repair` lifts it if all "
                "of them are workkit's)",
                name,
                limit,
            )

    def _orphans(self, registered: set[str]) -> Step[None]:
        """Scan part of the keyspace for in-progress lists whose pool has left no other trace.

        A small keyspace is scanned completely each time; millions of other keys are scanned within
        half an hour. One step keeps the server busy for about a millisecond.
        """
        for _ in range(_STEPS):
            try:
                self._cursor, found = yield from recount.scan_in_progress(self._keys, self._cursor)
            except ServerRefused as error:
                if not self._scan_refused:
                    _log.warning("cannot scan for lists whose pool left no trace: %s", error)
                self._scan_refused = True
                return
            for name, pool_id in found:
                if pool_id not in registered:
                    self._reaper.suspect(pool_id, name)
            if not self._cursor:
                return


def _kind(pool_id: str, registered: set[str], ours: set[str]) -> str:
    if pool_id in ours:
        return "ours"
    return "peer" if pool_id in registered else "none"


def _names(limits: str) -> list[str]:
    try:
        return list(json.loads(limits or "{}"))
    except (ValueError, TypeError):
        return []
