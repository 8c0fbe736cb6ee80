"""Unique keys are held exactly as long as they should be."""

from __future__ import annotations

from collections.abc import Iterator

from workkit.job import Payload
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.scene import EXPIRED, Change, Move, Standing

__all__ = ["UniqueKeysHold"]


class UniqueKeysHold(Checker):
    """A unique key is there as long as its job waits, no longer, and one job has it.

    A job waits until it begins; with `until="done"`, until it is done or dead. A key that has
    outlived its time, a day after its job was due, is nobody's until that job has gone its way.
    """

    rule = "a unique key is held by the one job that waits"

    def __init__(self) -> None:
        self._owners: dict[str, dict[str, Standing]] = {}
        self._outlived: dict[str, set[str]] = {}

    def changed(self, change: Change) -> None:
        """Look at all unique keys that the command could concern."""
        concerned = {key for move in change.moves for key in self._follow(move)}
        written = {key.decode("utf-8", "replace") for key in change.keys}
        if change.command == EXPIRED:
            for key in written & self._owners.keys():
                self._outlived[key] = set(self._owners[key])
        if change.command in {"begin", "enqueue_unique", "DEL", "UNLINK"}:
            concerned |= written & self._owners.keys()
        for key in concerned:
            self._look(key, change.command)

    def _follow(self, move: Move) -> Iterator[str]:
        """Take in where a job stands now; yields the keys that this concerns."""
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
        if there and not waiting:
            self.violated(f"{command} left {key!r} behind", next(iter(owners), ""))
        if waiting and not there:
            self.violated(f"{command} dropped {key!r} while its job waits", waiting[0])

    def _waits(self, standing: Standing) -> bool:
        job = standing.job
        if job is None or standing.place.kind == "dead":
            return False
        if job.unique_until == "done":
            return True
        return not job.fails and not self._has_begun(job)

    def _has_begun(self, job: Payload) -> bool:
        return bool(self.scene.read("HEXISTS", self.scene.keys.begun, job.id))

    def wiped(self) -> None:
        """Start afresh."""
        self._owners.clear()
        self._outlived.clear()
