"""Claims jobs, hands them to the runner, and settles the finished ones.

The logic is pure: the dispatcher yields round trips and receives the time. Exactly one thread
drives it. So nobody else changes the pool's jobs between two exchanges, and nobody runs a job that
is in the pool's in-progress lists but unknown to the dispatcher.

A claimed job is admitted; bytes that are not a job, and jobs without a handler, go to the dead set
at once. Unique, cron and recovered jobs first need an atomic check in Redis. Then the job is
submitted, it finishes, and the next exchange settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workkit.core.clock import Instant
from workkit.core.history import Record, pack
from workkit.engine.dispatch.pace import Pace
from workkit.engine.dispatch.parts import PoolParts
from workkit.engine.dispatch.pool_sync import PoolSync
from workkit.engine.dispatch.reply_processor import ReplyProcessor
from workkit.engine.dispatch.start_checks import IsolatedRun, StartChecks
from workkit.engine.handling.execution import Execution, Fate, decide, quick_fate
from workkit.errors import ServerError, ServerRefused, ServerUnavailable
from workkit.store.calls import beat, exchange
from workkit.store.round_trip import RoundTrip, Step

__all__ = ["Dispatcher", "Rest"]

#: A held job that has not started after this long goes back to its queue, seconds.
PATIENCE_S: Final = 0.1
#: The dispatcher looks at every queue this often while there are free workers, seconds.
LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Rest:
    """The wait that a dispatcher asks for after a turn.

    Attributes:
        for_s: How long it has nothing to do; 0 for another turn at once.
        listen: Whether a new job should end the wait.
    """

    for_s: float
    listen: bool


class Dispatcher:
    """Claims, hands out and settles the jobs of one pool.

    Args:
        parts: The pool's parts.

    Attributes:
        next_due_s: When the next scheduled job or retry is due, epoch seconds, as last seen.
        claimed: How many jobs it has claimed so far.
    """

    def __init__(self, parts: PoolParts) -> None:
        self._keys = parts.keys
        self._identity = parts.identity
        self._board = parts.board
        self._ledger = parts.ledger
        self._runner = parts.runner
        self._deadlines = parts.deadlines
        self._finished = parts.finished
        self._events = parts.spec.events
        self._history = parts.spec.history
        self._concurrency = parts.spec.concurrency
        self._clock = parts.clock
        # Sync and async handlers share the workers, so jobs of one kind that are held in advance
        # could keep the other kind from starting.
        self._pace = Pace(prefetch=not parts.admission.mixed, concurrency=self._concurrency)
        self._portion = parts.portion
        self._pool_sync = PoolSync(parts)
        self._start_checks = StartChecks(parts)
        self._isolated = IsolatedRun(parts.ledger, parts.board)
        self._queues = {parts.keys.jobs(name): name for name in parts.board.names}
        self._looked_at = float("-inf")
        self._claiming = True
        self._returns_some = False  # whether this turn does, because no worker is free
        self._replies = ReplyProcessor(parts, self._start_checks)
        self.next_due_s: float | None = None
        self.claimed = 0

    # Called by other parts.

    def stop_claiming(self) -> None:
        """Claim no more jobs; safe from any thread."""
        self._claiming = False

    def reaped(self) -> None:
        """Record that the pool is no longer registered; safe from any thread."""
        self._pool_sync.reaped = True

    @property
    def resyncs(self) -> int:
        """How often the pool has compared its jobs with Redis."""
        return self._pool_sync.resyncs

    @property
    def has_finished(self) -> bool:
        """Whether a handler has ended since the last turn, or reports have arrived."""
        return bool(self._finished) or self._ledger.has_reports

    def look(self) -> RoundTrip[exchange.IdleLook]:
        """Return the round trip for `looked`: it reads all that could give this pool work."""
        board = self._board
        return exchange.look(self._keys, self._identity.pool_id, board.names, board.blocked)

    def looked(self, look: exchange.IdleLook) -> bool:
        """Record the reply to a look.

        Returns:
            Whether there is something to claim.
        """
        self._looked_at = self._clock.read().monotonic_s
        self.next_due_s = look.next_due_s
        self._board.mark_ready(look.ready, look.blocked)
        return self._board.may_have_jobs

    # One turn.

    def register(self) -> Step[None]:
        """Enter the namespace.

        Raises:
            ServerError: Redis did not answer or refused.
        """
        yield from self._pool_sync.restore(self._clock.read())

    def turn(self, *, watched: bool = False, heard: Sequence[bytes] = ()) -> Step[Rest]:
        """Settle, claim and start what is due now.

        Args:
            watched: Whether the server watches for changes since the last look and announced none.
            heard: Keys whose change it has announced. A claim from their queues replaces a look and
                saves one round trip; before the next rest, the dispatcher looks at all queues.

        Returns:
            The wait until the next turn.

        Raises:
            ServerError: Redis did not answer or refused; no job is lost, call again later.
        """
        now = self._clock.read()
        if self._replies.waiting and self._pool_sync.due(now):
            self._replies.take()
        for fate in (yield from self._pool_sync.restore(now)):
            self._events.settled(fate)
        if self._ledger.fenced_waiting:
            self._ledger.fenced_waiting = False
            self._runner.submit([e for e in self._runner.withdraw() if not e.fenced])
        self._collect()
        self._deadlines.watch(now)
        self._return_impatient(now)
        self._board.mark_candidates([self._queues[key] for key in heard if key in self._queues])
        claims = self._draw(now)
        # After an announcement that names no queue of ours, the look before the rest is enough.
        if not watched and not heard and self._look_is_due(now, claims):
            self.looked((yield from self.look()))
            claims = self._draw(now)
        if claims or self._ledger.outbox or self._ledger.records:
            yield from self._exchange(now, claims)
        if not self._is_pressed(now):
            self._replies.take()
        if self._start_checks.waiting:
            yield from self._begin(now)
        self._replies.start(self._isolated.next())
        self._return(self._isolated.overdue(now), now, "runs alone")
        return self._rest(self._clock.read())

    def _look_is_due(self, now: Instant, claims: Mapping[str, int]) -> bool:
        """Tell whether to look at queues that were empty, even while others have jobs."""
        wanted = bool(claims) or self._may_claim()
        return (
            wanted and self._board.any_thought_empty and now.monotonic_s - self._looked_at >= LOOK_S
        )

    def _may_claim(self) -> bool:
        return (
            self._claiming and not self._isolated.pending and self._ledger.running < self._workers()
        )

    def _workers(self) -> int:
        """Return how many handlers can run at once: fewer where the system refuses threads."""
        return self._runner.capacity if self._runner.short else self._concurrency

    def _rest(self, now: Instant) -> Rest:
        listen = self._may_claim()
        busy = (
            self._ledger.outbox
            or self._ledger.records
            or self.has_finished
            or self._start_checks.waiting
            or self._replies.waiting
        )
        # A queue with a limit gives nothing in advance: with all workers busy, wait for one.
        if busy or self._pool_sync.reaped or self._board.may_give(*self._room(now)):
            return Rest(0.0, listen=False)
        ends = [self._pool_sync.next_s, self._deadlines.next_s(now), self._isolated.next_s]
        ends.append(self._board.next_s)
        if self._ledger.running > self._workers():
            ends.append(now.monotonic_s + PATIENCE_S)
        return Rest(max(min(ends) - now.monotonic_s, 0.001), listen=listen)

    def _collect(self) -> None:
        """Decide the fates of finished executions."""
        finished, ledger, count = self._finished, self._ledger, 0
        if ledger.has_reports:
            ledger.take_reports()
        if not finished:
            return
        while finished:
            execution = finished.popleft()
            # `conclude` refuses a job that was fenced, abandoned or returned in between.
            count += ledger.conclude(decide(execution))
        started, ended = execution.started, execution.finished
        run_s = ended.monotonic_s - started.monotonic_s if started and ended else 0.0
        self._pace.finished(count, run_s)

    def _return_impatient(self, now: Instant) -> None:
        """Return held jobs if one has waited too long; another pool may have a free worker."""
        self._returns_some = False
        if not self._claiming:
            # A pool that stops starts no job.
            self._return(self._runner.withdraw(), now, "stopping")
            return
        if self._ledger.running <= self._workers() or not self._pace.patience_over(now):
            return
        waiting = self._runner.withdraw()
        # All or none, since the others came after those that have waited too long.
        if any(now.monotonic_s - e.claimed_s >= PATIENCE_S for e in waiting):
            self._return(waiting, now, "no free worker")
            self._returns_some = True
        elif waiting:
            self._runner.submit(waiting)

    def _return(self, executions: Iterable[Execution], now: Instant, reason: str) -> None:
        for execution in executions:
            self._ledger.conclude(quick_fate(execution, "returned", now, reason=reason))

    # The exchange.

    def _draw(self, now: Instant) -> dict[str, int]:
        """Decide how many jobs to claim from which queues."""
        self._board.recheck(now.monotonic_s)
        self._board.mark_candidates(self._ledger.ghosts_gone())
        ghosts = self._ledger.ghosts
        if ghosts:
            self._replies.take()  # the jobs that it has claimed count
        claims = self._board.draw(*self._room(now))
        return self._board.without_overrun(claims, ghosts, self._ledger.open() if ghosts else ())

    def _room(self, now: Instant) -> tuple[int, int]:
        """Return how many jobs to claim for free workers, and how many to hold in advance.

        Together they are no more than one reply may carry.
        """
        if not self._claiming or self._isolated.pending:
            return 0, 0
        free = self._workers() - self._ledger.running
        # The same exchange would claim again what it returns, and no other pool would see it.
        ahead = 0 if self._returns_some else self._pace.ahead(now, free)
        most = self._portion.most
        free = min(max(free, 0), most)
        return free, min(ahead, most - free)

    def _exchange(self, now: Instant, claims: Mapping[str, int]) -> Step[None]:
        ledger = self._ledger
        was_behind, fates = ledger.is_behind, ledger.take_outbox()
        if was_behind or ledger.is_behind:  # it would claim again what it gives back in parts
            claims = {}
        records, ledger.records = ledger.records, []
        round_trip = exchange.exchange(
            self._keys,
            self._identity.pool_id,
            self._pool_sync.fence,
            now.epoch_ms,
            fates,
            claims,
            self._history_blob(fates, records),
            self._replies.take,
        )
        try:
            reply = yield from round_trip
        except BaseException as error:  # also for a bug of ours: a resync shows what has happened
            if isinstance(error, ServerUnavailable):
                self._portion.lost(sum(claims.values()))
            self._pool_sync.lost(now, fates, records, claims)
            self._replies.take()
            raise
        self._replies.take()
        if reply.status != "ok":
            ledger.records = records + ledger.records
            ledger.put_back(fates)
            self._out_of_step(reply)
            return
        self._pool_sync.fence += 1
        self.claimed += reply.jobs
        self._portion.received(reply.jobs)
        self._replies.receive(reply, fates, records, now)
        starved = self._runner.starved
        if claims:
            self._pace.supplied(in_time=not starved)
        if starved:
            self._replies.take()

    def _is_pressed(self, now: Instant) -> bool:
        """Tell whether an exchange follows at once; the last reply is processed during it."""
        return bool(self._finished) or self._board.may_give(0, self._room(now)[1])

    def _out_of_step(self, reply: exchange.ExchangeReply) -> None:
        if reply.status == "gone":
            self._pool_sync.reaped = True
        elif reply.status == "fenced":
            self._pool_sync.doubt()
        else:
            raise ServerRefused(
                "WRONGTYPE",
                f"the Redis key {reply.detail!r} holds a wrong type, so failed jobs cannot be "
                "settled; rename or delete it",
            )

    def _history_blob(self, fates: list[Fate], others: list[Record]) -> exchange.HistoryBlob:
        """Pack the records for history."""
        records = [*others, *(fate.record for fate in fates)]
        if self._history is None or not records:
            return exchange.HistoryBlob()
        options = self._history
        return exchange.HistoryBlob(
            options.max_records,
            len(records),
            pack(records),
            self._identity.host,
            options.max_bytes,
            options.version,
        )

    def _begin(self, now: Instant) -> Step[None]:
        """Start jobs that need an atomic check in Redis."""
        try:
            begun = yield from self._start_checks.ask(self._pool_sync.fence, now, self._collect)
        except ServerError:
            self._pool_sync.doubt()  # an update may have replaced a job's bytes
            raise
        if begun is None:
            self._pool_sync.doubt()
            return
        self._return(self._isolated.add(begun.suspects), now, "runs alone")
        self._replies.start(begun.ready)

    # Stopping.

    def give_back(self) -> list[Execution]:
        """Return all unfinished jobs to their queues with the next turn.

        Returns:
            The executions whose handlers still run; their results no longer count.
        """
        now = self._clock.read()
        self._replies.take()
        self._collect()
        self._runner.withdraw()
        unfinished = self._ledger.open()  # in the order in which they were claimed
        self._return(unfinished, now, "stopping")
        return [execution for execution in unfinished if execution.started is not None]

    def leave(self) -> Step[int]:
        """Unregister the pool.

        Returns:
            How many jobs Redis still counts as held by the pool. If there are any, the pool stays
            registered, and another pool's reaper recovers them.
        """
        if not self._pool_sync.registered:
            return 0
        held = yield from beat.leave(self._keys, self._identity.pool_id, self._board.names)
        self._pool_sync.registered = held > 0
        return held
