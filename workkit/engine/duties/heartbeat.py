"""Says that the pool is alive.

Go pools compare its time with their own wall clock, ours watch whether it changes;
`workkit.core.liveness` has the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workkit.core.clock import Instant
from workkit.core.liveness import BEAT_S
from workkit.engine.process.identity import Identity
from workkit.errors import ServerError
from workkit.store.calls import pools
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["Heartbeat"]


class Heartbeat:
    """The heartbeat of one pool; runs on its own thread and connection.

    Args:
        keys: The namespace.
        identity: The pool's ids.
        totals: Returns the running totals to publish.
        reaped: Called when the pool turns out not to be registered any more.

    Attributes:
        is_heard: Whether the last beat has arrived.
    """

    name = "heartbeat"

    def __init__(
        self,
        keys: Keys,
        identity: Identity,
        totals: Callable[[], Mapping[str, int]],
        reaped: Callable[[], None],
    ) -> None:
        self._keys = keys
        self._identity = identity
        self._totals = totals
        self._reaped = reaped
        self.is_heard = True

    def step(self, now: Instant) -> Step[float]:
        """Beat once, unless the pool has yet to register."""
        identity = self._identity
        if identity.started_at:
            pool_id = identity.pool_id
            fields = identity.pulse(now.epoch_s, self._totals())
            try:
                alive = yield from pools.beat(self._keys, pool_id, fields, identity.limits)
            except ServerError:
                self.is_heard = False
                raise
            self.is_heard = True
            if not alive and pool_id == identity.pool_id:
                self._reaped()
        return BEAT_S
