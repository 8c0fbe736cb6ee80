"""Checker: what a pool holds, it runs."""

from __future__ import annotations

from typing import Final, NamedTuple

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import RESTORED, HandlerRun, Move, RedisChange

__all__ = ["HeldJobsRun"]

#: A job that has not started after this long goes back, seconds: 0.1 s, and some turns.
_PATIENCE_S: Final = 1.0
#: A job on its last recovery waits this much longer until it is its pool's only job, seconds.
_ALONE_S: Final = 30.0
#: A pool needs this long to work after a fault or a start, seconds.
_RECOVERS_S: Final = 10.0
#: It asks less than this, one request after the other, before it starts a job or returns it.
_REQUESTS: Final = 25
_EVERY_S: Final = 0.5
#: Stands for the time since when a job waits, if it does not.
_RUNS_S: Final = -1.0


class _Waiting(NamedTuple):
    """A job that a pool holds and has not started.

    Attributes:
        queue: Its queue.
        since_s: Since when, seconds since the world began.
        pool_id: The id under which the pool holds it.
    """

    queue: str
    since_s: float
    pool_id: str


class _Run(NamedTuple):
    """A handler that occupies a worker.

    Attributes:
        number: Its number.
        until_s: When it has passed its timeout, seconds since the world began; infinity for never.
    """

    number: int
    until_s: float


class HeldJobsRun(Checker):
    """A pool holds a job without running it for a second at most, if it has no fault.

    Then the job has started, or is back in its queue, where other pools can claim it. A job on its
    last recovery may wait for 30 s until it can run alone. Jobs of queues with a limit are claimed
    for free workers only: one that waits in a pool would keep another pool from running one.
    """

    rule = "what a pool holds runs, or goes back"

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, _Waiting]] = {}  # pool -> job -> how it waits
        self._limited: dict[str, set[str]] = {}
        self._runs: dict[str, dict[str, _Run]] = {}  # pool -> job -> its run
        self._next_s = 0.0

    def started(self, run: HandlerRun) -> None:
        """Record that a held job has started."""
        self._waiting.get(run.pool, {}).pop(run.job_id, None)
        timeout_s = float("inf") if run.options.timeout is None else run.options.timeout
        occupies = _Run(run.number, self.scene.now_s() + timeout_s)
        self._runs.setdefault(run.pool, {})[run.job_id] = occupies

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record that a worker is free."""
        del error
        runs = self._runs.get(run.pool, {})
        if run.job_id in runs and runs[run.job_id].number == run.number:
            del runs[run.job_id]

    def changed(self, change: RedisChange) -> None:
        """Follow what pools hold, and look how long it waits."""
        if change.command == RESTORED:
            self._waiting.clear()
        elif change.moves:
            for move in change.moves:
                self._follow(move)
            if change.command == "exchange":
                self._look_at_claims(change)
        now_s = self.scene.now_s()
        if now_s >= self._next_s:
            self._next_s = now_s + _EVERY_S
            for pool, waiting in self._waiting.items():
                if waiting:
                    self._look(pool, now_s)

    def _follow(self, move: Move) -> None:
        before, after = move
        is_held = after is not None and after.place.kind == "in progress"
        since_s = self.scene.now_s() if is_held else _RUNS_S
        if before is not None and before.place.kind == "in progress":
            known = self._waiting.get(self.scene.host(before.place.pool_id), {}).pop(
                before.job_id, None
            )
            since_s = _RUNS_S if known is None else known.since_s
        if after is not None and is_held and since_s != _RUNS_S:
            holder = self.scene.host(after.place.pool_id)
            if holder:  # not the list of a Go pool
                waiting = self._waiting.setdefault(holder, {})
                place = after.place
                waiting[after.job_id] = _Waiting(place.queue, since_s, place.pool_id)

    def _look(self, pool: str, now_s: float) -> None:
        conditions = self.scene.conditions
        undisturbed_s = conditions.undisturbed_s(pool) - _RECOVERS_S
        most_s = _PATIENCE_S + _REQUESTS * conditions.slowness_s()
        pool_id = self.scene.pool_id(pool)
        for job_id, waiting in self._waiting[pool].items():
            if waiting.pool_id != pool_id:
                continue  # a process that has crashed had asked for it, and was answered later
            waits_s = min(now_s - waiting.since_s, undisturbed_s)
            if waits_s <= most_s:
                continue
            if waits_s > most_s + _ALONE_S * self.scene.is_suspect(job_id, pool):
                self.violated(f"{pool} has held it for {waits_s:.1f} s and not started it", job_id)

    def _look_at_claims(self, change: RedisChange) -> None:
        """Check that there is a worker for each job of a queue with a limit."""
        conditions, pool = self.scene.conditions, change.pool
        limited = self._limited.get(pool)
        if limited is None:
            known = conditions.spec(pool).registrations.items()
            limited = {name for name, each in known if each.options.max_concurrency}
            self._limited[pool] = limited
        if not limited:
            return
        claimed = [
            move
            for move in change.moves
            if move.was_claimed and move.after.place.queue in limited  # type: ignore[union-attr]
        ]
        if not claimed or conditions.undisturbed_s(pool) < _RECOVERS_S:
            return
        concurrency, now_s = conditions.spec(pool).concurrency, self.scene.now_s()
        waiting = sum(
            each.queue in limited and each.pool_id == self.scene.pool_id(pool)
            for each in self._waiting.get(pool, {}).values()
        )
        running = sum(run.until_s > now_s for run in self._runs.get(pool, {}).values())
        if running + waiting > concurrency:
            self.violated(
                f"{pool} claims it, runs {running} jobs and holds {waiting} of queues with a "
                f"limit, with {concurrency} workers", claimed[0].job_id,
            )  # fmt: skip

    def left(self, pool: str) -> None:
        """Forget a process that is gone."""
        self.crashed(pool)

    def crashed(self, pool: str) -> None:
        """Forget a process that is gone."""
        self._waiting.pop(pool, None)
        self._runs.pop(pool, None)

    def wiped(self) -> None:
        """Forget what pools held, as Redis has."""
        self._waiting.clear()
