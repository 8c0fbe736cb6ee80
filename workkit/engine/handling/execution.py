"""One execution of a job: from the claim to its fate."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from workkit.core import fingerprint
from workkit.core.clock import Clock, Instant, monotonic_s
from workkit.core.entropy import Entropy
from workkit.core.history import Record
from workkit.core.job import Job, Payload, failed, id_text, postponed, read
from workkit.core.options import HistoryOptions, JobOptions
from workkit.core.outcomes import OUTCOMES, Outcome
from workkit.core.probes import Ended, Incoming, Runs
from workkit.core.verdicts import Ruling
from workkit.engine.handling.failures import Failure, examined, headline
from workkit.engine.handling.handlers import Chain, Waits
from workkit.engine.handling.remembering import remember
from workkit.engine.process.courier import TELLER
from workkit.errors import InvalidArgs
from workkit.store.calls.exchange import Effect, Settlement

__all__ = ["Execution", "Fate", "decide", "quick_fate"]

#: Bounds of the check-ins that history keeps on request.
_MAX_CHECKINS: Final = 20
_CHECKIN_CHARS: Final = 200
#: Fates of jobs whose handler has not ended here.
_GOES_BACK: Final = frozenset({b"", b"b"})
#: Rulings that a handler has asked for, so that they matter more than its timeout.
_ASKED: Final = frozenset({"Retry", "Fail", "Discard"})
#: Rulings that mean that the handler has failed. The others are what a handler has asked for.
_FAILURES: Final = frozenset({"retry", "dead"})


class Execution(msgspec.Struct, eq=False):
    """A claimed job on its way through the pool.

    Runners record what happens; the dispatcher sets all other fields.

    Attributes:
        payload: The decoded bytes.
        raw: The bytes in the in-progress list.
        fails: How many times it has failed, this time included.
        queue: The queue it was claimed from.
        chain: Middleware and handler.
        options: The job's options.
        claimed_s: When it was claimed, monotonic seconds.
        worker_id: The worker that runs it; "" before it starts.
        started: When the handler started, or None.
        finished: When it ended, or None.
        error: The handler's error, or None.
        error_text: The error as it is stored; "" for none.
        can_be_logged: Whether a log can format the error.
        failing: The handler's error while it is examined, or None.
        retry_in_s: Seconds until the next try, if there is one.
        ruling: What the error means for the job, or None.
        interrupted: Whether its timeout has passed.
        fenced: Whether another pool has taken over the job; its result does not count.
        fingerprint: The fingerprint of the error; "" for none.
        began: Whether a unique key was freed for it.
        asks: Whether it needs an atomic check in Redis before it starts: unique and cron jobs. A
            unique job that has failed had its check; a newer job may hold its key now.
        slot: The Redis key of its cron slot, or b"".
        release_key: The unique key to free at the end, or b"".
        recovered: How often the job was recovered from dead pools.
        checkin: Newest check-in and its time (epoch seconds), or None.
        trail: The newest check-ins and their times (epoch milliseconds), if history keeps them.
        details: Options for the details that history keeps, or None.
        runner: The runner's handle to interrupt it.
        waits: The futures on the event loop that its threads wait for, if any.
        watched: The run as the chain's probes see it; None without a probe.
    """

    payload: Payload
    raw: bytes
    queue: str
    chain: Chain
    options: JobOptions
    claimed_s: float
    fails: int = 0
    asks: bool = False
    began: bool = False
    can_be_logged: bool = False
    checkin: tuple[str, int] | None = None
    details: HistoryOptions | None = None
    error: BaseException | None = None
    error_text: str = ""
    failing: BaseException | None = None
    fenced: bool = False
    fingerprint: str = ""
    finished: Instant | None = None
    interrupted: bool = False
    recovered: int = 0
    release_key: bytes = b""
    retry_in_s: int = 0
    ruling: Ruling | None = None
    runner: Any = None
    slot: bytes = b""
    started: Instant | None = None
    trail: deque[tuple[int, str]] | None = None
    waits: Waits | None = None
    watched: Runs | None = None
    worker_id: str = ""
    _job: Job | None = None
    _clock: Clock | None = None

    @property
    def job(self) -> Job:
        """The job as its handler sees it; the handler may change it."""
        job = self._job
        if job is None:
            job = self._job = self.payload.job(self.raw)
        return job

    def start(self, worker_id: str, clock: Clock, now: Instant | None = None) -> Job:
        """Record that the handler starts.

        Args:
            worker_id: The worker that runs it.
            clock: For the times of check-ins.
            now: The time, if it was just read.

        Returns:
            The job as its handler sees it.
        """
        self.worker_id = worker_id
        self.started = now = now or clock.read()
        self._clock = clock
        watch = self.chain.watch
        if watch is not None:
            seen = Incoming(self.payload, self.raw, self.recovered, watch.where, now.epoch_ms)
            self.watched = Runs(watch.probes, seen)
        job = self._job = self.payload.job(self.raw, self._receive)
        return job

    def _receive(self, message: str) -> None:
        text = message.encode("utf-8", "replace").decode("utf-8")
        assert self._clock is not None  # noqa: S101 - it has started
        now = self._clock.read()
        self.checkin = (text, now.epoch_s)
        if self.details is not None and self.details.checkins:
            if self.trail is None:
                self.trail = deque(maxlen=_MAX_CHECKINS)
            self.trail.append((now.epoch_ms, text[:_CHECKIN_CHARS]))

    def examine(
        self, error: BaseException | None, clock: Clock, entropy: Entropy, *, alone: bool = False
    ) -> Failure | None:
        """Find out what the end of the handler means, on the thread where it ran.

        This calls the user's code: the error makes its message, and the backoff its delay. So it
        counts as a part of the handler, which a timeout can interrupt. It never raises.

        Args:
            error: The handler's error, or None.
            clock: For the time of the end.
            entropy: For the jitter of the default backoff.
            alone: Whether to do it without the user's code, because that does not return.

        Returns:
            The failure; None if the handler has done its job.
        """
        job = self._job
        if error is None:
            if job is None or not (job.has_unread_arg_error and self.options.check_args):
                return None
            error = _unread(job)
        self.failing = error
        return examined(self, error, clock.read(), entropy, alone=alone)

    def finish(self, failure: Failure | None, clock: Clock) -> Instant:
        """Record how the handler ended. Only the first end counts.

        Args:
            failure: What `examine` has found.
            clock: For the time of the end.

        Returns:
            The time of the end.
        """
        if self.finished is not None:  # the pool has given it up
            return self.finished
        now = self.finished = clock.read() if failure is None else failure.ended
        if failure is None:
            self._job = None  # breaks the reference cycle through check-ins, so that both are freed
        else:
            self._fail(failure)
        if self.watched is not None:
            self.tell_end(now)
        return now

    def tell_end(self, now: Instant, outcome: Outcome | None = None) -> None:
        """Tell the probes that the handler has ended, or that the pool no longer waits for it."""
        watched, started, ruling = self.watched, self.started, self.ruling
        if watched is None or started is None:
            return
        failed = ruling is not None and ruling.outcome in _FAILURES
        run_s = now.monotonic_s - started.monotonic_s
        outcome = outcome or ("fenced" if self.fenced else _outcome(self))
        end = Ended(outcome, failed, self.error, self.error_text, run_s, monotonic_s())
        TELLER.tell(watched.ended, end)

    def _fail(self, failure: Failure) -> None:
        self.failing, self.error = None, failure.error
        self.error_text, self.fingerprint = failure.text, failure.fingerprint
        self.can_be_logged = failure.can_be_logged
        self.ruling, self.retry_in_s, self.fails = failure.ruling, failure.retry_in_s, failure.fails
        if failure.error is None:  # postponed
            self._job = None

    def written(self, raw: bytes) -> None:
        """Let hooks see the job as it is written, with its failure."""
        self._job = read(raw).job(self.raw)

    def let_go(self) -> None:
        """Drop the error and the job after the hooks have run.

        The frames of a traceback hold the job, and the job holds this execution. Breaking the cycle
        frees them at once, without the garbage collector.
        """
        self.error = self._job = None


def _unread(job: Job) -> InvalidArgs:
    """Return the error of a job whose `arg_error` the handler has not read."""
    return InvalidArgs(
        f"{job.arg_error}; to ignore it, read job.arg_error in the handler, or register the "
        "job with check_args=False"
    )


class Fate(Settlement, frozen=True, eq=False, gc=False):
    """The outcome of an execution: the settlement for Redis, and the history record.

    Attributes:
        execution: The execution.
        record: The record for history.
    """

    execution: Execution
    record: Record


_DONE: Final = OUTCOMES["done"].fate


def decide(execution: Execution) -> Fate:
    """Decide the fate of a finished execution.

    The rules are the original's, where the exception does not decide: retry while there are tries
    left; then the dead set, unless the job skips it.
    """
    finished, ruling = execution.finished, execution.ruling
    assert finished is not None  # noqa: S101 - only finished executions are decided
    if ruling is None:
        if execution.began or execution.release_key or execution.slot or execution.recovered:
            return _fate(execution, finished, "done")
        record = remember(execution, "done", finished.epoch_ms)
        return Fate(execution.queue, execution.raw, _DONE, 0, b"", (), "", execution, record)
    fails, outcome = execution.fails, _outcome(execution)
    now_s = finished.epoch_s
    reason = ruling.reason if not execution.interrupted or ruling.reason in _ASKED else ""
    if outcome == "postponed":
        why = headline(execution.error_text)
        new = postponed(execution.raw, fails, why)
        return _fate(execution, finished, outcome, now_s + execution.retry_in_s, new, reason)
    if outcome == "discarded":
        return _fate(execution, finished, outcome, reason=reason)
    new = failed(execution.raw, fails, execution.error_text, now_s)
    due_s = now_s + execution.retry_in_s if outcome == "retry" else now_s
    return _fate(execution, finished, outcome, due_s, new, reason)


def _outcome(execution: Execution) -> Outcome:
    """Return the outcome of a finished execution."""
    ruling, options = execution.ruling, execution.options
    if ruling is None:
        return "done"
    outcome = ruling.outcome
    if outcome == "retry" and execution.fails >= options.max_fails:
        outcome = "dead"
    return "discarded" if outcome == "dead" and options.skip_dead else outcome


def quick_fate(
    execution: Execution,
    outcome: Outcome,
    now: Instant,
    *,
    error: str = "",
    dead: bytes = b"",
    reason: str = "",
) -> Fate:
    """Decide the fate of an execution whose handler did not run to its end.

    Args:
        execution: The execution.
        outcome: "returned", "discarded" or "dead".
        now: When this was decided.
        error: The error, for "dead".
        dead: The bytes for the dead set, for "dead".
        reason: For the history record.
    """
    execution.finished = finished = execution.finished or now
    if execution.watched is not None:
        execution.tell_end(now, outcome)
    if error and not execution.error_text:
        execution.error_text = error
        execution.fingerprint = fingerprint.fingerprint(error)
    if dead:
        execution.written(dead)
    return _fate(execution, finished, outcome, now.epoch_s, dead, reason)


def _fate(
    execution: Execution,
    finished: Instant,
    outcome: Outcome,
    score: int = 0,
    new: bytes = b"",
    reason: str = "",
) -> Fate:
    payload, fate = execution.payload, OUTCOMES[outcome].fate
    begun = payload.id if execution.began and fate == b"d" else ""
    failed_on = execution.began and not begun
    plain = not (failed_on or execution.release_key or execution.slot or execution.recovered)
    return Fate(
        execution.queue,
        execution.raw,
        fate,
        score,
        new,
        () if plain else _effects(execution, outcome),
        begun,
        execution,
        remember(execution, outcome, finished.epoch_ms, reason),
    )


def _effects(execution: Execution, outcome: Outcome) -> tuple[Effect, ...]:
    """Return the other effects, applied in the same script and only if the pool held the job."""
    payload, rule, effects = execution.payload, OUTCOMES[outcome], []
    if execution.slot:
        effects.append(Effect("mark", execution.slot, rule.slot_mark))
    if rule.fate not in _GOES_BACK:
        if execution.recovered:
            effects.append(Effect("recovered", b"", payload.id))
        if execution.began and rule.fate in {b"r", b"x"}:
            effects.append(Effect("begun", b"", payload.id))
        if execution.release_key and rule.fate != b"r":
            effects.append(Effect("release", execution.release_key, id_text(payload)))
    return tuple(effects)
