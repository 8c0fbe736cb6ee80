"""Checkers: outcomes reach Redis, and a pool that cannot work any more ends."""

from __future__ import annotations

from typing import Final

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import HandlerRun, RedisChange

__all__ = ["FormerIdsAreGone", "OutcomesArrive", "PoolsWithoutWorkersEnd"]

#: An outcome is in Redis within this time after the last fault, seconds.
_SETTLED_S: Final = 20.0
#: A pool of which all workers were given up ends within this time after the last one: a handler is
#: given up after 2 s, then the pool returns its jobs within 5 s, and has left within 3 s.
_ENDS_S: Final = 12.0
#: A pool that registers again has left the set of pools under its former id within this time.
_GONE_S: Final = 10.0
#: A pool needs this long to work after a fault or a start, seconds.
_RECOVERS_S: Final = 10.0
#: A pool sends fewer requests than this, one after the other, each on a line that may be slow.
_REQUESTS: Final = 25


class OutcomesArrive(Checker):
    """A job whose handler has ended leaves its pool's list within 20 s after the last fault.

    So no outcome is forgotten, also if it came while the reply to an exchange was lost. Where the
    key of a set has a wrong type, the pool waits until it is repaired.
    """

    rule = "an outcome reaches Redis"

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], int] = {}  # pool and job -> the run of its claim
        self._ended: dict[tuple[str, str], float] = {}  # pool and job -> when that has ended

    def started(self, run: HandlerRun) -> None:
        """Record a run; one of a job that another pool has taken does not count any more."""
        self._ended.pop((run.pool, run.job_id), None)
        self._runs[run.pool, run.job_id] = run.number

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record when a handler ends."""
        del error
        if self._runs.get((run.pool, run.job_id)) == run.number:
            self._ended[run.pool, run.job_id] = self.scene.now_s()

    def changed(self, change: RedisChange) -> None:
        """Follow the jobs that leave the lists of pools, and look which stay there."""
        scene = self.scene
        for move in change.moves:
            before = move.before
            if before is not None and move.left("in progress"):
                held = scene.host(before.place.pool_id), before.job_id
                self._ended.pop(held, None)
                self._runs.pop(held, None)
        if change.command != "beat" or not self._ended:
            return
        most_s = _SETTLED_S + _REQUESTS * scene.conditions.slowness_s()
        for (pool, job_id), ended_s in list(self._ended.items()):
            ago_s = scene.now_s() - ended_s
            if ago_s > most_s and scene.conditions.undisturbed_s(pool) > most_s:
                self._look(pool, job_id, ago_s)

    def _look(self, pool: str, job_id: str, ago_s: float) -> None:
        scene = self.scene
        if any(
            each.place.kind == "in progress" and scene.host(each.place.pool_id) == pool
            for each in scene.where(job_id)
        ):
            keys = scene.keys.retry, scene.keys.dead
            if all(scene.read("TYPE", key) in {b"zset", b"none"} for key in keys):
                self.violated(
                    f"its handler has ended {ago_s:.1f} s ago, and {pool} holds it", job_id
                )
        else:
            del self._ended[pool, job_id]

    def crashed(self, pool: str) -> None:
        """Forget what a process that is gone had to settle."""
        self._ended = {each: at_s for each, at_s in self._ended.items() if each[0] != pool}
        self._runs = {each: number for each, number in self._runs.items() if each[0] != pool}

    def left(self, pool: str) -> None:
        """Forget what a process that is gone had to settle."""
        self.crashed(pool)

    def wiped(self) -> None:
        """Forget everything, as Redis has."""
        self._ended.clear()
        self._runs.clear()


class PoolsWithoutWorkersEnd(Checker):
    """A pool that has given up as many handlers as it has workers ends, to be started again.

    A handler is given up 2 s after its timeout. It occupies a thread that nobody can end.
    """

    rule = "a pool without workers ends"

    def __init__(self) -> None:
        self._since: dict[str, dict[int, float]] = {}  # pool -> run -> when it passes its timeout

    def started(self, run: HandlerRun) -> None:
        """Record a run with a timeout."""
        if run.options.timeout is not None:
            ends_s = self.scene.now_s() + run.options.timeout
            self._since.setdefault(run.pool, {})[run.number] = ends_s

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Forget a run."""
        del error
        self._since.get(run.pool, {}).pop(run.number, None)

    def changed(self, change: RedisChange) -> None:
        """Look which pools have no worker left."""
        scene = self.scene
        if change.command != "beat":
            return
        for pool, runs in self._since.items():
            workers = scene.conditions.spec(pool).concurrency
            if len(runs) < workers:
                continue
            ago_s = scene.now_s() - sorted(runs.values())[workers - 1]
            most_s = _ENDS_S + _REQUESTS * scene.conditions.slowness_s()
            if ago_s > most_s and scene.conditions.undisturbed_s(pool) > ago_s + _RECOVERS_S:
                self.violated(f"{workers} handlers of {pool} do not stop, and it goes on")

    def crashed(self, pool: str) -> None:
        """Forget the runs of a process that is gone."""
        self._since.pop(pool, None)

    def left(self, pool: str) -> None:
        """Forget the runs of a process that is gone."""
        self._since.pop(pool, None)


class FormerIdsAreGone(Checker):
    """A pool that registers again is not in the set of pools under its former id."""

    rule = "a pool is registered once"

    def __init__(self) -> None:
        self._now: dict[str, str] = {}  # pool -> its id
        self._former: dict[str, tuple[str, float]] = {}  # former id -> pool, since when

    def changed(self, change: RedisChange) -> None:
        """Record ids, and look which of them are still in the set of pools."""
        scene = self.scene
        new = scene.pool_id(change.pool)
        # Otherwise the process that has sent it has crashed meanwhile.
        if change.command == "register" and new == change.subject:
            old = self._now.get(change.pool)
            if old is not None and old != new:
                self._former[old] = change.pool, scene.now_s()
            self._now[change.pool] = new
        if change.command != "beat" or not self._former:
            return
        for old, (pool, since_s) in list(self._former.items()):
            if not scene.read("SISMEMBER", scene.keys.worker_pools, old):
                del self._former[old]
                continue
            ago_s = scene.now_s() - since_s
            most_s = _GONE_S + _REQUESTS * scene.conditions.slowness_s()
            if ago_s > most_s and scene.conditions.undisturbed_s(pool) > most_s:
                self.violated(f"{pool} has another id since {ago_s:.1f} s, and {old[-6:]} stays")

    def crashed(self, pool: str) -> None:
        """Forget a process that is gone; another pool removes its ids."""
        self._now.pop(pool, None)
        self._former = {old: each for old, each in self._former.items() if each[0] != pool}

    def left(self, pool: str) -> None:
        """Forget a process that is gone."""
        self.crashed(pool)

    def wiped(self) -> None:
        """Forget everything, as Redis has."""
        self._former.clear()
