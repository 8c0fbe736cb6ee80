"""Checkers of what pools keep in order for all: known queues, limits that nobody declares."""

from __future__ import annotations

from typing import Final

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import RESTORED, RedisChange

__all__ = ["LimitsAreLifted", "QueuesAreKnown"]

#: One pool looks at the limits once a minute, and another one takes its place within two; seconds.
_LIFTED_S: Final = 150.0
#: It sends fewer requests than this, one after the other, each on a line that may be slow.
_REQUESTS: Final = 60
_EVERY_S: Final = 5.0
_WAITING: Final = frozenset({"queued", "scheduled"})


class LimitsAreLifted(Checker):
    """A limit goes within three minutes after the last pool that handles such jobs.

    It goes from the queue and from the record of the limits that workkit has written, if a pool has
    had no fault since.
    """

    rule = "a limit goes with the last pool that handles the job"

    def __init__(self) -> None:
        self._declared: set[str] = set()
        self._since: dict[str, float] = {}  # since when nobody handles such jobs
        self._next_s = 0.0

    def changed(self, change: RedisChange) -> None:
        """Look for limits that nobody needs."""
        del change
        if self.scene.now_s() >= self._next_s:
            self._next_s = self.scene.now_s() + _EVERY_S
            self.at_rest()

    def at_rest(self) -> None:
        """Look for limits that nobody needs."""
        scene = self.scene
        handled: set[str] = set()
        for pool in scene.conditions.running():
            registrations = scene.conditions.spec(pool).registrations
            handled |= registrations.keys()
            self._declared |= {
                name for name, each in registrations.items() if each.options.max_concurrency
            }
        if self._declared <= handled:
            self._since.clear()
            return
        for pool_id in scene.read("SMEMBERS", scene.keys.worker_pools):  # also Go's, and dead ones
            names = scene.read("HGET", scene.keys.pool(pool_id.decode()), "job_names") or b""
            handled |= set(names.decode().split(","))
        for name in handled & self._since.keys():
            del self._since[name]
        for name in self._declared - handled:
            self._look(name, scene.now_s() - self._since.setdefault(name, scene.now_s()))

    def _look(self, name: str, for_s: float) -> None:
        scene = self.scene
        most_s = _LIFTED_S + _REQUESTS * scene.conditions.slowness_s()
        if min(for_s, scene.longest_undisturbed_s()) <= most_s:
            return
        limit = scene.read("GET", scene.keys.queue(name, "").max_concurrency)
        written = scene.read("HGET", scene.keys.limits, name)
        if limit is not None or written is not None:
            where = "stands in Redis" if limit is not None else "counts as written"
            self.violated(
                f"no pool has handled {name!r} for {for_s:.0f} s, and its limit still {where}"
            )


class QueuesAreKnown(Checker):
    """Each queue that has had jobs, or that a pool handles, is among the known jobs."""

    rule = "each queue is known"

    def __init__(self) -> None:
        self._known: set[str] = set()

    def changed(self, change: RedisChange) -> None:
        """Look at the queues of new jobs, and of a pool that registers."""
        if change.command == RESTORED:
            return
        for move in change.moves:
            after = move.after
            if after is not None and after.job is not None and after.place.kind in _WAITING:
                self._look(after.place.queue or after.job.name, change.command)
        if change.command == "register" and change.pool:
            for name in self.scene.conditions.spec(change.pool).registrations:
                self._look(name, change.command)

    def _look(self, name: str, command: str) -> None:
        if name in self._known:
            return
        if not self.scene.read("SISMEMBER", self.scene.keys.known_jobs, name):
            self.violated(f"after {command}, {name!r} is not among the known jobs")
        self._known.add(name)

    def wiped(self) -> None:
        """Forget what is known, as Redis has."""
        self._known.clear()
