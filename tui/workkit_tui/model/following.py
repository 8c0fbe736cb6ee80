"""Follows one job, wherever it goes, until it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from workkit.admin.acts.act import ActsReader
from workkit.admin.explain import pool_name
from workkit.admin.reader import Reader
from workkit.admin.steps.history import HistoryQuery, HistoryRecord
from workkit.core.outcomes import OUTCOMES, Level, with_fate
from workkit.core.records import Found, Overview, WorkerObservation
from workkit.core.text import age, headline, took

__all__ = ["Following", "Transition"]

#: Looking for a job in all places takes at most this share of the time.
_SHARE: Final = 0.05
#: The most workers that are asked for a job.
_MOST_WORKERS: Final = 2_000
#: So many transitions are kept, and so many acts are read to find who has deleted a job.
_MOST: Final = 100
_ACTS: Final = 50
_ENDS: Final = with_fate(b"d", b"x")
_ALL: Final = HistoryQuery(None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class Transition:
    """Something that happened to a job.

    Attributes:
        at_s: When it was seen, or when it ended, epoch seconds.
        text: What happened; it may hold anything from Redis.
        level: How serious it is.
    """

    at_s: float
    text: str
    level: Level = ""


class Following:
    """Follows a job. `step` reads, so it is called on a thread; the rest is for any thread.

    Args:
        placed: The job, where it was seen last.
        monotonic_s: Returns a time for measuring.

    Attributes:
        job_id: Its id.
        name: Its name.
        placed: Where it was found last.
        worker: The worker that runs it; None if it does not run, or that is not known.
        told: What happened, the oldest first.
        has_ended: Whether it has ended, or is nowhere.
    """

    def __init__(self, placed: Any, monotonic_s: Callable[[], float]) -> None:
        self.job_id: str = placed.job.id
        self.name: str = placed.job.name
        self.placed = placed
        self.worker: WorkerObservation | None = None
        self.told: list[Transition] = []
        self.has_ended = False
        self._monotonic_s = monotonic_s
        self._after: str | None = None
        self._next_find_s = 0.0
        self._was = ""
        self._missed = 0
        self._ran_until_s = 0

    def step(self, reader: Reader, seen: Overview) -> None:
        """Read what has happened since the last step.

        Args:
            reader: Reads the namespace.
            seen: An overview that was read just now.

        Raises:
            ServerError: The server does not answer, or refuses.
        """
        if self.has_ended:
            return
        if self._after is None:
            self._after = reader.history_extent().last_id
        for record in self._executions(reader):
            self._take(record)
        if not self.has_ended and not self._is_where_it_was(reader, seen):
            self._locate(reader, seen)

    @property
    def is_nowhere(self) -> bool:
        """Whether the job has ended and is in no queue and no set."""
        return self.has_ended and self._was != "dead set"

    # What has ended.

    def _executions(self, reader: Reader) -> Iterator[HistoryRecord]:
        """Yield the executions that history has got since, the oldest first."""
        own = self.job_id.encode("utf-8", "surrogatepass")
        for entries in reader.packed_history(after=self._after or ""):
            mine = [entry for entry in entries if own in entry.blob]
            found = [each for each in _ALL.pick(mine[::-1]) if each.job_id == self.job_id]
            yield from reversed(found)
            self._after = entries[-1].entry_id

    def _take(self, record: HistoryRecord) -> None:
        self.worker, self._next_find_s = None, 0.0
        self._ran_until_s = record.finished_ms // 1_000
        rule = OUTCOMES.get(record.outcome)  # type: ignore[call-overload]
        where = f" on {record.host}" if record.host else ""
        ran = f" after {took(record.finished_ms - record.started_ms)}" if record.started_ms else ""
        why = headline(record.error or record.reason)
        said = f"{self._words(record)}{ran}{where}{f': {why}' if why else ''}"
        self._was = record.outcome
        self._tell(record.finished_ms / 1_000, said, rule.level if rule else "")
        # A dead job is looked for first, so that it can be retried from its page.
        self.has_ended = record.outcome in _ENDS - {"dead"}

    @staticmethod
    def _words(record: HistoryRecord) -> str:
        if record.outcome == "retry":
            return "failed once" if record.fails == 1 else f"failed {record.fails:,} times"
        if record.outcome == "dead":
            return "failed for good, is dead"
        return record.outcome

    # Where it is.

    def _is_where_it_was(self, reader: Reader, seen: Overview) -> bool:
        """Tell cheaply whether the job is still where it was found."""
        if not self._was:
            return False
        if self.worker is not None:
            return self._observed(reader, [self.worker.worker_id]) is not None
        if self._was in {"scheduled", "retry set", "dead set"}:
            return bool(reader.circumstances(self.placed, seen).there)
        return False

    def _locate(self, reader: Reader, seen: Overview) -> None:
        """Look for the job: at the workers that may run it, then everywhere, but not too often."""
        pools = [pool for pool in seen.pools if self.name in pool.job_names]
        ids = [worker for pool in pools for worker in pool.worker_ids][:_MOST_WORKERS]
        if (worker := self._observed(reader, ids)) is not None:
            self._runs(worker, seen)
            return
        began_s = self._monotonic_s()
        if began_s < self._next_find_s:
            return
        found = reader.find(self.job_id)
        now_s = self._monotonic_s()
        self._next_find_s = now_s + (now_s - began_s) / _SHARE
        if found is not None:
            self._missed = 0
            self._stands(found, seen)
            return
        # It may have moved while it was looked for. So it is gone only when it is not there twice,
        # and history has nothing new of it.
        self._missed += 1
        self._next_find_s = now_s
        if self._missed > 1:
            self._gone(reader, seen)

    def _observed(self, reader: Reader, ids: list[str]) -> WorkerObservation | None:
        observed = reader.worker_observations(ids) if ids else []
        own = (each for each in observed if each.is_busy and each.job_id == self.job_id)
        # A worker's row may outlive its job for a moment.
        return next((each for each in own if each.started_at >= self._ran_until_s), None)

    def _runs(self, worker: WorkerObservation, seen: Overview) -> None:
        self._missed = 0
        before, self.worker = self.worker, worker
        if before is not None and before.worker_id == worker.worker_id:
            return
        pool = next((p for p in seen.pools if worker.worker_id in p.worker_ids), None)
        if self.placed.place != "running":
            pool_id = pool.worker_pool_id if pool is not None else ""
            self.placed = Found("running", self.placed.job, pool_id=pool_id)
        if self._was != "running":
            name = pool_name(pool) if pool is not None else worker.worker_id
            self._was = "running"
            self._tell(float(worker.started_at) or seen.taken_at, f"running on {name}")

    def _stands(self, found: Found, seen: Overview) -> None:
        """Take the place where the job was found."""
        self.worker = None
        if _spot(found) != _spot(self.placed):
            self.placed = found
        was, words, level = self._place_words(found, seen)
        if was != self._was:
            if self._was != "dead":  # which history has told
                self._tell(seen.taken_at, words, level)
            first, self._was = not self._was, was
            # A job that is dead from the start is followed: it may be retried.
            self.has_ended = was == "dead set" and not first

    @staticmethod
    def _place_words(found: Found, seen: Overview) -> tuple[str, str, Level]:
        wait = age((found.at or 0) - seen.taken_at)
        if found.place == "retry":
            return "retry set", f"is tried again in {wait}", "warning"
        if found.place == "scheduled":
            return "scheduled", f"scheduled, due in {wait}", ""
        if found.place == "dead":
            return "dead set", "dead; it runs again only if it is retried", "error"
        if found.place == "running":
            beat = next((p for p in seen.pools if p.worker_pool_id == found.pool_id), None)
            name = pool_name(beat) if beat is not None else found.pool_id
            return "running", f"running on {name}", ""
        return "queued", "queued", ""

    def _gone(self, reader: Reader, seen: Overview) -> None:
        """Say why the job is nowhere, and end."""
        self.has_ended = True
        act = None
        if isinstance(reader, ActsReader):
            acts = reader.acts(limit=_ACTS)
            verbs = {"delete", "forget"}
            act = next((a for a in acts if self.job_id in a.ids and a.verb in verbs), None)
        if act is not None:
            text = f"deleted by {act.by}; undo brings it back"
            self._tell(act.at_ms / 1_000, text, "warning")
            return
        ran = reader.job_history(self.job_id)
        if ran and ran[-1].outcome in _ENDS and not self.told:
            self._take(ran[-1])
            return
        text = "it was not found: it was deleted, or a Go pool has ended it, which keeps no history"
        self._tell(seen.taken_at, text, "warning")

    def _tell(self, at_s: float, text: str, level: Level = "") -> None:
        self.told = [*self.told[1 - _MOST :], Transition(at_s, text, level)]


def _spot(placed: Any) -> tuple[Any, ...]:
    """Return what tells one place of a job from another."""
    return placed.place, placed.at, getattr(placed, "pool_id", ""), placed.job.raw
