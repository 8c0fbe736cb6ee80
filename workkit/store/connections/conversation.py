"""Which call each reply of a shared connection belongs to; no I/O.

Redis answers the commands of a connection in their order. So a call is in one of two lists: its
commands are not yet written, or they are written and not yet answered. A call whose caller has left
keeps its place among the written ones, and its replies are dropped there.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import repeat, starmap
from typing import Any, Final, Generic, Protocol, TypeVar

__all__ = [
    "MOST_BYTES",
    "SPREAD_BYTES",
    "Call",
    "Conversation",
    "Line",
    "least_loaded",
    "share_of",
]

#: A call goes to another connection, if there may be one, rather than behind so many bytes.
SPREAD_BYTES: Final = 64 * 1024
#: At most so many bytes of a connection may be without an answer, but for a single larger call.
MOST_BYTES: Final = 1024 * 1024


class Call:
    """The commands of one caller in a single write, until the last of them is answered.

    Args:
        packed: The commands in the form of the wire protocol.
        wanted: How many commands, and so replies, there are.

    Attributes:
        replies: The replies so far.
        error: The error that ended the call instead; None without one.
        is_over: Whether nothing more will come.
        is_abandoned: Whether the caller has left.
        is_written: Whether its commands may have been sent.
        since_s: When it was written, on the clock of the caller's loop or thread.
    """

    __slots__ = (
        "error", "is_abandoned", "is_over", "is_written", "packed", "replies", "since_s", "size",
        "wanted",
    )  # fmt: skip

    def __init__(self, packed: bytes, wanted: int) -> None:
        self.packed = packed
        self.size = len(packed)
        self.wanted = wanted
        self.replies: list[Any] = []
        self.error: BaseException | None = None
        self.is_over = self.is_abandoned = self.is_written = False
        self.since_s = 0.0

    def end(self, error: BaseException | None = None) -> None:
        """Mark the call as over, and wake its caller; a second time changes nothing."""
        if not self.is_over:
            self.error = error
            self.is_over = True
        self.wake()

    def wake(self) -> None:
        """Wake the caller, if it waits."""


C = TypeVar("C", bound=Call)


class Conversation(Generic[C]):
    """The calls of one connection.

    An exception may strike a thread between any two lines here: an interrupt from the keyboard, or
    the timeout of a job. So each change is one step, and the next call of the same method completes
    a change that was cut short.

    Attributes:
        unwritten: Calls to write, in order.
        unanswered: Written calls, in order.
        load: Bytes of all these calls.
    """

    def __init__(self) -> None:
        self.unwritten: deque[C] = deque()
        self.unanswered: deque[C] = deque()
        self.load = 0

    def add(self, call: C) -> None:
        """Take a call that is to be written."""
        self.unwritten.append(call)
        self.load += call.size

    def take(self, now_s: float) -> bytes:
        """Return what to write next, and await its answers.

        Args:
            now_s: The time, for timeouts.
        """
        taken = [call for call in self.unwritten if not call.is_over]
        for call in taken:
            call.since_s, call.is_written = now_s, True
        self.unanswered.extend(taken)
        self.unwritten.clear()
        return taken[0].packed if len(taken) == 1 else b"".join([call.packed for call in taken])

    def answer(self, replies: deque[Any]) -> None:
        """Give replies to the calls that they belong to, the oldest call first.

        Args:
            replies: The replies in their order; those that belong to a call are removed.
        """
        unanswered = self.unanswered
        while unanswered:
            call = unanswered[0]
            missing = min(call.wanted - len(call.replies), len(replies))
            # One step for the interpreter: a reply that was taken and not given would shift all
            # later ones to the wrong callers.
            call.replies.extend(starmap(replies.popleft, repeat((), missing)))
            if len(call.replies) < call.wanted:
                return
            call.end()
            unanswered.popleft()
            self.load -= call.size
        if not self.unwritten:
            self.load = 0

    def abandon(self, call: C) -> bool:
        """Note that a caller has left; a call that was not written is never written.

        Returns:
            Whether only such calls are left among the written ones, so that nobody reads replies.
        """
        call.is_over = call.is_abandoned = True
        with suppress(ValueError):
            self.unwritten.remove(call)
            self.load -= call.size
        # The newest is the most likely to be waited for.
        return bool(self.unanswered) and all(
            each.is_abandoned for each in reversed(self.unanswered)
        )

    def lose(self, error: BaseException) -> None:
        """End all written calls with an error: the connection has broken."""
        for call in self.unanswered:
            call.end(error)
        self.unanswered.clear()
        self.load = sum(call.size for call in self.unwritten)

    def refuse(self, error: BaseException) -> None:
        """End all unwritten calls with an error: there is no connection."""
        for call in self.unwritten:
            call.end(error)
        self.unwritten.clear()
        self.load = sum(call.size for call in self.unanswered)

    def time_out(
        self, error: BaseException, now_s: float, heard_s: float, timeout_s: float
    ) -> None:
        """End the calls that have had no answer for too long; the others go on waiting.

        Args:
            error: Their error.
            now_s: The time.
            heard_s: When the last reply came.
            timeout_s: How long a reply may take.
        """
        for call in self.unanswered:
            if max(call.since_s, heard_s) + timeout_s <= now_s and not call.is_over:
                call.end(error)
                call.is_abandoned = True

    @property
    def oldest(self) -> C | None:
        """The written call with a caller that waits longest."""
        return next((call for call in self.unanswered if not call.is_over), None)


class Line(Protocol):
    """A connection that several calls share."""

    @property
    def takes_calls(self) -> bool:
        """Whether it is neither closing nor gone."""
        ...

    @property
    def talk(self) -> Conversation[Any]:
        """The calls on it."""
        ...


L = TypeVar("L", bound=Line)


def least_loaded(lines: list[L], size: int, *, may_open: bool) -> tuple[L | None, bool]:
    """Choose the connection for a call.

    Args:
        lines: The connections.
        size: The call's bytes.
        may_open: Whether one more connection may be opened.

    Returns:
        The connection, and whether to open another one instead; None and False if the call must
        wait until there is room.
    """
    best, load = None, 0
    for line in lines:
        if line.takes_calls and (best is None or line.talk.load < load):
            best, load = line, line.talk.load
            if not load:
                break
    if best is not None and (not load or load + size <= SPREAD_BYTES):
        return best, False
    if may_open:
        return None, True
    if best is not None and load + size <= MOST_BYTES:
        return best, False
    return None, False


def share_of(most: int) -> tuple[int, int]:
    """Divide a number of connections.

    Returns:
        How many connections calls share, and how many one call or group at a time has for itself;
        at least one of each.
    """
    exclusive = max(most // 2, 1)
    return max(most - exclusive, 1), exclusive
