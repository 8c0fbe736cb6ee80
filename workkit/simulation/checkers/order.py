"""Checkers: jobs of a queue run in the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from workkit.core.job import PERIODIC, Payload
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import HandlerRun, RedisChange, identify
from workkit.store.calls.enqueue import read_written

__all__ = ["OrderIsKept", "StartsFollowClaims"]

#: Scripts that may only add jobs at the back of a queue.
_AT_THE_BACK: Final = frozenset({"begin", "enqueue", "enqueue_unique", "move", "revive"})


class OrderIsKept(Checker):
    """A queue is first in, first out.

    Jobs are added at the back, in the order in which they were sent or were due, and claimed at the
    front. Jobs that go back without a run go to the front in the order of their claims: those of a
    dead pool, and those that a pool returns. Jobs that go back later run before them.
    """

    rule = "jobs keep their order"

    def __init__(self) -> None:
        self._claimed: dict[str, int] = {}
        self._count = 0

    def changed(self, change: RedisChange) -> None:
        """Compare the queues before and after a command, and note the order of claims."""
        keys = self.scene.keys
        if change.command == "adopt":
            self._adopted(change)
        for key, (before, after) in change.lists.items():
            queue = keys.parse_jobs(key)
            if queue is None:
                continue
            if change.command in _AT_THE_BACK:
                self._added(queue, before, after, change)
            elif change.command == "exchange":
                self._exchanged(queue, before, after, change)
            elif change.command == "reap":
                self._recovered(queue, before, after, change)

    def _added(
        self, queue: str, before: list[bytes], after: list[bytes], change: RedisChange
    ) -> None:
        new = after[: len(after) - len(before)]
        if after[len(new) :] != before:
            self._wrong(queue, f"{change.command} moved jobs that waited", after)
        if change.command == "enqueue":
            sent = [each.raw for each in read_written(change.sent) if each.name == queue]
            if new != sent[::-1]:
                self._wrong(queue, "they are not in the order in which they were sent", new)
        elif change.command == "move":
            due_s = {
                each.after.raw: each.before.score
                for each in change.moves
                if each.after is not None and each.before is not None
            }
            scores = [due_s[raw] for raw in reversed(new) if raw in due_s]
            if scores != sorted(scores):
                self._wrong(queue, "they are not in the order in which they were due", new)

    def _exchanged(
        self, queue: str, before: list[bytes], after: list[bytes], change: RedisChange
    ) -> None:
        kept, back = after[: len(before)], after[len(before) :]
        if kept != before[: len(kept)]:
            self._wrong(queue, "they were not claimed from the front, or not returned there", after)
        known = [self._claimed[each] for each in _ids(reversed(back)) if each in self._claimed]
        if known != sorted(known):
            self._wrong(queue, "they went back in another order than they were claimed", back)
        if not back:
            self._note(queue, before[len(after) :], change)

    def _note(self, queue: str, claimed: list[bytes], change: RedisChange) -> None:
        """Number claims, and check that the list of the pool has them in their order."""
        for job_id in _ids(reversed(claimed)):
            self._count += 1
            self._claimed[job_id] = self._count
        for key, (_, after) in change.lists.items():
            held = self.scene.keys.parse_inprogress(key)
            if held is not None and held[0] == queue and after[: len(claimed)] != claimed:
                self._wrong(queue, f"pool {held[1][-6:]} holds them in another order", after)

    def _recovered(
        self, queue: str, before: list[bytes], after: list[bytes], change: RedisChange
    ) -> None:
        back = after[len(before) :]
        if after[: len(before)] != before:
            self._wrong(queue, "recovered jobs are not at the front", after)
        for key, (held, _) in change.lists.items():
            place = self.scene.keys.parse_inprogress(key)
            if place is not None and place[0] == queue:
                gone = set(back)
                if [raw for raw in held if raw in gone] != back:
                    self._wrong(queue, "recovered jobs are not in the order of their claims", back)

    def _adopted(self, change: RedisChange) -> None:
        """Check that jobs keep their order when their pool takes them along to a new id."""
        for key, (before, after) in change.lists.items():
            place = self.scene.keys.parse_inprogress(key)
            if place is None or len(after) <= len(before):
                continue
            taken = after[: len(after) - len(before)]
            gone = [
                held
                for other, (held, _) in change.lists.items()
                if other != key
                and (self.scene.keys.parse_inprogress(other) or ("",))[0] == place[0]
            ]
            if gone != [taken]:
                self._wrong(place[0], "a pool has taken jobs along in another order", after)

    def _wrong(self, queue: str, what: str, raws: Sequence[bytes]) -> None:
        shown = ", ".join(each[-6:] for each in _ids(reversed(raws[-8:])))
        self.violated(f"{what}; the front of {queue!r} has {shown}", *_ids(raws[-1:]))

    def wiped(self) -> None:
        """Start afresh."""
        self._claimed.clear()


class StartsFollowClaims(Checker):
    """A pool starts the jobs of a queue in the order in which it has claimed them.

    Exceptions: jobs that need a check in Redis before they start, which are unique and cron jobs,
    and all jobs that are claimed while recovered jobs have not ended.
    """

    rule = "a pool starts jobs in the order of its claims"

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], dict[str, None]] = {}

    def changed(self, change: RedisChange) -> None:
        """Record claims in their order, and jobs that go back."""
        scene = self.scene
        for move in change.moves:
            before = move.before
            if before is not None and before.place.kind == "in progress":
                queue = before.place.pool_id, before.place.queue
                self._waiting.get(queue, {}).pop(before.job_id, None)
        if change.command != "exchange":
            return
        claimed = {each.job_id for each in change.moves if each.was_claimed}
        if not claimed or scene.read("HLEN", scene.keys.recoveries):
            return
        for key, (_, after) in change.lists.items():
            held = scene.keys.parse_inprogress(key)
            if held is not None:
                waiting = self._waiting.setdefault((held[1], held[0]), {})
                for raw in reversed(after):
                    job_id, job = identify(raw)
                    if job_id in claimed and _starts_unasked(job, held[0]):
                        waiting[job_id] = None

    def started(self, run: HandlerRun) -> None:
        """Check that no job waits that was claimed earlier."""
        waiting = self._waiting.get((self.scene.pool_id(run.pool), run.name), {})
        if run.job_id in waiting:
            first = next(iter(waiting))
            if first != run.job_id:
                self.violated(f"{run.pool} has claimed {first} earlier", run.job_id)
            del waiting[run.job_id]

    def wiped(self) -> None:
        """Forget everything."""
        self._waiting.clear()


def _starts_unasked(job: Payload | None, queue: str) -> bool:
    """Tell whether a job starts without a check in Redis."""
    if job is None or job.name != queue:
        return False
    return not job.unique and not job.id.startswith(PERIODIC)


def _ids(raws: Iterable[bytes]) -> list[str]:
    return [identify(raw)[0] for raw in raws]
