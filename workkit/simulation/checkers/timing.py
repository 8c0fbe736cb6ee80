"""Checkers of retries, dead jobs, due times, reaping and cron slots."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from workkit.core.job import PERIODIC, Payload
from workkit.core.options import JobOptions
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.claims import TakenSlots
from workkit.simulation.checkers.moves import HandlerRun, Move, PlacedJob, RedisChange
from workkit.simulation.checkers.verdicts import PLAIN, Promise, promised

__all__ = [
    "CronSlots", "DueJobsMove", "NobodyAliveIsReaped", "NothingEarly", "RetriesKeepTheRules",
]  # fmt: skip

#: A pool is dead when its heartbeat has not changed for this long, seconds.
_DEAD_S: Final = 12.0
#: The tolerance for the clocks of two hosts: a second, and a second for rounding, seconds.
_NEAR_S: Final = 2.0
#: A pool whose heartbeats are at most this far apart was there all the time, seconds.
_STEADY_S: Final = 5.0
#: A job dies at this many recoveries from dead pools.
_RECOVERIES: Final = 3


class RetriesKeepTheRules(Checker):
    """A job is tried again only after a failure, within its backoff, at most `max_fails` times.

    A failure counts one. A job dies after its last try, or when its pools have died with it too
    often, or at once when no handler exists for it. Where the exception of its handler decides,
    that happens: see `promised`.

    Args:
        backoff: Job name -> minimum and maximum seconds between a failure and the next try, for
            jobs with their own backoff; the others have the default's bounds.
    """

    rule = "retries keep to backoff and max_fails"

    def __init__(self, backoff: Mapping[str, tuple[float, float]] | None = None) -> None:
        self._backoff = dict(backoff or {})
        self._failed: dict[tuple[str, str], tuple[JobOptions, Promise]] = {}
        self._newest: dict[tuple[str, str], int] = {}
        self._recoveries: Counter[str] = Counter()

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record a failed run; its exchange may reach Redis even after a crash."""
        if error is not None and self._newest.get((run.pool, run.job_id)) == run.number:
            self._failed[run.pool, run.job_id] = run.options, promised(error, run.options)

    def started(self, run: HandlerRun) -> None:
        """Record a handler with a timeout: it may be given up without an end."""
        self._newest[run.pool, run.job_id] = run.number
        if run.options.timeout is not None:
            self._failed[run.pool, run.job_id] = run.options, PLAIN

    def wiped(self) -> None:
        """Forget how often jobs were recovered, as Redis has."""
        self._recoveries.clear()

    def changed(self, change: RedisChange) -> None:
        """Check retries and deaths."""
        for move in change.moves:
            before, after = move.before, move.after
            if before is None or after is None or before.job is None or after.job is None:
                continue
            if change.command == "reap":
                self._recoveries[move.job_id] += 1
                if after.place.kind == "dead":
                    self._died_with_pool(move.job_id)
            elif change.command == "exchange" and after.place.kind in {"retry", "dead"}:
                self._settled(move, before.job, after, after.job, change.pool)

    def _died_with_pool(self, job_id: str) -> None:
        count = self._recoveries[job_id]
        if count < _RECOVERIES:
            self.violated(f"it is dead though its pools died with it only {count} times", job_id)
        self._recoveries[job_id] = 0

    def _settled(
        self, move: Move, before: Payload, after: PlacedJob, job: Payload, pool: str
    ) -> None:
        self._recoveries[move.job_id] = 0
        failed = self._failed.pop((pool, move.job_id), None)
        if failed is None:
            if after.place.kind == "retry":
                self.violated("it is to be tried again though it has not failed", move.job_id)
            if "stray job" not in job.last_err and "undecodable" not in job.last_err:
                self.violated("it is dead though it has not failed", move.job_id)
            return
        options, promise = failed
        if promise.kind == "dropped":
            self.violated("it stays though its handler has discarded it", job.id)
        if promise.kind == "postponed":
            if after.place.kind != "retry" or job.fails != before.fails:
                self.violated("it has failed though its handler has only postponed it", job.id)
            return
        if job.fails != before.fails + 1:
            self.violated(f"a failure took its fails from {before.fails} to {job.fails}", job.id)
        if after.place.kind == "retry":
            self._tried_again(after, job, options, promise)
        elif job.fails < options.max_fails and promise.kind != "final":
            self.violated(f"it is dead after {job.fails} of {options.max_fails} tries", job.id)

    def _tried_again(
        self, after: PlacedJob, job: Payload, options: JobOptions, promise: Promise
    ) -> None:
        if promise.kind == "final":
            self.violated("it is to be tried again though it has failed for good", job.id)
        if job.fails >= options.max_fails:
            self.violated(f"it is to be tried again after {job.fails} tries", job.id)
        least, most = self._bounds(job, options)
        if promise.in_s is not None:
            least = most = math.ceil(promise.in_s)
        delay_s = after.score - job.failed_at
        if not least <= delay_s <= most:
            self.violated(f"it waits {delay_s:g} s, not {least:g} to {most:g} s", job.id)

    def _bounds(self, job: Payload, options: JobOptions) -> tuple[float, float]:
        if job.name in self._backoff:
            return self._backoff[job.name]
        if options.backoff is not None:
            return 0.0, float("inf")
        least = job.fails**4 + 15
        return least, least + 29 * (job.fails + 1)


