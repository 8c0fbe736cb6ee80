"""Enqueuing that returns only when the job is safe from more than the end of a process.

A server that says yes has the job in memory. What else has to have it before `enqueue` returns is
asked for by a command on the same connection behind the write, in the same round trip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

from workkit.core.options import check_whole
from workkit.errors import InvalidOption, NotConfirmed, ServerError
from workkit.store.keys import Keys
from workkit.store.round_trip import Command, RoundTrip, Step

__all__ = ["Confirming", "Durability"]

T = TypeVar("T")

#: Less than what connections wait for a reply, so that the server's answer comes first.
_MAX_TIMEOUT_S: Final = 4.0
_MAX_REPLICAS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Durability:
    """What has to have a job before it counts as enqueued.

    Attributes:
        keys: The namespace.
        replicas: How many replicas.
        fsync: Whether the disk of the master, and of those replicas.
        timeout_s: How long to wait for that, seconds.
    """

    keys: Keys
    replicas: int
    fsync: bool
    timeout_s: float

    def __post_init__(self) -> None:
        check_whole("replicas", self.replicas, 0, _MAX_REPLICAS)
        if not self.replicas and not self.fsync:
            raise InvalidOption("durably() waits for nothing; give replicas or fsync=True")
        if not isinstance(self.timeout_s, (int, float)) or not 0 < self.timeout_s <= _MAX_TIMEOUT_S:
            raise InvalidOption(
                f"timeout must be more than 0 and at most {_MAX_TIMEOUT_S:g} seconds, "
                f"not {self.timeout_s!r}"
            )

    def confirm(self, step: Step[T]) -> Step[T]:
        """Carry out a step of an enqueuer, whose every exchange writes, and have it confirmed.

        Raises:
            NotConfirmed: The jobs were enqueued, and fewer than asked for have them.
        """
        try:
            exchange = next(step)
            while True:
                try:
                    *replies, confirmed = yield self._confirmed(exchange)
                except ServerError as error:
                    exchange = step.throw(error)
                    continue
                *replies, written = replies
                if not any(isinstance(reply, ServerError) for reply in replies):
                    self._check(written if isinstance(written, ServerError) else confirmed)
                exchange = step.send(replies)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _confirmed(self, exchange: RoundTrip[Any]) -> RoundTrip[Any]:
        # What is waited for is the connection's last write. An enqueue that found its job waiting
        # has written nothing, and the one that put it there may never have been confirmed.
        write: Command = ("SET", self.keys.lease("confirm"), "1", "PX", 1_000)
        return RoundTrip((*exchange.commands, write, self._wait()), lambda replies: replies)

    def _wait(self) -> Command:
        timeout_ms = max(int(self.timeout_s * 1000), 1)
        if self.fsync:
            return ("WAITAOF", 1, self.replicas, timeout_ms)
        return ("WAIT", self.replicas, timeout_ms)

    def _check(self, reply: Any) -> None:
        if isinstance(reply, ServerError):
            raise NotConfirmed(
                f"the job was enqueued, but the server cannot confirm that it is safe: {reply}"
            )
        local, replicas = reply if self.fsync else (1, reply)
        if local < 1:
            raise NotConfirmed(
                f"the job was enqueued, but was not on disk after {self.timeout_s:g} s; "
                "the server needs appendonly yes"
            )
        if replicas < self.replicas:
            raise NotConfirmed(
                f"the job was enqueued, but after {self.timeout_s:g} s {replicas} of "
                f"{self.replicas} replicas had it; it is lost if the master fails before they do"
            )


class Confirming:
    """Carries an enqueuer's steps, on threads or an event loop, and has each confirmed.

    Args:
        carrier: What carries them.
        durability: What has to have the jobs.
    """

    def __init__(self, carrier: Any, durability: Durability) -> None:
        self._carrier = carrier
        self._durability = durability

    def carry(self, step: Step[Any]) -> Any:
        """Carry out a step; an awaitable on an event loop."""
        return self._carrier.carry(self._durability.confirm(step))

    def close(self) -> Any:
        """Close what is open; it opens again when it is needed."""
        return self._carrier.close()

    @property
    def label(self) -> str:
        """The server as it may be shown."""
        label: str = self._carrier.label
        return label
