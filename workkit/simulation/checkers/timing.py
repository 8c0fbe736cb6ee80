"""Checkers of retries, dead jobs, due times and reaping."""

from __future__ import annotations

import asyncio
import inspect
import math
import traceback
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from workkit.core.backoff import MAX_DELAY_S
from workkit.core.job import Payload
from workkit.core.options import JobOptions
from workkit.errors import JobTimeout
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.chance import Tally
from workkit.simulation.checkers.moves import RESTORED, HandlerRun, Move, PlacedJob, RedisChange
from workkit.simulation.checkers.verdicts import PLAIN, Promise, promised

__all__ = ["NobodyAliveIsReaped", "NothingEarly", "RetriesKeepTheRules"]

#: A pool is dead when its heartbeat has not changed for this long, seconds.
_DEAD_S: Final = 12.0
#: The tolerance for the clocks of two hosts: a second, and a second for rounding, seconds.
_NEAR_S: Final = 2.0
#: The tolerance for rounding alone, seconds.
_ROUNDING_S: Final = 0.001
#: A pool has compared its clock with the server's after this long, seconds.
_CLOCK_S: Final = 45.0
#: The highest jitter of the default backoff, and the variance of one that is even.
_JITTERS: Final = 29
_JITTER_VARIANCE: Final = ((_JITTERS + 1) ** 2 - 1) / 12


class _Failure(NamedTuple):
    """A failed run.

    Attributes:
        options: The options of its handler.
        promise: What becomes of the job.
        error: The error of the handler; None if it may have been given up.
        ended_s: When the handler ended, epoch seconds; None if it may have been given up.
    """

    options: JobOptions
    promise: Promise
    error: BaseException | None
    ended_s: float | None = None


