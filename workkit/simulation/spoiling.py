"""Faults that leave something wrong in Redis: wrong types, lists without an owner, wrong locks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from workkit.simulation.checkers.moves import ORPHANED
from workkit.simulation.disturbances import UNANSWERED_S
from workkit.simulation.machine.durations import check_seconds
from workkit.simulation.machine.world import World, microseconds
from workkit.simulation.redis.server import SimulatedServer
from workkit.store.round_trip import Command

__all__ = ["SPOILING", "Spoiling"]

#: The kinds of these faults.
SPOILING: Final = ("mistype", "orphan", "miscount")
#: What stands in a spoilt key.
_JUNK: Final = b"junk"


class Spoiling:
    """The part of a simulation that leaves something wrong in Redis."""

    world: World
    server: SimulatedServer
    #: Until when a key has a wrong type, microseconds since the world began.
    spoilt_until_us = 0

    def _fault(self, where: str, lasts_s: float = 0.0, after_s: float = 0.0, **detail: Any) -> None:
        raise NotImplementedError

    def spoil(self, kind: str, seconds: float) -> None:
        """Cause a fault of one of these kinds."""
        if kind == "mistype":
            self.mistype(seconds)
        elif kind == "orphan":
            self.orphan()
        else:
            self.miscount()

    def mistype(self, seconds: float) -> None:
        """Give a key of Redis a wrong type for a while.

        Args:
            seconds: For how long. The key is one that does not exist: a queue, the pause of a
                queue, or the retry or dead set.
        """
        check_seconds("the time of sim.mistype", seconds)
        key = _spoil(self.server)
        if key is not None:
            shown = key.decode("utf-8", "replace")
            self._fault("", seconds, UNANSWERED_S, fault="mistype", key=shown, for_s=seconds)
            until_us = self.world.now_us + microseconds(seconds)
            self.spoilt_until_us = max(self.spoilt_until_us, until_us)
            self.world.after(microseconds(seconds), _mend, self.server, key)

    def orphan(self) -> None:
        """Leave a job that waits in the list of a pool of which nothing else is left."""
        key = _make_orphan(self.server)
        if key is not None:
            self._fault("", 0, fault="orphan", key=key.decode("utf-8", "replace"))

    def miscount(self) -> None:
        """Make a lock wrong, as if another program had crashed between two writes."""
        name = self.server.miscount()
        if name:
            self._fault("", fault="miscount", queue=name)


def _spoil(server: SimulatedServer) -> bytes | None:
    """Give a key that does not exist a wrong type, as a program that shares the server may do.

    Returns:
        The key: a queue, the pause of a queue, or the retry or dead set; None if all exist.
    """
    free = [each for each in _candidates(server) if not server.read(("EXISTS", each[1]))]
    if not free:
        return None
    command = free[server.dice.below(len(free))]
    server.execute([command])
    key: bytes = command[1]
    return key


def _mend(server: SimulatedServer, key: bytes) -> None:
    """Delete a spoilt key, unless somebody has written another value there."""
    values = (server.peek(("GET", key)), server.peek(("LRANGE", key, 0, -1)))
    if _JUNK in values or [_JUNK] in values:
        server.execute([("DEL", key)])


def _candidates(server: SimulatedServer) -> Iterator[Command]:
    """Give commands that would write a key with a wrong type."""
    keys = server.keys
    for name in sorted(server.read(("SMEMBERS", keys.known_jobs))):
        yield ("SET", keys.jobs(name.decode()), _JUNK)
        yield ("RPUSH", keys.paused(name.decode()), _JUNK)
    yield ("SET", keys.retry, _JUNK)
    yield ("SET", keys.dead, _JUNK)


def _make_orphan(server: SimulatedServer) -> bytes | None:
    """Move the next job of a queue to the list of a pool of which nothing else is left.

    That remains of a Go pool when others have taken it for dead and died before they had moved its
    jobs.

    Returns:
        The list; None if no job waits.
    """
    keys = server.keys
    names = [name.decode() for name in sorted(server.read(("SMEMBERS", keys.known_jobs)))]
    waiting = [
        name
        for name in names
        if server.read(("TYPE", keys.jobs(name))) == b"list"
        and server.read(("GET", keys.paused(name))) is None
    ]
    if not waiting:
        return None
    name = waiting[server.dice.below(len(waiting))]
    pool_id = f"{ORPHANED}{server.writes}"
    orphan = keys.queue(name, pool_id).inprogress
    server.execute([("RPOPLPUSH", keys.jobs(name), orphan)])
    return orphan
