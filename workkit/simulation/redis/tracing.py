"""Derives the trace from commands and their replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from workkit.core import job as wire
from workkit.core.job import Job
from workkit.errors import ServerError, Undecodable
from workkit.simulation.redis.commands import command_name
from workkit.simulation.redis.exchange_args import exchange_parts
from workkit.simulation.trace import Trace
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
        self._readers: dict[str, Callable[[str, tuple[Any, ...], list[Any], Any], None]] = {
            "enqueue": self._enqueue,
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
        name = command_name(command)
        reader = self._readers.get(name)
        if isinstance(reply, ServerError):
            return
        if name == "exchange":
            self._exchange(where, command, reply)
            return
        if reader is None:
            return
        keys_end = 2 + command[1]
        reader(where, command[2:keys_end], list(command[keys_end:]), reply)

    def _job(self, kind: str, where: str, raw: bytes, **detail: Any) -> None:
        job = _read(raw)
        self._trace.add(kind, where, job.name, job.id, **detail)

    def _checkin(self, where: str, fields: dict[str, Any]) -> None:
        name, job_id = fields["job_name"], fields["job_id"]
        self._trace.add("check-in", where, name, job_id, says=fields["checkin"])

    def _in_s(self, at_s: Any) -> float:
        return round(float(at_s) - self._now_s(), 3)

    def _enqueue(self, where: str, _keys: Any, args: list[Any], _reply: Any) -> None:
        at = 0
        while at < len(args):
            count = int(args[at + 1])
            for raw in args[at + 2 : at + 2 + count]:
                self._job("enqueued", where, raw, args=_read(raw).args)
            at += 2 + count

    def _enqueue_unique(self, where: str, _keys: Any, args: list[Any], reply: Any) -> None:
        raw, due_s = args[1], args[4]
        detail: dict[str, Any] = {"args": _read(raw).args}
        if due_s != "":
            detail["in_s"] = self._in_s(due_s)
        kind = "scheduled" if due_s != "" else "enqueued"
        self._job(kind if reply else "refused", where, raw, **detail, unique=True)

    def _schedule(self, where: str, _keys: Any, args: list[Any], _reply: Any) -> None:
        self._job("scheduled", where, args[2], args=_read(args[2]).args, in_s=self._in_s(args[1]))

    def _plan_slots(self, where: str, _keys: Any, args: list[Any], reply: Any) -> None:
        if reply:
            self._trace.add("cron slot", where, args[0], "", planned=reply)

    def _move(self, where: str, _keys: Any, args: list[Any], reply: Any) -> None:
        first = 3 + int(args[1])
        jobs = range(first, len(args), 5)
        if not sum(reply[:4]) and not reply[4]:
            return
        for at in jobs:
            # The reply does not say which of them were still there.
            if int(args[at + 2]) and args[at + 4] == "":
                self._job("due", where, args[at])

    def _exchange(self, where: str, command: Command, reply: Any) -> None:
        if reply[0] != b"ok":
            return
        applied = iter(reply[1])
        for part in exchange_parts(command):
            for settled in part.settled:
                if next(applied) == ord("1"):
                    due = settled.fate == b"r"
                    detail = {"in_s": self._in_s(settled.score)} if due else {}
                    self._job(_FATES[settled.fate], where, settled.raw, **detail)
        for got in reply[3:]:
            for raw in got[1:]:
                self._job("claimed", where, raw)

    def _reap(self, where: str, _keys: Any, args: list[Any], reply: Any) -> None:
        if reply[0] == b"ok":
            for at, fate in zip(range(5, len(args), 6), reply[3], strict=True):
                if fate != ord("-"):
                    self._job("died" if fate == ord("d") else "recovered", where, args[at])

    def _remove(self, where: str, _keys: Any, args: list[Any], reply: Any) -> None:
        for at, bit in zip(range(3, len(args), 4), reply, strict=False):
            if bit == ord("1"):
                self._job("deleted", where, args[at])

    def _revive(self, where: str, _keys: Any, args: list[Any], reply: Any) -> None:
        for at, bit in zip(range(4 + int(args[1]), len(args), 7), reply, strict=False):
            if bit == ord("1"):
                self._job("revived", where, args[at])


def _read(raw: bytes) -> Job:
    try:
        return wire.decode(raw)
    except Undecodable:
        return Job("?", "?", 0, None)
