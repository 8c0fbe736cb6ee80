"""The end of a run: what history, the dead set and the pool say, and whether it adds up."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final

from workkit.admin.steps.history import HistoryExtent, HistoryRecord
from workkit.core.records import DeadJob, WorkerPoolHeartbeat
from workkit.core.text import counted
from workkit.tools.demo.handlers import AT_ONCE, CRON_JOB, JOB_NAMES
from workkit.tools.demo.tally import Tally, Totals
from workkit.tools.demo.workload import Workload

__all__ = [
    "ErrorRow",
    "Evidence",
    "JobRow",
    "Report",
    "as_json",
    "build_report",
    "most_at_once",
    "short_error",
]

#: Outcomes after which a job is not executed again.
_FINAL: Final = frozenset({"done", "dead", "discarded"})
#: What a pool counts, and what history calls it.
_TOTALS: Final = {"done": "done", "retried": "retry", "died": "dead", "discarded": "discarded"}
#: A beat says in which second it was made; its counts may be from the second after.
_BEAT_MS: Final = 2_000
#: Two samples of the cron job are at least this far apart, seconds.
_SAMPLE_S: Final = 1.0
#: What `ast.parse` appends to a message if it does not know the file.
_PLACE: Final = re.compile(r" \(<unknown>, line \d+\)$")
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class JobRow:
    """What became of the jobs of one name.

    Attributes:
        name: The name; "" for all.
        accepted: How many were enqueued; those of the cron job are counted when they have ended.
        done: How many succeeded.
        retried: How many executions failed and were followed by another.
        dead: How many failed for the last time.
        discarded: How many were dropped instead.
        median_ms: Run time of the execution in the middle, milliseconds.
        p99_ms: Run time that 99 of 100 executions stayed within, milliseconds.
    """

    name: str
    accepted: int
    done: int
    retried: int
    dead: int
    discarded: int
    median_ms: int
    p99_ms: int


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """Executions that failed in the same way.

    Attributes:
        error: Type and message of one of them.
        failures: How many there are.
        dead: How many jobs died of it.
        example: The file of one of those; "" if none died.
    """

    error: str
    failures: int
    dead: int
    example: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known at the end of a run.

    Attributes:
        workload: What was to be processed.
        tally: What the handlers found out.
        history: All executions.
        extent: How many executions were recorded and kept.
        dead: The dead set.
        beat: The pool's last heartbeat, if there was one.
        began_ms: When the first job was enqueued, epoch milliseconds.
        complete: Whether all was done, rather than interrupted.
    """

    workload: Workload
    tally: Tally
    history: Sequence[HistoryRecord]
    extent: HistoryExtent
    dead: Sequence[DeadJob]
    beat: WorkerPoolHeartbeat | None
    began_ms: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Report:
    """A run.

    Attributes:
        files: Files that were to be processed.
        found: Files that there are.
        over_limit: Files left out for the limit.
        over_size: Files left out for their size.
        suspects: Files that CPython keeps for tests of wrong source.
        jobs: What became of the jobs, by name.
        total: All names together.
        errors: How executions failed, the most frequent first.
        wall_s: Seconds from the first job enqueued to the last one ended, waits for retries and
            for the clock included.
        jobs_per_s: Jobs that ended, a second of that time.
        sampled_per_s: Executions a second between two runs of the cron job.
        refused: Unique jobs that were refused because one was waiting.
        at_once: The most jobs that ran at once of the name that is limited.
        at_once_limit: The limit.
        parsed: What is in the files that were parsed.
        packages: The same by package, the largest first.
        slowest: The file whose job ran longest, and for how many seconds.
        digest: SHA-256 of all files, in their order; "" if it was not finished.
        complete: Whether the run was left to its end.
        pool_totals: What the pool counted, as its last heartbeat says; nothing without one.
        problems: What does not add up; nothing, if all is well.
    """

    files: int
    found: int
    over_limit: int
    over_size: int
    suspects: int
    jobs: Sequence[JobRow]
    total: JobRow
    errors: Sequence[ErrorRow]
    wall_s: float
    jobs_per_s: float
    sampled_per_s: Sequence[int]
    refused: int
    at_once: int
    at_once_limit: int
    parsed: Totals
    packages: Mapping[str, Totals]
    slowest: tuple[str, float]
    digest: str
    complete: bool
    pool_totals: Mapping[str, int]
    problems: Sequence[str]

    @property
    def left(self) -> int:
        """How many jobs have not ended."""
        total = self.total
        return total.accepted - total.done - total.dead - total.discarded


def build_report(evidence: Evidence) -> Report:
    """Count, and compare what must be equal."""
    workload, tally = evidence.workload, evidence.tally
    ended = [record for record in evidence.history if record.outcome in _FINAL]
    last_ms = max((r.finished_ms for r in ended if r.name != CRON_JOB), default=evidence.began_ms)
    wall_s = (last_ms - evidence.began_ms) / 1000
    on_time = sum(record.finished_ms <= last_ms for record in ended)
    rows = _job_rows(evidence)
    at_once = most_at_once(r for r in evidence.history if r.name == "parse_large_file")
    packages = sorted(tally.reports.items(), key=lambda item: (-item[1].lines, item[0]))
    return Report(
        files=len(workload.files),
        found=workload.found,
        over_limit=workload.over_limit,
        over_size=workload.over_size,
        suspects=workload.suspects,
        jobs=rows[:-1],
        total=rows[-1],
        errors=_error_rows(evidence),
        wall_s=wall_s,
        jobs_per_s=on_time / wall_s if wall_s else 0.0,
        sampled_per_s=_rates(tally.samples),
        refused=tally.refused,
        at_once=at_once,
        at_once_limit=AT_ONCE,
        parsed=tally.total,
        packages=dict(packages),
        slowest=tally.slowest,
        digest=tally.digest,
        complete=evidence.complete,
        pool_totals=dict(evidence.beat.totals) if evidence.beat else {},
        problems=[*_problems(evidence, at_once), *(_gaps(evidence) if evidence.complete else ())],
    )


