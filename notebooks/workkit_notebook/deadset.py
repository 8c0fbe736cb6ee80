"""The dead jobs behind a view: read once, then picked from by query, time and kind of failure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Final

from workkit.admin.grouping import ErrorGroup, ErrorGroups
from workkit.admin.query import Query
from workkit.admin.reader import Reader
from workkit.admin.steps.walk import WaitingJob
from workkit.core.fingerprint import fingerprint
from workkit.core.records import Place

__all__ = ["DEAD", "DeadSet", "buckets", "fingerprint_of"]

DEAD: Final = Place("dead")
#: Dead jobs that a view holds at most; the newest ones.
_MOST: Final = 100_000
_known: Final = lru_cache(maxsize=4_096)(fingerprint)
#: No calendar shows a later score, which only junk has, epoch seconds.
_LATEST_S: Final = 253_402_300_799


def fingerprint_of(record: WaitingJob) -> str:
    """Return what failures of the kind have in common, as `workkit.admin.grouping` has it."""
    return _known(record.job.undecodable or record.job.last_err)


class DeadSet:
    """The newest dead jobs of a namespace.

    Args:
        reader: Where they are.
        most: How many are held at most.

    Attributes:
        records: They, the newest first.
        total: How many dead jobs there are.
        now_s: When they were read, epoch seconds.
    """

    def __init__(self, reader: Reader, most: int = _MOST) -> None:
        self._reader = reader
        self._most = most
        self.records: list[WaitingJob] = []
        self.total = 0
        self.now_s = 0.0

    def read(self, told: Callable[[int, int], None] | None = None) -> None:
        """Read them again.

        Args:
            told: Called with how many were read so far, and how many there are.
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
        """When the first and the last of them died, epoch seconds."""
        times = [record.at or 0 for record in self.records if 0 <= (record.at or 0) <= _LATEST_S]
        return (min(times), max(times)) if times else (0, 0)

    def pick(
        self,
        query: Query,
        kinds: Collection[str] = (),
        span: tuple[float, float] | None = None,
    ) -> list[WaitingJob]:
        """Return those that match.

        Args:
            query: What they look like.
            kinds: Fingerprints; empty for all.
            span: When they died, epoch seconds, both ends included; None for any time.
        """
        picked = query.pick(self.records, self.now_s)
        return [
            record
            for record in picked
            if (not kinds or fingerprint_of(record) in kinds)
            and (span is None or span[0] <= (record.at or 0) <= span[1])
        ]

    def groups(self, records: Sequence[WaitingJob]) -> list[ErrorGroup]:
        """Group jobs by the kind of their failure, the most frequent first."""
        groups = ErrorGroups(self.now_s)
        groups.add(records)
        return groups.groups()


def buckets(times: Sequence[int], start: int, end: int, count: int) -> list[int]:
    """Count times in buckets of equal width.

    Args:
        times: Epoch seconds; what lies outside is left out.
        start: Where the first bucket begins.
        end: The last time that counts.
        count: How many buckets.
    """
    width = (end - start + 1) / count
    counts = [0] * count
    for time in times:
        if start <= time <= end:
            counts[int((time - start) / width)] += 1
    return counts
