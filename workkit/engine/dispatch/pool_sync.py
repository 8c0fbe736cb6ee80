"""Registers, fences and resyncs a pool with Redis."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from workkit.core.clock import Instant
from workkit.core.history import Record
from workkit.engine.dispatch.parts import PoolParts
from workkit.engine.handling.execution import Fate, quick_fate
from workkit.errors import ServerUnavailable
from workkit.store.calls import beat, publish, resync
from workkit.store.calls.exchange import flags
from workkit.store.round_trip import Step

__all__ = ["PoolSync"]

_log = logging.getLogger("workkit")

#: The pool compares its jobs with Redis this often, seconds.
RESYNC_S: Final = 60.0


class _Lost(NamedTuple):
    """An exchange without a reply: the pool id, when it was sent, and what it sent."""

    pool_id: str
    number: int
    sent_ms: int
    fates: list[Fate]
    records: list[Record]
    claims: Mapping[str, int]


class PoolSync:
    """Registers the pool, fences its exchanges, and finds out whether a lost exchange happened.

    Every exchange names the fence that it expects and sets the next one. After a lost reply, a
    resync reads the in-progress lists and sets another fence. So the lost exchange has either
    happened, and its number shows this, or it never will.

    Args:
        parts: The pool's parts.
    """

    def __init__(self, parts: PoolParts) -> None:
        self._keys = parts.keys
        self._identity = parts.identity
        self._admission = parts.admission
        self._ledger = parts.ledger
        self._board = parts.board
        self._portion = parts.portion
        self._lost: _Lost | None = None
        self._found: list[Fate] = []
        self._in_step = False
        self._resynced_at = 0.0
        self._to_adopt: set[str] = set()  # former ids whose jobs may still run here
        self.registered = False
        self.reaped = False
        self.fence = 0
        self.resyncs = 0  # how often the pool has compared its jobs with Redis

    @property
    def next_s(self) -> float:
        """When the next resync is due, monotonic seconds."""
        return self._resynced_at + RESYNC_S

    def due(self, now: Instant) -> bool:
        """Tell whether `restore` has something to do."""
        settled_in = self.registered and not self.reaped and not self._to_adopt
        return not settled_in or not self._in_step or now.monotonic_s >= self.next_s

    def lost(
        self, now: Instant, fates: list[Fate], records: list[Record], claims: Mapping[str, int]
    ) -> None:
        """Record that the reply to an exchange was lost.

        Args:
            now: When it was sent.
            fates: The fates that it sent.
            records: The other records that it sent for history.
            claims: What it claimed.
        """
        pool_id, number = self._identity.pool_id, self.fence + 1
        self._lost = _Lost(pool_id, number, now.epoch_ms, fates, records, claims)
        self._in_step = False

    def doubt(self) -> None:
        """Record that Redis and the pool may not agree."""
        self._in_step = False

    def restore(self, now: Instant) -> Step[list[Fate]]:
        """Register and resync if necessary.

        No exchange is sent before that: it would replace the lost one, and nobody would ask what
        the lost one has done.

        Returns:
            Fates that the lost exchange turned out to have applied.

        Raises:
            ServerError: Redis did not answer; call again.
        """
        while self.due(now):  # a resync may find that the pool was taken for dead
            if self.reaped or not self.registered:
                yield from self._register(now)
            if self._to_adopt:
                yield from self._adopt()
            if not self._in_step or now.monotonic_s >= self.next_s:
                yield from self._resync(now)
        found, self._found = self._found, []
        return found

    def _register(self, now: Instant) -> Step[None]:
        """Register, under a new id if another pool has reaped the old one."""
        identity = self._identity
        if self.registered:
            old_id = identity.renew()
            self._to_adopt.add(old_id)
            self._ledger.totals["reaped"] += 1
            _log.warning(
                "other pools declared pool %s dead; it continues as %s", old_id, identity.pool_id
            )
        self.registered = False
        identity.started_at = identity.started_at or now.epoch_s
        yield from beat.register(
            self._keys,
            identity.pool_id,
            identity.heartbeat(now.epoch_s, self._ledger.totals),
            identity.limits,
            self._board.names,
        )
        self.fence, self._in_step, self._resynced_at = 0, True, now.monotonic_s
        self.registered, self.reaped = True, False
        self._board.mark_candidates(self._board.names)
        if identity.signatures:  # if this fails, the next heartbeat does it
            yield from publish.publish(self._keys, identity.signatures)

    def _adopt(self) -> Step[None]:
        """Move the jobs that are still under former ids; other pools have taken the rest.

        The following resync finds out which of these jobs run here, and which were claimed but
        never received. So a lost reply does no harm: the move may happen twice.
        """
        self._in_step = False
        for old_id in sorted(self._to_adopt):
            last = yield from resync.adopt(
                self._keys, old_id, self._identity.pool_id, self._board.names
            )
            if last is None:  # others have deleted the pool's keys; history may have the records
                last = resync.LastExchange((yield from self._number_by_history(old_id)))
            self._to_adopt.discard(old_id)
            self._resolve(old_id, last)

    def _number_by_history(self, old_id: str) -> Step[int]:
        """Return the number of the lost exchange if history has its records, else 0."""
        lost = self._lost
        if lost is None or lost.pool_id != old_id:
            return 0
        records = [*(fate.record for fate in lost.fates), *lost.records]
        if not records:
            return 0
        recorded = yield from resync.has_told(self._keys, old_id, lost.sent_ms, records[0])
        return lost.number if recorded else 0

    def _resolve(self, pool_id: str, last: resync.LastExchange) -> None:
        """Find out whether the lost exchange has happened; if not, send its contents again.

        Args:
            pool_id: An id of this pool.
            last: The last exchange that has happened under this id.
        """
        if self._lost is None or self._lost.pool_id != pool_id:
            return
        lost, self._lost = self._lost, None
        if last.number >= lost.number:
            bits = last.bits if last.number == lost.number else b""
            self._found += self._ledger.confirmed(
                lost.fates, flags(lost.fates, lost.claims, bits), lost.records
            )
        else:
            self._ledger.put_back(lost.fates)
            self._ledger.records = lost.records + self._ledger.records

    def _resync(self, now: Instant) -> Step[None]:
        """Compare the jobs in Redis with the ledger, and shut out late exchanges."""
        self._in_step = False
        self.fence += 2
        try:
            state = yield from self._read()
        except ServerUnavailable:
            lost = sum(self._lost.claims.values()) if self._lost is not None else 0
            self._portion.lost(len(self._ledger) + lost)
            raise
        if state is None:
            self.reaped = True
            return
        last, lists = state
        self._resolve(self._identity.pool_id, last)
        self._compare(lists, now)
        self._in_step, self._resynced_at = True, now.monotonic_s
        self.resyncs += 1

    def _read(self) -> Step[tuple[resync.LastExchange, dict[str, list[bytes]]] | None]:
        """Read the last exchange and the lists, in portions; None if the pool was reaped.

        The new fence keeps exchanges from changing the lists meanwhile.
        """
        most, read = self._portion.most, 0
        lists: dict[str, list[bytes]] = {name: [] for name in self._board.names}
        while True:
            state = yield from resync.resync(
                self._keys, self._identity.pool_id, self.fence, self._board.names,
                skip=read, most=most,
            )  # fmt: skip
            if state is None:
                return None
            last, more = state
            for name, raws in more.items():
                lists[name] += raws
            count = sum(map(len, more.values()))
            read += count
            if count < most:
                return last, lists

    def _compare(self, lists: Mapping[str, list[bytes]], now: Instant) -> None:
        present = {queue: Counter(raws) for queue, raws in lists.items()}
        for execution in self._ledger.held():
            counter = present.get(execution.queue)
            if counter is not None and counter[execution.raw] > 0:
                counter[execution.raw] -= 1
            else:
                self._ledger.fence_off(execution)
        for queue, raws in lists.items():
            counter = present[queue]
            # Lists are read newest first, and the first job that is returned runs first.
            for raw in reversed(raws):
                if not counter[raw]:
                    continue
                counter[raw] -= 1
                _log.warning("queue %r: a claimed job was not received; it goes back", queue)
                stray = self._admission.placeholder(queue, raw, now)
                self._ledger.hold(stray)
                self._ledger.conclude(quick_fate(stray, "returned", now, reason="unreceived"))
