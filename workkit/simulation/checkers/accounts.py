"""Checkers: history and totals tell what has happened, once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

from workkit.core.history import TracedRecord, unpack
from workkit.core.outcomes import OUTCOMES, TOTALS
from workkit.core.parents import parent_of
from workkit.core.probes import attached
from workkit.errors import JobTimeout
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import HandlerRun, Move, RedisChange
from workkit.simulation.checkers.settling import history_blob
from workkit.store.calls.exchange import read_exchange
from workkit.store.replies import pairs

__all__ = [
    "COUNTED",
    "KNOWS_S",
    "SETTLED_S",
    "HistoryIsExact",
    "Processes",
    "TotalsAreTrue",
]

#: The outcomes that exchanges tell without settling a job.
_UNSETTLED: Final = frozenset({"fenced", "recovered"})
#: A pool knows what an exchange has done, and tells others, within this time, seconds.
KNOWS_S: Final = 10.0
#: A pool has asked what a lost exchange has done this long after its last fault, seconds.
SETTLED_S: Final = 20.0
#: A pool's clock is set while a handler runs if it was wrong: the tolerance, seconds.
_NEAR_S: Final = 1.1
#: After this time without a fault, replies arrive, seconds.
_REPLIES_S: Final = 10.0


class HistoryIsExact(Checker):
    """History has one record of each execution, even if the exchange with the record was lost.

    Each settled job is in the records of its exchange, with its outcome, its failures, the time
    that its handler took, and its parent. So is each job that was recovered from a dead pool.
    """

    rule = "history has one record of an execution"

    def __init__(self) -> None:
        self._began: dict[tuple[str, str], tuple[HandlerRun, float]] = {}
        self._took: dict[tuple[str, str], float] = {}
        self._sent: set[tuple[str, int, str, str]] = set()
        self._again: dict[tuple[str, int, str, str], tuple[str, float]] = {}
        self._reaped: list[tuple[str, str, str, float]] = []
        self._lately: list[tuple[str, str, str, float]] = []  # the reply may still be lost

    def started(self, run: HandlerRun) -> None:
        """Record when a handler starts."""
        self._began[run.pool, run.job_id] = run, self.scene.now_s()
        self._took.pop((run.pool, run.job_id), None)

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record how long a handler took."""
        del error
        began, began_s = self._began.get((run.pool, run.job_id), (None, 0.0))
        if began is not None and began.number == run.number:
            self._took[run.pool, run.job_id] = self.scene.now_s() - began_s

    def changed(self, change: RedisChange) -> None:
        """Compare what an exchange settles with its records."""
        if self._lately:
            self._follow_reaped()
        if change.command == "reap":
            self._note_reaped(change)
        if change.command != "exchange" or not change.moves:
            return
        found = list(change.settled)
        for move, record in found:
            if record is None:
                place = move.after.place.kind if move.after is not None else "nowhere"
                self.violated(f"it went {place} without a record that says so", move.job_id)
            self._compare(move, record, change.pool)
        asked = sum(len(part.settled) for part in read_exchange(change.sent).parts)
        keys = [_key(record) for _, record in found if record is not None]
        if found and asked == len(found):
            self._sent.update(keys)
        elif self.scene.conditions.undisturbed_s(change.pool) > _REPLIES_S:
            # Others have taken some of the jobs, so the pool sends the other records again.
            blob = history_blob(change.sent).blob
            records = unpack(blob) if blob else ()
            keys += [_key(each) for each in records if each.outcome in _UNSETTLED]
            self._again.update(dict.fromkeys(keys, (change.pool, self.scene.now_s())))

    def _should_be_told(self, pool: str, at_s: float) -> bool:
        """Tell whether the process that knew something at a time has had time to tell it."""
        ago_s = self.scene.now_s() - at_s
        return KNOWS_S < ago_s < self.scene.conditions.runs_s(pool)

    def _expires(self) -> bool:
        """Tell whether a pool deletes records that are too old."""
        conditions = self.scene.conditions
        kept = [conditions.spec(pool).history for pool in conditions.running()]
        return any(each is not None and each.max_age_s is not None for each in kept)

    def _note_reaped(self, change: RedisChange) -> None:
        """Record the jobs whose recovery a pool has to tell, if it gets the reply."""
        conditions, now_s = self.scene.conditions, self.scene.now_s()
        if change.pool and conditions.undisturbed_s(change.pool) > _REPLIES_S:
            for move in change.moves:
                if move.after is not None and move.after.job is not None:
                    outcome = "recovered" if move.went_to("queued") else "dead"
                    self._lately.append((move.job_id, outcome, change.pool, now_s))

    def _follow_reaped(self) -> None:
        """Leave out the jobs whose recoveries a pool has not heard of: their reply was lost."""
        lately, self._lately, now_s = self._lately, [], self.scene.now_s()
        for each in lately:
            ago_s = now_s - each[3]
            if ago_s < _REPLIES_S:
                self._lately.append(each)
            elif self.scene.conditions.undisturbed_s(each[2]) > ago_s:
                self._reaped.append(each)

    def _compare(self, move: Move, record: TracedRecord, pool: str) -> None:
        before, after = move.before, move.after
        assert before is not None  # noqa: S101 - it was settled
        assert before.job is not None  # noqa: S101 - it was a job
        if record.name != before.job.name:
            self.violated(f"history says that it was a {record.name!r}", move.job_id)
        fails = (after.job if after is not None and after.job is not None else before.job).fails
        if record.outcome != "discarded" and record.fails != fails:
            self.violated(f"history has {record.fails} failures, not {fails}", move.job_id)
        is_plain = record.outcome in {"done", "retry", "dead"}
        if is_plain and OUTCOMES[record.outcome].failed != bool(record.error):
            self.violated(f"history has it as {record.outcome}: {record.error!r}", move.job_id)
        self._compare_parent(before.raw, record, pool)
        self._compare_reason(record, pool)
        took_s = self._took.get((pool, move.job_id))
        if took_s is None or not record.started_ms:
            return
        if self.scene.conditions.undisturbed_s(pool) > took_s + KNOWS_S:
            told_s = (record.finished_ms - record.started_ms) / 1000
            if abs(told_s - took_s) > _NEAR_S:
                self.violated(f"it took {took_s:.3f} s, history says {told_s:.3f} s", move.job_id)

    def _compare_reason(self, record: TracedRecord, pool: str) -> None:
        """Check that a record says why the job waits, went back or has failed."""
        run, _ = self._began.get((pool, record.job_id), (None, 0.0))
        if record.outcome == "postponed" and record.reason != "Retry":
            self.violated(f"history has {record.reason!r} as its reason", record.job_id)
        if record.outcome == "returned" and not record.reason:
            self.violated("history does not say why it went back", record.job_id)
        if run is None or not record.started_ms:
            return
        timeout_s, runs_s = run.options.timeout, (record.finished_ms - record.started_ms) / 1000
        was_late = timeout_s is not None and runs_s > timeout_s - _NEAR_S
        if record.reason == "timeout" and not was_late:
            self.violated(f"history has it as a timeout after {runs_s:g} s", record.job_id)
        if was_late and not record.reason and record.error.startswith(JobTimeout.__name__):
            self.violated("history does not say that it was a timeout", record.job_id)

    def _compare_parent(self, raw: bytes, record: TracedRecord, pool: str) -> None:
        """Check that a pool with probes names the parent of a job that it has run, and no other."""
        is_traced = bool(record.started_ms and attached(self.scene.conditions.spec(pool).probes))
        parent_id = parent_of(raw) if is_traced else ""
        if record.parent_id != parent_id:
            said = f"{record.parent_id!r} as its parent, not {parent_id!r}"
            self.violated(f"history has {said}", record.job_id)

    def wiped(self) -> None:
        """Forget the records, as Redis has."""
        self._sent.clear()
        self._again.clear()
        self._reaped.clear()
        self._lately.clear()

    def at_rest(self) -> None:
        """Look through the records of history."""
        seen: set[tuple[str, int, str]] = set()
        told: set[tuple[str, int, str, str]] = set()
        entries = self.scene.read("XRANGE", self.scene.keys.history, "-", "+")
        entries = entries if isinstance(entries, list) else []
        for record in _records(entries):
            execution = record.job_id, record.started_ms, record.worker_id
            if record.started_ms and execution in seen:
                self.violated(f"history has it twice, last as {record.outcome}", record.job_id)
            seen.add(execution)
            told.add(_key(record))
        if _is_trimmed(entries) or (not entries and self._expires()):
            return
        missing = self._sent - told
        for key, (pool, at_s) in self._again.items():
            if key not in told and self._should_be_told(pool, at_s):
                missing.add(key)
        if missing:
            job_id, _, _, outcome = min(missing)
            self.violated(f"history does not have that it was {outcome}", job_id)
        outcomes = {(job_id, outcome) for job_id, _, _, outcome in told}
        for job_id, outcome, pool, at_s in self._reaped:
            if (job_id, outcome) not in outcomes and self._should_be_told(pool, at_s):
                self.violated(f"history does not have that {pool} found it {outcome}", job_id)


