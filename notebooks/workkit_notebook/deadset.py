"""The dead jobs of a view: read once, then filtered by query, time and group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from workkit.admin.grouping import ErrorGroup, ErrorGroups
from workkit.admin.query import Query
from workkit.admin.reader import Reader
from workkit.admin.steps.reads import read_job
from workkit.admin.steps.walk import WaitingJob
from workkit.core.fingerprint import fingerprint
from workkit.core.records import Place
from workkit.snapshot import SECRETS, Redaction

__all__ = ["DEAD", "DeadSet", "buckets", "fingerprint_of"]

DEAD: Final = Place("dead")
#: A view holds at most this many of the newest dead jobs.
_MOST: Final = 100_000
_known: Final = lru_cache(maxsize=4_096)(fingerprint)
#: The latest time of a calendar, epoch seconds. Only a malformed payload has a later score.
_LATEST_S: Final = 253_402_300_799


def fingerprint_of(record: WaitingJob) -> str:
    """Return the fingerprint of a job's failure, as in `workkit.admin.grouping`."""
    return _known(record.job.undecodable or record.job.last_err)


class DeadSet:
    """The newest dead jobs of a namespace.

    Args:
        reader: The source.
        most: The number of jobs to hold at most.
        redact: Names of secret values, which `shown` hides.

    Attributes:
        records: The jobs, the newest first.
        total: The number of all dead jobs.
        now_s: When they were read, epoch seconds.
    """

    def __init__(self, reader: Reader, most: int = _MOST, redact: Iterable[str] = SECRETS) -> None:
        self._reader = reader
        self._most = most
        self._redaction = Redaction(redact)
        self.records: list[WaitingJob] = []
        self.total = 0
        self.now_s = 0.0

    def read(self, told: Callable[[int, int], None] | None = None) -> None:
        """Read the jobs again.

        Args:
            told: Receives the number of jobs read so far, and the total.
        """
        records: list[WaitingJob] = []
        self.now_s, self.total = self._reader.now_s(), 0
        for batch in self._reader.walk(DEAD, reverse=True):
            records += batch.jobs
            self.total = max(batch.total, batch.seen)
            if told is not None:
                told(len(records), min(self.total, self._most))
            if len(records) >= self._most:
                del records[self._most :]
                break
        self.records = records

    @property
    def span(self) -> tuple[int, int]:
        """When the first and the last job died, epoch seconds; (0, 0) without jobs.

        Malformed members may have any score; they count only if there is nothing else.
        """
        for records in ([r for r in self.records if r.job.undecodable is None], self.records):
            times = [at for record in records if 0 < (at := record.at or 0) <= _LATEST_S]
            if times:
                return min(times), max(times)
        return 0, 0

    def shown(self, record: WaitingJob) -> WaitingJob:
        """Return a job as a page may show it: without the values of secrets."""
        raw = record.job.raw
        clean = self._redaction.job(raw)
        if clean == raw:
            return record
        made: WaitingJob = replace(record, job=read_job(clean, record.job.name))
        return made

    def pick(
        self,
        query: Query,
        kinds: Collection[str] = (),
        span: tuple[float, float] | None = None,
    ) -> list[WaitingJob]:
        """Return the jobs that match all filters.

        Args:
            query: The query.
            kinds: Fingerprints of groups; empty for all.
            span: Only jobs that died then, epoch seconds, both ends included; None for any time.
        """
        picked = query.pick(self.records, self.now_s)
        return [
            record
            for record in picked
            if (not kinds or fingerprint_of(record) in kinds)
            and (span is None or span[0] <= (record.at or 0) <= span[1])
        ]

    def groups(self, records: Sequence[WaitingJob]) -> list[ErrorGroup]:
        """Group jobs by their failures, the largest group first."""
        groups = ErrorGroups(self.now_s)
        groups.add(map(self.shown, records))
        return groups.groups()


def buckets(times: Sequence[int], start: int, end: int, count: int) -> list[int]:
    """Count times in buckets of equal width.

    Args:
        times: Epoch seconds. Times outside are ignored.
        start: The beginning of the first bucket.
        end: The last time that counts.
        count: The number of buckets.
    """
    width = (end - start + 1) / count
    counts = [0] * count
    for time in times:
        if start <= time <= end:
            counts[int((time - start) / width)] += 1
    return counts