class RetriesKeepTheRules(Checker):
    """A job is tried again only after a failure, within its backoff, at most `max_fails` times.

    A failure counts one. A job dies after its last try, or when its pools have died with it too
    often, or at once when no handler exists for it. Where the exception of its handler decides,
    that happens: see `promised`. Where two calls of a job's backoff agree, the retry is due exactly
    then; the jitter of the default backoff is even over many worlds. A job that skips the dead set
    is never dead. A job says with what error it has failed. A handler that has not read the
    `arg_error` of its job has failed.

    Args:
        backoff: Job name -> minimum and maximum seconds between a failure and the next try, for
            jobs with their own backoff; the others have the default's bounds.
    """

    rule = "retries keep to backoff and max_fails"

    def __init__(self, backoff: Mapping[str, tuple[float, float]] | None = None) -> None:
        self._backoff = dict(backoff or {})
        self._failed: dict[tuple[str, str], _Failure] = {}
        self._newest: dict[tuple[str, str], int] = {}
        self._recoveries: Counter[str] = Counter()
        self._threw: set[tuple[str, str]] = set()
        self._jitter = Tally()

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record a failed run; its exchange may reach Redis even after a crash."""
        key = run.pool, run.job_id
        if self._newest.get(key) != run.number:
            return
        if error is not None:
            promise = promised(error, run.options)
            self._failed[key] = _Failure(run.options, promise, error, self.scene.true_s())
            if promise.kind != "dropped" and not run.options.skip_dead:
                self._threw.add(key)

    def started(self, run: HandlerRun) -> None:
        """Record a handler with a timeout: it may be given up without an end."""
        self._newest[run.pool, run.job_id] = run.number
        self._threw.discard((run.pool, run.job_id))
        if run.options.timeout is not None:
            self._failed[run.pool, run.job_id] = _Failure(run.options, PLAIN, None)

    def wiped(self) -> None:
        """Forget how often jobs were recovered, as Redis has."""
        self._recoveries.clear()

    def changed(self, change: RedisChange) -> None:
        """Check retries and deaths."""
        if change.command == RESTORED:
            counts = self.scene.read("HGETALL", self.scene.keys.recoveries)
            self._recoveries.update({job.decode(): int(count) for job, count in counts.items()})
        for move in change.moves:
            before, after = move.before, move.after
            if after is None and change.command == "exchange":
                self._done(change.pool, move.job_id)
            if before is None or after is None or before.job is None or after.job is None:
                continue
            if change.command == "reap":
                self._recoveries[move.job_id] += 1
                if after.place.kind == "dead":
                    self._died_with_pool(move.job_id, change.pool)
            elif (
                change.command == "exchange"
                and after.place.kind in {"retry", "dead"}
                and not self._is_stray(before, after)
            ):
                self._settled(move, before.job, after, after.job, change.pool)

    def _is_stray(self, before: PlacedJob, after: PlacedJob) -> bool:
        """Tell whether a job went to the retry set since its queue is no list any more."""
        if before.raw != after.raw:
            return False
        key = self.scene.keys.jobs(before.place.queue)
        return self.scene.read("TYPE", key) not in {b"list", b"none"}

    def _done(self, pool: str, job_id: str) -> None:
        """Check that a job that is gone has not failed."""
        if (pool, job_id) in self._threw:
            self.violated("it is done though its handler has failed", job_id)

    def _died_with_pool(self, job_id: str, reaper: str) -> None:
        count = self._recoveries[job_id]
        if reaper and count < self.scene.conditions.spec(reaper).max_recoveries:
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
        promise = failed.promise
        if promise.kind == "dropped":
            self.violated("it stays though its handler has discarded it", job.id)
        if promise.kind == "postponed":
            if after.place.kind != "retry" or job.fails != before.fails:
                self.violated("it has failed though its handler has only postponed it", job.id)
            self._postponed(after, failed, pool)
            return
        if job.fails != before.fails + 1:
            self.violated(f"a failure took its fails from {before.fails} to {job.fails}", job.id)
        self._described(job, failed.error, pool)
        if after.place.kind == "retry":
            self._tried_again(after, job, failed)
        else:
            self._dead(job, failed)

    def _postponed(self, after: PlacedJob, failed: _Failure, pool: str) -> None:
        """Check that a postponed job is due when its handler has said."""
        if failed.promise.in_s is None or failed.ended_s is None:
            return
        delay_s, waits_s = math.ceil(failed.promise.in_s), after.score - failed.ended_s
        is_sure = self.scene.conditions.undisturbed_s(pool) > _CLOCK_S
        if is_sure and abs(waits_s - delay_s) > _NEAR_S:
            self.violated(f"it is postponed by {waits_s:g} s, not by {delay_s} s", after.job_id)

    def _dead(self, job: Payload, failed: _Failure) -> None:
        options = failed.options
        if options.skip_dead:
            self.violated("it is dead though it skips the dead set", job.id)
        if job.fails < options.max_fails and failed.promise.kind != "final":
            self.violated(f"it is dead after {job.fails} of {options.max_fails} tries", job.id)

    def _described(self, job: Payload, error: BaseException | None, pool: str) -> None:
        """Check that a job says when and with what error it has failed."""
        if self.scene.conditions.undisturbed_s(pool) > _CLOCK_S:
            ago_s = self.scene.true_s() - job.failed_at
            if abs(ago_s) > _NEAR_S + 10 * self.scene.conditions.slowness_s():
                self.violated(f"it says that it has failed {ago_s:g} s ago", job.id)
        said = job.last_err.partition("\n")[0]
        if error is None or isinstance(error, (JobTimeout, asyncio.CancelledError)):
            if not said:
                self.violated("it has failed, and does not say why", job.id)
        elif type(error).__name__ not in said:
            self.violated(f"it has failed with {error!r} and says {said!r}", job.id)
        elif _is_from_outside(error) and "Traceback" not in job.last_err:
            self.violated(f"it has failed with {error!r} and does not say where", job.id)

    def _tried_again(self, after: PlacedJob, job: Payload, failed: _Failure) -> None:
        options, promise = failed.options, failed.promise
        if promise.kind == "final":
            self.violated("it is to be tried again though it has failed for good", job.id)
        if job.fails >= options.max_fails:
            self.violated(f"it is to be tried again after {job.fails} tries", job.id)
        least, most = self._bounds(after, job, failed)
        if promise.in_s is not None:
            least = most = math.ceil(promise.in_s)
        delay_s = after.score - job.failed_at
        if not least <= delay_s <= most:
            self.violated(f"it waits {delay_s:g} s, not {least:g} to {most:g} s", job.id)
        has_default = options.backoff is None and job.name not in self._backoff
        if has_default and promise.in_s is None:
            jitter = (delay_s - least) / (job.fails + 1)
            self._jitter = self._jitter.plus(Tally(1, jitter, _JITTERS / 2, _JITTER_VARIANCE))

    def tallies(self) -> dict[str, Tally]:
        """Return the jitter of the default backoff, as multiples of one more than the failures."""
        return {"the jitter of the default backoff": self._jitter}

    def _bounds(self, after: PlacedJob, job: Payload, failed: _Failure) -> tuple[float, float]:
        if job.name in self._backoff:
            return self._backoff[job.name]
        if failed.options.backoff is not None:
            exact = _exact_s(failed, job, after.raw)
            return (0.0, math.inf) if exact is None else (exact, exact)
        least = job.fails**4 + 15
        return least, least + _JITTERS * (job.fails + 1)


def _is_from_outside(error: BaseException) -> bool:
    """Tell whether an exception passed through code that is not workkit's."""
    frames = traceback.walk_tb(error.__traceback__)
    return any("workkit" not in frame.f_code.co_filename for frame, _ in frames)


