"""The checker that pools answer those who ask where a handler is."""

from __future__ import annotations

from typing import Final

from workkit.core.lifetimes import STACK_KEPT_S
from workkit.core.stacks import decode
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import RedisChange

__all__ = ["AsksAreAnswered"]

#: A pool needs this long to work after a fault or a start, seconds.
_RECOVERS_S: Final = 10.0
#: The tolerance for rounding, seconds.
_NEAR_S: Final = 0.01


class AsksAreAnswered(Checker):
    """A pool that takes a request for the stack of a handler answers it before its next heartbeat.

    The answer is about that job, and expires.
    """

    rule = "who asks for a stack gets it"

    def __init__(self) -> None:
        self._asked: dict[bytes, set[str]] = {}  # a pool's hash -> jobs that it is asked for
        self._taken: dict[str, dict[str, float]] = {}  # pool -> job -> when it took the request

    def changed(self, change: RedisChange) -> None:
        """Follow requests and answers."""
        if change.command == "ask":
            job_id = change.subject
            self._asked.setdefault(change.keys[0], set()).add(job_id)
        elif change.command == "beat" and change.pool:
            self._look(change.pool)
            if not self.scene.read("HEXISTS", change.keys[0], "asked"):
                for job_id in self._asked.pop(change.keys[0], ()):
                    self._taken.setdefault(change.pool, {})[job_id] = self.scene.now_s()
        elif change.command == "SET" and change.pool:
            for job_id in list(self._taken.get(change.pool, ())):
                if self.scene.keys.stack(job_id) in change.keys:
                    self._answered(change.pool, job_id)

    def _look(self, pool: str) -> None:
        scene, taken = self.scene, self._taken.pop(pool, {})
        for job_id, at_s in taken.items():
            if scene.conditions.undisturbed_s(pool) > scene.now_s() - at_s + _RECOVERS_S:
                self.violated(f"{pool} was asked where it is, and has not answered", job_id)

    def _answered(self, pool: str, job_id: str) -> None:
        scene, key = self.scene, self.scene.keys.stack(job_id)
        del self._taken[pool][job_id]
        stack = decode(scene.read("GET", key) or b"")
        if stack is None or stack.job_id != job_id:
            self.violated(f"{pool} tells the stack of another job", job_id)
        if scene.ends_s(key) > scene.now_s() + STACK_KEPT_S + _NEAR_S:
            self.violated(f"the answer of {pool} stays for too long", job_id)

    def crashed(self, pool: str) -> None:
        """Forget the requests that a process has taken."""
        self._taken.pop(pool, None)
