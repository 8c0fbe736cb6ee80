"""The checker that heartbeats say what a pool is."""

from __future__ import annotations

import json
from typing import Any, Final

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import RedisChange

__all__ = ["HeartbeatsAreTrue"]

#: A pool has compared its clock with the server's since its last fault, seconds.
_RECOVERS_S: Final = 10.0
#: Clocks are right up to a second, and times are whole seconds.
_NEAR_S: Final = 2.5
_FIELDS: Final = (
    "fence", "heartbeat_at", "job_names", "concurrency", "worker_ids", "host", "pid", "limits",
    "workkit", "started_at",
)  # fmt: skip


class HeartbeatsAreTrue(Checker):
    """A pool's heartbeat has its jobs, its workers, its limits, its host, and the time.

    It has these facts from its registration to its end, and says since when the pool runs.
    """

    rule = "heartbeats say what a pool is"

    def changed(self, change: RedisChange) -> None:
        """Compare a heartbeat with the pool that has sent it."""
        if change.command not in {"beat", "register"} or not change.pool:
            return
        key = self.scene.keys.pool(self.scene.pool_id(change.pool))
        if key not in change.keys:
            return  # of a former process, or under a former id: it has arrived late
        said = dict(zip(_FIELDS, self.scene.read("HMGET", key, *_FIELDS), strict=True))
        if said["fence"] is None:
            return  # the script has written nothing: the pool is not registered any more
        missing = [field for field, value in said.items() if value is None]
        if missing:
            self.violated(f"the heartbeat of {change.pool} has no {', '.join(missing)}")
        self._check_facts(change.pool, said)
        self._check_times(change.pool, said)

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
