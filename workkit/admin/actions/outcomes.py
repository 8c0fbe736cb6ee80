"""Results of bulk actions: their progress, their outcome, and the operations to undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from workkit.admin.acts.recording import MOST_IDS
from workkit.core.job import Job
from workkit.core.records import Place
from workkit.errors import WorkkitError

__all__ = [
    "BulkOutcome",
    "BulkProgress",
    "Each",
    "Fate",
    "Operation",
    "Report",
    "SentJobs",
    "Stop",
    "Stopping",
    "Undone",
]

#: The result for a job: acted on, not there, or left in place (no job, or a key of a wrong type).
Fate: TypeAlias = Literal["done", "gone", "refused"]


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """The progress of making, applying or undoing a plan.

    Attributes:
        done: Jobs read or acted on so far.
        total: All jobs.
        found: While a plan is made, the jobs that match so far.
        note: The reason for waiting, or "".
    """

    done: int
    total: int
    found: int = 0
    note: str = ""


Report = Callable[[BulkProgress], object]
#: Receives the id and the result of each job that an action has met.
Each = Callable[[str, Fate], object]


class Stopping(Protocol):
    """Ends an action early. A `threading.Event` and an `asyncio.Event` are such."""

    def is_set(self) -> bool:
        """Tell whether to stop."""
        ...


class Stop(Stopping, Protocol):
    """Ends an action early, and its waits. A `threading.Event` is one."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or for `timeout` seconds. Return whether it is set."""
        ...


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """The result of applying a plan.

    Attributes:
        operation_id: The id for `undo`; "" if no job was changed.
        done: Jobs acted on.
        gone: Pinned jobs that had left the place: they ran, or another user acted on them.
        refused: Jobs left in place: their payload is malformed, or their queue has a wrong type.
        left: Jobs not reached because it was stopped.
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
        verb: "retry" or "delete".
        place: Where the jobs were.
        query: The query that picked the jobs; "" for all or for marked jobs.
        by: The user's name, as given to `apply`.
        at: When it was applied, epoch seconds.
        expires_at: Until when it can be undone, epoch seconds.
        planned: How many jobs the plan had.
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
    """The result of `undo`.

    Attributes:
        back: Jobs that are back in their place.
        without_key: Of these, jobs that are no longer unique because a newer job holds their key.
        gone_on: Retried jobs that had begun, so that undo could not take them back.
        left: Jobs not reached because it was stopped.
    """

    back: int
    without_key: int
    gone_on: int
    left: int


class SentJobs:
    """Counts jobs that somebody enqueues, for the end of an act.

    Attributes:
        done: How many there were.
        first: The first ones.
        note: Why it ended early, or failed; "" if it did not.
    """

    def __init__(self) -> None:
        self.done = 0
        self.first: list[Job] = []
        self.note = "stopped"

    def add(self, job: Job) -> None:
        """Count a job that the server has accepted."""
        self.done += 1
        if self.done <= MOST_IDS:
            self.first.append(job)

    def ended(self) -> None:
        """Note that there are no more."""
        self.note = "" if self.done else "an equal job is waiting"

    def failed(self, error: WorkkitError) -> None:
        """Note that an error has ended it."""
        self.note = f"failed: {error}"
