"""A plan: which jobs exactly, and what acting on them will do."""

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
_DIGEST_BYTES: Final = 16


def digest(raw: bytes) -> bytes:
    """Return what a job's bytes are recognised by."""
    return hashlib.blake2b(raw, digest_size=_DIGEST_BYTES).digest()


def check_verb(verb: str, place: Place) -> None:
    """Refuse what cannot be done in a place.

    Raises:
        InvalidOption: The verb is unknown, or it makes no sense there.
    """
    if verb not in {"retry", "delete"}:
        raise InvalidOption(f"unknown action {verb!r}; known are retry and delete")
    if verb == "retry" and place.kind == "queued":
        raise InvalidOption("jobs in a queue are about to run; only those of a set can be retried")


class Pins:
    """Jobs pinned by their bytes and scores; 24 bytes each, so that a million fit."""

    def __init__(self) -> None:
        self._scores = array("q")
        self._digests = bytearray()

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, placed: Placed) -> None:
        """Pin a job. Those of a set are added in its order."""
        self._scores.append(placed.at or 0)
        self._digests += digest(placed.job.raw)

    def _digest(self, at: int) -> bytes:
        return bytes(self._digests[at * _DIGEST_BYTES : (at + 1) * _DIGEST_BYTES])

    def all(self) -> set[bytes]:
        """Return the digests of all."""
        return {self._digest(at) for at in range(len(self))}

    def spans(self, size: int) -> Iterator[tuple[int, int, set[bytes]]]:
        """Yield runs of pins that share no score with another run.

        Args:
            size: How many are in a run at least, but for the last.

        Yields:
            The lowest and the highest score, and the digests.
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
    """What would be done, to be shown and then applied.

    Attributes:
        verb: "retry" or "delete".
        place: Where the jobs are.
        query: What picked them; "" for all, or for marked ones.
        made_at: When, epoch seconds.
        pins: The jobs.
        sample: The first of them.
        queues: Job name → how many.
        unique: How many hold, or will take again, a unique key.
        contested: How many of those have a key that another job holds: retried, they run without
            being unique; deleted, they leave the key alone.
        junk: How many are not jobs; they can be deleted, not retried.
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

    @property
    def count(self) -> int:
        """How many jobs it is about."""
        return len(self.pins)

    def effects(self) -> list[str]:
        """Say what the plan does beside the obvious, one sentence each without a full stop."""
        said = []
        free = self.unique - self.contested
        keys = counted(free, "unique key")
        if self.verb == "delete" and free:
            said.append(f"frees {keys}, so such jobs can be enqueued again")
        if self.verb == "retry" and free and self.place.kind == "dead":
            said.append(f"takes {keys} again")
        if self.verb == "retry" and self.contested and self.place.kind == "dead":
            said.append(f"runs {self.contested:,} that are not unique: a newer job holds the key")
        if self.verb == "delete" and self.contested:
            said.append(
                f"leaves {counted(self.contested, 'unique key')} alone: another job holds it"
            )
        if self.junk and self.verb == "retry":
            said.append(f"leaves {counted(self.junk, 'member')} alone: no job")
        return said


class Draft:
    """Collects the jobs of a plan."""

    def __init__(self) -> None:
        self.pins = Pins()
        self.sample: list[WaitingJob] = []
        self.queues: Counter[str] = Counter()
        self.unique = self.contested = self.junk = 0

    def add(self, record: WaitingJob, *, unique: bool, contested: bool) -> None:
        """Take a job in."""
        self.pins.add(record)
        if len(self.sample) < SAMPLE:
            self.sample.append(record)
        self.queues[record.job.name] += 1
        self.unique += unique
        self.contested += contested
        self.junk += record.job.undecodable is not None
