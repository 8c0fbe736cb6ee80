"""What pools that are taken for dead while they live may still do."""

from __future__ import annotations

from collections.abc import Container

from workkit.core.job import PERIODIC
from workkit.simulation.checkers.moves import HandlerRun, RedisChange
from workkit.simulation.checkers.scene import Scene

__all__ = ["TakenSlots"]


class TakenSlots:
    """The cron slots that were taken from living pools, which had claimed them.

    A pool that freezes between its claim and the start of the handler is taken for dead, and the
    slot runs elsewhere. Then the pool goes on and starts it, because it could not know. That is the
    only case in which a slot that has run may be started again.
    """

    def __init__(self) -> None:
        self._claimed: set[tuple[str, str]] = set()
        self._taken: set[tuple[str, str]] = set()

    def changed(self, scene: Scene, change: RedisChange, over: Container[str]) -> None:
        """Record claims, and who has lost them.

        Args:
            scene: The contents of Redis.
            change: The effect of a command.
            over: The slots that have run: a claim that comes later excuses nothing.
        """
        for move in change.moves:
            if not move.job_id.startswith(PERIODIC):
                continue
            if move.before is not None and move.came_from("in progress"):
                holder = scene.host(move.before.place.pool_id), move.job_id
                if move.went_to("in progress"):
                    continue  # its pool has adopted it
                if change.pool == holder[0]:
                    self._forget(holder)
                elif holder in self._claimed:
                    self._taken.add(holder)
            elif move.went_to("in progress") and move.job_id not in over:
                self._claimed.add((change.pool, move.job_id))

    def crashed(self, pool: str) -> None:
        """Forget the claims of a crashed process."""
        for each in [each for each in self._claimed if each[0] == pool]:
            self._forget(each)

    def excuse(self, run: HandlerRun) -> bool:
        """Tell whether a handler may start a slot that has run; each claim excuses one start."""
        claim = run.pool, run.job_id
        taken = claim in self._taken
        self._forget(claim)
        return taken

    def _forget(self, claim: tuple[str, str]) -> None:
        self._claimed.discard(claim)
        self._taken.discard(claim)
