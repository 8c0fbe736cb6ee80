"""An act as people see it: its entry from before it happened, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from workkit.admin.acts.verifying import ActsVerdict

__all__ = ["Act", "ActsReader"]


@dataclass(frozen=True, slots=True)
class Act:
    """Something that somebody has done to a namespace.

    Attributes:
        number: The number of its first entry in the record.
        act_id: Its id.
        at_ms: When it began, by the server's clock, epoch milliseconds.
        by: Who did it, as NAME@HOST. Nobody has checked the name.
        program: The program that did it; "" if unknown.
        verb: "retry", "delete", "edit", "undo", "forget", "pause", "unpause", "repair" or
            "enqueue".
        subject: Of a repair: the kind of fault; "" otherwise.
        place: Where the jobs were: "queued", "scheduled", "retry" or "dead"; "" if it was not about
            jobs of one place.
        queue: The name of the queue; "" if it was not about one queue.
        query: The query that picked the jobs, without secrets; "" for all or for given jobs.
        planned: How many jobs it was about; 0 if it was not about jobs.
        done: How many jobs it has changed; None if that is not known: it has not ended, or its end
            was not recorded.
        ids: The ids of the first jobs.
        digest: A digest of all jobs; "" if it was not about jobs.
        before: What was there before, in a few words; "" if unknown.
        after: What was there after it.
        operation_id: The id for `undo`; "" if it cannot be undone.
        undoes: The operation that it has undone, or whose jobs it has dropped; "" for none.
        ended_ms: When it ended, epoch milliseconds; 0 if that is not known.
        note: Why it ended early, or failed; "" if it did not.
        undone_by: Who undid it last; "" for nobody.
        undone_ms: When that was, epoch milliseconds; 0 if it was not undone.
        undone: How many jobs came back; None if it was not undone, or that is not known.
    """

    number: int
    act_id: str
    at_ms: int
    by: str
    program: str
    verb: str
    subject: str
    place: str
    queue: str
    query: str
    planned: int
    done: int | None
    ids: tuple[str, ...]
    digest: str
    before: str
    after: str
    operation_id: str
    undoes: str
    ended_ms: int = 0
    note: str = ""
    undone_by: str = ""
    undone_ms: int = 0
    undone: int | None = None


@runtime_checkable
class ActsReader(Protocol):
    """A reader that also knows who did what: a `Client`, but not a snapshot."""

    def acts(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        by: str | None = None,
        verb: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Act]:
        """Walk the acts, the newest first; see `Client.acts`."""
        ...

    def verify_acts(self) -> ActsVerdict:
        """Tell whether the record of acts is whole; see `Client.verify_acts`."""
        ...
