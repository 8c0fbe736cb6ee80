"""Checkers of pools: what they hold, limit and recover, and how they end."""

from __future__ import annotations

import math
from typing import Final

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import RESTORED, HandlerRun, Move, RedisChange

__all__ = [
    "ForgottenPoolsHoldNothing",
    "HandlersAreGivenUp",
    "LimitsAreStated",
    "RecoveriesGrow",
    "StopsEndInTime",
]

#: A pool states its limits with each heartbeat: within this time, seconds.
_STATED_S: Final = 10.0
#: A pool that returns its jobs has left within this time, and a second for its last requests.
_STOPS_S: Final = 3.0
#: While Redis does not answer, it has left within this time more: two requests time out, seconds.
_OUTAGE_S: Final = 20.0
#: A pool needs this long to work after a fault or a start, seconds.
_RECOVERS_S: Final = 10.0
#: A handler that does not stop at its timeout is given up after this long, seconds.
_GRACE_S: Final = 2.0
#: And its job is settled within this time, seconds.
_SETTLED_S: Final = 5.0
#: An async handler is cancelled within this time after its timeout, seconds.
_LATE_S: Final = 0.5
_EVERY_S: Final = 0.5
_ROUNDING_S: Final = 0.001


class ForgottenPoolsHoldNothing(Checker):
    """A pool that leaves, or is removed after its death, holds no jobs and no locks.

    With the first of its jobs, a dead pool loses its fence: if it lives, it may not go on. Nor are
    the workers of a dead pool observed any more. A pool that stops by itself, and has had no fault,
    has given back what it held.
    """

    rule = "a forgotten pool holds nothing"

    def __init__(self) -> None:
        self._workers: dict[str, list[str]] = {}

    def left(self, pool: str) -> None:
        """Look at a pool whose process ends by itself."""
        scene = self.scene
        if scene.conditions.undisturbed_s(pool) < _RECOVERS_S:
            return
        for held in scene.standing("in progress"):
            if held.place.pool_id == scene.pool_id(pool):
                self.violated(f"{pool} has stopped and holds it", held.job_id)

    def changed(self, change: RedisChange) -> None:
        """Look at a pool that is removed, and at one that loses jobs."""
        if change.command == "reap" and change.moves:
            self._loses(change.subject, change.moves[0].job_id)
        if change.command == "register":
            pool_id = change.subject
            ids = self.scene.read("HGET", self.scene.keys.pool(pool_id), "worker_ids") or b""
            self._workers[pool_id] = ids.decode().split(",")
        if change.command in {"forget", "leave"}:
            self._removed(change)

    def _loses(self, pool_id: str, job_id: str) -> None:
        if self.scene.read("HEXISTS", self.scene.keys.pool(pool_id), "fence"):
            self.violated(f"pool {pool_id[-6:]} loses it, and keeps its fence", job_id)

    def _removed(self, change: RedisChange) -> None:
        scene = self.scene
        pool_id = change.subject
        if scene.read("SISMEMBER", scene.keys.worker_pools, pool_id):
            return
        if scene.read("EXISTS", scene.keys.pool(pool_id)):
            self.violated(f"pool {pool_id[-6:]} is removed and its heartbeat stays")
        for queue in scene.queues():
            if scene.held(queue).get(pool_id):
                held = [
                    each
                    for each in scene.standing("in progress", queue)
                    if each.place.pool_id == pool_id
                ]
                self.violated(f"pool {pool_id[-6:]} is removed and holds it", held[0].job_id)
            if scene.read("HEXISTS", scene.keys.queue(queue, "").lock_info, pool_id):
                self.violated(f"pool {pool_id[-6:]} is removed and locks {queue!r}")
        is_newest = scene.pool_id(scene.host(pool_id)) == pool_id
        for worker in self._workers.get(pool_id, ()) if change.command == "forget" else ():
            key = scene.keys.worker(worker)
            if is_newest and key in change.keys and scene.read("EXISTS", key):
                self.violated(f"pool {pool_id[-6:]} is removed and worker {worker[-6:]} observed")


