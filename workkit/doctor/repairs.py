"""The repairs. Each first checks on the server that the fault is still there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.text import counted
from workkit.engine.duties.callbacks import Callbacks
from workkit.engine.duties.reaper import Reaper
from workkit.engine.handling.events import ReapedPool
from workkit.engine.process.identity import Identity
from workkit.engine.process.sources import Sources
from workkit.store.calls import beat, recount, tally
from workkit.store.calls.beat import Beat
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["Repairs"]

_FAULT_GONE: Final = "the fault is gone; nothing was changed"
#: A pool's default.
_MAX_RECOVERIES: Final = 3
_ATTEMPTS: Final = 3


class Repairs:
    """Repairs a namespace.

    Args:
        keys: The namespace.
        clock: The source of the time.
        entropy: Makes ids for malformed payloads that go to the dead set.
    """

    def __init__(self, keys: Keys, clock: Clock, entropy: Entropy) -> None:
        self._keys = keys
        self._clock = clock
        self._entropy = entropy

    def recover(self, pool_id: str, heartbeat_at: str, names: Iterable[str]) -> Step[str]:
        """Move the jobs of a dead pool back to their queues, and remove the pool."""
        reaped: list[ReapedPool] = []
        nobody = Identity(job_names=[], limits={}, concurrency=0, entropy=self._entropy)
        reaper = Reaper(
            self._keys, nobody, Sources(self._clock, self._entropy),
            Callbacks(reaped=reaped.append), job_names=names, max_recoveries=_MAX_RECOVERIES,
        )  # fmt: skip
        beats = yield from beat.heartbeats(self._keys, [pool_id])
        now = beats[pool_id].heartbeat_at.encode("utf-8", "surrogateescape")
        if now.decode("utf-8", "replace") != heartbeat_at:  # an examination decodes it this way
            return _FAULT_GONE
        yield from reaper.recover(pool_id, beats[pool_id], self._clock.read())
        if not reaped:
            return _FAULT_GONE
        back = counted(reaped[0].requeued, "job was", "jobs were")
        return f"{back} given back, {reaped[0].died} went to the dead set"

    def recount(self, name: str) -> Step[str]:
        """Count a queue's lock again."""
        for _ in range(_ATTEMPTS):
            registered = yield from beat.registered(self._keys)
            beats = yield from beat.heartbeats(self._keys, sorted(registered))
            states = yield from recount.locks(self._keys, [name])
            kinds = {
                pool_id: _kind(beats.get(pool_id))
                for pool_id in sorted(registered | set(states[name].info))
            }
            result = yield from recount.recount(self._keys, name, kinds)
            if result is not None:
                before, after, dropped = result
                gone = counted(dropped, "field was", "fields were")
                return f"the lock went from {before} to {after}, {gone} removed"
        return "pools started or stopped during the count; nothing was changed, try again"

    def give_back(self, pool_id: str, name: str, raws: Iterable[bytes]) -> Step[str]:
        """Move jobs that no worker runs back to their queue. The oldest runs first."""
        returned = 0
        for raw in raws:
            returned += yield from tally.return_ghost(self._keys, pool_id, name, raw)
        return f"{counted(returned, 'job was', 'jobs were')} given back"

    def know(self, name: str) -> Step[str]:
        """Add a name to the known jobs."""
        yield from tally.know(self._keys, name)
        return "the name was added"

    def lift(self, name: str, limit: str) -> Step[str]:
        """Remove a limit that no pool declares."""
        lifted = yield from recount.lift_limit(self._keys, name, limit)
        return "the limit was lifted" if lifted else _FAULT_GONE

    def set_aside(self, key: bytes, wrong: str) -> Step[str]:
        """Rename a key that has a wrong type."""
        to = self._keys.aside(key, self._clock.read().epoch_s)
        moved = yield from tally.set_aside(key, to, wrong)
        return f"it was renamed to {to.decode('utf-8', 'replace')!r}" if moved else _FAULT_GONE

    def free(self, key: bytes, value: bytes) -> Step[str]:
        """Delete a unique key that no job holds."""
        freed = yield from tally.free_unique(key, value)
        return "it was deleted" if freed else _FAULT_GONE


def _kind(heartbeat: Beat | None) -> str:
    """Return how reliable a pool's in-progress list is; see recount.lua."""
    if heartbeat is None:
        return "none"
    return "ours" if heartbeat.limits else "peer"
