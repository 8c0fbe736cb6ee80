"""Checkers: handlers run claimed jobs, once for each claim, and within the limits."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import MISCOUNTED, RESTORED, HandlerRun, RedisChange
from workkit.store.calls.layout import keys_and_args

__all__ = [
    "ClaimsAreTakenUp",
    "LimitsHold",
    "LocksAreTrue",
    "OneRunForAClaim",
    "PausedMeansPaused",
]

#: Exchanges of a pool count as signs of life if they are this far apart, seconds.
_APART_S: Final = 5.0
#: After this many signs of life, a claimed job must have started or gone back.
_SIGNS: Final = 3
#: Scripts that a pool sends only when it knows what it holds, each with the fence that it expects.
_IN_STEP: Final = frozenset({"begin", "exchange"})
#: One pool looks at the locks once a minute, and another one takes its place within two; seconds.
_CORRECTED_S: Final = 150.0
#: It looks at every fifth pass at the locks that are 0, seconds.
_NOTICED_S: Final = 420.0
#: It sends fewer requests than this, one after the other, each on a line that may be slow.
_REQUESTS: Final = 60
_EVERY_S: Final = 1.0


class OneRunForAClaim(Checker):
    """A handler starts only with a job that its pool has claimed, and once for each claim.

    So a settled job never runs again. One exception: a pool that was reaped while it lived may
    still start the jobs that it had claimed before, because it could not know. It knows once it has
    read its in-progress lists and has gone on.
    """

    rule = "a job runs once for each claim"

    def __init__(self) -> None:
        self._claims: Counter[tuple[str, str]] = Counter()
        self._read: dict[str, set[str]] = {}  # pool -> what its lists had when it read them

    def changed(self, change: RedisChange) -> None:
        """Count claims."""
        scene, claims = self.scene, self._claims
        if change.command == "resync":
            self._read[change.pool] = {
                each.job_id
                for each in scene.standing("in progress")
                if scene.host(each.place.pool_id) == change.pool
            }
        elif change.command in _IN_STEP and change.pool in self._read:
            self._goes_on(change)
        for move in change.moves:
            before, after = move.before, move.after
            if after is not None and after.place.kind == "in progress":
                host = scene.host(after.place.pool_id)
                if before is None or before.place.kind != "in progress":
                    claims[host, after.job_id] += 1
                elif move.is_update:
                    claims[host, after.job_id] = claims.pop((host, before.job_id), 0)
            elif before is not None and before.place.kind == "in progress" and change.pool:
                host = scene.host(before.place.pool_id)
                if host == change.pool:  # its own pool has settled it or given it back
                    claims.pop((host, before.job_id), None)

    def _goes_on(self, change: RedisChange) -> None:
        """Forget claims that a pool has not found in its lists, if Redis lets it go on."""
        pool_id, *fences = keys_and_args(change.sent)[1][:3]
        said = self.scene.read("HGET", self.scene.keys.pool(str(pool_id)), "fence")
        if said is None or int(said) not in fences:
            return  # it was sent before the lists were read
        found = self._read.pop(change.pool)
        for key in [key for key in self._claims if key[0] == change.pool and key[1] not in found]:
            del self._claims[key]

    def started(self, run: HandlerRun) -> None:
        """Use up a claim."""
        key = run.pool, run.job_id
        if self._claims[key] < 1:
            self.violated(f"{run.pool} starts it without holding it", run.job_id)
        self._claims[key] -= 1

    def crashed(self, pool: str) -> None:
        """Forget the claims of a process that is gone."""
        self._read.pop(pool, None)
        for key in [key for key in self._claims if key[0] == pool]:
            del self._claims[key]


@dataclass(slots=True)
class _UnstartedClaim:
    """A claimed job that has not started.

    Attributes:
        since_s: When its pool gave the last sign of life that counts, seconds.
        signs: How many signs of life there were since the claim.
    """

    since_s: float
    signs: int = 0


class ClaimsAreTakenUp(Checker):
    """As long as a pool settles and claims, it starts each job that it has claimed, or returns it.

    So no pool forgets a claim. Exceptions: a job that was recovered from a dead pool may wait until
    it can run alone, and the jobs of a silent pool are recovered by others.
    """

    rule = "a claimed job starts or goes back"

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, _UnstartedClaim]] = {}  # pool id -> job id -> how long

    def changed(self, change: RedisChange) -> None:
        """Record claims, and check those of a pool that gives a sign of life."""
        for move in change.moves:
            before, after = move.before, move.after
            wait = None
            if before is not None and before.place.kind == "in progress":
                wait = self._waiting.get(before.place.pool_id, {}).pop(before.job_id, None)
            elif move.went_to("in progress") and change.command != RESTORED:
                wait = _UnstartedClaim(self.scene.now_s())
            if wait is not None and after is not None and after.place.kind == "in progress":
                self._waiting.setdefault(after.place.pool_id, {})[after.job_id] = wait
        if change.command == "exchange":
            self._look(change)

    def _look(self, change: RedisChange) -> None:
        scene = self.scene
        for pool_id, waiting in self._waiting.items():
            if scene.keys.pool(pool_id) not in change.keys:
                continue
            for job_id, wait in waiting.items():
                now_s = scene.now_s()
                if now_s - wait.since_s >= _APART_S:
                    wait.since_s, wait.signs = now_s, wait.signs + 1
                    if wait.signs >= _SIGNS and not self._was_recovered(job_id):
                        self.violated(
                            f"{change.pool} has claimed it and goes on without it", job_id
                        )

    def _was_recovered(self, job_id: str) -> bool:
        return self.scene.read("HGET", self.scene.keys.recoveries, job_id) is not None

    def started(self, run: HandlerRun) -> None:
        """Record that a claimed job has started."""
        for pool_id, waiting in self._waiting.items():
            if self.scene.host(pool_id) == run.pool:
                waiting.pop(run.job_id, None)

    def wiped(self) -> None:
        """Forget all claims: their jobs are lost, or run already."""
        self._waiting.clear()

    def crashed(self, pool: str) -> None:
        """Forget the claims of a process that is gone."""
        gone = [pool_id for pool_id in self._waiting if self.scene.host(pool_id) == pool]
        for pool_id in gone:
            del self._waiting[pool_id]


class LimitsHold(Checker):
    """No more jobs of a name are in progress than its `max_concurrency` allows.

    Exceptions: the handlers of a reaped pool may run on while its jobs run elsewhere, and a pool
    that takes its jobs along to a new id may exceed the limit until the first of them is done. But
    no pool claims a job while the limit is reached, or runs more handlers than that, those included
    whose jobs other pools have taken. Until a limit that Redis has lost stands there again, none is
    in force; see `LimitsAreStated`.
    """

    rule = "max_concurrency is never exceeded"

    def __init__(self) -> None:
        self._since: dict[int, float] = {}
        self._former: set[int] = set()  # runs of processes that have ended
        self._unlimited: set[str] = set()  # queues that were claimed from without a limit

    def started(self, run: HandlerRun) -> None:
        """Count the handlers of a pool; one that was given up does not count."""
        limit, now_s = run.options.max_concurrency, self.scene.now_s()
        if not limit or run.name in self._unlimited:
            return
        self._since[run.number] = now_s
        timeout_s = math.inf if run.options.timeout is None else run.options.timeout
        count = sum(
            each.pool == run.pool
            and each.name == run.name
            and each.number not in self._former
            and now_s - self._since.get(each.number, now_s) < timeout_s
            for each in self.scene.running.values()
        )
        if count > limit:
            self.violated(f"{run.pool} runs {count} of {run.name!r}, {limit} may run", run.job_id)

    def _is_gone(self, queue: str) -> bool:
        """Tell whether Redis has lost a limit, which pools write again with their heartbeats."""
        return self.scene.read("GET", self.scene.keys.queue(queue, "").max_concurrency) is None

    def left(self, pool: str) -> None:
        """Do not count the handlers of a process that has ended."""
        self._former.update(
            number for number, run in self.scene.running.items() if run.pool == pool
        )

    def changed(self, change: RedisChange) -> None:
        """Count after each claim."""
        if change.command != "exchange":
            return
        for move in change.moves:
            if move.came_from("queued") and move.went_to("in progress"):
                assert move.after is not None  # noqa: S101 - it stands in progress
                queue = move.after.place.queue
                limit = self.scene.limit_of(queue)
                held = sum(self.scene.held(queue).values())
                if not limit or held <= limit:
                    self._unlimited.discard(queue)
                elif self._is_gone(queue):
                    self._unlimited.add(queue)
                elif queue not in self._unlimited:
                    self.violated(f"{held} of {queue!r} are held, {limit} may be", move.job_id)


class LocksAreTrue(Checker):
    """`lock` and `lock_info` equal the jobs in progress after every command.

    If something else than workkit has made them wrong, they are right again within three minutes,
    as long as a pool has had no fault since. (A lock of 0, of which few passes take notice: within
    seven.)
    """

    rule = "locks equal what is in progress"

    def __init__(self) -> None:
        self._of: dict[bytes, str] = {}
        self._wrong: dict[str, float] = {}  # queues whose lock was made wrong, and when
        self._ever: set[str] = set()
        self._next_s = 0.0

    def changed(self, change: RedisChange) -> None:
        """Compare the locks of all queues that the command has written."""
        now_s = self.scene.now_s()
        for key in change.keys:
            queue = self._of.get(key)
            if queue is None:
                queue = self._of[key] = self._queue(key)
            if not queue:
                continue
            if change.command == MISCOUNTED or (change.command == RESTORED and queue in self._ever):
                self._wrong[queue] = now_s
                self._ever.add(queue)
            self._compare(queue, change.command)
        if self._wrong and now_s >= self._next_s:
            self._next_s = now_s + _EVERY_S
            self.at_rest()

    def at_rest(self) -> None:
        """Compare the locks that were made wrong."""
        for queue in list(self._wrong):
            self._compare(queue, "a while")

    def wiped(self) -> None:
        """Expect right locks, as none is left."""
        self._wrong.clear()

    def _queue(self, key: bytes) -> str:
        """Return the queue of an in-progress list or a lock; "" for other keys."""
        keys = self.scene.keys
        held = keys.parse_inprogress(key)
        name = held[0] if held is not None else keys.parse_lock(key)
        return name or ""

    def _compare(self, queue: str, command: str) -> None:
        scene = self.scene
        keys = scene.keys.queue(queue, "")
        held = scene.held(queue)
        lock = int(scene.read("GET", keys.lock) or 0)
        info = scene.read("HGETALL", keys.lock_info)
        counted = {pool.decode(): int(count) for pool, count in info.items()}
        if lock == sum(held.values()) and counted == held:
            self._wrong.pop(queue, None)
        elif not self._is_excused(queue, is_low=lock < sum(held.values()) or not lock):
            self.violated(
                f"after {command} the lock of {queue!r} is {lock}, pools hold {held} and "
                f"lock_info says {counted}"
            )

    def _is_excused(self, queue: str, *, is_low: bool) -> bool:
        """Tell whether a lock was made wrong, and no pool has had the time to correct it."""
        if queue not in self._wrong:
            return False
        scene = self.scene
        for_s = scene.now_s() - self._wrong[queue]
        most_s = _NOTICED_S if is_low else _CORRECTED_S  # a low lock is 0 now and then
        most_s += _REQUESTS * scene.conditions.slowness_s()
        return min(for_s, scene.longest_undisturbed_s()) <= most_s


class PausedMeansPaused(Checker):
    """No pool claims jobs of a paused queue."""

    rule = "paused means paused"

    def changed(self, change: RedisChange) -> None:
        """Check each claim."""
        for move in change.moves:
            if move.came_from("queued") and move.went_to("in progress"):
                assert move.after is not None  # noqa: S101 - it stands in progress
                if self.scene.is_paused(move.after.place.queue):
                    self.violated(f"{change.pool} claims a job", move.job_id)
