"""The checker that heartbeats say what a pool is and does."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import Any, Final

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import HandlerRun, RedisChange

__all__ = ["HeartbeatsAreTrue"]

#: A pool has compared its clock with the server's since its last fault, seconds.
_RECOVERS_S: Final = 10.0
#: Clocks are right up to a second, and times are whole seconds.
_NEAR_S: Final = 2.5
#: A heartbeat arrives within this time, on a line that is not slow; seconds.
_ARRIVES_S: Final = 1.0
#: A heartbeat follows the one before after 4 s; the rest is for its connection, seconds.
_EVERY_S: Final = 6.0
_FIELDS: Final = (
    "fence", "heartbeat_at", "job_names", "concurrency", "worker_ids", "host", "pid", "limits",
    "workkit", "started_at",
)  # fmt: skip


class HeartbeatsAreTrue(Checker):
    """A pool's heartbeat has its jobs, its workers, its limits, its host, and the time.

    It has these facts from its registration to its end, and says since when the pool runs, and how
    many handlers it runs. While requests take time, as they do as long as faults are planned, a
    pool sends one every four seconds; a calm world postpones them.
    """

    rule = "heartbeats say what a pool is"

    def __init__(self) -> None:
        self._changed_s: dict[str, float] = {}
        self._since_s: dict[int, float] = {}
        self._newest_s: dict[str, float] = {}  # pool -> its newest heartbeat in a world with faults
        self._claimed_s: dict[tuple[str, str], float] = {}  # pool and job -> its newest claim

    def changed(self, change: RedisChange) -> None:
        """Compare a heartbeat with the pool that has sent it."""
        for move in change.moves:
            if move.was_claimed:
                self._claimed_s[change.pool, move.job_id] = self.scene.now_s()
        if change.command not in {"beat", "register"} or not change.pool:
            return
        key = self.scene.keys.pool(self.scene.pool_id(change.pool))
        if key not in change.keys:
            return  # of a former process, or under a former id: it has arrived late
        self._check_pace(change.pool)
        said = dict(zip(_FIELDS, self.scene.read("HMGET", key, *_FIELDS), strict=True))
        if said["fence"] is None:
            return  # the script has written nothing: the pool is not registered any more
        missing = [field for field, value in said.items() if value is None]
        if missing:
            self.violated(f"the heartbeat of {change.pool} has no {', '.join(missing)}")
        self._check_facts(change.pool, said)
        self._check_times(change.pool, said)
        if change.command == "beat":
            self._check_busy(change.pool, key)

    def started(self, run: HandlerRun) -> None:
        """Record that the number of a pool's handlers changes."""
        self._changed_s[run.pool] = self._since_s[run.number] = self.scene.now_s()

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record that the number of a pool's handlers changes."""
        del error
        self._changed_s[run.pool] = self.scene.now_s()
        self._since_s.pop(run.number, None)

    def _may_be_given_up(self, run: HandlerRun) -> bool:
        """Tell whether a handler has passed its timeout; it does not count when it is given up."""
        timeout_s, since_s = run.options.timeout, self._since_s.get(run.number, 0.0)
        return timeout_s is not None and self.scene.now_s() - since_s >= timeout_s

    def _check_busy(self, pool: str, key: bytes) -> None:
        scene, conditions = self.scene, self.scene.conditions
        still_s = scene.now_s() - self._changed_s.get(pool, 0.0)
        arrives_s = _ARRIVES_S + 2 * conditions.slowness_s()
        if min(still_s, conditions.undisturbed_s(pool) - _RECOVERS_S) < arrives_s:
            return
        pool_id = scene.pool_id(pool)
        running = [run for run in scene.running.values() if run.pool == pool]
        least = sum(
            any(each.place.pool_id == pool_id for each in scene.where(run.job_id))
            for run in running
            if not self._may_be_given_up(run)
        )
        queues = conditions.spec(pool).registrations
        held = sum(scene.held(queue).get(pool_id, 0) for queue in queues)
        # Handlers go on whose jobs were taken from the pool; it may have claimed these again.
        newest = {run.job_id: run.number for run in sorted(running, key=attrgetter("number"))}
        ghosts = sum(
            not any(each.place.pool_id == pool_id for each in scene.where(run.job_id))
            or run.number < newest[run.job_id]
            or self._since_s.get(run.number, 0.0) < self._claimed_s.get((pool, run.job_id), 0.0)
            for run in running
        )
        busy = int(scene.read("HGET", key, "busy") or 0)
        if not least <= busy <= held + ghosts:
            self.violated(f"{pool} says that it runs {busy} handlers, it runs {len(running)}")

    def _check_pace(self, pool: str) -> None:
        conditions, now_s = self.scene.conditions, self.scene.now_s()
        slow_s = conditions.slowness_s()
        before_s = self._newest_s.pop(pool, now_s)
        if not slow_s:
            return
        self._newest_s[pool] = now_s
        gap_s = now_s - before_s
        least_s = min(conditions.undisturbed_s(pool) - _RECOVERS_S, conditions.runs_s(pool))
        if _EVERY_S + 10 * slow_s < gap_s < least_s:
            self.violated(f"{pool} has sent no heartbeat for {gap_s:.1f} s")

    def _check_facts(self, pool: str, said: dict[str, Any]) -> None:
        spec = self.scene.conditions.spec(pool)
        workers = said["worker_ids"].split(b",")
        limits = {
            name: each.options.max_concurrency
            for name, each in spec.registrations.items()
            if each.options.max_concurrency
        }
        is_right = {
            "job_names": said["job_names"].decode().split(",")
            == (sorted(spec.registrations) or [""]),
            "concurrency": int(said["concurrency"]) == spec.concurrency,
            "worker_ids": len(set(workers)) == len(workers) == spec.concurrency,
            "host": said["host"].decode() == pool,
            "limits": json.loads(said["limits"]) == limits,
        }
        for field, right in is_right.items():
            if not right:
                self.violated(f"the heartbeat of {pool} has {said[field]!r} as its {field}")

    def _check_times(self, pool: str, said: dict[str, Any]) -> None:
        conditions = self.scene.conditions
        undisturbed_s, runs_s = conditions.undisturbed_s(pool), conditions.runs_s(pool)
        near_s = _NEAR_S + 5 * conditions.slowness_s()
        off_s = int(said["heartbeat_at"]) - self.scene.true_s()
        if undisturbed_s > _RECOVERS_S and abs(off_s) > near_s:
            self.violated(f"the heartbeat of {pool} has a time {off_s:+g} s from now")
        started_s = int(said["started_at"]) - self.scene.true_s() + runs_s
        if 0 < runs_s <= undisturbed_s and abs(started_s) > near_s:
            self.violated(f"the heartbeat of {pool} says that it started {started_s:+g} s later")
