"""Turns claimed bytes into an execution, or into a fate if they cannot run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from workkit.core import job as wire
from workkit.core.clock import Instant
from workkit.core.entropy import Entropy
from workkit.core.job import Job, Payload
from workkit.core.options import HistoryOptions, JobOptions
from workkit.core.probes import Watch, attached
from workkit.core.undecodable import UNDECODABLE, bury_undecodable, restore_undecodable
from workkit.cron.slots import split_slot
from workkit.engine.handling.execution import Execution, Fate, quick_fate
from workkit.engine.handling.handlers import Chain, Handler
from workkit.engine.spec import PoolSpec
from workkit.errors import Undecodable
from workkit.store.calls.begin import StartQuestion
from workkit.store.keys import Keys

__all__ = ["Admission"]


#: A slot may wait in its queue this long even if its entry allows less, seconds.
_SLACK_S: Final = 60


def _no_handler(job: Job) -> None:
    """Stand in for the handler of a job that will not run here."""


class Admission:
    """Decides what to do with a claimed job, from the pool's handlers.

    Args:
        keys: The namespace.
        spec: The pool's handlers, cron entries and history.
        entropy: The source of ids.
    """

    def __init__(self, keys: Keys, spec: PoolSpec, entropy: Entropy) -> None:
        self._details = _details(spec.history)
        self._catch_up_s = {entry.field: entry.catch_up_s for entry in spec.periodic}
        self._keys = keys
        self._entropy = entropy
        self._chains = {
            name: (
                Chain(registration.handler, spec.middleware, spec.context, spec.values),
                registration.options,
            )
            for name, registration in spec.registrations.items()
        }
        if probes := attached(spec.probes):
            for chain, _ in self._chains.values():
                chain.watch = Watch(probes, spec.where)
        self._no_op = Chain(Handler(_no_handler, is_async=False, takes_context=False), (), None)
        self._defaults = JobOptions()

    @property
    def mixed(self) -> bool:
        """Whether some chains run on threads and some on the event loop."""
        return len({chain.on_loop for chain, _ in self._chains.values()}) > 1

    def placeholder(self, queue: str, raw: bytes, now: Instant) -> Execution:
        """Make an execution for bytes that will not run here."""
        try:
            payload = wire.read(raw)
        except Undecodable:
            payload = Payload(queue, "", now.epoch_s)
        return self._without_handler(payload, raw, queue, now)

    def admit(self, queue: str, raw: bytes, now: Instant) -> tuple[Execution, Fate | None]:
        """Read claimed bytes.

        Args:
            queue: The queue they came from.
            raw: The bytes.
            now: When they were claimed.

        Returns:
            The execution, and its fate if it cannot run: malformed bytes and jobs without a
            handler go to the dead set. So do buried bytes that a Go client has retried: it sees
            them as a job with args, and only a workkit client restores them.
        """
        try:
            payload = wire.read(raw)
        except Undecodable as error:
            return self._bury(queue, raw, str(error), now)
        known = self._chains.get(payload.name)
        if known is None:
            return self._stray(queue, raw, payload, now)
        if payload.args and UNDECODABLE in payload.args:
            buried = restore_undecodable(payload)
            if buried is not None:
                return self._bury_again(queue, raw, payload, buried, now)
        chain, options = known
        execution = Execution(payload, raw, queue, chain, options, now.monotonic_s, payload.fails)
        if self._details is not None:
            execution.details = self._details
        if payload.unique:
            if payload.unique_until == "done":
                execution.release_key = self._keys.unique_of(payload).encode()
            else:
                execution.asks = not wire.has_run(payload)
        elif payload.id.startswith(wire.PERIODIC):
            execution.asks = not wire.has_run(payload)
        return execution, None

    def _without_handler(self, payload: Payload, raw: bytes, queue: str, now: Instant) -> Execution:
        """Make an execution of bytes that have no handler here."""
        return Execution(
            payload, raw, queue, self._no_op, self._defaults, now.monotonic_s, payload.fails
        )

    def _bury(
        self, queue: str, raw: bytes, reason: str, now: Instant
    ) -> tuple[Execution, Fate | None]:
        job_id = self._entropy.identifier()
        payload = Payload(queue, job_id, now.epoch_s)
        execution = self._without_handler(payload, raw, queue, now)
        dead = bury_undecodable(raw, queue, reason, job_id, now.epoch_s)
        error = f"undecodable payload: {reason}"
        return execution, quick_fate(
            execution, "dead", now, error=error, dead=dead, reason="undecodable"
        )

    def _bury_again(
        self, queue: str, raw: bytes, payload: Payload, buried: bytes, now: Instant
    ) -> tuple[Execution, Fate | None]:
        try:
            wire.read(buried)
            reason = "this release can read the job; retry it with workkit to restore its bytes"
        except Undecodable as undecodable:
            reason = str(undecodable)
        execution = self._without_handler(payload, raw, queue, now)
        execution.fails += 1
        error = f"undecodable payload: {reason}"
        dead = wire.failed(raw, execution.fails, error, now.epoch_s)
        return execution, quick_fate(
            execution, "dead", now, error=error, dead=dead, reason="undecodable"
        )

    def _stray(
        self, queue: str, raw: bytes, payload: Payload, now: Instant
    ) -> tuple[Execution, Fate | None]:
        execution = self._without_handler(payload, raw, queue, now)
        execution.fails += 1
        name = payload.name
        execution.details = self._details
        error = f"stray job: queue {queue!r} held a job named {name!r}, which has no handler here"
        dead = wire.failed(raw, execution.fails, error, now.epoch_s)
        return execution, quick_fate(execution, "dead", now, error=error, dead=dead, reason="stray")

    @staticmethod
    def job_id(raw: bytes) -> str:
        """Return the id in some bytes; "" if they are not a job."""
        try:
            return wire.read(raw).id
        except Undecodable:
            return ""

    def is_newer(self, raw: bytes, execution: Execution, key: bytes) -> bool:
        """Tell whether some bytes are another waiting job with the unique key of an execution.

        Only one job with a key waits before its first run. The others with that key have begun, and
        came earlier.
        """
        try:
            payload = wire.read(raw)
        except Undecodable:
            return False
        is_other = (
            payload.unique and not wire.has_run(payload) and payload.id != execution.payload.id
        )
        is_earlier = payload.enqueued_at < execution.payload.enqueued_at
        return is_other and not is_earlier and self._keys.unique_of(payload).encode() == key

    @staticmethod
    def is_job(raw: bytes) -> bool:
        """Tell whether bytes can run as a job."""
        try:
            wire.read(raw)
        except Undecodable:
            return False
        return True

    def _is_late(self, job: Payload, now: Instant) -> bool:
        """Tell whether a slot is older than its entry allows, where this pool has the entry."""
        field, due_s = split_slot(wire.slot_of(job), job.name)
        catch_up_s = self._catch_up_s.get(field)
        return catch_up_s is not None and now.epoch_s - due_s > max(catch_up_s, _SLACK_S)

    def unique_key(self, execution: Execution) -> bytes:
        """Return the key of a unique job."""
        return self._keys.unique_of(execution.payload).encode()

    def slots(
        self, asked: Sequence[Execution], held: Collection[Execution], now: Instant
    ) -> list[StartQuestion]:
        """Return the questions to Redis about cron jobs that begin."""
        running = {execution.slot for execution in held if execution.slot}
        questions = []
        for execution in asked:
            key = self._keys.slot(execution.payload.id)
            kind = "late" if self._is_late(execution.payload, now) else "slot"
            kind = "held" if key in running else kind
            running.add(key)
            questions.append(_question(execution, kind, key))
        return questions

    def take_over(self, execution: Execution) -> StartQuestion:
        """Return the question about a cron job whose slot nobody runs any more."""
        return _question(execution, "take", self._keys.slot(execution.payload.id))

    def update(self, execution: Execution, found: bytes) -> StartQuestion:
        """Return the question about a unique job whose key held the bytes `found`."""
        kind = "swap" if self.is_job(found) else "keep"
        # A pool or client that moved the job may have rewritten its bytes.
        kind = "own" if wire.is_payload_of(found, execution.payload.id) else kind
        return _question(execution, kind, self.unique_key(execution), found)

    def theirs(self, execution: Execution) -> StartQuestion:
        """Return the question for a unique job that began elsewhere and lost its key."""
        return _question(execution, "theirs", self.unique_key(execution))

    def begun(self, execution: Execution, update: bytes = b"") -> None:
        """Mark a unique or a cron job as begun; `update` replaces its bytes."""
        if not execution.payload.unique:
            execution.slot = self._keys.slot(execution.payload.id)
            return
        execution.began = True
        if update:
            execution.raw, execution.payload = update, wire.read(update)
            execution.fails = execution.payload.fails


def _details(history: HistoryOptions | None) -> HistoryOptions | None:
    """Return the options if history keeps details that cost extra time per job."""
    return history if history is not None and (history.args or history.checkins) else None


def _question(execution: Execution, kind: str, key: bytes, found: bytes = b"") -> StartQuestion:
    return StartQuestion(kind, key, execution.queue, execution.raw, execution.payload.id, found)
