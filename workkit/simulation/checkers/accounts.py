"""What is remembered is what happened, and what goes back keeps its order."""

from __future__ import annotations

from typing import Final

from workkit.core.history import unpack
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import RedisChange, identify
from workkit.store.replies import pairs

__all__ = ["HistoryIsExact", "OrderIsKept"]

_MOST: Final = 1_000


class HistoryIsExact(Checker):
    """History tells of each execution once, whatever became of the exchange that told of it."""

    rule = "history tells of an execution once"

    def at_rest(self) -> None:
        """Look through what is remembered."""
        seen: set[tuple[str, int, str]] = set()
        entries = self.scene.read("XRANGE", self.scene.keys.history, "-", "+")
        for _, fields in entries if isinstance(entries, list) else ():
            for record in unpack(dict(pairs(fields))[b"r"]):
                execution = record.job_id, record.started_ms, record.worker_id
                if record.started_ms and execution in seen:
                    self.violated(f"it is told of twice, last as {record.outcome}", record.job_id)
                seen.add(execution)


class OrderIsKept(Checker):
    """Jobs that go back to their queue without having run stand there as they were claimed.

    What goes back in one exchange runs next, the oldest claim first. Others may go back later, and
    then they run before.
    """

    rule = "what goes back keeps its order"

    def __init__(self) -> None:
        self._claimed: dict[str, int] = {}
        self._count = 0

    def changed(self, change: RedisChange) -> None:
        """Note the order of claims; look at what goes back."""
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
