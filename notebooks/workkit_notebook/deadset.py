"""The dead jobs of a view: read once, then filtered by query, time and group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

import msgspec

from workkit.admin.grouping import ErrorGroup, ErrorGroups, parse_error
from workkit.admin.query import Query
from workkit.admin.reader import Reader
from workkit.admin.steps.walk import WaitingJob
from workkit.core.fingerprint import ErrorParts
from workkit.core.records import Place
from workkit.snapshot import SECRETS, Redaction
from workkit_notebook.facets import Facet, Facets

__all__ = ["DEAD", "Buckets", "DeadSet"]

DEAD: Final = Place("dead")
#: A view holds at most this many of the newest dead jobs.
_MOST: Final = 100_000
#: The latest time of a calendar, epoch seconds. Only a malformed payload has a later score.
_LATEST_S: Final = 253_402_300_799


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
        self._facets: Facets | None = None
        #: Error text -> its fingerprint and parts. Parsing takes longer than anything else.
        self._parsed: dict[str, tuple[str, ErrorParts]] = {}
        self._parts: dict[str, tuple[str, ErrorParts]] = {}

    def reading(self) -> Iterator[tuple[int, int]]:
        """Read the jobs again. The former ones stay until all are read.

        Yields:
            The number of jobs read so far, and the total, after each batch.
        """
        records: list[WaitingJob] = []
        now_s, total = self._reader.now_s(), 0
        parsed: dict[str, tuple[str, ErrorParts]] = {}
        for batch in self._reader.walk(DEAD, reverse=True):
            records += batch.jobs
            total = max(batch.total, batch.seen)
            for record in batch.jobs:
                text = record.job.undecodable or record.job.last_err
                if text not in parsed:
                    parsed[text] = self._parsed.get(text) or self._parse(text)
            yield min(len(records), self._most), min(total, self._most)
            if len(records) >= self._most:
                del records[self._most :]
                break
        self.records, self.total, self.now_s = records, total, now_s
        self._parsed, self._facets = parsed, None

    def clear(self) -> None:
        """Let go of the jobs and of what is known of them."""
        self.records, self._parsed, self._parts, self._facets = [], {}, {}, None

    def _parse(self, text: str) -> tuple[str, ErrorParts]:
        """Parse an error. Equal failures share the result, so that it takes little memory."""
        found = parse_error(text)
        return self._parts.setdefault(found[0], found)

    def kind_of(self, record: WaitingJob) -> str:
        """Return the fingerprint of a job's failure."""
        return self._known(record.job.undecodable or record.job.last_err)[0]

    def _known(self, text: str) -> tuple[str, ErrorParts]:
        return self._parsed.get(text) or self._parse(text)

    def facets(self, records: Sequence[WaitingJob], most: int) -> list[Facet]:
        """Return what sets some of the jobs apart, without the values of secrets."""
        if self._facets is None:
            self._facets = Facets(self.records)
        found = self._facets.of(records, 2 * most)
        return [facet for facet in found if self._may_show(facet)][:most]

    def is_secret(self, attribute: str, value: str) -> bool:
        """Tell whether a value of an arg is hidden, by the name of the arg."""
        keys = attribute.removeprefix("args.").split(".")
        args: object = value
        for key in reversed(keys):
            args = {key.strip('"'): args}
        raw = msgspec.json.encode({"name": "x", "id": "x", "t": 0, "args": args})
        return self._redaction.job(raw) != raw

    def _may_show(self, facet: Facet) -> bool:
        record = self.records[facet.row]
        if facet.field == "queue":
            return True
        shown = self.shown(record)
        return shown is record or Query(facet.term).matches(shown, self.now_s)

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
        return self._redaction.placed(record)

    def pick(self, query: Query) -> list[WaitingJob]:
        """Return the jobs that match a query."""
        return list(query.pick(self.records, self.now_s)) if query else list(self.records)

    def groups(self, records: Sequence[WaitingJob]) -> list[ErrorGroup]:
        """Group jobs by their failures, the largest group first, without the values of secrets."""
        groups = ErrorGroups(self.now_s, self._known)
        groups.add(records)
        return [self._shown_group(group) for group in groups.groups()]

    def _shown_group(self, group: ErrorGroup) -> ErrorGroup:
        sample = self.shown(cast("WaitingJob", group.sample))
        if sample is group.sample:
            return group
        _, parts = parse_error(sample.job.undecodable or sample.job.last_err)
        return replace(
            group, sample=sample, type=parts.type, message=parts.message, frame=parts.frame
        )


@dataclass(frozen=True, slots=True)
class Buckets:
    """Spans of equal length between two times: the bars of a histogram.

    What a bar counts and what choosing it picks must be the same jobs, so both ask here.

    Attributes:
        start: The beginning of the first span, epoch seconds.
        end: The last time that counts.
        count: The number of spans.
    """

    start: int
    end: int
    count: int

    @property
    def _width_s(self) -> float:
        return (self.end - self.start + 1) / self.count

    @property
    def edges(self) -> list[float]:
        """When each span begins, and when the last one ends, epoch seconds."""
        return [self.start + at * self._width_s for at in range(self.count)] + [self.end]

    def place(self, time: int) -> int | None:
        """Return which span a time is in; None outside."""
        if not self.start <= time <= self.end:
            return None
        return min(int((time - self.start) / self._width_s), self.count - 1)

    def counts(self, times: Iterable[int]) -> list[int]:
        """Count times in each span. Times outside are ignored."""
        counts = [0] * self.count
        for time in times:
            at = self.place(time)
            if at is not None:
                counts[at] += 1
        return counts

    def within(self, time: int, low: int, high: int) -> bool:
        """Tell whether a time is in one of the spans from `low` up to, not including, `high`."""
        at = self.place(time)
        return at is not None and low <= at < high
