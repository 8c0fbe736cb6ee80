"""The checker that records of history tell what has happened, in a stream that counts right."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

from workkit.core.history import Record, unpack
from workkit.core.verdicts import Discard, Fail, Retry
from workkit.errors import JobTimeout
from workkit.simulation.checkers.accounts import KNOWS_S
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import HandlerRun, Move, RedisChange
from workkit.store.replies import pairs

__all__ = ["RecordsAreTrue"]

#: Clocks are right up to a second.
_NEAR_S: Final = 1.5
#: What an entry may take in the server beside its records, bytes.
_ENTRY_BYTES: Final = 200
#: Errors that records name in another way, or that may come from another error.
_OTHERS: Final = (
    asyncio.CancelledError, BaseExceptionGroup, Discard, Fail, JobTimeout, Retry, TimeoutError,
)  # fmt: skip


class _Run(NamedTuple):
    """A run of a job.

    Attributes:
        run: The run.
        at_s: When it began, epoch seconds.
        began_s: When it began, seconds since the world began.
        error: How it has ended; None if it has not, or well.
    """

    run: HandlerRun
    at_s: float
    began_s: float
    error: BaseException | None = None


class RecordsAreTrue(Checker):
    """A record has the worker, the times and the error of its execution, and when the job came.

    The stream says which pool has written an entry, on which host, and counts its records and
    bytes.
    """

    rule = "records say what has happened"

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], _Run] = {}

    def started(self, run: HandlerRun) -> None:
        """Record a run."""
        scene = self.scene
        self._runs[run.pool, run.job_id] = _Run(run, scene.true_s(), scene.now_s())

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record the error of a run."""
        known = self._runs.get((run.pool, run.job_id))
        if known is not None and known.run.number == run.number:
            self._runs[run.pool, run.job_id] = known._replace(error=error)

    def changed(self, change: RedisChange) -> None:
        """Compare what an exchange settles with the records that it appends."""
        if change.command != "exchange" or not change.moves:
            return
        for move, record in change.settled:
            if record is not None:
                self._compare(move, record, self._runs.pop((change.pool, move.job_id), None))

    def _compare(self, move: Move, record: Record, known: _Run | None) -> None:
        assert move.before is not None  # noqa: S101 - it was settled
        assert move.before.job is not None  # noqa: S101 - it was a job
        came_s = move.before.job.enqueued_at
        if record.enqueued_at != came_s:
            self.violated(f"it came at {came_s}, history says {record.enqueued_at}", move.job_id)
        if known is None or not record.started_ms:
            return
        run, pool = known.run, known.run.pool
        if record.worker_id != run.worker_id:
            self.violated(
                f"{run.worker_id[-6:]} ran it, history says {record.worker_id[-6:]}", move.job_id
            )
        off_s = record.started_ms / 1000 - known.at_s
        ago_s = self.scene.now_s() - known.began_s
        is_sure = self.scene.conditions.undisturbed_s(pool) > ago_s + KNOWS_S
        if is_sure and not -_NEAR_S < off_s < _NEAR_S + 1:
            self.violated(f"history says that it began {off_s:+.1f} s later", move.job_id)
        error = known.error
        if error is None or isinstance(error, _OTHERS) or not record.error:
            return
        if type(error).__name__ not in record.error or not record.fingerprint:
            self.violated(
                f"{error!r} is {record.error!r} in history, {record.fingerprint!r}", move.job_id
            )

    def crashed(self, pool: str) -> None:
        """Forget the runs of a process that is gone."""
        self._runs = {key: each for key, each in self._runs.items() if key[0] != pool}

    def at_rest(self) -> None:
        """Look through the entries of history."""
        scene = self.scene
        entries = scene.read("XRANGE", scene.keys.history, "-", "+")
        before: tuple[int, int] | None = None
        for entry_id, fields in entries if isinstance(entries, list) else ():
            before = self._check(int(entry_id.rpartition(b"-")[2]), dict(pairs(fields)), before)

    def _check(
        self, total: int, fields: dict[bytes, Any], before: tuple[int, int] | None
    ) -> tuple[int, int]:
        number, size, total_bytes = int(fields[b"n"]), len(fields[b"r"]), int(fields[b"b"])
        if number != len(unpack(fields[b"r"])):
            self.violated(f"an entry of history says that it has {number} records")
        host = self.scene.host(fields[b"pool"].decode())
        if fields[b"host"].decode() != host:
            self.violated(f"history has {fields[b'host']!r} as the host of {host}")
        if before is not None:
            new, new_bytes = total - before[0], total_bytes - before[1]
            if new != number or not size <= new_bytes <= size + _ENTRY_BYTES:
                self.violated(
                    f"an entry with {number} records of {size} bytes counts as {new} and "
                    f"{new_bytes}"
                )
        return total, total_bytes
