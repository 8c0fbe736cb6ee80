"""A plan: the exact jobs of an action, and its effects."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from workkit.admin.steps.walk import WaitingJob
from workkit.core.records import Place, Placed
from workkit.core.text import counted
from workkit.errors import InvalidOption

__all__ = ["SAMPLE", "Draft", "Pins", "Plan", "Verb", "check_verb", "digest"]

Verb = Literal["retry", "delete"]

#: How many jobs a plan shows.
SAMPLE: Final = 5
#: The ids of how many jobs the record of acts names.
IDS: Final = 50
_DIGEST_BYTES: Final = 16


def digest(raw: bytes) -> bytes:
    """Return the digest by which a plan recognises a payload."""
    return hashlib.blake2b(raw, digest_size=_DIGEST_BYTES).digest()


def check_verb(verb: str, place: Place) -> None:
    """Check that a verb is possible in a place.

    Raises:
        InvalidOption: The verb is unknown, or not possible in this place.
    """
    if verb not in {"retry", "delete"}:
        raise InvalidOption(f"unknown action {verb!r}; known are retry and delete")
    if verb == "retry" and place.kind == "queued":
        raise InvalidOption("jobs in a queue run anyway; only jobs of a set can be retried")


class Pins:
    """Jobs pinned by digest and score. A pin takes 24 bytes, so a million fit in memory."""

    def __init__(self) -> None:
        self._scores = array("q")
        self._digests = bytearray()

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, placed: Placed) -> None:
        """Pin a job. Jobs of a set must be added in the order of the set."""
        self._scores.append(placed.at or 0)
        self._digests += digest(placed.job.raw)

    def _digest(self, at: int) -> bytes:
        return bytes(self._digests[at * _DIGEST_BYTES : (at + 1) * _DIGEST_BYTES])

    def all(self) -> Counter[bytes]:
        """Return all digests, and how often each is pinned: a queue can hold equal jobs."""
        return Counter(self._digest(at) for at in range(len(self)))

    def digest(self) -> str:
        """Return one digest of all jobs, in hexadecimal digits."""
        return hashlib.blake2b(self._digests, digest_size=_DIGEST_BYTES).hexdigest()

    def spans(self, size: int) -> Iterator[tuple[int, int, set[bytes]]]:
        """Yield runs of pins. Pins with equal scores are in the same run.

        Args:
            size: The least number of pins in a run; the last may have fewer.

        Yields:
            The lowest score, the highest score, and the digests.
        """
        start = 0
        while start < len(self):
            end = min(start + size, len(self))
            while end < len(self) and self._scores[end] == self._scores[end - 1]:
                end += 1
            digests = {self._digest(at) for at in range(start, end)}
            yield self._scores[start], self._scores[end - 1], digests
            start = end


@dataclass(frozen=True, slots=True)
class Plan:
    """A bulk action, to show first and then apply.

    Attributes:
        verb: "retry" or "delete".
        place: Where the jobs are.
        query: The query that picked the jobs; "" for all or for marked jobs.
        made_at: When the plan was made, epoch seconds.
        pins: The jobs.
        sample: The first few jobs.
        queues: Job name → number of jobs.
        unique: How many jobs hold a unique key, or will take it again.
        contested: Of these, jobs whose key another job holds. A retry runs them without being
            unique. A deletion does not free the key.
        junk: Malformed payloads. They can be deleted, but not retried.
        ids: The ids of the first jobs, for the record of acts.
    """

    verb: Verb
    place: Place
    query: str
    made_at: float
    pins: Pins
    sample: Sequence[WaitingJob]
    queues: Mapping[str, int]
    unique: int = 0
    contested: int = 0
    junk: int = 0
    ids: Sequence[str] = ()

    @property
    def count(self) -> int:
        """The number of jobs."""
        return len(self.pins)

    def effects(self) -> list[str]:
        """Return the side effects of the plan, as sentences without a full stop."""
        said = []
        free = self.unique - self.contested
        keys = counted(free, "unique key")
        if self.verb == "delete" and free:
            said.append(f"frees {keys}, so that these jobs can be enqueued again")
        if self.verb == "retry" and free and self.place.kind == "dead":
            said.append(f"takes {keys} again")
        if self.verb == "retry" and self.contested and self.place.kind == "dead":
            said.append(f"runs {self.contested:,} without being unique: a newer job holds the key")
        if self.verb == "delete" and self.contested:
            said.append(
                f"does not free {counted(self.contested, 'unique key')}: another job holds it"
            )
        if self.junk and self.verb == "retry":
            said.append(f"does not change {counted(self.junk, 'malformed payload')}")
        return said


class Draft:
    """Collects the jobs of a plan."""

    def __init__(self) -> None:
        self.pins = Pins()
        self.sample: list[WaitingJob] = []
        self.ids: list[str] = []
        self.queues: Counter[str] = Counter()
        self.unique = self.contested = self.junk = 0

    def add(self, record: WaitingJob, *, unique: bool, contested: bool) -> None:
        """Add a job."""
        self.pins.add(record)
        if len(self.sample) < SAMPLE:
            self.sample.append(record)
        if len(self.ids) < IDS and record.job.id:
            self.ids.append(record.job.id)
        self.queues[record.job.name] += 1
        self.unique += unique
        self.contested += contested
        self.junk += record.job.undecodable is not None
