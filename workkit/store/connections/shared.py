"""Carries steps of threads on few connections that they share."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from workkit.store.carry import carry
from workkit.store.connections.cluster import FOLLOWED, SlotMoved
from workkit.store.connections.conversation import least_loaded, share_of
from workkit.store.connections.gathering import Group, Member, Tail, split
from workkit.store.connections.link import Link
from workkit.store.connections.links import Carrier, Links, carrier
from workkit.store.connections.refusals import DEMOTED, call_error, reply_error
from workkit.store.connections.shared_line import SharedLine, ThreadCall
from workkit.store.connections.target import Target
from workkit.store.packing import by_source, packed, unknown_script
from workkit.store.round_trip import CONFIRMING, Command, Step

__all__ = ["SharedLinks", "shared_carrier"]

R = TypeVar("R")


def shared_carrier(
    redis: object, namespace: str, max_connections: int, now_s: Callable[[], float]
) -> Carrier:
    """Return a carrier to the server that a user has named, whose callers share connections.

    Args:
        redis: As for `Target.of`. A simulated server has its own carrier.
        namespace: Prefix of all keys.
        max_connections: How many connections there are at most.
        now_s: A clock that never goes back, seconds.

    Raises:
        InvalidOption: `redis` is not a server.
    """
    if hasattr(redis, "workkit_carrier"):  # a simulated server
        return carrier(redis, namespace)
    target = Target.of(redis, namespace)
    if target.is_in_memory:
        return Links(target, most=max_connections)
    return SharedLinks(target, max_connections, now_s)


class _Waiting(Member):
    """A thread's call in a group."""

    def __init__(self, head: Sequence[Command]) -> None:
        super().__init__(head)
        self._waker = threading.Lock()
        self._waker.acquire()

    def wait(self) -> None:
        """Wait until `wake`."""
        self._waker.acquire()

    def wake(self) -> None:
        """Wake the caller."""
        with suppress(RuntimeError):  # it has been woken
            self._waker.release()


