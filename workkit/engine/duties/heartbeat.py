"""Sends the pool's heartbeats.

Go pools compare the time in them with their own wall clock. workkit pools watch whether it changes.
The limits are in `workkit.core.liveness`.

It sends no heartbeat if the dispatcher has ended or hangs. Then other pools recover the jobs.
"""

from __future__ import annotations

import logging

from workkit.core.clock import Instant
from workkit.core.liveness import BEAT_S
from workkit.engine.duties.callbacks import Callbacks
from workkit.engine.process.identity import Identity
from workkit.engine.process.vitals import STILL_S, Pulse, Vigil
from workkit.errors import ServerError
from workkit.store.calls import ask, beat, publish
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["Heartbeat"]

_log = logging.getLogger("workkit")


class Heartbeat:
    """The heartbeat of one pool; runs on its own thread and connection.

    Args:
        keys: The namespace.
        identity: The pool's ids.
        dispatcher: The signs of life of the pool's dispatcher.
        callbacks: Give totals and stacks, and hear when the pool is no longer registered.

    Attributes:
        is_heard: Whether the last heartbeat arrived, and was written.
        heard_s: When a heartbeat arrived last, monotonic seconds; 0 before the first.
    """

    name = "heartbeat"

    def __init__(
        self, keys: Keys, identity: Identity, dispatcher: Pulse, callbacks: Callbacks
    ) -> None:
        self._dispatcher = Vigil(dispatcher)
        self._is_silent = False
        self._keys = keys
        self._identity = identity
        self._callbacks = callbacks
        self.is_heard = True
        self.heard_s = 0.0

    def step(self, now: Instant) -> Step[float]:
        """Send a heartbeat, unless the pool is not yet registered or its dispatcher hangs."""
        identity = self._identity
        if self._check_dispatcher(now):
            self.is_heard = False
        elif identity.started_at:
            pool_id = identity.pool_id
            fields = identity.pulse(now.epoch_s, self._callbacks.totals())
            try:
                reply = yield from beat.beat(
                    self._keys, pool_id, fields, identity.limits, identity.signatures
                )
            except ServerError:
                self.is_heard = False
                raise
            # For a pool that is not registered the script writes nothing: a server that refuses
            # writes answers it as well, and all other pools seem to be silent.
            self.is_heard = reply.alive
            if reply.alive:
                self.heard_s = now.monotonic_s
            if not reply.alive and pool_id == identity.pool_id:
                self._callbacks.expelled()
            if reply.asked:
                stacks = {job_id: self._callbacks.stack(job_id) for job_id in reply.asked}
                yield from ask.answer(self._keys, stacks)
            if reply.unpublished:
                yield from publish.publish(self._keys, identity.signatures)
        return BEAT_S

    def _check_dispatcher(self, now: Instant) -> bool:
        """Tell whether the dispatcher has ended or hangs; log a change."""
        was_silent = self._is_silent
        self._is_silent = self._dispatcher.silent_s(now.monotonic_s) >= STILL_S
        if self._is_silent and not was_silent:
            _log.error(
                "the dispatcher has ended, or has made no progress for %.0f s, so the pool sends "
                "no heartbeats; other pools recover its jobs",
                STILL_S,
            )
        elif was_silent and not self._is_silent:
            _log.warning("the dispatcher works again, so the pool sends heartbeats again")
        return self._is_silent
