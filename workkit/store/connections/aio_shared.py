"""Carries steps of the tasks of an event loop on few connections that they share."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from workkit.store.carry import carry_async
from workkit.store.connections.aio import AsyncCarrier, AsyncLinks, async_carrier
from workkit.store.connections.aio_line import AsyncCall, AsyncLine
from workkit.store.connections.cluster import FOLLOWED, SlotMoved
from workkit.store.connections.conversation import least_loaded, share_of
from workkit.store.connections.gathering import Group, Member, Tail, split
from workkit.store.connections.refusals import DEMOTED, call_error, reply_error
from workkit.store.connections.target import Target
from workkit.store.packing import by_source, packed, unknown_script
from workkit.store.round_trip import CONFIRMING, Command, Step

__all__ = ["SharedAsyncLinks", "shared_async_carrier"]

R = TypeVar("R")


def shared_async_carrier(redis: object, namespace: str, max_connections: int) -> AsyncCarrier:
    """Return a carrier whose callers share connections; see `shared.shared_carrier`."""
    if hasattr(redis, "workkit_async_carrier"):  # a simulated server
        return async_carrier(redis, namespace)
    target = Target.of(redis, namespace)
    if target.is_in_memory:
        return AsyncLinks(target, most=max_connections)
    return SharedAsyncLinks(target, max_connections)


class _Waiting(Member):
    """A task's call in a group."""

    def __init__(self, head: Sequence[Command]) -> None:
        super().__init__(head)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class _OnLoop:
    """What belongs to one event loop.

    Args:
        target: Where the server is.
        timeout_s: As for `AsyncLine`.
        most: How many lines there are at most.
        loop: The loop.

    Attributes:
        loop: The loop.
        lines: Connections that calls share.
        groups: Calls that wait for a connection on which replicas confirm, by what confirms.
        tasks: Tasks that run on; the loop keeps only weak references.
    """

    def __init__(
        self,
        target: Target,
        timeout_s: float | None,
        most: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.loop = loop
        self._target = target
        self._timeout_s = timeout_s
        self._most = most
        self._waiting: deque[AsyncCall] = deque()
        self.lines: list[AsyncLine] = []
        self.groups: dict[Tail, Group[_Waiting]] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def put(self, call: AsyncCall) -> bool:
        """Put a call on a line, or let it wait for room.

        Returns:
            False if nothing was done, because the line for it has news.
        """
        if not self._waiting and (line := self._line_for(call)) is not None:
            if line.has_news:
                return False
            line.add(call)
            return True
        self._waiting.append(call)
        return True

    async def put_after_news(self, call: AsyncCall) -> None:
        """Put a call on a line that has no news, or let it wait for room."""
        while not self.put(call):
            for line in self.lines:
                if line.has_news:
                    await line.read_news()

    def place_again(self, call: AsyncCall) -> None:
        """Put a call on another line; it was not written when its line ended."""
        if not call.is_over:
            call.line = None
            self._waiting.appendleft(call)
            self.admit()

    def admit(self) -> None:
        """Forget lines that are gone, and use the room that there may be now."""
        for line in self.lines:
            if not line.takes_calls and line.gone.done():
                self.lines = [line for line in self.lines if not line.gone.done()]
                break
        while self._waiting and (found := self._line_for(self._waiting[0])):
            found.add(self._waiting.popleft())

    def leave(self, call: AsyncCall) -> None:
        """Let the caller of a call leave."""
        if call.line is not None:
            call.line.leave(call)
            return
        call.is_over = call.is_abandoned = True
        with suppress(ValueError):
            self._waiting.remove(call)

    def _line_for(self, call: AsyncCall) -> AsyncLine | None:
        lines = self.lines
        best, opens = least_loaded(lines, call.size, may_open=len(lines) < self._most)
        if opens:
            best = AsyncLine(self._target, self._timeout_s, self)
            lines.append(best)
        return best


class SharedAsyncLinks:
    """A few connections for any number of tasks of one event loop at a time.

    Args:
        target: Where the server is.
        max_connections: How many connections there are at most.
        timeout_s: As for `AsyncLink`.
    """

    def __init__(
        self, target: Target, max_connections: int, *, timeout_s: float | None = None
    ) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._most, confirming = share_of(min(max_connections, target.most))
        self._confirming = AsyncLinks(target, timeout_s=timeout_s, most=confirming)
        self._pid = os.getpid()
        self._on: _OnLoop | None = None

    @property
    def label(self) -> str:
        """The server as it may be shown: without user and password."""
        return self._target.label

    @property
    def address(self) -> tuple[str, int | None]:
        """The server's host and port; see `Target.address`."""
        return self._target.address

    def carry(self, step: Step[R]) -> Coroutine[Any, Any, R]:
        """Carry out a step; its commands go together with those of other tasks.

        Raises:
            ServerError: What the step did not handle itself.
        """
        return carry_async(step, self.send)

    async def send(self, commands: Sequence[Command], *, followed: int = 0) -> list[Any]:
        """Send commands in one write and return their replies, errors as `ServerRefused` values.

        Args:
            commands: The commands.
            followed: How often in a row the slot was on another node of a cluster.

        Raises:
            ServerUnavailable: The server was not reached or the replies were lost.
        """
        if commands[-1][0] in CONFIRMING:
            return await self._confirm(commands)
        on = self._of_loop()
        call = AsyncCall(packed(commands, self._target.lacking), len(commands), on.loop)
        try:
            if not on.put(call):
                await on.put_after_news(call)
            await call.done
        except BaseException:
            on.leave(call)
            raise
        if call.error is not None:
            raise call_error(self._target, call.error) from None
        replies = call.replies
        for i, reply in enumerate(replies):
            if isinstance(reply, Exception):
                replies[i] = await self._mended(commands[i], reply, call, followed)
        return replies

    async def _mended(
        self, command: Command, error: Exception, call: AsyncCall, followed: int
    ) -> Any:
        """React to an error reply: send a script by its source, follow a slot, or reconnect."""
        refused, route = reply_error(self._target, error), self._target.route
        if unknown_script(command, refused, self._target.lacking):
            return (await self.send((by_source(command),), followed=followed))[0]
        if call.line is not None and (refused.code in DEMOTED or isinstance(refused, SlotMoved)):
            call.line.retire()
        if isinstance(refused, SlotMoved) and route is not None and followed < FOLLOWED:
            route.moved(refused.where)
            return (await self.send((command,), followed=followed + 1))[0]
        return refused

    # Calls that wait for replicas or the disk.

    async def _confirm(self, commands: Sequence[Command]) -> list[Any]:
        on = self._of_loop()
        head, tail = split(commands)
        group = on.groups.get(tail)
        if group is None or group.is_full:
            group = Group(tail, _wake)
            on.groups[tail] = group
            task = asyncio.create_task(self._run(on, tail, group))
            on.tasks.add(task)
            task.add_done_callback(on.tasks.discard)
        member = _Waiting(head)
        group.members.append(member)
        await member.done
        return member.result() if member.is_over else await self._confirm(commands)

    async def _run(self, on: _OnLoop, tail: Tail, group: Group[_Waiting]) -> None:
        def close() -> None:
            if on.groups.get(tail) is group:
                del on.groups[tail]

        try:
            await self._confirming.carry(group.step(close))
        finally:
            close()
            group.fail()

    # The loop.

    def _of_loop(self) -> _OnLoop:
        loop, on = asyncio.get_running_loop(), self._on
        if on is not None and on.loop is loop and self._pid == os.getpid():
            return on
        if self._pid != os.getpid():
            if on is not None:
                for line in on.lines:
                    line.disown()
            self._confirming, self._pid = self._confirming.like(), os.getpid()
        elif on is not None:
            _let_go(on)
        self._on = on = _OnLoop(self._target, self._timeout_s, self._most, loop)
        return on

    async def close(self) -> None:
        """Close the connections, as soon as the calls that are under way have their answers."""
        on = self._of_loop()
        lines = list(on.lines)
        for line in lines:
            line.retire()
        under_way = [*on.tasks, *(line.gone for line in lines)]
        if under_way:
            await asyncio.wait(under_way)
        await self._confirming.close()

    def __del__(self) -> None:
        """Close the connections of an enqueuer that was not closed."""
        on = getattr(self, "_on", None)
        if on is not None and self._pid == os.getpid():
            _let_go(on)


def _let_go(on: _OnLoop) -> None:
    """Close the lines of a loop that is gone; have a living one close them when they are idle."""
    for line in on.lines:
        if on.loop.is_closed():
            line.abandon()
        else:
            with suppress(RuntimeError):  # it has been closed meanwhile
                on.loop.call_soon_threadsafe(line.retire)


def _wake(member: _Waiting) -> None:
    if not member.done.done():
        member.done.set_result(None)