def _exact_s(failed: _Failure, job: Payload, raw: bytes) -> float | None:
    """Return what two calls of a job's backoff agree on, seconds; None if they do not."""
    backoff: Any = failed.options.backoff
    needed = [
        each
        for each in inspect.signature(backoff).parameters.values()
        if each.default is each.empty and each.kind <= each.POSITIONAL_OR_KEYWORD
    ]
    if len(needed) > 1 and failed.error is None:
        return None
    arguments = (failed.error,) if len(needed) > 1 else ()
    try:
        first, second = (float(backoff(job.job(raw), *arguments)) for _ in range(2))
    except Exception:  # noqa: BLE001 - the default backoff takes the place of a broken one
        return None
    return math.ceil(first) if first == second and 0 <= first < MAX_DELAY_S else None


class NothingEarly(Checker):
    """No job goes to its queue before it is due by the server's clock; hosts' do not count.

    A pool whose own clock is right moves nothing early, however long replies took.
    """

    rule = "nothing runs before its time"

    def changed(self, change: RedisChange) -> None:
        """Check jobs that were queued."""
        if change.command != "move":
            return
        true_s = self.scene.true_s()
        most_s = 0.0 if abs(change.clock_s - true_s) < _ROUNDING_S else _NEAR_S
        for move in change.moves:
            if move.before is not None and move.went_to("queued"):
                early_s = move.before.score - true_s
                if early_s > most_s:
                    self.violated(f"it is queued {early_s:g} s before it is due", move.job_id)


class NobodyAliveIsReaped(Checker):
    """Jobs are taken only from a pool whose heartbeat has not changed for 12 s."""

    rule = "nobody alive is taken for dead"

    def __init__(self) -> None:
        #: Key of a pool → each heartbeat that it has had, and when it came.
        self._beats: dict[bytes, dict[bytes, float]] = {}

    def changed(self, change: RedisChange) -> None:
        """Record heartbeats, and check recoveries."""
        scene = self.scene
        if change.command in {"beat", "register", "HSET"}:
            for key in change.keys:
                if scene.keys.is_pool(key):
                    said = scene.read("HGET", key, "heartbeat_at")
                    if said is not None:
                        self._beats.setdefault(key, {}).setdefault(said, scene.now_s())
        elif change.command == "reap":
            for move in change.moves:
                if move.before is not None:
                    self._look(move, move.before.place.pool_id)

    def _look(self, move: Move, pool_id: str) -> None:
        key = self.scene.keys.pool(pool_id)
        said = self.scene.read("HGET", key, "heartbeat_at")
        silent_s = self.scene.now_s() - self._beats.get(key, {}).get(said, float("-inf"))
        if silent_s < _DEAD_S:
            self.violated(
                f"its pool {pool_id[-6:]} lost it {silent_s:.3f} s after a heartbeat", move.job_id
            )
