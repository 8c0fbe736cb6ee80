"""A checker: unique keys are held exactly as long as they should be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from workkit.core.job import Payload, decode, has_run
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import (
    EXPIRED,
    RESTORED,
    Move,
    PlacedJob,
    RedisChange,
    identify,
)
from workkit.store.calls.enqueue import read_written

__all__ = ["UniqueKeysHold"]

_DAY_S: Final = 86_400
#: Scripts by which an operator retries, edits or brings back a job: it takes its key for a new day.
_TAKING: Final = frozenset({"revive", "restore", "swap"})
#: The tolerance for the clocks of two hosts and for rounding, seconds.
_NEAR_S: Final = 3


class UniqueKeysHold(Checker):
    """A unique key exists exactly as long as its job waits, and only one job has it.

    The key ends a day after its job is due. A job waits until it begins; with `until="done"`, until
    it is done or dead. A key that expired a day after its job was due belongs to no job until that
    job has ended. A refused duplicate does not prolong the key, but its args replace the args of
    the waiting job, unless that job keeps its key until it is done. After Redis has lost its newest
    writes, it may have the key of a job again that has begun and is settled without it; such a key
    stays until its end.
    """

    rule = "a unique key is held by the one job that waits"

    def __init__(self) -> None:
        self._owners: dict[str, dict[str, PlacedJob]] = {}
        self._outlived: dict[str, set[str]] = {}
        self._ends: dict[str, float] = {}
        self._values: dict[str, bytes] = {}
        self._has_lost_writes = False

    def changed(self, change: RedisChange) -> None:
        """Check all unique keys that the command may concern."""
        self._has_lost_writes = self._has_lost_writes or change.command == RESTORED
        concerned = {key for move in change.moves for key in self._follow(move)}
        written = {key.decode("utf-8", "replace") for key in change.keys}
        if change.command == EXPIRED:
            for key in written & self._owners.keys():
                self._outlived[key] = set(self._owners[key])
        if change.command in {"begin", "enqueue_unique", "DEL", "UNLINK"}:
            concerned |= written & self._owners.keys()
        for key in concerned:
            if change.command == "enqueue_unique":
                self._accepted_or_refused(key, change)
            elif change.command == "begin":
                self._begun(key)
            elif change.command in _TAKING:
                self._ends[key] = self.scene.ends_s(key.encode())
            self._look(key, change.command)

    def _accepted_or_refused(self, key: str, change: RedisChange) -> None:
        """Check when the key expires, and record the job that should run."""
        ends_s, now_s = self.scene.ends_s(key.encode()), self.scene.now_s()
        if change.moves:
            self._live(key, change, ends_s - now_s)
        elif ends_s not in {math.inf, self._ends.get(key, ends_s)}:  # it may have been refused
            self.violated(f"a refused duplicate makes {key!r} live longer, or shorter")
        self._ends[key] = ends_s
        value = self.scene.read("GET", key.encode())
        owners = self._owners.get(key, {})
        keeps = [each.job_id for each in owners.values() if self._keeps_its_args(each)]
        if keeps and isinstance(value, bytes) and identify(value)[0] not in owners:
            self.violated(
                f"a duplicate has replaced it in {key!r}, which it has until it is done", keeps[0]
            )
        self._values[key] = value if isinstance(value, bytes) else b""

    def _live(self, key: str, change: RedisChange, lives_s: float) -> None:
        """Check how long a key lives: a day longer than its job waits.

        The command may have been on its way for long: then the job waits from its sending on.
        """
        written = read_written(change.sent)[0]
        due_s, begins_s = written.run_at_s, (self.scene.true_s(), decode(written.raw).enqueued_at)
        waits_s = [0.0 if due_s is None else max(due_s - at_s, 0.0) for at_s in begins_s]
        if all(abs(lives_s - _DAY_S - each) > _NEAR_S for each in waits_s):
            self.violated(f"{key!r} lives for {lives_s:g} s, its job waits for {waits_s[0]:g} s")

    def _begun(self, key: str) -> None:
        """Check that the job in the key is the one that runs."""
        if self.scene.read("EXISTS", key.encode()):
            return
        value = self._values.pop(key, b"")
        if value.startswith(b"{") and identify(value)[0] not in self._owners.get(key, {}):
            self.violated(f"the newest version of the job of {key!r} is gone with its key")

    def _follow(self, move: Move) -> Iterator[str]:
        """Record the new place of a job, and yield the keys that this concerns."""
        before, after = move.before, move.after
        if before is not None and before.job is not None and before.job.unique:
            self._owners.get(before.job.unique_key, {}).pop(before.job_id, None)
            yield before.job.unique_key
        if after is not None and after.job is not None and after.job.unique:
            self._owners.setdefault(after.job.unique_key, {})[after.job_id] = after
            yield after.job.unique_key

    def _look(self, key: str, command: str) -> None:
        owners = self._owners.get(key, {})
        if key in self._outlived:
            if any(owner in owners for owner in self._outlived[key]):
                return
            del self._outlived[key]
        waiting = [each.job_id for each in owners.values() if self._waits(each)]
        if len(waiting) > 1:
            self.violated(f"after {command} two jobs wait with {key!r}", waiting[1])
        there = bool(self.scene.read("EXISTS", key.encode()))
        if there and self.scene.ends_s(key.encode()) == math.inf:
            self.violated(f"{command} left {key!r} without an end", next(iter(owners), ""))
        if there and not waiting and not self._has_lost_writes:
            self.violated(f"{command} left {key!r} behind", next(iter(owners), ""))
        if waiting and not there:
            self.violated(f"{command} dropped {key!r} while its job waits", waiting[0])

    def _waits(self, standing: PlacedJob) -> bool:
        job = standing.job
        if job is None or standing.place.kind == "dead":
            return False
        if job.unique_until == "done":
            return True
        return not has_run(job) and not self._has_begun(job)

    def _keeps_its_args(self, standing: PlacedJob) -> bool:
        job = standing.job
        return job is not None and job.unique_until == "done" and self._waits(standing)

    def _has_begun(self, job: Payload) -> bool:
        return bool(self.scene.read("HEXISTS", self.scene.keys.begun, job.id))

    def wiped(self) -> None:
        """Forget everything."""
        self._owners.clear()
        self._outlived.clear()
        self._ends.clear()
        self._values.clear()
