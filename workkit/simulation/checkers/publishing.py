"""The checker of what pools publish about their typed tasks."""

from __future__ import annotations

from typing import Final

from workkit.core.lifetimes import SIGNATURES_KEPT_S
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import RedisChange

__all__ = ["SignaturesAreTrue"]

#: A pool needs this long to work after a fault or a start, seconds.
_RECOVERS_S: Final = 10.0
#: The tolerance for rounding, seconds.
_NEAR_S: Final = 0.01


class SignaturesAreTrue(Checker):
    """What a pool publishes is what its typed tasks take.

    It publishes that after it has registered, and again after a heartbeat that finds it gone. It
    expires, unless heartbeats prolong it.
    """

    rule = "signatures stand in Redis"

    def __init__(self) -> None:
        self._due: dict[str, float] = {}  # pool -> since when it has something to publish

    def changed(self, change: RedisChange) -> None:
        """Follow registrations, heartbeats, and what is published."""
        if change.command not in {"register", "beat", "publish"} or not change.pool:
            return
        spec = self.scene.conditions.spec(change.pool)
        if not any(each.signature for each in spec.registrations.values()):
            return
        if change.command == "register":
            self._due[change.pool] = self.scene.now_s()
        else:
            self._look(change.pool)

    def _look(self, pool: str) -> None:
        scene = self.scene
        now_s, beat = scene.now_s(), scene.keys.pool(scene.pool_id(pool))
        if not scene.read("HEXISTS", beat, "fence"):
            return  # it is not registered any more
        digest = (scene.read("HGET", beat, "signatures") or b"").decode()
        key = scene.keys.signatures(digest)
        stands = scene.read("HGETALL", key)
        if not stands:
            since_s = self._due.setdefault(pool, now_s)
            late_s = now_s - since_s
            if late_s > 0 and scene.conditions.undisturbed_s(pool) > late_s + _RECOVERS_S:
                self.violated(f"{pool} has not published what its tasks take for {late_s:.1f} s")
            return
        self._due.pop(pool, None)
        for name, each in scene.conditions.spec(pool).registrations.items():
            if each.signature and stands.get(name.encode()) != each.signature:
                self.violated(f"{pool} takes other args of {name!r} than Redis says")
        if scene.ends_s(key) > now_s + SIGNATURES_KEPT_S + _NEAR_S:
            self.violated(f"the signatures {digest} stay for too long")