def _job_rows(evidence: Evidence) -> list[JobRow]:
    """Return a row a name, and one for all."""
    accepted = Counter(evidence.tally.accepted.values())
    by_name: dict[str, list[HistoryRecord]] = defaultdict(list)
    for record in evidence.history:
        by_name[record.name].append(record)
    accepted[CRON_JOB] = sum(r.outcome in _FINAL for r in by_name[CRON_JOB])
    rows = [_job_row(name, accepted[name], by_name[name]) for name in JOB_NAMES]
    return [*rows, _job_row("", accepted.total(), evidence.history)]


def _job_row(name: str, accepted: int, records: Sequence[HistoryRecord]) -> JobRow:
    count = Counter(record.outcome for record in records)
    ran = sorted(record.finished_ms - record.started_ms for record in records if record.started_ms)
    return JobRow(
        name,
        accepted,
        count["done"],
        count["retry"],
        count["dead"],
        count["discarded"],
        _quantile(ran, 0.5),
        _quantile(ran, 0.99),
    )


def _quantile(ordered: Sequence[int], share: float) -> int:
    """Return the smallest value that a share of all values does not exceed; 0 for none."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else 0


def _error_rows(evidence: Evidence) -> list[ErrorRow]:
    """Group failures by the fingerprint that the engine gives them."""
    failed = [r for r in evidence.history if r.error and r.outcome in {"retry", "dead"}]
    files = {d.job.id: str((d.job.args or {}).get("name", "")) for d in evidence.dead}
    groups: dict[str, list[HistoryRecord]] = defaultdict(list)
    for record in failed:
        groups[record.fingerprint].append(record)
    rows = []
    for records in groups.values():
        dead = [record for record in records if record.outcome == "dead"]
        examples = sorted(files.get(record.job_id, "") for record in dead)
        rows.append(
            ErrorRow(
                short_error(records[0].error), len(records), len(dead), examples[0] if dead else ""
            )
        )
    return sorted(rows, key=lambda row: (-row.dead, -row.failures, row.error))


def short_error(error: str) -> str:
    """Return the first line of an error without the place, which the parser had no name for."""
    return _PLACE.sub("", error.partition("\n")[0])


def _rates(samples: Sequence[tuple[float, int]]) -> list[int]:
    """Return executions a second between samples; two that came close together say nothing."""
    return [
        round((now - before) / (at_s - was_s))
        for (was_s, before), (at_s, now) in pairwise(samples)
        if at_s - was_s > _SAMPLE_S
    ]


def most_at_once(records: Iterable[HistoryRecord]) -> int:
    """Return how many executions overlapped at most.

    History has milliseconds: what ends in one is over before what starts in it, so an execution
    that takes less than one does not count.
    """
    changes = [
        change
        for record in records
        if record.started_ms
        for change in ((record.started_ms, 1), (record.finished_ms, -1))
    ]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def _problems(evidence: Evidence, at_once: int) -> list[str]:
    """Say what must not be, whether or not the run was interrupted."""
    problems = []
    outcomes = Counter(record.outcome for record in evidence.history)
    if evidence.extent.trimmed:
        problems.append(f"history has lost {counted(evidence.extent.trimmed, 'execution')}")
    problems += _uncounted(evidence)
    if len(evidence.dead) != outcomes["dead"]:
        problems.append(
            f"{counted(len(evidence.dead), 'job is', 'jobs are')} in the dead set, "
            f"{counted(outcomes['dead'], 'has', 'have')} died"
        )
    endings = Counter(r.job_id for r in evidence.history if r.outcome in _FINAL)
    if twice := [job_id for job_id, times in endings.items() if times > 1]:
        problems.append(f"{counted(len(twice), 'job')} ended more than once: {_some(twice)}")
    if at_once > AT_ONCE:
        problems.append(f"parse_large_file ran {at_once} at once, {AT_ONCE} are allowed")
    return problems


def _uncounted(evidence: Evidence) -> list[str]:
    """Say what the pool has counted and history does not know."""
    beat = evidence.beat
    if beat is None:
        return []
    until_ms = beat.heartbeat_at * 1000 + _BEAT_MS
    known = Counter(r.outcome for r in evidence.history if r.finished_ms < until_ms)
    return [
        f"the pool had counted {beat.totals.get(total, 0):,} {total}, history has "
        f"{known[outcome]:,}"
        for total, outcome in _TOTALS.items()
        if beat.totals.get(total, 0) > known[outcome]
    ]


def _gaps(evidence: Evidence) -> list[str]:
    """Say what is missing at the end of a run that was not interrupted."""
    gaps = []
    tally = evidence.tally
    ended = {r.job_id for r in evidence.history if r.outcome in _FINAL}
    missing: dict[str, list[str]] = defaultdict(list)
    for job_id, name in tally.accepted.items():
        if job_id not in ended:
            missing[name].append(job_id)
    for name, ids in missing.items():
        gaps.append(f"{counted(len(ids), f'{name} job')} accepted that did not end: {_some(ids)}")
    done = sum(r.outcome == "done" for r in evidence.history if r.name.startswith("parse_"))
    reported = sum(totals.files for totals in tally.reports.values())
    if not done == reported == tally.total.files:
        gaps.append(
            f"{done:,} files were parsed, the package reports have {reported:,} and the summary "
            f"{tally.total.files:,}"
        )
    return gaps


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as values that JSON has."""
    return {**asdict(report), "left": report.left}
