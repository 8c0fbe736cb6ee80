"""Enqueues jobs and returns only after replicas or the disk have them.

A server's reply means only that the job is in its memory. So a second command, after the write and
in the same round trip, waits until replicas or the disk have the job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

from workkit.core.options import check_flag, check_wait, check_whole, shown
from workkit.errors import InvalidOption, NotConfirmed, ServerError
from workkit.store.keys import Keys
from workkit.store.round_trip import Command, RoundTrip, Step

__all__ = ["Confirming", "Durability"]

T = TypeVar("T")

#: Less than the reply timeout of connections, so that the server's answer comes first.
_MAX_TIMEOUT_S: Final = 4.0
_MAX_REPLICAS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Durability:
    """The conditions under which a job counts as enqueued.

    Attributes:
        keys: The namespace.
        replicas: How many replicas must have the job.
        fsync: Whether the master and those replicas must have it on disk.
        timeout_s: How long to wait for this, seconds.
    """

    keys: Keys
    replicas: int
    fsync: bool
    timeout_s: float

    def __post_init__(self) -> None:
        check_whole("replicas", self.replicas, 0, _MAX_REPLICAS)
        check_flag("fsync", self.fsync)
        if not self.replicas and not self.fsync:
            raise InvalidOption("durably() waits for nothing; give replicas or fsync=True")
        check_wait("timeout", self.timeout_s)
        if not 0 < (self.timeout_s or 0) <= _MAX_TIMEOUT_S:
            raise InvalidOption(
                f"timeout must be more than 0 and at most {_MAX_TIMEOUT_S:g} seconds, "
                f"not {shown(self.timeout_s)}"
            )

    def confirm(self, step: Step[T]) -> Step[T]:
        """Run a step of an enqueuer and confirm its writes; each of its round trips must write.

        Raises:
            NotConfirmed: The jobs were enqueued, but too few servers have them.
        """
        try:
            round_trip = next(step)
            while True:
                try:
                    *replies, confirmed = yield self._confirmed(round_trip)
                except ServerError as error:
                    round_trip = step.throw(error)
                    continue
                *replies, written = replies
                if not any(isinstance(reply, ServerError) for reply in replies):
                    try:
                        self._check(written if isinstance(written, ServerError) else confirmed)
                    except NotConfirmed as error:
                        step.throw(error)  # so that the step knows how it has ended
                        raise
                round_trip = step.send(replies)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _confirmed(self, round_trip: RoundTrip[Any]) -> RoundTrip[Any]:
        # WAIT waits for the connection's last write. An enqueue that found its job waiting wrote
        # nothing, and the earlier enqueue may not have been confirmed. So this always writes.
        write: Command = ("SET", self.keys.lease("confirm"), "1", "PX", 1_000)
        return RoundTrip((*round_trip.commands, write, self._wait()), lambda replies: replies)

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
                f"{self.replicas} replicas had it; if the master fails now, the job is lost"
            )


class Confirming:
    """Runs an enqueuer's steps, on threads or an event loop, and confirms each.

    Args:
        carrier: Runs the steps.
        durability: The conditions to confirm.
    """

    def __init__(self, carrier: Any, durability: Durability) -> None:
        self._carrier = carrier
        self._durability = durability

    def carry(self, step: Step[Any]) -> Any:
        """Run a step; returns an awaitable on an event loop."""
        return self._carrier.carry(self._durability.confirm(step))

    def close(self) -> Any:
        """Close the connections."""
        return self._carrier.close()

    @property
    def label(self) -> str:
        """The server's name for display."""
        label: str = self._carrier.label
        return label