def _key(record: TracedRecord) -> tuple[str, int, str, str]:
    return record.job_id, record.started_ms, record.worker_id, record.outcome


def _records(entries: Sequence[Any]) -> Iterator[TracedRecord]:
    for _, fields in entries:
        yield from unpack(dict(pairs(fields))[b"r"])


def _is_trimmed(entries: Sequence[Any]) -> bool:
    """Tell whether the first entry that history still has is not the first that it had."""
    if not entries:
        return False
    entry_id, fields = entries[0]
    return int(entry_id.rpartition(b"-")[2]) != int(dict(pairs(fields))[b"n"])


def _fenced(change: RedisChange) -> Iterator[tuple[str, int, str, str]]:
    """Give the executions whose jobs other pools have taken, as the records of an exchange say."""
    blob = history_blob(change.sent)
    for record in unpack(blob.blob) if blob.blob else ():
        if record.outcome == "fenced":
            yield _key(record)


class Processes(Checker):
    """What the processes of pools have settled; a pool that was reaped keeps its process."""

    def __init__(self) -> None:
        self._process: dict[str, tuple[str, str]] = {}  # pool id -> pool, number of its process
        self.is_unsure = False

    def register(self, change: RedisChange) -> None:
        """Record the process that registers."""
        pool_id = change.subject
        pid = self.scene.read("HGET", self.scene.keys.pool(pool_id), "pid")
        process = self._process[pool_id] = change.pool, str(pid)
        self.registered(process, pool_id)

    def registered(self, process: tuple[str, str], pool_id: str) -> None:
        """A process has registered, for the first time or again."""

    def wiped(self) -> None:
        """Expect no counts any more: a pool cannot ask what its lost exchanges have done."""
        self.is_unsure = True

    def crashed(self, pool: str) -> None:
        """Forget a process: an exchange of it that arrives later is told to nobody."""
        self._process = {at: each for at, each in self._process.items() if each[0] != pool}

    def process_of(self, pool_id: str) -> tuple[str, str] | None:
        """Return the process that has or had an id; None for one that has crashed, or of Go."""
        return self._process.get(pool_id)


