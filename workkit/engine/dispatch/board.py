"""The queues that may have jobs, and the queues to claim from next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate
from typing import Final

from workkit.core.entropy import Entropy
from workkit.engine.handling.execution import Execution

__all__ = ["QueueBoard"]


#: Queues that one exchange claims from, at most (approximately).
_WIDTH: Final = 20


class QueueBoard:
    """The pool's view of its queues.

    A queue is a candidate for a claim while it may have jobs. Draws among candidates follow the
    priorities. This gives the same distribution as the original, which orders all queues at random
    by weight and takes the first that has a job: leaving out empty queues does not change the order
    of the others.

    Args:
        priorities: Queue -> weight.
        limited: Queue -> concurrency limit, for queues that this pool limits.
        entropy: The source of the draws.

    Attributes:
        blocked: Queues that the last claim or look found paused or full.
    """

    def __init__(
        self, priorities: Mapping[str, int], limited: Mapping[str, int], entropy: Entropy
    ) -> None:
        self._priorities = dict(priorities)
        self._limited = dict(limited)
        self._entropy = entropy
        self._candidates = set(priorities)
        self._left_alone: dict[str, float] = {}
        self.blocked: set[str] = set()
        self._weights: dict[bool, tuple[list[str], list[int]]] = {}

    @property
    def names(self) -> list[str]:
        """All queues of the pool."""
        return list(self._priorities)

    @property
    def any_thought_empty(self) -> bool:
        """Whether the board considers any queue empty."""
        return len(self._candidates) < len(self._priorities)

    @property
    def may_have_jobs(self) -> bool:
        """Whether any queue may have jobs."""
        return bool(self._candidates)

    def mark_candidates(self, names: Iterable[str]) -> None:
        """Record that queues may have jobs."""
        before = len(self._candidates)
        self._candidates.update(name for name in names if name not in self._left_alone)
        if len(self._candidates) != before:
            self._weights.clear()

    def mark_ready(self, ready: Iterable[str], blocked: Iterable[str] = ()) -> None:
        """Record the result of a look at all queues.

        Args:
            ready: Queues with jobs to claim; the others have none.
            blocked: Queues that are paused or full.
        """
        self.blocked = set(blocked)
        self._candidates = {name for name in ready if name not in self._left_alone}
        self._weights.clear()

    def mark_empty(self, name: str, *, blocked: bool = False) -> None:
        """Record that a queue has no job to claim.

        Args:
            name: The queue.
            blocked: Whether it is paused or full.
        """
        if blocked:
            self.blocked.add(name)
        if name in self._candidates:
            self._candidates.discard(name)
            self._weights.clear()

    def leave_alone(self, name: str, until_s: float) -> None:
        """Exclude a queue until a time (monotonic seconds)."""
        self._left_alone[name] = until_s
        self.mark_empty(name)

    @property
    def next_s(self) -> float:
        """When the next excluded queue returns, monotonic seconds; infinity if there is none."""
        return min(self._left_alone.values(), default=float("inf"))

    def recheck(self, now_s: float) -> None:
        """Return excluded queues whose time has come to the candidates."""
        if self._left_alone:
            ready = [name for name, until_s in self._left_alone.items() if until_s <= now_s]
            for name in ready:
                del self._left_alone[name]
            self.mark_candidates(ready)

    def draw(self, free: int, ahead: int) -> dict[str, int]:
        """Draw how many jobs to claim from which queue.

        Args:
            free: Workers without a job; they may take from any queue.
            ahead: Jobs to hold in advance. They never come from queues with a limit: a job that
                waits here would keep another pool from running one.

        Returns:
            Queue -> how many jobs to claim, for queues that may have jobs.
        """
        claims: dict[str, int] = {}
        for count, unlimited_only in ((free, False), (ahead, True)):
            if count <= 0:
                continue
            names, cumulative = self._cumulative(unlimited_only)
            if len(names) == 1:
                claims[names[0]] = claims.get(names[0], 0) + count
            elif names:
                # Draw several jobs each if there are many queues: a queue costs more than a job.
                each = -(-count // _WIDTH) if len(names) > _WIDTH else 1
                drawn = self._entropy.weighted(cumulative, count // each)
                for name, times in zip(names, drawn, strict=True):
                    if times:
                        claims[name] = claims.get(name, 0) + times * each
        return claims

    def may_give(self, free: int, ahead: int) -> bool:
        """Tell whether a draw would claim anything; the arguments are those of `draw`."""
        return any(
            count > 0 and bool(self._cumulative(unlimited_only)[0])
            for count, unlimited_only in ((free, False), (ahead, True))
        )

    def without_overrun(
        self, claims: dict[str, int], ghosts: Collection[Execution], open_ones: Iterable[Execution]
    ) -> dict[str, int]:
        """Reduce claims by the handlers of fenced jobs, which the limit in Redis does not count.

        Args:
            claims: Queue -> how many jobs to claim.
            ghosts: The fenced jobs whose handlers still run.
            open_ones: The other jobs of the pool. With the ghosts, they must not exceed the limit.
        """
        if not ghosts:
            return claims
        ours = Counter(each.queue for each in open_ones)
        for queue, running in Counter(ghost.queue for ghost in ghosts).items():
            if queue in self._limited and queue in claims:
                room = max(self._limited[queue] - running - ours[queue], 0)
                claims[queue] = min(claims[queue], room)
                if not claims[queue]:
                    del claims[queue]
                    self.mark_empty(queue)
        return claims

    def _cumulative(self, unlimited_only: bool) -> tuple[list[str], list[int]]:
        known = self._weights.get(unlimited_only)
        if known is None:
            names = [
                name
                for name in self._priorities
                if name in self._candidates and not (unlimited_only and name in self._limited)
            ]
            known = names, list(accumulate(self._priorities[name] for name in names))
            self._weights[unlimited_only] = known
        return known
