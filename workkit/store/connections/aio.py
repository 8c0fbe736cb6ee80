"""Connections that carry round trips, for asyncio; the twin of `link`."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from redis import exceptions as redis_errors

from workkit.errors import ServerRefused
from workkit.store.carry import carry_async
from workkit.store.connections.cluster import FOLLOWED, SlotMoved
from workkit.store.connections.gathering import split
from workkit.store.connections.refusals import DEMOTED, NOT_NOW, refusal, unavailable
from workkit.store.connections.target import Target
from workkit.store.packing import plain, unknown_script
from workkit.store.round_trip import CONFIRMING, Command, Step
from workkit.store.scripts import Script

__all__ = ["AsyncCarrier", "AsyncLink", "AsyncLinks", "async_carrier"]

R = TypeVar("R")


class AsyncLink:
    """One connection of our own, used by one task at a time.

    Args:
        target: Where the server is.
        timeout_s: Time to connect and to get each reply, seconds; None for the user's setting.
    """

    def __init__(self, target: Target, *, timeout_s: float | None = None) -> None:
        self._target = target
        self._connection = target.open_async(timeout_s=timeout_s, name="workkit")
        self._followed = 0  # how often in a row the slot was on another node of a cluster

    async def carry(self, step: Step[R]) -> R:
        """Carry out a step.

        Raises:
            ServerError: An error that the step did not handle itself.
        """
        return await carry_async(step, self.send)

    async def send(self, commands: Any) -> list[Any]:
        """Send commands in one write and return their replies, errors as `ServerRefused` values.

        Raises:
            ServerUnavailable: The server was not reached or the replies were lost.
        """
        connection = self._connection
        try:
            await self._connect()
            packed = connection.pack_commands(
                [plain(each, self._target.lacking) for each in commands]
            )
            await connection.send_packed_command(packed, check_health=False)
            replies = [await self._read() for _ in commands]
            return await self._mended(commands, replies)
        except (*NOT_NOW, OSError) as error:
            await self.close()
            raise unavailable(self._target, error) from None
        except redis_errors.ResponseError as error:  # while the connection was made
            await self.close()
            raise refusal(error) from None
        except BaseException:
            await self.close()  # replies may still arrive; no other call may read them
            raise

    async def _connect(self) -> None:
        connection, route = self._connection, self._target.route
        if route is not None and route.asks and not connection.is_connected:
            # Asking nodes blocks; it happens when a slot has moved or a node has failed.
            known = route.known
            found = known if known is not None else await asyncio.to_thread(route.find)
            connection.host, connection.port = found
        await connection.connect()

    async def _mended(self, commands: Any, replies: list[Any]) -> list[Any]:
        """React to error replies: send a script again, follow a slot, or reconnect."""
        was_new = False
        for i, first in enumerate(replies):
            if not isinstance(first, ServerRefused):
                continue
            reply: Any = first
            if unknown_script(commands[i], first, self._target.lacking):
                reply = replies[i] = await self._evaluate(commands[i])
                was_new = True
            if not isinstance(reply, ServerRefused):
                continue
            if reply.code in DEMOTED:
                await self.close()
            elif isinstance(reply, SlotMoved) and self._followed < FOLLOWED and self._target.route:
                await self.close()
                self._target.route.moved(reply.where)
                self._followed += 1
                ran = i if commands[-1][0] in CONFIRMING else 0  # jobs that are not sent twice
                return replies[:ran] + await self.send(commands[ran:])
        self._followed = 0
        if was_new and commands[-1][0] in CONFIRMING and self._connection.is_connected:
            tail = split(commands)[1]
            replies[-len(tail) :] = await self.send(tail)
        return replies

    async def _read(self) -> Any:
        try:
            return await self._connection.read_response()
        except redis_errors.ResponseError as error:
            return refusal(error)

    async def _evaluate(self, command: Command) -> Any:
        script: Script = command[0]
        await self._connection.send_command("EVAL", script.source, *command[1:], check_health=False)
        return await self._read()

    async def usable(self) -> bool:
        """Tell whether the server has kept the connection open."""
        try:
            return not (self._connection.is_connected and await self._connection.can_read())
        except (redis_errors.RedisError, OSError):
            return False

    async def close(self) -> None:
        """Close the connection; the next round trip opens it again."""
        await self._connection.disconnect(nowait=True)

    def abandon(self) -> None:
        """Close the connection without waiting: its event loop is gone."""
        connection = self._connection
        writer = getattr(connection, "_writer", None)
        connection._reader = connection._writer = None  # noqa: SLF001 - else it warns of itself
        transport = getattr(writer, "transport", None)
        if not isinstance(transport, asyncio.Transport):
            return  # a server in memory
        with suppress(RuntimeError):  # the loop is closed
            transport.abort()
            return
        own = getattr(transport, "_sock", None)
        if own is not None:
            own.close()
            transport._sock = None  # type: ignore[attr-defined]  # noqa: SLF001 - as above


class AsyncCarrier(Protocol):
    """Carries steps to a server for tasks."""

    @property
    def label(self) -> str:
        """The server as it may be shown: without user and password."""
        ...

    async def carry(self, step: Step[R]) -> R:
        """Carry out a step."""
        ...

    async def close(self) -> None:
        """Close open connections; the next step opens one again."""
        ...


def async_carrier(redis: object, namespace: str = "") -> AsyncCarrier:
    """Return a carrier to the server that a user has named; see `link.carrier`."""
    own = getattr(redis, "workkit_async_carrier", None)
    if own is not None:
        own.check_namespace(namespace)
        simulated: AsyncCarrier = own
        return simulated
    return AsyncLinks(Target.of(redis, namespace))


class _OnLoop:
    """The links of one event loop.

    Attributes:
        idle: Links that no task uses.
        made: How many links exist.
        waiters: Tasks that wait for a link, the longest wait first.
    """

    def __init__(self) -> None:
        self.idle: deque[AsyncLink] = deque()
        self.made = 0
        self.waiters: deque[asyncio.Future[AsyncLink]] = deque()

    def give(self, link: AsyncLink) -> None:
        """Hand a link to the task that waits longest, or keep it."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():  # else it was cancelled
                waiter.set_result(link)
                return
        self.idle.append(link)

    async def wait(self) -> AsyncLink:
        """Wait for a link that another task gives back."""
        waiter: asyncio.Future[AsyncLink] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.give(waiter.result())  # the link arrived together with the cancellation
            raise


