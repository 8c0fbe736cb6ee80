"""The account of a run: which jobs were enqueued, how they ended, and whether it balances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workkit.admin.steps.history import HistoryRecord
from workkit.core.records import DeadJob
from workkit.core.text import counted
from workkit.tools.demo.handlers import CRON_JOB, JOB_NAMES, PARSING, DemoState
from workkit.tools.demo.workload import Workload

__all__ = ["Account"]

#: Outcomes after which a job is not executed again.
_FINAL: Final = ("done", "dead", "discarded")


@dataclass(frozen=True, slots=True)
class Account:
    """The facts that are known after a run.

    Attributes:
        workload: The files that were to be processed.
        state: The records of the handlers, with the ids of all enqueued jobs.
        history: All executions that Redis has kept.
        trimmed: How many executions history has dropped.
        dead: The dead set.
        pool_totals: How many executions the pool has counted, by outcome.
        began_ms: When the first job was enqueued, epoch milliseconds.
        complete: Whether the run came to its end; False if it was stopped early.
    """

    workload: Workload
    state: DemoState
    history: Sequence[HistoryRecord]
    trimmed: int
    dead: Sequence[DeadJob]
    pool_totals: Mapping[str, int]
    began_ms: int
    complete: bool

    def counts(self, name: str = "") -> dict[str, int]:
        """Count the jobs of one name, or all of them; cron jobs count when they have ended.

        Returns:
            How many jobs were enqueued, are done, are dead, were discarded, and are left; and how
            many executions were retried.
        """
        records = [record for record in self.history if name in {"", record.name}]
        enqueued = sum(name in {"", other} for other in self.state.enqueued.values())
        enqueued += sum(record.name == CRON_JOB and record.outcome in _FINAL for record in records)
        count = Counter(record.outcome for record in records)
        return {
            "enqueued": enqueued, "done": count["done"], "retried": count["retry"],
            "dead": count["dead"], "discarded": count["discarded"],
            "left": enqueued - sum(count[outcome] for outcome in _FINAL),
        }  # fmt: skip

    def speed(self) -> tuple[int, float]:
        """Return how many jobs ended without the cron job, and within how many seconds."""
        ended = [r for r in self.history if r.outcome in _FINAL and r.name != CRON_JOB]
        last_ms = max((record.finished_ms for record in ended), default=self.began_ms)
        return len(ended), (last_ms - self.began_ms) / 1000

    def problems(self) -> list[str]:
        """Return everything that does not balance; nothing if all is well."""
        return [*self._contradictions(), *(self._missing() if self.complete else ())]

    def _contradictions(self) -> Iterator[str]:
        """Yield errors that must never happen, even in a run that was stopped early."""
        if self.trimmed:
            yield f"history has lost {counted(self.trimmed, 'execution')}"
        count = Counter(record.outcome for record in self.history)
        if len(self.dead) != count["dead"]:
            in_set = counted(len(self.dead), "job is", "jobs are")
            yield f"{in_set} in the dead set, but {counted(count['dead'], 'job')} died"
        ends = Counter(record.job_id for record in self.history if record.outcome in _FINAL)
        if twice := [job_id for job_id, times in ends.items() if times > 1]:
            yield f"{counted(len(twice), 'job')} ended more than once, such as {twice[0]}"
        for outcome in ("retry", *_FINAL):
            if (known := self.pool_totals.get(outcome, 0)) > count[outcome]:
                executions = counted(known, f"execution as {outcome}", f"executions as {outcome}")
                yield f"the pool counted {executions}, history has {count[outcome]:,}"

    def _missing(self) -> Iterator[str]:
        """Yield jobs and counts that are missing after a complete run."""
        ended = {record.job_id for record in self.history if record.outcome in _FINAL}
        for name in JOB_NAMES:
            every = self.state.enqueued.items()
            if lost := [id_ for id_, other in every if other == name and id_ not in ended]:
                yield f"{counted(len(lost), f'{name} job')} never ended, such as {lost[0]}"
        done = sum(r.outcome == "done" for r in self.history if r.name in PARSING)
        files = {package: counts["files"] for package, counts in self.state.reports.items()}
        summed, reported = files.pop("", 0), sum(files.values())
        if not done == summed == reported:
            parsed = counted(done, "file was", "files were")
            yield f"{parsed} parsed, but the reports count {reported:,} and the summary {summed:,}"

    def as_json(self) -> dict[str, Any]:
        """Return the account as values that JSON has."""
        ended, wall_s = self.speed()
        return {
            "files": len(self.workload.files), "suspects": self.workload.suspects,
            "over_limit": self.workload.over_limit, "over_size": self.workload.over_size,
            "jobs": {name: self.counts(name) for name in JOB_NAMES}, "total": self.counts(),
            "wall_s": wall_s, "jobs_per_s": ended / wall_s if wall_s else 0.0,
            "waiting": self.state.waiting, "refused": self.state.refused,
            "reports": self.state.reports,
            "digest": self.state.digest, "complete": self.complete, "problems": self.problems(),
        }  # fmt: skip
