"""Derives the trace from commands and their replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from workkit.core import job as wire
from workkit.core.job import Job
from workkit.errors import ServerError, Undecodable
from workkit.simulation.redis.commands import command_name
from workkit.simulation.trace import Trace
from workkit.store.calls.enqueue import ScheduleArgs, UniqueArgs, read_enqueue
from workkit.store.calls.exchange import read_exchange
from workkit.store.calls.layout import head, keys_and_args
from workkit.store.calls.move import MoveResult, read_move
from workkit.store.calls.plan_slots import PlanArgs
from workkit.store.calls.reap import read_reap, reaped
from workkit.store.calls.remove import read_remove
from workkit.store.calls.revive import read_revive
from workkit.store.round_trip import Command

__all__ = ["TraceWriter"]

_FATES: Final = {b"d": "done", b"r": "retried", b"x": "died", b"b": "returned"}


class TraceWriter:
    """Adds events to the trace, derived only from commands and their replies.

    Args:
        now_s: Returns the true time, epoch seconds.
    """

    def __init__(self, trace: Trace, now_s: Callable[[], float]) -> None:
        self._trace = trace
        self._now_s = now_s
        self._readers: dict[str, Callable[[str, Command, Any], None]] = {
            "enqueue": self._enqueue,
            "exchange": self._exchange,
            "enqueue_unique": self._enqueue_unique,
            "schedule": self._schedule,
            "plan_slots": self._plan_slots,
            "move": self._move,
            "reap": self._reap,
            "remove": self._remove,
            "revive": self._revive,
        }

    def saw(self, where: str, command: Command, reply: Any) -> None:
        """Add the events of a command that the server has carried out for a pool, or for ""."""
        if command[0] == "HSET" and "checkin" in command:
            self._checkin(where, dict(zip(command[2::2], command[3::2], strict=True)))
            return
        reader = self._readers.get(command_name(command))
        if reader is not None and not isinstance(reply, ServerError):
            reader(where, command, reply)

    def _job(self, kind: str, where: str, raw: bytes, **detail: Any) -> None:
        job = _read(raw)
        self._trace.add(kind, where, job.name, job.id, **detail)

    def _checkin(self, where: str, fields: dict[str, Any]) -> None:
        name, job_id = fields["job_name"], fields["job_id"]
        self._trace.add("check-in", where, name, job_id, says=fields["checkin"])

    def _in_s(self, at_s: Any) -> float:
        return round(float(at_s) - self._now_s(), 3)

    def _enqueue(self, where: str, command: Command, _reply: Any) -> None:
        for _, raws in read_enqueue(command):
            for raw in raws:
                self._job("enqueued", where, raw, args=_read(raw).args)

    def _enqueue_unique(self, where: str, command: Command, reply: Any) -> None:
        sent = UniqueArgs._make(keys_and_args(command)[1])
        detail: dict[str, Any] = {"args": _read(sent.raw).args}
        if sent.run_at_s != "":
            detail["in_s"] = self._in_s(sent.run_at_s)
        kind = "scheduled" if sent.run_at_s != "" else "enqueued"
        self._job(kind if reply else "refused", where, sent.raw, **detail, unique=True)

    def _schedule(self, where: str, command: Command, _reply: Any) -> None:
        sent = ScheduleArgs._make(keys_and_args(command)[1])
        in_s = self._in_s(sent.run_at_s)
        self._job("scheduled", where, sent.raw, args=_read(sent.raw).args, in_s=in_s)

    def _plan_slots(self, where: str, command: Command, reply: Any) -> None:
        if reply:
            plan, _ = head(PlanArgs, keys_and_args(command)[1])
            self._trace.add("cron slot", where, plan.name, "", planned=reply)

    def _move(self, where: str, command: Command, reply: Any) -> None:
        result = MoveResult._make(reply)
        if not (result.moved or result.buried or result.dropped or result.left or result.taken):
            return
        for row in read_move(command):
            # The reply does not say which of them were still there.
            if int(row.queue_at) and row.retired == "":
                self._job("due", where, row.raw)

    def _exchange(self, where: str, command: Command, reply: Any) -> None:
        call = read_exchange(command)
        answer = call.reply(reply)
        if answer.status != "ok":
            return
        applied = iter(answer.applied)
        for part in call.parts:
            for settled in part.settled:
                if next(applied):
                    due = settled.fate == b"r"
                    detail = {"in_s": self._in_s(settled.score)} if due else {}
                    self._job(_FATES[settled.fate], where, settled.raw, **detail)
        for claimed in answer.claimed:
            for raw in claimed.raws:
                self._job("claimed", where, raw)

    def _reap(self, where: str, command: Command, reply: Any) -> None:
        outcome = reaped(reply)
        if outcome.status == "ok":
            for row, fate in zip(read_reap(command), outcome.fates, strict=True):
                if fate != "-":
                    self._job("died" if fate == "d" else "recovered", where, row.raw)

    def _remove(self, where: str, command: Command, reply: Any) -> None:
        for row, bit in zip(read_remove(command), reply, strict=False):
            if bit == ord("1"):
                self._job("deleted", where, row.raw)

    def _revive(self, where: str, command: Command, reply: Any) -> None:
        for row, bit in zip(read_revive(command), reply, strict=False):
            if bit == ord("1"):
                self._job("revived", where, row.raw)


def _read(raw: bytes) -> Job:
    try:
        return wire.decode(raw)
    except Undecodable:
        return Job("?", "?", 0, None)