class SharedLinks:
    """A few connections for any number of threads.

    Args:
        target: Where the server is.
        max_connections: How many connections there are at most.
        now_s: A clock that never goes back, seconds.
        timeout_s: As for `Link`.
    """

    def __init__(
        self,
        target: Target,
        max_connections: int,
        now_s: Callable[[], float],
        *,
        timeout_s: float | None = None,
    ) -> None:
        self._target = target
        self._now_s = now_s
        self._timeout_s = timeout_s
        most = min(max_connections, target.most)
        self._most, self._most_exclusive = share_of(most)
        self._may_be_alone = most > 1
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._lines: list[SharedLine] = []
        self._waiting: deque[ThreadCall] = deque()
        self._groups: dict[Tail, Group[_Waiting]] = {}
        self._exclusive = Links(self._target, timeout_s=self._timeout_s, most=self._most_exclusive)
        self._inside: set[int] = set()  # threads that are in a call

    @property
    def label(self) -> str:
        """The server as it may be shown: without user and password."""
        return self._target.label

    @property
    def address(self) -> tuple[str, int | None]:
        """The server's host and port; see `Target.address`."""
        return self._target.address

    def carry(self, step: Step[R]) -> R:
        """Carry out a step; its commands go together with those of other threads.

        Raises:
            ServerError: What the step did not handle itself.
        """
        return carry(step, self.send)

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one write and return their replies, errors as `ServerRefused` values.

        Raises:
            ServerUnavailable: The server was not reached or the replies were lost.
        """
        if self._pid != os.getpid():
            self._begin()  # after a fork: do not use the parent's connections
        inside, me = self._inside, threading.get_ident()
        if me in inside:
            return self._send_apart(commands)
        try:
            is_alone = self._may_be_alone and not inside
            inside.add(me)
            if commands[-1][0] in CONFIRMING:
                return self._confirm(commands)
            # Nothing to share: a connection of one's own is faster.
            if is_alone and (link := self._exclusive.take_idle()) is not None:
                try:
                    return link.send(commands)
                finally:
                    self._exclusive.give_back(link)
            return self._send(commands, 0)
        finally:
            inside.discard(me)

    def _send_apart(self, commands: Sequence[Command]) -> list[Any]:
        """Send on another connection: a signal's handler enqueues, and interrupts a call."""
        link = Link(self._target, timeout_s=self._timeout_s)
        try:
            return link.send(commands)
        finally:
            link.close()

    def _send(self, commands: Sequence[Command], followed: int) -> list[Any]:
        call = ThreadCall(packed(commands, self._target.lacking), len(commands))
        try:
            self._put(call).run(call, self)
        except BaseException:
            self._leave(call)
            raise
        if call.error is not None:
            raise call_error(self._target, call.error) from None
        replies = call.replies
        for i, reply in enumerate(replies):
            if isinstance(reply, Exception):
                replies[i] = self._mended(commands[i], reply, call, followed)
        return replies

    def _mended(self, command: Command, error: Exception, call: ThreadCall, followed: int) -> Any:
        """React to an error reply: send a script by its source, follow a slot, or reconnect."""
        refused, route = reply_error(self._target, error), self._target.route
        if unknown_script(command, refused, self._target.lacking):
            return self._send((by_source(command),), followed)[0]
        if call.line is not None and (refused.code in DEMOTED or isinstance(refused, SlotMoved)):
            with self._mutex:
                call.line.retire(self)
        if isinstance(refused, SlotMoved) and route is not None and followed < FOLLOWED:
            route.moved(refused.where)
            return self._send((command,), followed + 1)[0]
        return refused

    def _put(self, call: ThreadCall) -> SharedLine:
        """Put a call on a line; wait for one with room."""
        wait: Callable[[], bool] | None = None
        while True:
            with self._mutex:
                if call.line is None and wait is None:
                    self._waiting.append(call)
                    self.admit()
                if call.line is not None:
                    return call.line
                wait = call.waker()
            wait()

    def _leave(self, call: ThreadCall) -> None:
        if call.line is not None:
            call.line.leave(call, self)
            return
        with self._mutex, suppress(ValueError):
            self._waiting.remove(call)

    # For lines; the mutex is held.

    def admit(self) -> None:
        """Put the calls that wait on lines with room, in their order."""
        while self._waiting:
            call = self._waiting[0]
            line, opens = least_loaded(
                self._lines, call.size, may_open=len(self._lines) < self._most
            )
            if opens:
                line = SharedLine(self._target, self._timeout_s, self._mutex, self._now_s)
                self._lines.append(line)
            if line is None:
                return
            self._waiting.popleft()
            line.talk.add(call)
            call.line = line
            call.wake()

    def forget(self, line: SharedLine) -> None:
        """Drop a line that is closed."""
        with suppress(ValueError):
            self._lines.remove(line)

    # Calls that wait for replicas or the disk.

    def _confirm(self, commands: Sequence[Command]) -> list[Any]:
        head, tail = split(commands)
        while True:
            member = _Waiting(head)
            with self._mutex:
                group = self._groups.get(tail)
                leads = group is None or group.is_full
                if group is None or leads:
                    group = self._groups[tail] = Group(tail, _Waiting.wake)
                group.members.append(member)
            if leads:
                self._lead(tail, group)
            else:
                member.wait()
            if member.is_over:
                return member.result()
            # The call that led the group was interrupted before it sent anything.

    def _lead(self, tail: Tail, group: Group[_Waiting]) -> None:
        """Send a group as soon as there is a connection; until then others may join it."""

        def close() -> None:
            with self._mutex:
                if self._groups.get(tail) is group:
                    del self._groups[tail]

        try:
            self._exclusive.carry(group.step(close))
        finally:
            close()
            group.fail()

    def close(self) -> None:
        """Close the connections, each as soon as the calls on it have their answers."""
        if self._pid != os.getpid():
            self._begin()
        if threading.get_ident() in self._inside:
            return  # a signal's handler, within a call that has to end first
        with self._mutex:
            for line in list(self._lines):
                line.retire(self)
        self._exclusive.close()