#: What a process says of itself as long as it lives.
_FACTS: Final = ("started_at", "worker_ids", "host", "pid")
#: The totals of outcomes that exchanges settle. A job that goes back may be claimed again in the
#: same exchange, so that nobody sees it.
COUNTED: Final = tuple(
    total for total, outcome in TOTALS.items() if OUTCOMES[outcome].fate and outcome != "returned"
)


class TotalsAreTrue(Processes):
    """The totals in a heartbeat count what exchanges have settled, and no more, within 10 s.

    They count each execution whose job another pool has taken. A process that registers again has
    another id, but the same workers and the same start.
    """

    rule = "totals count what has happened"

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[tuple[str, str], Counter[str]] = {}
        self._fresh: dict[tuple[str, str], deque[tuple[float, str]]] = {}
        self._hidden: dict[tuple[str, str], Counter[str]] = {}
        self._fenced: dict[tuple[str, str], dict[tuple[str, int, str, str], float]] = {}
        self._facts: dict[tuple[str, str], list[bytes | None]] = {}

    def registered(self, process: tuple[str, str], pool_id: str) -> None:
        """Check that a process that registers again says the same of itself."""
        facts = self.scene.read("HMGET", self.scene.keys.pool(pool_id), *_FACTS)
        known = self._facts.setdefault(process, facts)
        if known != facts:
            self.violated(f"{process[0]} was {known}, and registers again as {facts}")

    def changed(self, change: RedisChange) -> None:
        """Count outcomes, and compare the counts with heartbeats."""
        if change.command == "register":
            self.register(change)
        elif change.command == "exchange":  # even if nobody sees that it has settled a copy
            process = self.process_of(change.subject)
            if process is not None:
                fresh = self._fresh.setdefault(process, deque())
                counts = self._counts.setdefault(process, Counter())
                for _, record in change.settled:
                    if record is not None:
                        total = OUTCOMES[record.outcome].total
                        counts[total] += 1
                        fresh.append((self.scene.now_s(), total))
                self._hidden.setdefault(process, Counter()).update(change.hidden)
                fenced = self._fenced.setdefault(process, {})
                for key in _fenced(change):
                    fenced.setdefault(key, self.scene.now_s())
        elif change.command == "beat":
            self._compare(change)

    def _compare(self, change: RedisChange) -> None:
        key = change.keys[0]
        process = next(
            (
                each
                for pool_id, each in self._process.items()
                if self.scene.keys.pool(pool_id) == key
            ),
            None,
        )
        if process is None or self.scene.conditions.spec(process[0]).history is None:
            return
        if not self.scene.read("HEXISTS", key, "fence"):
            return  # the script has written nothing: the pool is not registered any more
        now_s, counts = self.scene.now_s(), self._counts.get(process, Counter())
        fresh = self._fresh.setdefault(process, deque())
        while fresh and now_s - fresh[0][0] > KNOWS_S:
            fresh.popleft()
        new, maybe = Counter(total for _, total in fresh), self._hidden.get(process, Counter())
        known = self.scene.read("HMGET", key, *COUNTED)
        is_sure = self.scene.conditions.undisturbed_s(process[0]) > SETTLED_S
        for total, said in zip(COUNTED, known, strict=True):
            says = int(said or 0)
            if says > counts[total] + maybe[total]:
                self.violated(f"{process[0]} counts {says} {total}, there were {counts[total]}")
            if is_sure and not self.is_unsure and says < counts[total] - new[total]:
                self.violated(f"{process[0]} counts {says} {total}, there are {counts[total]}")
        fenced = int(self.scene.read("HGET", key, "fenced") or 0)
        # A heartbeat that was under way when they were counted does not have the newest.
        there = sum(now_s - at_s > KNOWS_S for at_s in self._fenced.get(process, {}).values())
        if fenced < there:
            self.violated(f"{process[0]} counts {fenced} fenced, history has {there}")
