"""Checks a history against the rules that it can show."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from workkit.admin.reader import Reader
from workkit.core.options import check_whole, near_match, shown
from workkit.errors import InvalidOption
from workkit.frames.any_history import any_history
from workkit.frames.auditing.crowds import check_limits, check_order
from workkit.frames.auditing.records import Evidence, Finding, Hits, Records
from workkit.frames.auditing.slots import check_slots, missed_slots
from workkit.frames.auditing.stores import check_archive, gaps_of, only_gone
from workkit.frames.auditing.tries import (
    check_duplicates,
    check_losses,
    check_retries,
    unfinished,
)
from workkit.frames.checks import checked_limits, is_number
from workkit.frames.sources import Source, is_archive, reader_of
from workkit.frames.times import Time

__all__ = ["RULES", "Audit", "Finding", "audit"]

#: What each rule says.
RULES: Final[Mapping[str, str]] = {
    "lost": "each job runs until it has ended, and each record is kept",
    "duplicate": "a job that has ended does not run again, and no record comes twice",
    "retry": "a retry follows a failure, and not before its delay has passed",
    "cron": "each slot comes once, and not before its time",
    "limit": "no more jobs run at once than a limit allows, and one in each worker",
    "order": "a job is queued, starts and ends in this order, and queues are served in theirs",
}
_CHECKS: Final = (check_duplicates, check_losses, check_retries, check_slots, check_limits,
                  check_order)  # fmt: skip
#: So many findings of each rule are put into words by default.
_SHOWN: Final = 1_000
#: The shortest delay of the default backoff.
_DEFAULT: Final[Callable[[int], float]] = lambda fails: fails**4 + 15  # noqa: E731 - data
_MS: Final = 1_000


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Attributes:
        records: How many executions were checked.
        jobs: How many jobs they belong to.
        first, last: When the first and the last of them ended, epoch seconds; None without any.
        counts: Rule -> how many findings there are, for rules that are broken.
        findings: The findings, rule by rule and in the order of their times; of each rule at most
            as many as were asked for.
        notes: What could not be checked, and why.
    """

    records: int
    jobs: int
    first: float | None
    last: float | None
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether all rules hold."""
        return not self.counts


def audit(
    source: Source | Any,
    *,
    since: Time | None = None,
    until: Time | None = None,
    limits: Mapping[str, int] | None = None,
    backoff: Literal["default"] | float | Callable[[int], float] | None = None,
    slack_s: float = 2.0,
    go: bool | None = None,
    most: int = _SHOWN,
    told: Callable[[int], None] | None = None,
) -> Audit:
    """Check a history against the rules that it can show; see `RULES`.

    A job that an operator has deleted counts as lost where it had failed: history does not record
    deletions. `docs/analysis.md` says what each rule checks, and what it cannot see.

    Args:
        source: A `Client`, a snapshot or its path, the directory of an archive, or a frame of
            history or its file. A `Client` and a snapshot also show where jobs are.
        since: Only executions that ended then or later; see `history`.
        until: Only executions that ended before.
        limits: Name -> `max_concurrency`, beside those that a `Client` or a snapshot has.
        backoff: The shortest delay before a retry: "default" for the engine's own, seconds, or a
            function of the number of failures. Without it, only the order is checked.
        slack_s: How far the clocks of two hosts may differ, seconds.
        go: Whether Go pools run jobs too: they write no history, so what is missing may have run
            there. By default, heartbeats of a `Client` or a snapshot decide.
        most: How many findings of each rule are put into words.
        told: Receives the number of records read so far.

    Raises:
        InvalidOption: The source has no history, or an argument is not valid.
        ServerError: Redis did not answer or refused.
    """
    check_whole("most", most, 0, 10**9)
    frame = any_history(source, since=since, until=until, told=told)
    reader = reader_of(source)
    notes: list[str] = []
    evidence = _evidence(source, reader, limits, backoff, slack_s, go, notes)
    records = Records(frame)
    found = _Found(records, most)
    for check in _CHECKS:
        for hits in check(records, evidence):
            found.add(hits)
    whole = until is None
    gone = unfinished(records, evidence, known_places=reader is not None and whole)
    if reader is not None and whole:
        gone = only_gone(gone, records, reader)
    found.add(gone)
    for finding in missed_slots(records, evidence):
        found.say(finding)
    if is_archive(source) and since is None and whole:
        for finding in check_archive(Path(str(source))):
            found.say(finding)
    _note(frame, evidence, notes)
    notes.extend(
        f"the limit of {name!r} says nothing: no job of that name is in this history"
        f"{near_match(name, records.names)}"
        for name in limits or ()
        if name not in records.names
    )
    return found.audit(notes)


def _evidence(
    source: Any,
    reader: Reader | None,
    limits: Mapping[str, int] | None,
    backoff: Any,
    slack_s: float,
    go: bool | None,
    notes: list[str],
) -> Evidence:
    if not is_number(slack_s) or not 0 <= slack_s < math.inf:
        raise InvalidOption(f"slack_s must be a number of seconds from 0 on, not {shown(slack_s)}")
    known: dict[str, int] = {}
    if reader is not None:
        known = {each.job_name: each.max_concurrency for each in reader.queues()}
        beats = reader.worker_pool_heartbeats()
        if go is None and any(not beat.version for beat in beats):
            go = True
    known |= checked_limits(limits)
    if go:
        notes.append(
            "Go pools write no history: failures, slots and runs that are missing may be theirs, "
            "and are not reported"
        )
    if reader is None and not known:
        notes.append("limits are not in history: give those that you have")
    gaps = gaps_of(Path(str(source))) if is_archive(source) else []
    return Evidence(known, _delays(backoff), round(_MS * slack_s), gaps, bool(go))


def _delays(backoff: Any) -> Callable[[int], float] | None:
    if backoff is None or callable(backoff):
        return backoff  # type: ignore[no-any-return] # either of them
    if backoff == "default":
        return _DEFAULT
    if is_number(backoff) and backoff >= 0:
        return lambda _fails: float(backoff)
    raise InvalidOption(
        'backoff must be "default", seconds, or a function of the number of failures, '
        f"not {shown(backoff)}"
    )


def _note(frame: Any, evidence: Evidence, notes: list[str]) -> None:
    if unreadable := frame.attrs.get("unreadable"):
        notes.append(f"{unreadable:,} records could not be read: newer format, or damaged")
    if evidence.gaps:
        notes.append(
            f"{len(evidence.gaps):,} gaps: records were trimmed before they were archived; what is "
            "missing there is not reported"
        )


class _Found:
    """Collects findings, and puts only some of them into words."""

    def __init__(self, records: Records, most: int) -> None:
        self._records = records
        self._most = most
        self._counts = dict.fromkeys(RULES, 0)
        self._findings: dict[str, list[Finding]] = {rule: [] for rule in RULES}

    def add(self, hits: Hits) -> None:
        """Add records that break a rule."""
        records, rows = self._records, [int(row) for row in hits.rows]
        self._counts[hits.rule] += len(rows)
        shown = self._findings[hits.rule]
        for row in rows[: max(self._most - len(shown), 0)]:
            at = (int(records.started[row]) or int(records.finished[row])) / _MS
            shown.append(
                Finding(hits.rule, hits.what(row), records.job_id(row), records.name_of(row), at)
            )

    def say(self, finding: Finding) -> None:
        """Add a finding."""
        self._counts[finding.rule] += 1
        if len(self._findings[finding.rule]) < self._most:
            self._findings[finding.rule].append(finding)

    def audit(self, notes: list[str]) -> Audit:
        """Return the result."""
        records = self._records
        jobs = int(records.job.max()) + 1 if len(records) else 0
        first = records.start_ms / _MS if len(records) else None
        last = records.end_ms / _MS if len(records) else None
        shown = [
            finding
            for found in self._findings.values()
            for finding in sorted(found, key=lambda each: each.at or 0.0)
        ]
        counts = {rule: count for rule, count in self._counts.items() if count}
        return Audit(len(records), jobs, first, last, counts, shown, notes)