class StopsEndInTime(Checker):
    """A pool that stops with a timeout has returned its jobs, and left, within two seconds more.

    It returns no job whose handler had ended by then. If Redis does not answer, the pool leaves
    without returning its jobs, within 20 s more.

    A pool that has a fault may take longer.
    """

    rule = "a stop ends in time"

    def __init__(self) -> None:
        self._since: dict[str, tuple[float, float]] = {}  # pool -> when, timeout
        self._gives_back_s: dict[str, float] = {}
        self._ended: dict[tuple[str, str], float] = {}
        self._next_s = 0.0

    def stopping(self, pool: str, timeout_s: float | None) -> None:
        """Record a stop."""
        if timeout_s is not None:
            now_s = self.scene.now_s()
            self._since[pool] = now_s, timeout_s
            before_s = self._gives_back_s.get(pool, math.inf)
            self._gives_back_s[pool] = min(before_s, now_s + timeout_s)

    def started(self, run: HandlerRun) -> None:
        """Record that a job runs."""
        self._ended.pop((run.pool, run.job_id), None)

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record when a handler ends."""
        del error
        self._ended[run.pool, run.job_id] = self.scene.now_s()

    def _returned(self, pool: str, job_id: str) -> None:
        ended_s = self._ended.get((pool, job_id), math.inf)
        age_s = self.scene.now_s() - ended_s
        undisturbed_s = self.scene.conditions.undisturbed_s(pool)
        if ended_s < self._gives_back_s[pool] - _ROUNDING_S and undisturbed_s > age_s + _RECOVERS_S:
            self.violated(f"{pool} returns it, and its handler has ended {age_s:.3f} s ago", job_id)

    def left(self, pool: str) -> None:
        """Look how long a stop has taken."""
        self._look(pool)
        self.crashed(pool)

    def crashed(self, pool: str) -> None:
        """Forget a process that is gone."""
        self._since.pop(pool, None)
        self._gives_back_s.pop(pool, None)

    def changed(self, change: RedisChange) -> None:
        """Look how long stops take, and what stopping pools return."""
        for move in change.moves:
            if move.was_claimed:  # again, after an operator has retried it
                self._ended.pop((change.pool, move.job_id), None)
        if change.command == "exchange" and change.pool in self._since:
            for move in change.moves:
                if move.came_from("in progress") and move.went_to("queued"):
                    self._returned(change.pool, move.job_id)
        if self._since and self.scene.now_s() >= self._next_s:
            self._next_s = self.scene.now_s() + _EVERY_S
            for pool in list(self._since):
                self._look(pool)

    def _look(self, pool: str) -> None:
        at_s, timeout_s = self._since.get(pool, (math.inf, 0.0))
        conditions, took_s = self.scene.conditions, self.scene.now_s() - at_s
        most_s = timeout_s + _STOPS_S + 10 * conditions.slowness_s()
        if took_s > most_s and conditions.undisturbed_s(pool) > took_s + _RECOVERS_S:
            self.violated(f"{pool} stops for {took_s:.1f} s, its timeout is {timeout_s:g} s")
        if took_s > most_s + _OUTAGE_S and conditions.healthy_s(pool) > took_s + _RECOVERS_S:
            self.violated(f"{pool} stops for {took_s:.1f} s, its timeout is {timeout_s:g} s")


class LimitsAreStated(Checker):
    """The limits that a pool declares stand in Redis within 10 s, also after it has lost its data.

    If pools declare several limits for a job, one of them stands there.
    """

    rule = "limits stand in Redis"

    def __init__(self) -> None:
        self._ever: dict[str, set[bytes]] = {}  # all limits that pools have declared
        self._next_s = 0.0

    def changed(self, change: RedisChange) -> None:
        """Compare the limits of pools that have no fault."""
        del change
        scene = self.scene
        if scene.now_s() < self._next_s:
            return
        self._next_s = scene.now_s() + _EVERY_S
        declared: dict[str, set[int]] = {}
        for pool in scene.conditions.running():
            sure = scene.conditions.undisturbed_s(pool) > _STATED_S
            for name, each in scene.conditions.spec(pool).registrations.items():
                if each.options.max_concurrency:
                    limit = each.options.max_concurrency
                    self._ever.setdefault(name, set()).add(b"%d" % limit)
                    if sure:
                        declared.setdefault(name, set()).add(limit)
        for name, limits in declared.items():
            said = scene.read("GET", scene.keys.queue(name, "").max_concurrency)
            if said is None:
                self.violated(f"the limit of {name!r} is {min(limits)}, and none stands in Redis")
            if said not in self._ever[name]:
                self.violated(f"the limit of {name!r} is {min(limits)}, and {said!r} in Redis")


class RecoveriesGrow(Checker):
    """The count of a job's recoveries grows by one with each, until the job is settled.

    With the recovery that `max_recoveries` names, it dies; `RetriesKeepTheRules` sees that it does
    not die before. A job on its last recovery runs alone in its pool: it spares its neighbours.
    """

    rule = "recoveries are counted, and spare neighbours"

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._runs: dict[str, dict[int, str]] = {}

    def changed(self, change: RedisChange) -> None:
        """Follow the counts."""
        if change.command == RESTORED:
            counts = self.scene.read("HGETALL", self.scene.keys.recoveries)
            self._counts = {job.decode(): int(count) for job, count in counts.items()}
        for move in change.moves:
            if move.before is not None and move.left("in progress"):
                self._forget_run(self.scene.host(move.before.place.pool_id), move.before.job_id)
            if change.command == "reap" and move.before is not None and move.before.job is not None:
                self._recovered(move, change.pool)
            elif move.is_update:
                assert move.before is not None  # noqa: S101 - it was replaced
                self._updated(move.before.job_id, move.job_id)
            elif change.command == "remove" or (
                move.left("in progress") and not move.went_to("queued")
            ):
                self._counts.pop(move.job_id, None)

    def _updated(self, old: str, new: str) -> None:
        """Check that an update has the count of the job that it replaces."""
        count = self._counts.pop(old, None)
        if count is None:
            return
        self._counts[new] = count
        said = self.scene.read("HGET", self.scene.keys.recoveries, new)
        if said is None or int(said) != count:
            self.violated(f"it replaces a job with {count} recoveries, {said!r} are counted", new)

    def _is_held(self, run: HandlerRun) -> bool:
        """Tell whether a pool still holds the job that it starts."""
        return any(
            each.place.kind == "in progress" and self.scene.host(each.place.pool_id) == run.pool
            for each in self.scene.where(run.job_id)
        )

    def _forget_run(self, pool: str, job_id: str) -> None:
        """Forget a run that does not count any more: it was given up, or has ended."""
        runs = self._runs.get(pool, {})
        for number in [number for number, each in runs.items() if each == job_id]:
            del runs[number]

    def _recovered(self, move: Move, reaper: str) -> None:
        expected = self._counts.get(move.job_id, 0) + 1
        said = self.scene.read("HGET", self.scene.keys.recoveries, move.job_id)
        if move.went_to("dead"):
            self._counts.pop(move.job_id, None)
            if said is not None:
                self.violated("it is dead, and its recoveries are still counted", move.job_id)
            return
        self._counts[move.job_id] = expected
        if said is None or int(said) != expected:
            self.violated(f"it was recovered {expected} times, {said!r} are counted", move.job_id)
        if reaper and expected >= self.scene.conditions.spec(reaper).max_recoveries:
            self.violated(f"it goes back though {expected} pools have died with it", move.job_id)

    def started(self, run: HandlerRun) -> None:
        """Check that a job on its last recovery runs alone."""
        if not self._is_held(run):
            return  # its pool could not know that it was taken for dead
        runs = self._runs.setdefault(run.pool, {})
        runs[run.number] = run.job_id
        last = self.scene.conditions.spec(run.pool).max_recoveries - 1
        alone = [each for each in runs.values() if last > 0 and self._counts.get(each, 0) >= last]
        if alone and len(runs) > 1:
            self.violated(f"it is on its last recovery and runs beside {len(runs) - 1}", alone[0])

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Forget a run."""
        del error
        self._runs.get(run.pool, {}).pop(run.number, None)

    def crashed(self, pool: str) -> None:
        """Forget the runs of a process that is gone."""
        self._runs.pop(pool, None)

    def wiped(self) -> None:
        """Forget the counts, as Redis has."""
        self._counts.clear()


