"""Checkers: what was sent is what stands in Redis, and jobs change only where they may."""

from __future__ import annotations

from typing import Final

import msgspec

from workkit.core.job import PERIODIC
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import Move, RedisChange
from workkit.store.calls.enqueue import read_written

__all__ = ["JobsChangeAsTheyMay", "SentIsWritten"]

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_FAILURE: Final = frozenset({"err", "failed_at", "fails"})
#: The script that moves a job, and where to -> the members that it may write. Members of a failure
#: are checked by `RetriesKeepTheRules`.
_MAY_WRITE: Final[dict[tuple[str, str], frozenset[str]]] = {
    ("move", "queued"): frozenset({"t", "t_ms"}),
    ("exchange", "retry"): _FAILURE,
    ("exchange", "dead"): _FAILURE,
    ("exchange", "queued"): frozenset(),
    ("exchange", "in progress"): frozenset(),
    ("reap", "queued"): frozenset(),
    ("reap", "dead"): _FAILURE,
    ("adopt", "in progress"): frozenset(),
}
#: The tolerance for the clocks of pools and for rounding, seconds.
_NEAR_S: Final = 2.0
#: A step of the requeuer reads the time once, and makes up to ten round trips until it moves the
#: jobs of the second set.
_WAYS: Final = 20
#: A pool has compared its clock with the server's after this long, seconds.
_CLOCK_S: Final = 45.0


class SentIsWritten(Checker):
    """A job that is accepted stands where it was sent to, byte for byte, due when it was asked."""

    rule = "what was sent is what stands in Redis"

    def changed(self, change: RedisChange) -> None:
        """Compare a command that enqueues with what it has written."""
        if change.command not in {"enqueue", "enqueue_unique", "schedule"}:
            return
        written = read_written(change.sent)
        if change.command == "enqueue_unique" and not change.moves:
            return  # refused, since another job has the key
        came = {
            (each.after.raw, each.after.place.kind, each.after.place.queue, each.after.score)
            for each in change.moves
            if each.after is not None
        }
        for job in written:
            due_s = job.run_at_s
            here = (
                (job.raw, "queued", job.name, 0.0)
                if due_s is None
                else (job.raw, "scheduled", "", float(due_s))
            )
            if here not in came and not self._is_broken(job.name):
                self.violated(f"{change.command} has not written {job.raw!r:.200} as it was sent")

    def _is_broken(self, queue: str) -> bool:
        """Tell whether the key of a queue has a wrong type, so that nothing can be enqueued."""
        return self.scene.read("TYPE", self.scene.keys.jobs(queue)) not in {b"list", b"none"}


class JobsChangeAsTheyMay(Checker):
    """A script that moves a job writes only the members that the move is about.

    A due job gets the time at which it enters its queue, and a failed one its failure. All other
    moves keep the bytes.
    """

    rule = "jobs change only where they may"

    def changed(self, change: RedisChange) -> None:
        """Compare moved jobs with what they were before."""
        for move in change.moves:
            before, after = move.before, move.after
            if before is None or after is None or before.job is None or after.job is None:
                continue
            may = _MAY_WRITE.get((change.command, after.place.kind))
            if may is None or move.is_update:
                continue
            # An exchange may settle one copy of a cron job and claim another.
            may_be_two = change.command == "exchange" and move.job_id.startswith(PERIODIC)
            if before.raw != after.raw and not may_be_two:
                self._compare(move, change, may)
            if change.command == "move":
                self._check_time(after.job.enqueued_at, change, move.job_id)

    def _compare(self, move: Move, change: RedisChange, may: frozenset[str]) -> None:
        assert move.before is not None  # noqa: S101 - it was moved
        assert move.after is not None  # noqa: S101
        old, new = _decode_fields(move.before.raw), _decode_fields(move.after.raw)
        differ = {
            name
            for name in old.keys() | new.keys()
            if bytes(old.get(name, b"")) != bytes(new.get(name, b""))
        }
        if differ - may:
            self.violated(f"{change.command} has changed {sorted(differ - may)}", move.job_id)

    def _check_time(self, t: int, change: RedisChange, job_id: str) -> None:
        scene = self.scene
        if not change.pool or scene.conditions.undisturbed_s(change.pool) < _CLOCK_S:
            return
        off_s = t - scene.true_s()
        if abs(off_s) > _NEAR_S + _WAYS * scene.conditions.slowness_s():
            self.violated(f"it says that it was queued at {off_s:+g} s from now", job_id)
