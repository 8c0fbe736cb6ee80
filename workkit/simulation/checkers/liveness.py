"""Checkers: what must happen happens in time, as long as one pool has no fault.

They go by processes and faults, and not by what the engine says of itself.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import (
    ORPHANED,
    HandlerRun,
    Move,
    PlacedJob,
    RedisChange,
)

__all__ = [
    "DeadPoolsJobsReturn",
    "DueJobsMove",
    "HealthyPoolsStay",
    "IdlePoolsClaim",
    "PoolsComeBack",
]

#: A pool that has had no fault for this long is healthy, seconds.
_HEALTHY_S: Final = 12.0
#: A pool that is not registered notices it before it has sent so many heartbeats.
_BEATS: Final = 4
#: A pool needs this long to work after a fault or a start, seconds.
_RECOVERS_S: Final = 10.0
#: A due job is moved within this time, seconds.
_MOVED_S: Final = 5.0
#: The jobs of a dead pool are back within this time, seconds.
_BACK_S: Final = 20.0
#: In a fleet that is larger than this, a pool watches only some others. If all that watch one die
#: with it, a pool that lives notices it this much later, seconds.
_ALL_WATCHED: Final = 9
_FAR_S: Final = 10.0
#: A list of which nobody knows is found within this time, seconds: two turns of a duty, which a
#: calm world postpones by ten minutes.
_FOUND_S: Final = 800.0
#: A job is claimed within this time if a pool has a free worker, seconds.
_CLAIMED_S: Final = 5.0
#: A queue is left alone for this long after a job on its last recovery could not run, seconds.
_LEFT_ALONE_S: Final = 32.0
#: After Redis answers again, each pool has sent a heartbeat within this time, seconds.
_BEATS_S: Final = 8.0
#: A duty sends fewer requests than this, one after the other, each on a line that may be slow.
_REQUESTS: Final = 25
#: Rules about time are checked this often, seconds.
_EVERY_S: Final = 0.5
#: What a pool sends as long as it lives.
_SIGNS: Final = frozenset({"beat", "register"})


class HealthyPoolsStay(Checker):
    """Nobody takes a pool for dead that runs and has had no fault for 12 s.

    A Redis that does not answer, or refuses writes, proves nothing about pools.
    `NobodyAliveIsReaped` goes by heartbeats; this rule also holds for a pool that forgets them. If
    somebody takes a healthy pool out of the set of pools, it registers again before its fourth
    heartbeat after that.
    """

    rule = "a healthy pool is not taken for dead"

    def __init__(self) -> None:
        self._beats: Counter[str] = (
            Counter()
        )  # heartbeats in a row of pools that are not registered

    def changed(self, change: RedisChange) -> None:
        """Check each recovery, and each pool that is removed."""
        if change.command == "beat" and change.pool:
            self._check_registered(change.pool)
        if change.command == "reap":
            if change.moves:
                self._look(change.subject, change.moves[0].job_id)
        elif change.command == "forget":
            pool_id = change.subject
            if not self.scene.read("SISMEMBER", self.scene.keys.worker_pools, pool_id):
                self._look(pool_id, "")

    def _check_registered(self, pool: str) -> None:
        scene = self.scene
        is_registered = scene.read("SISMEMBER", scene.keys.worker_pools, scene.pool_id(pool))
        if is_registered or scene.conditions.undisturbed_s(pool) < _HEALTHY_S:
            self._beats[pool] = 0
            return
        self._beats[pool] += 1
        if self._beats[pool] >= _BEATS:
            self.violated(f"{pool} goes on beating though it is not registered")

    def _look(self, pool_id: str, job_id: str) -> None:
        name = self.scene.host(pool_id)
        if self.scene.pool_id(name) != pool_id:
            return
        healthy_s = self.scene.conditions.healthy_s(name)
        if healthy_s >= _HEALTHY_S:
            self.violated(
                f"{name} is taken for dead though it has had no fault for {healthy_s:.1f} s", job_id
            )


class DueJobsMove(Checker):
    """A due job is in its queue within 5 s, if a pool has had no fault since it was due.

    After Redis has not answered, the five seconds begin when it answers again.
    """

    rule = "due jobs move while a pool lives"

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._next_s = 0.0

    def changed(self, change: RedisChange) -> None:
        """Record when jobs are due, and check those that are moved or late."""
        now_s = self.scene.true_s()
        for move in change.moves:
            before, after = move.before, move.after
            if before is not None and before.place.kind in {"scheduled", "retry"}:
                due_s = self._due.pop(before.job_id, None)
                if due_s is not None and change.command == "move":
                    self._check(before, now_s - due_s)
            if after is not None and after.place.kind in {"scheduled", "retry"}:
                self._due[after.job_id] = max(after.score, now_s)
        if self.scene.now_s() < self._next_s:
            return
        self._next_s = self.scene.now_s() + _EVERY_S
        for job_id, due_s in self._due.items():
            if now_s - due_s > _MOVED_S:
                for each in self.scene.where(job_id):
                    self._check(each, now_s - due_s)

    def _check(self, standing: PlacedJob, late_s: float) -> None:
        scene = self.scene
        most_s = _MOVED_S + _REQUESTS * scene.conditions.slowness_s()
        late_s = min(late_s, scene.conditions.answering_s())
        if late_s <= most_s or standing.job is None:
            return
        if scene.longest_healthy_s() < late_s + _RECOVERS_S:
            return
        if scene.read("TYPE", scene.keys.jobs(standing.job.name)) in {b"list", b"none"}:
            self.violated(f"it has been due for {late_s:.1f} s", standing.job_id)

    def wiped(self) -> None:
        """Forget everything."""
        self._due.clear()


class DeadPoolsJobsReturn(Checker):
    """The jobs of a pool that has crashed are back within 20 s, if another has had no fault.

    If most pools of a fleet of more than nine crash at once, they are back within 30 s.
    A pool that somebody has taken out of the set of pools is found by its lists, within minutes.
    So are jobs in a list of a pool of which nothing else is left.
    """

    rule = "a dead pool's jobs are back while a pool lives"

    def __init__(self) -> None:
        self._held: dict[str, Counter[str]] = {}
        self._dead: dict[str, float] = {}
        self._far: set[str] = set()  # dead pools of large fleets
        self._next_s = 0.0

    def changed(self, change: RedisChange) -> None:
        """Record who holds what, and check the jobs of dead pools."""
        for move in change.moves:
            self._follow(move)
        if not self._dead or self.scene.now_s() < self._next_s:
            return
        self._next_s = self.scene.now_s() + _EVERY_S
        for pool_id, dead_s in list(self._dead.items()):
            is_orphan = pool_id.startswith(ORPHANED)
            is_known = self.scene.read("SISMEMBER", self.scene.keys.worker_pools, pool_id)
            if not self._held.get(pool_id) or not (is_known or is_orphan):
                continue
            since_s = self.scene.now_s() - dead_s
            most_s = self._most_s() + _FOUND_S * is_orphan + _FAR_S * (pool_id in self._far)
            if since_s > most_s and self.scene.longest_undisturbed_s() >= since_s:
                who = self.scene.host(pool_id) or pool_id
                self.violated(
                    f"{who} has been dead for {since_s:.1f} s and holds it",
                    next(iter(self._held[pool_id])),
                )

    def _most_s(self) -> float:
        dead = sum(1 for pool_id in self._dead if self._held.get(pool_id))
        requests = _REQUESTS + 4 * len(self.scene.queues()) * dead
        return _BACK_S + requests * self.scene.conditions.slowness_s()

    def _follow(self, move: Move) -> None:
        before, after = move.before, move.after
        if before is not None and before.place.kind == "in progress":
            held = self._held.get(before.place.pool_id, Counter())
            held[before.job_id] -= 1
            if held[before.job_id] <= 0:
                del held[before.job_id]
        if after is not None and after.place.kind == "in progress":
            pool_id = after.place.pool_id
            self._held.setdefault(pool_id, Counter())[after.job_id] += 1
            if pool_id.startswith(ORPHANED):
                self._dead.setdefault(pool_id, self.scene.now_s())

    def crashed(self, pool: str) -> None:
        """Record that a pool is dead from now on."""
        is_large = self.scene.read("SCARD", self.scene.keys.worker_pools) > _ALL_WATCHED
        for pool_id in self._held:
            if self.scene.host(pool_id) == pool and pool_id not in self._dead:
                self._dead[pool_id] = self.scene.now_s()
                if is_large:
                    self._far.add(pool_id)

    def wiped(self) -> None:
        """Forget everything."""
        self._held.clear()


class IdlePoolsClaim(Checker):
    """No job waits for longer than 5 s while a pool without a fault has a worker for it.

    After Redis has not answered, the five seconds begin when it answers again. Exceptions: paused
    queues and queues at their limit, as `lock` says (see `LocksAreTrue`). While a pool holds a job
    on its last recovery, it claims no other; if that job could not run alone, its queue is left
    alone for half a minute.
    """

    rule = "idle pools claim what waits"

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._busy: Counter[str] = Counter()
        self._suspects_s: dict[str, float] = {}  # queue -> when a pool held a suspect of it last
        self._next_s = 0.0

    def started(self, run: HandlerRun) -> None:
        """Count the busy workers."""
        self._busy[run.pool] += 1

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Count the busy workers."""
        del error
        self._busy[run.pool] -= 1

    def crashed(self, pool: str) -> None:
        """Count the busy workers."""
        self._busy[pool] = 0

    def changed(self, change: RedisChange) -> None:
        """Look how long jobs wait."""
        for move in change.moves:
            if move.came_from("queued"):
                self._since.pop(move.before.place.queue, None)  # type: ignore[union-attr]
            elif move.came_from("in progress") and move.went_to("queued"):
                self._note_suspect(move.before, move.job_id)  # type: ignore[arg-type]
        now_s = self.scene.now_s()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        idle = self._idle()
        for queue in self.scene.queues():
            if not any(self._may_claim(pool, queue) for pool in idle):
                self._since.pop(queue, None)
                continue
            waits_s = now_s - self._since.setdefault(queue, now_s)
            waits_s = min(waits_s, self.scene.conditions.answering_s())
            if waits_s > _CLAIMED_S + _REQUESTS * self.scene.conditions.slowness_s():
                waiting = self.scene.standing("queued", queue)
                self.violated(
                    f"jobs of {queue!r} have waited for {waits_s:.1f} s, and {idle[0]} has a free "
                    "worker", waiting[0].job_id,
                )  # fmt: skip

    def _idle(self) -> list[str]:
        """Return the pools that have a free worker and no fault."""
        scene, found, alone = self.scene, [], self._alone()
        for pool in scene.conditions.running():
            if scene.conditions.healthy_s(pool) < _RECOVERS_S + _CLAIMED_S or pool in alone:
                continue
            pool_id, spec = scene.pool_id(pool), scene.conditions.spec(pool)
            held = sum(scene.held(queue).get(pool_id, 0) for queue in spec.registrations)
            if max(held, self._busy[pool]) < spec.concurrency:
                found.append(pool)
        return found

    def _alone(self) -> set[str]:
        """Return the pools that hold a job on its last recovery, and note its queue."""
        scene, found = self.scene, set()
        for job_id in scene.read("HKEYS", scene.keys.recoveries):
            for each in scene.where(job_id.decode()):
                if self._note_suspect(each, job_id.decode()):
                    found.add(scene.host(each.place.pool_id))
        return found

    def _note_suspect(self, held: PlacedJob, job_id: str) -> bool:
        """Note the queue of a job if a pool holds, or has held, it on its last recovery."""
        pool = self.scene.host(held.place.pool_id)
        if not pool or not self.scene.is_suspect(job_id, pool):
            return False
        self._suspects_s[held.place.queue] = self.scene.now_s()
        return True

    def _may_claim(self, pool: str, queue: str) -> bool:
        scene = self.scene
        if queue not in scene.conditions.spec(pool).registrations:
            return False
        held_s = self._suspects_s.get(queue)
        if held_s is not None:  # a pool that was frozen may have noticed its end only now
            since_s = min(scene.now_s() - held_s, scene.conditions.healthy_s(pool))
            if since_s < _LEFT_ALONE_S:
                return False
        key = scene.keys.jobs(queue)
        if scene.read("TYPE", key) != b"list" or scene.is_paused(queue):
            return False
        limit = int(scene.read("GET", scene.keys.queue(queue, "").max_concurrency) or 0)
        return not limit or int(scene.read("GET", scene.keys.queue(queue, "").lock) or 0) < limit

    def wiped(self) -> None:
        """Forget everything."""
        self._since.clear()


class PoolsComeBack(Checker):
    """After an outage of Redis, each pool sends a heartbeat within 8 s, if it has no other fault.

    `IdlePoolsClaim` and `DueJobsMove` tell whether it works again.
    """

    rule = "pools come back after an outage"

    def __init__(self) -> None:
        self._beats_s: dict[str, float] = {}
        self._next_s = 0.0

    def changed(self, change: RedisChange) -> None:
        """Record heartbeats, and look who has sent none."""
        scene = self.scene
        if change.command in _SIGNS:
            self._beats_s[change.pool] = scene.now_s()
        if scene.now_s() < self._next_s:
            return
        self._next_s = scene.now_s() + _EVERY_S
        conditions, answers_s = scene.conditions, scene.conditions.answering_s()
        most_s = _BEATS_S + _REQUESTS * conditions.slowness_s()
        if answers_s < most_s:
            return
        for pool in conditions.running():
            silent_s = scene.now_s() - self._beats_s.get(pool, 0.0)
            if silent_s > answers_s and conditions.healthy_s(pool) > most_s + _RECOVERS_S:
                self.violated(f"Redis answers for {answers_s:.1f} s, and {pool} does not beat")
