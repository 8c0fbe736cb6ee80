"""Checkers: hooks, observers and observations tell what has happened, once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from workkit.core.history import Record
from workkit.core.job import PERIODIC, Job, Payload, args_json
from workkit.core.outcomes import OUTCOMES, Outcome
from workkit.engine.handling.events import ReapedPool
from workkit.simulation.checkers.accounts import (
    COUNTED,
    KNOWS_S,
    SETTLED_S,
    Processes,
)
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import (
    MISCOUNTED,
    RESTORED,
    HandlerRun,
    Move,
    RedisChange,
)

__all__ = ["HooksAreCalled", "ObservationsAreTrue", "ObserversHear"]

#: An observation is written within this time, seconds.
_OBSERVED_S: Final = 4.0
#: And again within this time if Redis has lost it or has brought it back, seconds.
_RESYNC_S: Final = 60.0
#: A pool's clock is set while a handler runs if it was wrong: the tolerance, seconds.
_NEAR_S: Final = 1.1
_EVERY_S: Final = 0.5
_REWRITING: Final = frozenset({"DEL", "HSET"})
#: The outcomes of which hooks are told, if there is an error.
_TOLD: Final[frozenset[Outcome]] = frozenset({"retry", "dead", "discarded"})


class _Failure(NamedTuple):
    """A failure of which hooks are told.

    Attributes:
        at_s: When Redis has heard of it, seconds since the world began.
        fails: How many times the job has failed, this time included.
        written: The job as it was written with the failure; None if it was dropped.
    """

    at_s: float
    fails: int
    written: Payload | None


class HooksAreCalled(Processes):
    """Hooks of "failed" and "dead" are called once for each failure in Redis, within 10 s.

    They get the job as it is written: with the number of its failures, the error and the time. A
    pool tells only once that another one is gone.
    """

    rule = "hooks are called once for what has happened"

    def __init__(self) -> None:
        super().__init__()
        self._expected: dict[tuple[str, str], dict[tuple[str, str], deque[_Failure]]] = {}
        self._newest: dict[str, tuple[str, str]] = {}  # pool -> its process
        self._gone: set[tuple[str, str]] = set()  # who tells, and the id of the pool that is gone

    def changed(self, change: RedisChange) -> None:
        """Record failures, and look whether hooks were called."""
        if change.command == "register":
            self.register(change)
            self._succeeds(self.process_of(change.subject))
            return
        if change.command == "beat":
            self._look(change.pool)
        if self._gone:
            self._forget_gone(change)
        if change.command != "exchange" or not change.moves:
            return
        process = self.process_of(change.subject)
        if process is None or self._newest.get(process[0]) != process:
            return
        expected = self._expected.setdefault(process, {})
        for move, record in change.settled:
            if record is not None and record.error and record.outcome in _TOLD:
                for event in ("failed", "dead")[: 1 + (record.outcome == "dead")]:
                    failures = expected.setdefault((event, move.job_id), deque())
                    written = move.after.job if move.after is not None else None
                    failures.append(_Failure(self.scene.now_s(), record.fails, written))

    def _succeeds(self, process: tuple[str, str] | None) -> None:
        """Forget what the process before had to tell: it has ended."""
        if process is None:
            return
        before = self._newest.get(process[0], process)
        if before != process:
            self._expected.pop(before, None)
        self._newest[process[0]] = process

    def _forget_gone(self, change: RedisChange) -> None:
        """Expect to hear again of pools that hold jobs again, or are said to hold some."""
        if change.command == MISCOUNTED:
            self._gone.clear()
        again = {
            move.after.place.pool_id
            for move in change.moves
            if move.after is not None and move.went_to("in progress")
        }
        if again:
            self._gone = {each for each in self._gone if each[1] not in again}

    def told(self, pool: str, event: str, arguments: Sequence[Any]) -> None:
        """Check that what a hook is told of has happened."""
        if event == "reaped":
            self._told_of_pool(pool, arguments[0])
            return
        job = arguments[0]
        for process, expected in self._expected.items():
            failures = expected.get((event, job.id))
            if process[0] == pool and failures:
                self._compare(pool, event, job, failures.popleft())
                return
        if "undecodable" not in job.last_err:
            self.violated(f"{pool} tells the hook {event!r} once more than it happened", job.id)

    def _compare(self, pool: str, event: str, job: Job, failure: _Failure) -> None:
        """Check that a hook gets the job with its failure."""
        written = failure.written
        says, known = (job.fails, "", 0), (failure.fails, "", 0)
        if written is not None:
            says = job.fails, job.last_err, job.failed_at
            known = failure.fails, written.last_err, written.failed_at
        if says != known:
            self.violated(
                f"{pool} tells the hook {event!r} of a job with {says}, {known} is written", job.id
            )

    def _told_of_pool(self, pool: str, reaped: ReapedPool) -> None:
        told = pool, reaped.pool_id
        if reaped.requeued or reaped.died:
            return
        if told in self._gone:
            self.violated(f"{pool} tells once more that pool {reaped.pool_id[-6:]} is gone")
        self._gone.add(told)

    def _look(self, pool: str) -> None:
        conditions, now_s = self.scene.conditions, self.scene.now_s()
        if self.is_unsure or conditions.undisturbed_s(pool) < SETTLED_S:
            return
        process = self.process_of(self.scene.pool_id(pool))
        for (event, job_id), failures in self._expected.get(process or ("", ""), {}).items():
            if failures and now_s - failures[0].at_s > KNOWS_S:
                self.violated(f"{pool} has not told the hook {event!r}", job_id)

    def crashed(self, pool: str) -> None:
        """Forget what a process that is gone had to tell."""
        super().crashed(pool)
        for process in [each for each in self._expected if each[0] == pool]:
            del self._expected[process]
        self._gone = {each for each in self._gone if each[0] != pool}


class ObserversHear(Processes):
    """Observers hear of each execution that Redis has settled, once, within 10 s.

    They hear of each scheduled job that their pool has queued, and of each pool that it has
    recovered, as do the hooks of "reaped".
    """

    rule = "observers hear once what has happened"

    def __init__(self) -> None:
        super().__init__()
        self._expected: dict[tuple[str, str], dict[tuple[str, str], deque[float]]] = {}
        self._hidden: Counter[tuple[str, str]] = Counter()
        self._queued: Counter[str] = Counter()
        self._recovered: dict[tuple[str, str], deque[tuple[float, str]]] = {}

    def changed(self, change: RedisChange) -> None:
        """Record what there is to hear, and look whether it was heard."""
        if change.command == "exchange":
            self._settled(change)
        elif change.command == "beat":
            self._look(change.pool)
        elif change.command == "register":
            self.register(change)
        elif change.command == "move" and change.pool:
            came = [move for move in change.moves if move.came_from("scheduled")]
            self._queued[change.pool] += sum(move.went_to("queued") for move in came)
        elif change.command == "reap" and change.pool and change.moves:
            pool_id = change.subject
            found = self._recovered.setdefault((change.pool, pool_id), deque())
            for move in change.moves:
                found.append((self.scene.now_s(), "died" if move.went_to("dead") else "requeued"))

    def _settled(self, change: RedisChange) -> None:
        process = self.process_of(change.subject)
        if process is None:
            return
        expected = self._expected.setdefault(process, {})
        for move, record in change.settled:
            if record is not None and OUTCOMES[record.outcome].total in COUNTED:
                times = expected.setdefault((record.outcome, move.job_id), deque())
                times.append(self.scene.now_s())
        self._hidden.update((process[0], total) for total in change.hidden)

    def heard(self, pool: str, what: str, report: Any) -> None:
        """Check that what is heard has happened."""
        if what == "executed":
            for execution in report:
                self._heard_of(pool, execution.record)
        elif what == "requeued":
            self._queued[pool] -= len(report)
            if self._queued[pool] < 0:
                self.violated(f"{pool} tells of more jobs than it has queued")
        else:
            self._heard_of_pool(pool, report)

    def _heard_of(self, pool: str, record: Record) -> None:
        if OUTCOMES[record.outcome].total not in COUNTED or record.reason == "undecodable":
            return
        for process, expected in self._expected.items():
            times = expected.get((record.outcome, record.job_id))
            if process[0] == pool and times:
                times.popleft()
                return
        hidden_one = pool, OUTCOMES[record.outcome].total
        if record.job_id.startswith(PERIODIC) and self._hidden[hidden_one]:
            self._hidden[hidden_one] -= 1
        elif self.scene.conditions.spec(pool).history is not None:
            self.violated(f"{pool} tells once more that it is {record.outcome}", record.job_id)

    def _heard_of_pool(self, pool: str, reaped: ReapedPool) -> None:
        found = self._recovered.get((pool, reaped.pool_id), deque())
        is_sure = self.scene.conditions.undisturbed_s(pool) > 2 * SETTLED_S
        # A pool that was frozen tells later of what it has recovered before.
        while found and is_sure and self.scene.now_s() - found[0][0] > SETTLED_S:
            found.popleft()
        there = Counter(fate for _, fate in found)
        said = Counter(requeued=reaped.requeued, died=reaped.died)
        found.clear()
        if said - there or (is_sure and there - said):
            self.violated(f"{pool} tells that it has recovered {dict(said)}, it was {dict(there)}")

    def _look(self, pool: str) -> None:
        conditions, now_s = self.scene.conditions, self.scene.now_s()
        if self.is_unsure or conditions.undisturbed_s(pool) < SETTLED_S:
            return
        process = self.process_of(self.scene.pool_id(pool))
        for (outcome, job_id), times in self._expected.get(process or ("", ""), {}).items():
            if times and now_s - times[0] > KNOWS_S:
                self.violated(f"{pool} has not told observers that it is {outcome}", job_id)

    def crashed(self, pool: str) -> None:
        """Forget what a process that is gone had to tell."""
        super().crashed(pool)
        for process in [each for each in self._expected if each[0] == pool]:
            del self._expected[process]


class ObservationsAreTrue(Checker):
    """What a handler runs, with its args and its newest check-in, can be seen within 4 s.

    And a worker that has become idle shows no job after 4 s. That is so if its pool has no fault;
    and again a minute after Redis has lost writes, or after a late write.
    """

    rule = "observations show what runs"

    def __init__(self) -> None:
        self._since: dict[int, float] = {}
        self._checkins: dict[int, tuple[tuple[str, int] | None, float]] = {}
        self._idle: dict[tuple[str, str], float] = {}  # pool and worker -> since when
        self._orphaned: set[int] = set()  # what runs on although its process has ended
        self._next_s = 0.0
        self._died_s: dict[str, float] = {}
        self._mended_s = 0.0  # by when pools have written again what Redis has lost

    def started(self, run: HandlerRun) -> None:
        """Record when a handler starts."""
        self._since[run.number] = self.scene.now_s()
        self._idle.pop((run.pool, run.worker_id), None)

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Forget a handler."""
        del error
        if run.number not in self._orphaned:
            self._idle[run.pool, run.worker_id] = self.scene.now_s()
        self._orphaned.discard(run.number)
        self._since.pop(run.number, None)
        self._checkins.pop(run.number, None)

    def changed(self, change: RedisChange) -> None:
        """Look at the observations of handlers that run for a while."""
        scene = self.scene
        for move in change.moves:
            if move.left("in progress"):
                self._taken(move)
        now_s = scene.now_s()
        if change.command == RESTORED:  # what was removed a moment ago may stand there again
            self._mended_s = now_s + _RESYNC_S
            self._idle = dict.fromkeys(self._idle, self._mended_s)
        elif change.command == "HSET":  # may have arrived after its caller has given it up
            for pool, worker_id in self._idle:
                if scene.keys.worker(worker_id) in change.keys:
                    self._idle[pool, worker_id] = now_s + _RESYNC_S
        # Some commands leave a key between two versions.
        if change.command not in _REWRITING and now_s >= self._next_s:
            self._next_s = now_s + _EVERY_S
            # One pool may have to look after the jobs of many dead ones, one after the other.
            dead = sum(now_s - at_s < _RESYNC_S for at_s in self._died_s.values())
            slow_s = (10 + 2 * dead) * scene.conditions.slowness_s()
            if now_s >= self._mended_s + _OBSERVED_S + slow_s:
                self._look_at_running(now_s, slow_s)
            self._look_at_idle(now_s, slow_s)

    def _look_at_running(self, now_s: float, slow_s: float) -> None:
        scene = self.scene
        for run in scene.running.values():
            if run.number not in self._since:
                continue
            runs_s = now_s - self._since[run.number]
            if runs_s < _OBSERVED_S + slow_s or runs_s > (run.options.timeout or runs_s):
                continue
            if scene.conditions.undisturbed_s(run.pool) < SETTLED_S or not self._is_held(run):
                continue
            worker = scene.keys.worker(run.worker_id)
            said = scene.read("HMGET", worker, "job_id", "job_name", "started_at")
            off_s = int(said[2] or 0) - scene.true_s() + runs_s
            is_sure = scene.conditions.undisturbed_s(run.pool) > runs_s + SETTLED_S
            is_wrong = is_sure and abs(off_s) > 2 * _NEAR_S
            if said[:2] != [run.job_id.encode(), run.name.encode()] or is_wrong:
                self.violated(
                    f"{run.pool} has run it for {runs_s:.1f} s and shows {said}", run.job_id
                )
            self._look_at_args(run)
            self._look_at_checkin(run, now_s, slow_s)

    def _look_at_idle(self, now_s: float, slow_s: float) -> None:
        # A handler that was given up may end while another one has its place.
        for run in self.scene.running.values():
            self._idle.pop((run.pool, run.worker_id), None)
        for (pool, worker_id), since_s in list(self._idle.items()):
            idle_s = min(now_s - since_s, self.scene.conditions.undisturbed_s(pool) - SETTLED_S)
            if idle_s < _OBSERVED_S + slow_s:
                continue
            del self._idle[pool, worker_id]
            shown = self.scene.read("HGET", self.scene.keys.worker(worker_id), "job_id")
            if shown is not None:
                self.violated(
                    f"a worker of {pool} shows it, and has been idle for {idle_s:.1f} s",
                    shown.decode(),
                )

    def _look_at_args(self, run: HandlerRun) -> None:
        said = self.scene.read("HGET", self.scene.keys.worker(run.worker_id), "args")
        known = [args_json(each.raw) for each in self.scene.where(run.job_id)]
        if said not in known:
            self.violated(f"{run.pool} shows its args as {said!r}", run.job_id)

    def _taken(self, move: Move) -> None:
        """Expect nothing of handlers whose job has left their pool; it may even claim it again."""
        assert move.before is not None  # noqa: S101 - it was in progress
        pool = self.scene.host(move.before.place.pool_id)
        for run in self.scene.running.values():
            if run.job_id == move.before.job_id and run.pool == pool:
                self._since.pop(run.number, None)

    def _look_at_checkin(self, run: HandlerRun, now_s: float, slow_s: float) -> None:
        newest = self.scene.checkin(run)
        known, since_s = self._checkins.get(run.number, (None, 0.0))
        if newest != known:
            self._checkins[run.number] = newest, now_s
        elif newest is not None and now_s - since_s > _OBSERVED_S + slow_s:
            worker = self.scene.keys.worker(run.worker_id)
            said = self.scene.read("HMGET", worker, "checkin", "checkin_at")
            if said != [newest[0].encode(), b"%d" % newest[1]]:
                self.violated(f"it has checked in with {newest}, {said} is shown", run.job_id)

    def crashed(self, pool: str) -> None:
        """Forget the workers of a process that is gone."""
        self._died_s[pool] = self.scene.now_s()
        self._idle = {key: since_s for key, since_s in self._idle.items() if key[0] != pool}
        running = self.scene.running.values()
        self._orphaned.update(run.number for run in running if run.pool == pool)

    def left(self, pool: str) -> None:
        """Forget the workers of a process that is gone."""
        self.crashed(pool)

    def _is_held(self, run: HandlerRun) -> bool:
        """Tell whether the pool still holds the job; if not, its result does not count."""
        return any(
            each.place.kind == "in progress" and self.scene.host(each.place.pool_id) == run.pool
            for each in self.scene.where(run.job_id)
        )