class NothingEarly(Checker):
    """No job goes to its queue before it is due by the server's clock; hosts' do not count."""

    rule = "nothing runs before its time"

    def changed(self, change: RedisChange) -> None:
        """Check jobs that were queued."""
        if change.command != "move":
            return
        for move in change.moves:
            if move.before is not None and move.went_to("queued"):
                early_s = move.before.score - self.scene.true_s()
                if early_s > _NEAR_S:
                    self.violated(f"it is queued {early_s:g} s before it is due", move.job_id)


class DueJobsMove(Checker):
    """A due job goes to its queue within some seconds, while heartbeats of a pool arrive.

    This is not one of the rules of every world: a network that swallows announcements, or a server
    that refuses writes, holds up due jobs for longer.

    Args:
        within_s: How many seconds.
    """

    rule = "due jobs move while a pool lives"

    def __init__(self, within_s: float = 10.0) -> None:
        self._within_s = within_s
        self._came_s: dict[str, float] = {}
        self._beats: dict[str, tuple[float, float]] = {}  # pool -> since when, the newest

    def changed(self, change: RedisChange) -> None:
        """Record heartbeats and new jobs, and look for a job that is late."""
        now_s = self.scene.now_s()
        if change.command in {"beat", "register"}:
            since_s, last_s = self._beats.get(change.pool, (now_s, now_s))
            self._beats[change.pool] = (since_s if now_s - last_s <= _STEADY_S else now_s, now_s)
        for move in change.moves:
            if move.went_to("scheduled") or move.went_to("retry"):
                self._came_s[move.job_id] = now_s
        for standings in self.scene.jobs.values():
            for each in standings:
                if each.place.kind in {"scheduled", "retry"}:
                    self._look(each, now_s)

    def _look(self, job: PlacedJob, now_s: float) -> None:
        came_s = self._came_s.get(job.job_id, now_s)
        late_s = min(now_s - came_s, self.scene.true_s() - job.score)
        if late_s <= self._within_s:
            return
        for pool, (since_s, last_s) in self._beats.items():
            if since_s <= now_s - late_s and now_s - last_s <= _STEADY_S:
                self.violated(f"{pool} lives, and it is {late_s:.1f} s late", job.job_id)

    def crashed(self, pool: str) -> None:
        """Forget the heartbeats of a crashed process."""
        self._beats.pop(pool, None)

    def wiped(self) -> None:
        """Forget the jobs, as Redis has."""
        self._came_s.clear()


class NobodyAliveIsReaped(Checker):
    """Jobs are taken only from a pool whose heartbeat has not changed for 12 s."""

    rule = "nobody alive is taken for dead"

    def __init__(self) -> None:
        self._beats: dict[bytes, tuple[bytes, float]] = {}

    def changed(self, change: RedisChange) -> None:
        """Record heartbeats, and check recoveries."""
        scene = self.scene
        if change.command in {"beat", "register"}:
            for key in change.keys:
                if scene.keys.is_pool(key):
                    said = scene.read("HGET", key, "heartbeat_at")
                    if said is not None and said != self._beats.get(key, (b"", 0))[0]:
                        self._beats[key] = (said, scene.now_s())
        elif change.command == "reap":
            for move in change.moves:
                if move.before is not None:
                    self._look(move, move.before.place.pool_id)

    def _look(self, move: Move, pool_id: str) -> None:
        said_at = self._beats.get(self.scene.keys.pool(pool_id), (b"", float("-inf")))[1]
        silent_s = self.scene.now_s() - said_at
        if silent_s < _DEAD_S:
            self.violated(
                f"its pool {pool_id[-6:]} lost it {silent_s:.3f} s after a heartbeat", move.job_id
            )


class CronSlots(Checker):
    """A slot that has run never runs again, even if somebody adds a copy of it.

    `TakenSlots` describes the only exception.
    """

    rule = "a cron slot runs once"

    def __init__(self) -> None:
        self._taken = TakenSlots()
        self._succeeded: set[tuple[str, str]] = set()
        self._done: set[str] = set()

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record slots that have run."""
        if error is None and run.job_id.startswith(PERIODIC):
            self._succeeded.add((run.pool, run.job_id))

    def changed(self, change: RedisChange) -> None:
        """Record claims of slots, and slots that were settled by the pool that ran them."""
        self._taken.changed(self.scene, change, self._done)
        if change.command != "exchange":
            return
        for move in change.moves:
            ours = change.pool, move.job_id
            settled = move.came_from("in progress") and move.after is None
            if settled and ours in self._succeeded:
                self._succeeded.discard(ours)
                self._done.add(move.job_id)

    def crashed(self, pool: str) -> None:
        """Forget a crashed process: slots that it ran without settling them run again elsewhere."""
        self._taken.crashed(pool)
        self._succeeded = {each for each in self._succeeded if each[0] != pool}

    def started(self, run: HandlerRun) -> None:
        """Check that the slot has not run before."""
        excused = self._taken.excuse(run)
        if run.job_id in self._done and not run.fails and not excused:
            self.violated(f"{run.pool} runs it again", run.job_id)

    def wiped(self) -> None:
        """Forget which slots have run, as Redis has."""
        self._done.clear()
        self._succeeded.clear()
