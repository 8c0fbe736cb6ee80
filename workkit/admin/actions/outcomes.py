"""What bulk actions say: how far they are, what they did, what can be undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from workkit.core.records import Place

__all__ = ["BulkOutcome", "BulkProgress", "Operation", "Report", "Stop", "Undone"]


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """How far a plan is made, applied or undone.

    Attributes:
        done: Jobs looked at, or acted on.
        total: How many there are.
        found: While a plan is made, how many match so far.
        note: What it waits for, if it does.
    """

    done: int
    total: int
    found: int = 0
    note: str = ""


Report = Callable[[BulkProgress], object]


class Stop(Protocol):
    """What ends an action early; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """Tell whether to stop."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is time to stop; returns whether it is."""
        ...


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What applying a plan did.

    Attributes:
        operation_id: What `undo` takes; "" if nothing was done.
        done: Jobs acted on.
        gone: Pinned jobs that were not there any more: they ran, or somebody else acted on them.
        refused: Jobs left where they are, since they are not jobs or their queue has a wrong type.
        left: Jobs not reached, since it was stopped.
        stopped: Why it was stopped; "" if it was not.
    """

    operation_id: str
    done: int
    gone: int
    refused: int
    left: int
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """A bulk action that can be undone.

    Attributes:
        operation_id: Its id.
        verb: "retry" or "delete".
        place: Where the jobs were.
        query: What picked them; "" for all, or for marked ones.
        by: Who did it, as they said.
        at: When, epoch seconds.
        expires_at: Until when it can be undone, epoch seconds.
        planned: How many jobs it was to act on.
        undoable: How many jobs are in the trash.
    """

    operation_id: str
    verb: str
    place: Place
    query: str
    by: str
    at: int
    expires_at: int
    planned: int
    undoable: int


@dataclass(frozen=True, slots=True)
class Undone:
    """What undoing did.

    Attributes:
        back: Jobs that are back where they were.
        without_key: Those of them that are not unique any more, since a newer job holds their key.
        gone_on: Retried jobs that had begun, so that they could not be taken back.
        left: Jobs not reached, since it was stopped.
    """

    back: int
    without_key: int
    gone_on: int
    left: int