class AsyncLinks:
    """A set of links for tasks of one event loop at a time; a new loop gets new ones.

    It grows up to the maximum of connections of the user's client, 100 by default. Then tasks wait
    until another task gives its link back.

    Args:
        target: Where the server is.
        timeout_s: As for `AsyncLink`.
        most: How many links there are at most, if fewer than the client may have.
    """

    def __init__(
        self, target: Target, *, timeout_s: float | None = None, most: int | None = None
    ) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._most = target.most if most is None else min(most, target.most)
        self._links = _OnLoop()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def label(self) -> str:
        """The server as it may be shown: without user and password."""
        return self._target.label

    @property
    def address(self) -> tuple[str, int | None]:
        """The server's host and port; see `Target.address`."""
        return self._target.address

    def like(self) -> AsyncLinks:
        """Return another set like this one, without links."""
        return AsyncLinks(self._target, timeout_s=self._timeout_s, most=self._most)

    async def carry(self, step: Step[R]) -> R:
        """Carry out a step on a link that no other task uses during the step.

        Raises:
            ServerError: An error that the step did not handle itself.
        """
        links = self._of_loop()
        link = await self._take(links)
        try:
            return await link.carry(step)
        finally:
            links.give(link)

    def _of_loop(self) -> _OnLoop:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            before, self._links = self._links, _OnLoop()
            was_closed = self._loop is None or self._loop.is_closed()
            for link in before.idle:
                if was_closed:
                    link.abandon()
                else:
                    self._loop.call_soon_threadsafe(link.abandon)  # type: ignore[union-attr]
            self._loop = loop
        return self._links

    async def _take(self, links: _OnLoop) -> AsyncLink:
        if links.idle:
            link = links.idle.pop()
        elif links.made < self._most:
            links.made += 1
            return AsyncLink(self._target, timeout_s=self._timeout_s)
        else:
            link = await links.wait()
        try:
            if not await link.usable():
                await link.close()
        except BaseException:
            links.give(link)
            raise
        return link

    async def close(self) -> None:
        """Close all idle links."""
        links = self._links
        closed = []
        while links.idle:
            closed.append(links.idle.pop())
            await closed[-1].close()
        for link in closed:
            links.give(link)
