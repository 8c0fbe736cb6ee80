"""The places of jobs in Redis, and how a command has moved them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from workkit.core import job as wire
from workkit.core.history import TracedRecord
from workkit.core.job import Payload
from workkit.core.options import JobOptions
from workkit.core.undecodable import restore_undecodable
from workkit.errors import Undecodable
from workkit.simulation.checkers.settling import hidden, settled
from workkit.store.calls.layout import keys_and_args
from workkit.store.round_trip import Command

__all__ = [
    "EXPIRED", "MISCOUNTED", "ORPHANED", "RESTORED", "HandlerRun", "JobPlace", "Move", "PlaceKind",
    "PlacedJob",
    "RedisChange", "identify", "pair_moves",
]  # fmt: skip

#: The name of the command of a change, if a key has expired.
EXPIRED: Final = "(expired)"
#: The name of the command of a change, if Redis has lost its newest writes: all that it still has.
RESTORED: Final = "(restored)"
#: The ids of pools of which only a list is left begin with this; no lock counts their jobs.
ORPHANED: Final = "orphaned-"
#: The name of the command of a change, if something else than workkit has made a lock wrong.
MISCOUNTED: Final = "(miscounted)"

PlaceKind = Literal["queued", "in progress", "retry", "scheduled", "dead"]


class JobPlace(NamedTuple):
    """A place where a job can be.

    Attributes:
        kind: The kind of place.
        queue: The name of the queue; "" for the sorted sets.
        pool_id: The pool that holds the job; "" except for "in progress".
    """

    kind: PlaceKind
    queue: str = ""
    pool_id: str = ""


class PlacedJob(NamedTuple):
    """A job in its place.

    Attributes:
        job_id: Its id. For bytes that are not a job it is these bytes, also after they were buried
            in the dead set.
        raw: Its bytes.
        job: The decoded job; None for bytes that are not a job.
        place: Its place.
        score: When it is due or died, epoch seconds; 0 in lists.
    """

    job_id: str
    raw: bytes
    job: Payload | None
    place: JobPlace
    score: float = 0.0


class Move(NamedTuple):
    """How a command moved one job.

    Attributes:
        before: The job in its old place; None if it was nowhere.
        after: The job in its new place; None if it is nowhere.
    """

    before: PlacedJob | None
    after: PlacedJob | None

    @property
    def job_id(self) -> str:
        """The job's id; if an update has replaced the job, the id of the update."""
        standing = self.after or self.before
        assert standing is not None  # noqa: S101 - it was or is somewhere
        return standing.job_id

    @property
    def is_update(self) -> bool:
        """Whether a newer version of a unique job has taken its place."""
        both = self.before is not None and self.after is not None
        return both and self.before.job_id != self.after.job_id  # type: ignore[union-attr]

    def came_from(self, kind: PlaceKind) -> bool:
        """Tell whether the old place is of a kind."""
        return self.before is not None and self.before.place.kind == kind

    def went_to(self, kind: PlaceKind) -> bool:
        """Tell whether the new place is of a kind."""
        return self.after is not None and self.after.place.kind == kind

    def left(self, kind: PlaceKind) -> bool:
        """Tell whether the old place is of a kind, and the new one is not."""
        return self.came_from(kind) and not self.went_to(kind)

    @property
    def was_claimed(self) -> bool:
        """Whether it went from its queue into progress."""
        return self.came_from("queued") and self.went_to("in progress")


@dataclass(frozen=True)
class RedisChange:
    """The effect of one command.

    Attributes:
        command: The name of the script or command; `EXPIRED` for the expiry or eviction of a key;
            `RESTORED` when Redis has lost its newest writes; `MISCOUNTED` for a lock made wrong.
        pool: The pool that sent it, or "" for a sender outside of all pools.
        clock_s: The time on the sender's wall clock, epoch seconds.
        moves: How it moved jobs.
        keys: The keys that it may have written.
        sent: The command itself with its arguments, as `workkit.store.calls` reads it; empty for
            the expiry of a key.
        lists: Key of a list -> its members before and after, if they or their order have changed.
            The last member is the next to be claimed.
    """

    command: str
    pool: str
    clock_s: float
    moves: Sequence[Move]
    keys: Sequence[bytes]
    sent: Command = ()
    lists: Mapping[bytes, tuple[list[bytes], list[bytes]]] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The id of what a script is about, its first argument: mostly a pool."""
        return str(keys_and_args(self.sent)[1][0])

    @cached_property
    def settled(self) -> tuple[tuple[Move, TracedRecord | None], ...]:
        """The jobs that an exchange has settled, with the records that were sent with them."""
        return tuple(settled(self.sent, self.moves))

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """The totals of cron jobs that an exchange may have settled while it claimed a copy."""
        return tuple(hidden(self.sent, [record for _, record in self.settled]))


class HandlerRun(NamedTuple):
    """A handler that runs or has run.

    Attributes:
        pool: The name of its pool.
        name: The job's name.
        job_id: The job's id.
        args: The args that it received.
        fails: How often the job had failed before.
        options: The options of its handler.
        number: The number of this run in the world.
        worker_id: The worker that runs it.
    """

    pool: str
    name: str
    job_id: str
    args: Mapping[str, Any] | None
    fails: int
    options: JobOptions
    number: int
    worker_id: str = ""


def identify(raw: bytes) -> tuple[str, Payload | None]:
    """Return the `job_id` and the `job` of a `PlacedJob` with these bytes."""
    try:
        job = wire.read(raw)
    except Undecodable:
        return raw.decode("utf-8", "replace"), None
    buried = restore_undecodable(job.job(raw))
    return (job.id, job) if buried is None else (buried.decode("utf-8", "replace"), job)


def _unique_key(standing: PlacedJob) -> str:
    return "" if standing.job is None else standing.job.unique_key


def pair_moves(gone: Iterable[PlacedJob], came: Iterable[PlacedJob]) -> list[Move]:
    """Match the jobs that left a place with those that arrived at one."""
    left: dict[str, list[PlacedJob]] = {}
    for each in gone:
        left.setdefault(each.job_id, []).append(each)
    moves = []
    new: list[PlacedJob] = []
    for each in came:
        if left.get(each.job_id):
            moves.append(Move(left[each.job_id].pop(), each))
        else:
            new.append(each)
    lost = [each for standings in left.values() for each in standings]
    for each in new:
        # An update replaces the job that waited for it, in the list of the pool that begins it.
        near = [old for old in lost if old.place == each.place and old.place.pool_id]
        same = [old for old in near if _unique_key(old) == _unique_key(each)]
        replaced = next(iter(same or near), None)
        if replaced is not None:
            lost.remove(replaced)
        moves.append(Move(replaced, each))
    return moves + [Move(each, None) for each in lost]
