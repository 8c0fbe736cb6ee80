"""Unique keys are held exactly as long as they should be."""

from __future__ import annotations

from workkit.job import Payload
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.scene import Change, Standing

__all__ = ["UniqueKeysHold"]


class UniqueKeysHold(Checker):
    """A unique key is there as long as its job waits, no longer, and one job has it.

    A job waits until it begins; with `until="done"`, until it is done or dead. A key that expires a
    day after its job was due is not missed.
    """

    rule = "a unique key is held by the one job that waits"

    def __init__(self) -> None:
        self._expired: set[str] = set()
        self._known: set[str] = set()
        self._owners: dict[str, dict[str, Standing]] = {}
        self._lost: set[str] = set()

    def changed(self, change: Change) -> None:
        """Look at all unique keys that the command could concern."""
        concerned: set[str] = set()
        for move in change.moves:
            for standing in (move.before, move.after):
                if standing is not None and standing.job is not None and standing.job.unique:
                    concerned.add(standing.job.unique_key)
        for move in change.moves:
            if move.before is not None and move.before.job is not None and move.before.job.unique:
                self._owners.get(move.before.job.unique_key, {}).pop(move.before.job_id, None)
            if move.after is not None and move.after.job is not None and move.after.job.unique:
                owners = self._owners.setdefault(move.after.job.unique_key, {})
                owners[move.after.job_id] = move.after
        if change.command in {"begin", "enqueue_unique", "DEL", "UNLINK", ""}:
            written = {key.decode("utf-8", "replace") for key in change.keys}
            concerned |= written & self._owners.keys()
        for key in concerned:
            self._look(key, change.command)

    def _look(self, key: str, command: str) -> None:
        owners = self._owners.get(key, {})
        waiting = [each.job_id for each in owners.values() if self._waits(each)]
        if len(waiting) > 1:
            self.violated(f"after {command} two jobs wait with {key!r}", waiting[1])
        there = bool(self.scene.read("EXISTS", key.encode()))
        if there and not waiting:
            self.violated(f"{command} left {key!r} behind", next(iter(owners), ""))
        if waiting and not there and not self.scene.has_expired(key):
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