class HandlersAreGivenUp(Checker):
    """A handler that has passed its timeout fails its job within 7 s, if its pool has no fault.

    An async handler is cancelled at its timeout, so it cannot succeed after that, and it ends, even
    if another pool has taken its job.
    """

    rule = "a timeout is a failure"

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], tuple[HandlerRun, float]] = {}
        self._async: dict[int, tuple[HandlerRun, float]] = {}
        self._next_s = 0.0

    def started(self, run: HandlerRun) -> None:
        """Record a run with a timeout."""
        if run.options.timeout is not None:
            self._since[run.pool, run.job_id] = run, self.scene.now_s()
            if self.scene.conditions.spec(run.pool).registrations[run.name].handler.is_async:
                self._async[run.number] = run, self.scene.now_s()

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Check that an async handler has not succeeded after its timeout."""
        self._async.pop(run.number, None)
        known, since_s = self._since.get((run.pool, run.job_id), (None, 0.0))
        if error is not None or known is None or known.number != run.number:
            return
        took_s = self.scene.now_s() - since_s
        registration = self.scene.conditions.spec(run.pool).registrations[run.name]
        if not registration.handler.is_async or took_s < (run.options.timeout or 0) + _LATE_S:
            return
        if self.scene.conditions.undisturbed_s(run.pool) > took_s + _RECOVERS_S:
            self.violated(f"{run.pool} lets it succeed after {took_s:g} s", run.job_id)

    def changed(self, change: RedisChange) -> None:
        """Look whether jobs are held for longer than their handlers may take."""
        scene = self.scene
        for move in change.moves:
            if move.left("in progress"):
                self._gone(move, change)
        now_s = scene.now_s()
        if not (self._since or self._async) or now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        slow_s = 10 * scene.conditions.slowness_s()
        for run, since_s in self._since.values():
            assert run.options.timeout is not None  # noqa: S101 - it has one
            over_s = now_s - since_s - run.options.timeout
            if over_s < _GRACE_S + _SETTLED_S + slow_s:
                continue
            if scene.conditions.undisturbed_s(run.pool) > over_s + _RECOVERS_S:
                self.violated(f"{run.pool} holds it {over_s:.1f} s after its timeout", run.job_id)
        for run, since_s in self._async.values():
            over_s = now_s - since_s - (run.options.timeout or 0)
            if over_s < _GRACE_S + _SETTLED_S + slow_s:
                continue
            if scene.conditions.undisturbed_s(run.pool) > over_s + _RECOVERS_S:
                self.violated(f"{run.pool} runs it {over_s:.1f} s after its timeout", run.job_id)

    def _gone(self, move: Move, change: RedisChange) -> None:
        assert move.before is not None  # noqa: S101 - it was in progress
        key = self.scene.host(move.before.place.pool_id), move.before.job_id
        run, _ = self._since.pop(key, (None, 0.0))
        if run is None or change.command != "exchange" or run.number not in self.scene.running:
            return
        if move.after is None and not run.options.skip_dead:
            self.violated("it is done though its handler was given up", move.job_id)

    def crashed(self, pool: str) -> None:
        """Forget the runs of a process that is gone."""
        self._since = {key: each for key, each in self._since.items() if key[0] != pool}
        self._async = {at: each for at, each in self._async.items() if each[0].pool != pool}

    left = crashed

    def wiped(self) -> None:
        """Forget everything."""
        self._since.clear()
