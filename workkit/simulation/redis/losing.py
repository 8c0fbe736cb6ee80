"""How the server of a simulated world loses data: a failover, a crash, an eviction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from workkit.simulation.redis.backend import Backend
from workkit.store.keys import Keys
from workkit.store.round_trip import Command

__all__ = ["Audience", "Losing", "Snapshot", "Timeline"]

#: Key -> its dump, and when it expires, microseconds since the world began.
Snapshot: TypeAlias = dict[bytes, tuple[bytes, int | None]]


class Timeline(Protocol):
    """The virtual clock, as the server needs it.

    Attributes:
        start_ms: When the world began, epoch milliseconds.
        now_us: Microseconds since the world began.
    """

    start_ms: int
    now_us: int

    def at(self, at_us: int, action: Callable[..., object], *args: Any) -> object:
        """Call something at a time, microseconds since the world began."""
        ...


class Audience(Protocol):
    """Is told of every change."""

    def wrote(self, who: object, sent: Command, keys: Sequence[bytes]) -> None:
        """A command has written."""
        ...

    def expired(self, key: bytes) -> None:
        """A key has expired."""
        ...

    def wiped(self) -> None:
        """The server has lost everything."""
        ...

    def rolled_back(self) -> None:
        """The server has lost the newest writes."""
        ...


class Losing:
    """The part of a server that loses data."""

    keys: Keys
    audience: Audience | None
    _world: Timeline
    _backend: Backend
    _known: dict[bytes, None]
    _ends: dict[bytes, int]

    def snapshot(self) -> Snapshot:
        """Return a copy of everything, for `roll_back`."""
        dumps = self._send([("DUMP", key) for key in self._known])
        return {
            key: (dump, self._ends.get(key))
            for key, dump in zip(self._known, dumps, strict=True)
            if isinstance(dump, bytes)
        }

    def roll_back(self, snapshot: Snapshot) -> None:
        """Lose everything that was written since a snapshot."""
        known, now_us = list(self._known), self._world.now_us
        self._backend.wipe(known)
        self._ends.clear()
        mortal = []
        for key, (dump, end_us) in snapshot.items():
            life_ms = 0
            if end_us is not None:
                life_ms = max(-(-(end_us - now_us) // 1000), 1)
                mortal.append(key)
            self._send([("RESTORE", key, life_ms, dump)])
        self._take_over(mortal)
        self._note(known, None)
        if self.audience is not None:
            self.audience.rolled_back()

    def evict(self, key: bytes) -> None:
        """Delete a key, as a full server may that evicts."""
        self._ends.pop(key, None)
        self._send([("DEL", key)])
        self._note([key], None)
        if self.audience is not None:
            self.audience.expired(key)

    def evictable(self) -> list[bytes]:
        """Return the present keys that pools restore: limits, heartbeats and leases; sorted."""
        return sorted(
            key for key in self._known
            if self.keys.is_restored(key) and self.read(("EXISTS", key))
        )  # fmt: skip

    def read(self, command: Command) -> Any:
        """Answer a command that changes nothing."""
        raise NotImplementedError

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        raise NotImplementedError

    def _note(self, keys: Sequence[bytes], who: object) -> None:
        raise NotImplementedError

    def _take_over(self, keys: Sequence[bytes]) -> None:
        raise NotImplementedError
