"""Checkers: history matches the executions, and returned jobs keep their order."""

from __future__ import annotations

from typing import Final

from workkit.core.history import unpack
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import RedisChange, identify
from workkit.store.replies import pairs

__all__ = ["HistoryIsExact", "OrderIsKept"]

_MOST: Final = 1_000


class HistoryIsExact(Checker):
    """History has one record of each execution, even if the exchange with the record was lost."""

    rule = "history has one record of an execution"

    def at_rest(self) -> None:
        """Look through the records of history."""
        seen: set[tuple[str, int, str]] = set()
        entries = self.scene.read("XRANGE", self.scene.keys.history, "-", "+")
        for _, fields in entries if isinstance(entries, list) else ():
            for record in unpack(dict(pairs(fields))[b"r"]):
                execution = record.job_id, record.started_ms, record.worker_id
                if record.started_ms and execution in seen:
                    self.violated(f"history has it twice, last as {record.outcome}", record.job_id)
                seen.add(execution)


class OrderIsKept(Checker):
    """Jobs that go back to their queue without a run are there in the order of their claims.

    The jobs that go back in one exchange run next, the oldest claim first. Jobs that go back in a
    later exchange run before them.
    """

    rule = "returned jobs keep their order"

    def __init__(self) -> None:
        self._claimed: dict[str, int] = {}
        self._count = 0

    def changed(self, change: RedisChange) -> None:
        """Record the order of claims, and check the jobs that go back."""
        if change.command != "exchange":
            return
        claimed = {m.job_id for m in change.moves if m.went_to("in progress")}
        if len(claimed) > 1:
            for key in change.keys:
                held = self.scene.keys.parse_inprogress(key)
                if held is not None:
                    self._note(key, claimed)
        back = {
            m.job_id for m in change.moves if m.came_from("in progress") and m.went_to("queued")
        }
        if len(back) > 1:
            for key in change.keys:
                if self.scene.keys.queue_of(key) is not None:
                    self._look(key, back)

    def _note(self, key: bytes, claimed: set[str]) -> None:
        for job_id in reversed(self._ids(key)):
            if job_id in claimed:
                self._count += 1
                self._claimed[job_id] = self._count

    def _look(self, key: bytes, back: set[str]) -> None:
        order = [each for each in reversed(self._ids(key)) if each in back]
        known = [self._claimed[each] for each in order if each in self._claimed]
        if known != sorted(known):
            self.violated(f"they stand as {order}", order[0])

    def _ids(self, key: bytes) -> list[str]:
        raws = self.scene.read("LRANGE", key, 0, _MOST)
        return [identify(raw)[0] for raw in raws] if isinstance(raws, list) else []

    def wiped(self) -> None:
        """Start afresh."""
        self._claimed.clear()
