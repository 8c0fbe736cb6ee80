"""Which queues may have jobs, and which to draw from next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Final

from workkit.core.entropy import Entropy
from workkit.engine.handling.execution import Execution

__all__ = ["QueueBoard"]


#: Queues that one exchange claims from, at most (about).
_WIDTH: Final = 20


class QueueBoard:
    """What a pool believes about its queues.

    A queue is hungry for a claim while it may have jobs. Draws among those follow the priorities,
    which gives the same distribution as the original: it orders all queues at random by weight and
    takes the first that has a job, and leaving out the empty ones changes nothing in the order of
    the others.

    Args:
        priorities: Queue -> weight.
        limited: Queues with a concurrency limit of this pool's own, and the limits.
        entropy: Where the draws come from.

    Attributes:
        blocked: Queues that were found paused or full when they were last claimed from or looked
            at.
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
        """Whether any queue is thought to have no jobs."""
        return len(self._candidates) < len(self._priorities)

    @property
    def may_have_jobs(self) -> bool:
        """Whether any queue may have jobs."""
        return bool(self._candidates)

    def mark_candidates(self, names: Iterable[str]) -> None:
        """Note that queues may have jobs."""
        before = len(self._candidates)
        self._candidates.update(name for name in names if name not in self._left_alone)
        if len(self._candidates) != before:
            self._weights.clear()

    def mark_ready(self, ready: Iterable[str], blocked: Iterable[str] = ()) -> None:
        """Note a look at all queues.

        Args:
            ready: These have jobs to claim, the others have not.
            blocked: These are paused or full.
        """
        self.blocked = set(blocked)
        self._candidates = {name for name in ready if name not in self._left_alone}
        self._weights.clear()

    def mark_empty(self, name: str, *, blocked: bool = False) -> None:
        """Note that a queue has no job to claim.

        Args:
            name: The queue.
            blocked: Whether that is because it is paused or full.
        """
        if blocked:
            self.blocked.add(name)
        if name in self._candidates:
            self._candidates.discard(name)
            self._weights.clear()

    def leave_alone(self, name: str, until_s: float) -> None:
        """Leave a queue alone until a time (monotonic seconds)."""
        self._left_alone[name] = until_s
        self.mark_empty(name)

    @property
    def next_s(self) -> float:
        """When the next queue is looked at again, monotonic seconds; infinity for none."""
        return min(self._left_alone.values(), default=float("inf"))

    def recheck(self, now_s: float) -> None:
        """Look at snoozed queues again whose time has come."""
        if self._left_alone:
            ready = [name for name, until_s in self._left_alone.items() if until_s <= now_s]
            for name in ready:
                del self._left_alone[name]
            self.mark_candidates(ready)

    def draw(self, free: int, ahead: int) -> dict[str, int]:
        """Draw what to claim.

        Args:
            free: Workers without a job; they may take from any queue.
            ahead: Jobs to hold in advance; never from queues with a limit, where a job that waits
                here would keep another pool from running one.

        Returns:
            Queue -> how many to claim, for queues that may have jobs.
        """
        claims: dict[str, int] = {}
        for count, unlimited_only in ((free, False), (ahead, True)):
            if count <= 0:
                continue
            names, cumulative = self._cumulative(unlimited_only)
            if len(names) == 1:
                claims[names[0]] = claims.get(names[0], 0) + count
            elif names:
                # Of very many queues, some give several jobs each: a queue costs more than a job.
                each = -(-count // _WIDTH) if len(names) > _WIDTH else 1
                drawn = self._entropy.weighted(cumulative, count // each)
                for name, times in zip(names, drawn, strict=True):
                    if times:
                        claims[name] = claims.get(name, 0) + times * each
        return claims

    def without_overrun(
        self, claims: dict[str, int], ghosts: Iterable[Execution]
    ) -> dict[str, int]:
        """Cap claims so that handlers nobody else knows of count against their queue's limit."""
        for queue, running in Counter(ghost.queue for ghost in ghosts).items():
            if queue in self._limited and queue in claims:
                room = max(self._limited[queue] - running, 0)
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
