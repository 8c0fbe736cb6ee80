"""Calls that wait for replicas or the disk share one wait; no I/O.

WAIT holds up its connection until the replicas have answered, so nothing else can share that
connection meanwhile. But one WAIT confirms all writes before it. So calls that arrive while all
connections for them are in use go together: their writes, then one WAIT.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from workkit.errors import ServerError, ServerRefused, ServerUnavailable
from workkit.store.round_trip import Command, RoundTrip, Step
from workkit.store.scripts import Script

__all__ = ["Group", "Member", "Tail", "split"]

#: The commands that confirm, the same for all calls that share them.
Tail = tuple[Command, ...]

_MOST_MEMBERS: Final = 1_000


class Member:
    """One call of a group.

    Attributes:
        head: Its own commands.
        replies: The replies to its commands and to those of the tail.
        error: The error that ended the call instead.
        is_over: Whether one of the two is there.
    """

    def __init__(self, head: Sequence[Command]) -> None:
        self.head = head
        self.replies: list[Any] = []
        self.error: ServerError | None = None
        self.is_over = False

    def result(self) -> list[Any]:
        """Return the replies.

        Raises:
            ServerError: The call has failed.
        """
        if self.error is not None:
            raise self.error
        return self.replies


M = TypeVar("M", bound=Member)


class Group(Generic[M]):
    """Calls that one wait confirms.

    Args:
        tail: The commands that confirm.
        told: Called with each member that is over, or that has to join another group.

    Attributes:
        members: The calls.
    """

    def __init__(self, tail: Tail, told: Callable[[M], None]) -> None:
        self._tail = tail
        self._told = told
        self.members: list[M] = []
        self._has_begun = False

    @property
    def is_full(self) -> bool:
        """Whether another call would make it too large."""
        return len(self.members) >= _MOST_MEMBERS

    def step(self, close: Callable[[], None]) -> Step[None]:
        """Send all members; the driver begins this step when it has a connection.

        Args:
            close: Called at the beginning: no call may join any more.
        """
        close()
        self._has_begun = True
        members, tail = self.members, self._tail
        commands = [command for member in members for command in member.head]
        try:
            replies = yield RoundTrip((*commands, *tail), lambda replies: replies)
        except ServerError as error:
            self.fail(error)
            return
        confirmed, at = replies[len(commands) :], 0
        for member in members:
            member.replies = replies[at : at + len(member.head)] + confirmed
            at += len(member.head)
            self._end(member)

    def fail(self, error: ServerError | None = None) -> None:
        """End the members that are not over, each with an error of its own.

        Args:
            error: The error; None if the step was interrupted. Before it began, nothing was sent:
                then the members are told, and are not over.
        """
        for member in self.members:
            if member.is_over:
                continue
            if self._has_begun:
                member.error = _told_again(error)
                self._end(member)
            else:
                self._told(member)

    def _end(self, member: M) -> None:
        member.is_over = True
        self._told(member)


def split(commands: Sequence[Command]) -> tuple[Sequence[Command], Tail]:
    """Split commands behind the last script: into those of one call, and those that confirm."""
    scripts = [i for i, command in enumerate(commands) if isinstance(command[0], Script)]
    last = scripts[-1] if scripts else -1
    return commands[: last + 1], tuple(commands[last + 1 :])


def _told_again(error: ServerError | None) -> ServerError:
    """Return an error of the same kind: each caller raises one of its own."""
    if isinstance(error, ServerRefused):
        return ServerRefused(error.code, str(error))
    return ServerUnavailable(
        str(error) if error else "no answer from Redis: a call in the same write was interrupted"
    )
