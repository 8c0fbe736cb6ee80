"""Connections that carry exchanges, for asyncio; the twin of `link`."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol, TypeVar

from redis import exceptions as redis_errors

from workkit.errors import ServerRefused
from workkit.store.carry import carry_async
from workkit.store.connections.cluster import FOLLOWED, SlotMoved
from workkit.store.connections.link import plain
from workkit.store.connections.refusals import DEMOTED, NOT_NOW, refusal, unavailable
from workkit.store.connections.target import Target
from workkit.store.round_trip import CONFIRMING, Command, Step
from workkit.store.scripts import Script

__all__ = ["AsyncCarrier", "AsyncLink", "AsyncLinks", "async_carrier"]

R = TypeVar("R")


class AsyncLink:
    """One connection of our own, used by one task at a time.

    Args:
        target: Where the server is.
        timeout_s: For connecting and for each reply.
    """

    def __init__(self, target: Target, *, timeout_s: float = 5.0) -> None:
        self._target = target
        self._connection = target.open_async(timeout_s=timeout_s, name="workkit")
        self._followed = 0  # how often in a row the slot was on another node of a cluster

    async def carry(self, step: Step[R]) -> R:
        """Carry out a step.

        Raises:
            ServerError: What the step did not handle itself.
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
            packed = connection.pack_commands([plain(command) for command in commands])
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
            await self.close()  # replies are still on their way; nobody may take them for theirs
            raise

    async def _connect(self) -> None:
        connection, route = self._connection, self._target.route
        if route is not None and route.asks and not connection.is_connected:
            # Asking nodes blocks; it is done when a slot has moved or a node has gone.
            known = route.known
            found = known if known is not None else await asyncio.to_thread(route.find)
            connection.host, connection.port = found
        await connection.connect()

    async def _mended(self, commands: Any, replies: list[Any]) -> list[Any]:
        """Do what error replies ask for."""
        was_new = False
        for i, first in enumerate(replies):
            if not isinstance(first, ServerRefused):
                continue
            reply: Any = first
            if first.code == "NOSCRIPT":
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
                return await self.send(commands)
        self._followed = 0
        if was_new and commands[-1][0] in CONFIRMING and self._connection.is_connected:
            replies[-1] = (await self.send(commands[-1:]))[0]
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
        """Close the connection; the next exchange opens it again."""
        await self._connection.disconnect(nowait=True)


class AsyncCarrier(Protocol):
    """What carries steps to a server for tasks."""

    async def carry(self, step: Step[R]) -> R:
        """Carry out a step."""
        ...

    async def close(self) -> None:
        """Close what is open; it opens again when it is needed."""
        ...


def async_carrier(redis: object, namespace: str = "") -> AsyncCarrier:
    """Return what carries steps to the server that a user has named; see `link.carrier`."""
    own = getattr(redis, "workkit_async_carrier", None)
    if own is not None:
        simulated: AsyncCarrier = own
        return simulated
    return AsyncLinks(Target.of(redis, namespace))


class AsyncLinks:
    """A set of links for tasks of one event loop at a time; a new loop gets new ones.

    Args:
        target: Where the server is.
        timeout_s: As for `AsyncLink`.
    """

    def __init__(self, target: Target, *, timeout_s: float = 5.0) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._idle: deque[AsyncLink] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def carry(self, step: Step[R]) -> R:
        """Carry out a step on a link that no other task uses meanwhile.

        Raises:
            ServerError: What the step did not handle itself.
        """
        link = await self._take()
        try:
            return await link.carry(step)
        finally:
            self._idle.append(link)

    async def _take(self) -> AsyncLink:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._idle.clear()  # their sockets belong to a loop that is gone
        while self._idle:
            link = self._idle.pop()
            if await link.usable():
                return link
            await link.close()
        return AsyncLink(self._target, timeout_s=self._timeout_s)

    async def close(self) -> None:
        """Close all idle links."""
        while self._idle:
            await self._idle.pop().close()
