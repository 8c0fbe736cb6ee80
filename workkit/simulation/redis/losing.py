"""How the server of a simulated world loses data: a failover, a crash, an eviction.

And how locks get wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from workkit.core.entropy import Entropy
from workkit.simulation.redis.backend import Backend
from workkit.store.keys import Keys
from workkit.store.round_trip import Command

__all__ = ["Audience", "Losing", "Snapshot", "Timeline"]

#: Key -> its dump, and when it expires, microseconds since the world began.
Snapshot: TypeAlias = dict[bytes, tuple[bytes, int | None]]
#: The id of a pool that there has never been, and the most jobs by which a lock gets wrong.
_STRANGER: Final = "stranger"
_MOST_MISCOUNTED: Final = 3


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

    def miscounted(self, keys: Sequence[bytes]) -> None:
        """A lock was made wrong; these are the keys of it."""
        ...


class Losing:
    """The part of a server that loses data."""

    keys: Keys
    audience: Audience | None
    _world: Timeline
    _backend: Backend
    _known: dict[bytes, None]
    _ends: dict[bytes, int]
    _miscounted: set[str]
    dice: Entropy

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

    def miscount(self) -> str:
        """Make the lock of a queue wrong.

        Returns:
            The name of the queue; "" if no queue has had a lock yet.
        """
        names = sorted({name for key in self._known if (name := self.keys.parse_lock(key))})
        if not names:
            return ""
        name = names[self.dice.below(len(names))]
        queue, amount = self.keys.queue(name, ""), 1 + self.dice.below(_MOST_MISCOUNTED)
        way = ("low", "stranger", "pool", "high")[self.dice.below(4)]
        if way == "low" and self.read(("HGET", self.keys.limits, name)) is None:
            amount = -1  # only without a limit, which would be exceeded
        commands: list[Command] = [("INCRBY", queue.lock, amount)]
        pools = sorted(self.read(("SMEMBERS", self.keys.worker_pools)))
        if way == "stranger":
            commands.append(("HINCRBY", queue.lock_info, _STRANGER, amount))
        elif way == "pool" and pools:
            whose = pools[self.dice.below(len(pools))]
            commands.append(("HINCRBY", queue.lock_info, whose, amount))
        self._send(commands)
        changed = (queue.lock, queue.lock_info)
        self._miscounted.add(name)
        self._note(changed, None)
        if self.audience is not None:
            self.audience.miscounted(changed)
        return name

    def has_wrong_locks(self) -> bool:
        """Tell whether a lock that was made wrong is still wrong."""
        for name in list(self._miscounted):
            lock = self.read(("GET", self.keys.queue(name, "").lock)) or 0
            info = self.read(("HGETALL", self.keys.queue(name, "").lock_info))
            held = {
                place[1].encode(): self.read(("LLEN", key))
                for key in self._known
                if (place := self.keys.parse_inprogress(key)) and place[0] == name
            }
            counted = {pool: int(count) for pool, count in info.items()}
            if counted == {pool: count for pool, count in held.items() if count} and (
                int(lock) == sum(held.values())
            ):
                self._miscounted.discard(name)
        return bool(self._miscounted)

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
