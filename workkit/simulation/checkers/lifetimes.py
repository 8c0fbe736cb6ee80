"""The checker that what pools and operators write for a time has its end, at the right time."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import RESTORED, RedisChange

__all__ = ["MarksHaveAnEnd"]

_HOUR_S: Final = 3_600
_DAY_S: Final = 24 * _HOUR_S
#: The tolerance for rounding, seconds.
_NEAR_S: Final = 1.5
#: Commands of one request, the second of which gives a key its end.
_FIRST: Final = "HSET"
#: That request arrives as a whole, within this time, seconds.
_WHOLE_S: Final = 10.0
_EVERY_S: Final = 5.0


class _Lifetime(NamedTuple):
    """How long a kind of key lives, from the last write that says so, seconds."""

    least_s: float
    most_s: float


#: A mark of a slot stays two days after the slot has run, and otherwise three; an operation can be
#: undone for an hour or for a day.
_SLOT: Final = _Lifetime(2 * _DAY_S, 3 * _DAY_S)
_MARKS: Final = _Lifetime(3 * _DAY_S, 3 * _DAY_S)
_OPERATION: Final = _Lifetime(_HOUR_S, _DAY_S)
_OBSERVATION: Final = _Lifetime(_DAY_S, _DAY_S)
_MINUTE: Final = _Lifetime(60, 60)
_LEASE: Final = _Lifetime(0, 60)
#: `UniqueKeysHold` knows when a unique key ends.
_UNIQUE: Final = _Lifetime(0, math.inf)


class MarksHaveAnEnd(Checker):
    """Every key that is written for a time has an end, when the kind of key says.

    Such are marks of slots and starts, counts of recoveries, unique keys, observations, leases,
    signatures, stacks, and what an operator can undo.
    """

    rule = "marks have an end"

    def __init__(self) -> None:
        self._kinds: dict[bytes, _Lifetime | None] = {}
        self._ends: dict[bytes, float] = {}
        self._endless: dict[bytes, tuple[str, float]] = {}  # key -> the pool that writes it, when
        self._has_lost_writes = False
        self._next_s = 0.0

    def changed(self, change: RedisChange) -> None:
        """Look at the ends of the keys that a command has written."""
        self._has_lost_writes = self._has_lost_writes or change.command == RESTORED
        for key in change.keys:
            try:
                kind = self._kinds[key]
            except KeyError:
                kind = self._kinds[key] = self._kind(key)
            if kind is not None:
                self._look(key, kind, change)
        if self._endless and self.scene.now_s() >= self._next_s:
            self._next_s = self.scene.now_s() + _EVERY_S
            self._look_at_endless()

    def _kind(self, key: bytes) -> _Lifetime | None:
        keys = self.scene.keys
        if not keys.may_expire(key):
            return None
        if key in {keys.recoveries, keys.begun}:
            return _MARKS
        kinds = {
            keys.slot(""): _SLOT, keys.operation(""): _OPERATION, keys.trashed(""): _OPERATION,
            keys.worker(""): _OBSERVATION, keys.signatures(""): _MINUTE, keys.stack(""): _MINUTE,
            keys.lease(""): _LEASE,
        }  # fmt: skip
        return next((each for start, each in kinds.items() if key.startswith(start)), _UNIQUE)

    def _look(self, key: bytes, kind: _Lifetime, change: RedisChange) -> None:
        scene = self.scene
        ends_s = scene.ends_s(key)
        if ends_s == math.inf:
            self._ends.pop(key, None)
            if scene.read("EXISTS", key):
                if change.command != _FIRST:
                    self.violated(f"{change.command} left {_shown(key)} for ever")
                self._endless[key] = change.pool, scene.now_s()
            return
        self._endless.pop(key, None)
        if ends_s == self._ends.get(key):
            return
        self._ends[key] = ends_s
        lives_s = ends_s - scene.now_s()
        is_short = lives_s < kind.least_s - _NEAR_S and not self._has_lost_writes
        if is_short or lives_s > kind.most_s + _NEAR_S:
            self.violated(f"{change.command} lets {_shown(key)} live for {lives_s:g} s")

    def _look_at_endless(self) -> None:
        scene = self.scene
        for key, (pool, at_s) in list(self._endless.items()):
            if scene.ends_s(key) < math.inf or not scene.read("EXISTS", key):
                del self._endless[key]
                continue
            age_s = scene.now_s() - at_s
            if _WHOLE_S < age_s < scene.conditions.undisturbed_s(pool) - _WHOLE_S:
                self.violated(f"{pool} left {_shown(key)} for ever")

    def wiped(self) -> None:
        """Forget the ends."""
        self._ends.clear()
        self._endless.clear()


def _shown(key: bytes) -> str:
    return repr(key.decode(errors="replace"))
