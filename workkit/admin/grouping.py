"""Groups dead jobs and jobs to retry by the fingerprint of their error.

Groups grow batch by batch, so a view can show them while a million jobs are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from workkit.admin.query import Query
from workkit.admin.reader import Reader
from workkit.admin.steps.walk import WaitingJob
from workkit.core import fingerprint
from workkit.core.records import Place, Placed

__all__ = ["ErrorGroup", "ErrorGroups", "Grouped", "group_errors", "parse_error"]

_MINUTE_S: Final = 60
#: Trends leave out older failures, seconds.
TREND_S: Final = 86_400
#: A job's own times may be wrong. No clock shows this many epoch seconds.
_NEVER_S: Final = 2**53
_NO_ERROR: Final = "no error is recorded"


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Jobs that failed in the same way.

    Attributes:
        fingerprint: Equal for equal failures; "" for jobs without an error.
        type: The exception's type; "" if unknown.
        message: The message, with placeholders for the parts that vary.
        frame: The innermost frame in the user's code, ``file:function``; "" if unknown.
        count: The number of jobs.
        first_at: When the first of them failed, epoch seconds.
        last_at: When the last of them failed, epoch seconds.
        queues: Job name → number of jobs, the largest first.
        places: "dead" and "retry" → number of jobs.
        sample: The job that failed last.
        minutes: Epoch minute → number of failures, for the last day.
    """

    fingerprint: str
    type: str
    message: str
    frame: str
    count: int
    first_at: int
    last_at: int
    queues: Mapping[str, int]
    places: Mapping[str, int]
    sample: Placed
    minutes: Mapping[int, int]

    def trend(self, now_s: float, buckets: int, span_s: int) -> list[int]:
        """Return the number of failures in each part of a span that ends now, oldest part first.

        Args:
            now_s: The time, epoch seconds.
            buckets: The number of parts.
            span_s: The span, seconds, up to a day.
        """
        counts, start_s = [0] * buckets, now_s - span_s
        for minute, count in self.minutes.items():
            at = int((minute * _MINUTE_S + _MINUTE_S / 2 - start_s) * buckets / span_s)
            if 0 <= at < buckets:
                counts[at] += count
            elif at == buckets:  # the middle of the present minute is in the future
                counts[-1] += count
        return counts


class _OpenGroup:
    """A group that still grows."""

    def __init__(self, parts: fingerprint.ErrorParts, sample: Placed, at_s: int) -> None:
        self.parts = parts
        self.sample = sample
        self.count = 0
        self.first_at = self.last_at = at_s
        self.queues: Counter[str] = Counter()
        self.places: Counter[str] = Counter()
        self.minutes: Counter[int] = Counter()


class ErrorGroups:
    """Groups failed jobs.

    Args:
        now_s: The time, epoch seconds; trends reach back a day from it.
        parse: Returns the fingerprint and the parts of an error, for callers that know them.
    """

    def __init__(
        self,
        now_s: float,
        parse: Callable[[str], tuple[str, fingerprint.ErrorParts]] | None = None,
    ) -> None:
        self._now_s = now_s
        self._parse = parse or parse_error
        self._groups: dict[str, _OpenGroup] = {}
        self.count = 0

    def add(self, records: Iterable[Placed]) -> None:
        """Add jobs to their groups."""
        for record in records:
            self._add(record)

    def _add(self, record: Placed) -> None:
        job = record.job
        name, parts = self._parse(job.undecodable or job.last_err)
        at_s = next((at for at in (job.failed_at, record.at) if at and 0 < at < _NEVER_S), 0)
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _OpenGroup(parts, record, at_s)
        self.count += 1
        group.count += 1
        group.queues[job.name] += 1
        group.places[record.place] += 1
        group.first_at = min(group.first_at, at_s)
        if at_s >= group.last_at:
            group.last_at, group.sample = at_s, record
        if at_s > self._now_s - TREND_S:
            group.minutes[at_s // _MINUTE_S] += 1

    def groups(self) -> list[ErrorGroup]:
        """Return the groups, the largest first."""
        found = [
            ErrorGroup(
                name,
                group.parts.type,
                group.parts.message,
                group.parts.frame,
                group.count,
                group.first_at,
                group.last_at,
                dict(group.queues.most_common()),
                dict(group.places),
                group.sample,
                dict(group.minutes),
            )
            for name, group in self._groups.items()
        ]
        return sorted(found, key=lambda group: (-group.count, group.fingerprint))


@lru_cache(maxsize=4_096)
def parse_error(text: str) -> tuple[str, fingerprint.ErrorParts]:
    """Return an error's fingerprint and parts. Cached: many jobs have the same error text."""
    if not text:
        return "", fingerprint.ErrorParts("", _NO_ERROR, "")
    parts = fingerprint.parts(text)
    return fingerprint.of_parts(parts), parts


@dataclass(frozen=True, slots=True)
class Grouped:
    """The progress of grouping.

    Attributes:
        groups: The groups so far.
        seen: How many jobs were read.
        total: How many jobs there are.
    """

    groups: ErrorGroups
    seen: int
    total: int


def group_errors(
    reader: Reader,
    query: Query | None = None,
    *,
    places: Sequence[Place] = (Place("dead"), Place("retry")),
) -> Iterator[Grouped]:
    """Group failed jobs, batch by batch, the newest first.

    Args:
        reader: Reads the jobs.
        query: Picks jobs; None for all.
        places: The places to read.

    Yields:
        The progress after each batch. `groups` is the same object each time.
    """
    now_s = reader.now_s()
    groups, before, totals = ErrorGroups(now_s), 0, dict.fromkeys(places, 0)
    for place in places:
        totals[place] = reader.jobs(place, 0, 0).total
    for place in places:
        seen = 0
        for batch in reader.walk(place, reverse=True):
            records: Iterable[WaitingJob] = batch.jobs
            groups.add(query.pick(records, now_s) if query else records)
            seen, totals[place] = batch.seen, max(batch.total, batch.seen)
            yield Grouped(groups, before + seen, sum(totals.values()))
        before += seen
    yield Grouped(groups, before, before)
