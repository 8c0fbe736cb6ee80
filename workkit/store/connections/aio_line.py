"""One connection that the tasks of an event loop share.

redis-py connects: addresses, TLS, credentials, the handshake. After that, the line takes over the
transport and reads replies as they arrive.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import suppress
from typing import Any, Final, Protocol

import hiredis
from redis import exceptions as redis_errors

from workkit.store.connections.conversation import Call, Conversation
from workkit.store.connections.line import MORE, reader_of
from workkit.store.connections.target import Target
from workkit.store.polling import READABLE, new_poll

__all__ = ["AsyncCall", "AsyncLine", "LineOwner"]

#: Turns of the loop until it has surely read what the kernel had for it.
_TURNS: Final = 3


class AsyncCall(Call):
    """A call of a task.

    Attributes:
        done: Done when the call is over.
        line: The line that it is on; None before.
    """

    __slots__ = ("done", "line")

    def __init__(self, packed: bytes, wanted: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(packed, wanted)
        self.done: asyncio.Future[None] = loop.create_future()
        self.line: AsyncLine | None = None

    def wake(self) -> None:
        """Wake the caller, if it waits."""
        if not self.done.done():
            self.done.set_result(None)


class LineOwner(Protocol):
    """What has the lines of an event loop."""

    def admit(self) -> None:
        """Use the room that there may be now."""
        ...

    def place_again(self, call: AsyncCall) -> None:
        """Put a call on another line; it was not written when its line ended."""
        ...


class AsyncLine(asyncio.Protocol):
    """One connection and the calls on it; it connects at once.

    Args:
        target: Where the server is.
        timeout_s: Time to connect and to get each reply, seconds; None for the user's setting.
        owner: What has this line.

    Attributes:
        talk: The calls.
        takes_calls: Whether it is neither closing nor gone.
        gone: Done when the connection is closed.
    """

    def __init__(
        self,
        target: Target,
        timeout_s: float | None,
        owner: LineOwner,
    ) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self.talk: Conversation[AsyncCall] = Conversation()
        self._replies: deque[Any] = deque()
        self._transport: Any = None
        self._writer: Any = None  # of redis-py; it would close the transport if it were garbage
        self._reader: Any = None
        self._flushes = False
        self._timer: asyncio.TimerHandle | None = None
        self._limit_s: float | None = None
        self._heard_s = 0.0
        self.takes_calls = True
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.opening = self._loop.create_task(self._open())

    # Calls.

    def add(self, call: AsyncCall) -> None:
        """Write a call: at once if nothing else is under way, else with all of this turn."""
        talk = self.talk
        call.line = self
        talk.add(call)
        if self._transport is None or self._flushes:
            return
        if talk.unanswered:
            self._flushes = True
            self._loop.call_soon(self._flush)
        else:
            self._flush()

    def leave(self, call: AsyncCall) -> None:
        """Let the caller of a call leave; its replies go to nobody."""
        if self.talk.abandon(call):
            self._end(redis_errors.ConnectionError("nobody waits for its replies"))
        else:
            self._settled()

    def retire(self) -> None:
        """Take no more calls, and close when the present ones are answered."""
        self.takes_calls = False
        self._settled()

    @property
    def has_news(self) -> bool:
        """Whether an idle line has unread input, which may be its end."""
        return not self.talk.load and self._transport is not None and bool(self._poll.poll(0))

    async def read_news(self) -> None:
        """Let the loop read the input of an idle line; take no more calls if it does not."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if not self.has_news:
                return
        self.retire()

    def _flush(self) -> None:
        self._flushes = False
        if self._transport is None:
            return
        data = self.talk.take(self._loop.time())
        if data:
            self._transport.write(data)
        if self._timer is None and self._limit_s is not None:
            self._timer = self._loop.call_later(self._limit_s, self._check_time)

    def _settled(self) -> None:
        """Close a line that is to close and has no calls, and tell that there may be room."""
        if not self.takes_calls and not self.talk.unwritten and not self.talk.unanswered:
            self._end(redis_errors.ConnectionError("closed"))
        self._owner.admit()

    def _check_time(self) -> None:
        """End the calls that have waited too long for a reply."""
        self._timer = None
        talk, limit_s = self.talk, self._limit_s
        oldest = talk.oldest
        if limit_s is None or oldest is None or self._transport is None:
            return
        now_s = self._loop.time()
        if max(oldest.since_s, self._heard_s) + limit_s <= now_s:
            self.takes_calls = False  # a reply that comes yet would only hold up others
            error = redis_errors.TimeoutError("Timeout reading from socket")
            talk.time_out(error, now_s, self._heard_s, limit_s)
            oldest = talk.oldest
        if oldest is None:
            self._end(redis_errors.TimeoutError("Timeout reading from socket"))
        else:
            due_s = max(oldest.since_s, self._heard_s) + limit_s
            self._timer = self._loop.call_at(due_s, self._check_time)

    # The connection.

    async def _open(self) -> None:
        connection = self._target.open_async(timeout_s=self._timeout_s, name="workkit")
        route = self._target.route
        try:
            if route is not None and route.asks:
                # Asking nodes blocks; it happens when a slot has moved or a node has failed.
                known = route.known
                found = known if known is not None else await asyncio.to_thread(route.find)
                connection.host, connection.port = found
            await connection.connect()
            self._take_over(connection)
        except BaseException as error:
            with suppress(Exception):
                await connection.disconnect(nowait=True)
            self._fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._flush()
            self._settled()

    def _take_over(self, connection: Any) -> None:
        stream, self._writer = connection._reader, connection._writer  # noqa: SLF001
        connection._reader = connection._writer = None  # noqa: SLF001 - else it would close it
        transport = self._writer.transport
        if stream.at_eof():
            transport.abort()
            raise redis_errors.ConnectionError("Connection closed by server.")
        self._reader = reader_of(connection)
        self._limit_s = connection.socket_timeout
        self._poll = new_poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), READABLE)
        transport.set_protocol(self)
        self._transport = transport
        if early := bytes(getattr(stream, "_buffer", b"")):
            self.data_received(early)

    def _fail(self, error: BaseException) -> None:
        """Tell all callers that there is no connection; nothing was sent."""
        self.takes_calls = False
        if isinstance(error, asyncio.CancelledError):
            error = redis_errors.ConnectionError("the event loop ended while it connected")
        self.talk.refuse(error)
        self._set_gone()
        self._owner.admit()

    def data_received(self, data: bytes) -> None:
        """Give replies to their callers."""
        replies = self._replies
        self._heard_s = self._loop.time()
        try:
            self._reader.feed(data)
            replies.extend(iter(self._reader.gets, MORE))
        except redis_errors.InvalidResponse as error:  # the peer is not Redis
            self._end(error)
            return
        if hiredis.PushNotification in map(type, replies):
            self._replies = replies = deque(
                reply for reply in replies if not isinstance(reply, hiredis.PushNotification)
            )
        self.talk.answer(replies)
        if replies:
            self._end(redis_errors.ConnectionError("a reply that nobody asked for"))
        self._settled()

    def eof_received(self) -> None:
        """Close, as the server has."""
        self._end(redis_errors.ConnectionError("Connection closed by server."))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell all callers."""
        reason = f"Error while reading from socket: {error}" if error else "Connection closed."
        self._end(redis_errors.ConnectionError(reason))
        self._set_gone()
        self._owner.admit()  # only now is there room for another connection

    def _end(self, error: Exception) -> None:
        """Close the connection; what was written is lost, what was not goes elsewhere."""
        self.takes_calls = False
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self.talk.lose(error)
        homeless, self.talk.unwritten = self.talk.unwritten, deque()
        transport.abort()
        self._owner.admit()
        for call in homeless:
            self._owner.place_again(call)

    def _set_gone(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    def abandon(self) -> None:
        """Close the connection without waiting: its event loop is gone."""
        self.takes_calls = False
        transport, self._transport = self._transport, None
        if transport is None:
            return
        with suppress(RuntimeError):  # the loop is closed
            transport.abort()
            return
        self._close_socket(transport)

    def disown(self) -> None:
        """Close this process's copy of the socket: the connection is that of the parent process."""
        self.takes_calls = False
        transport, self._transport = self._transport, None
        if transport is not None:
            transport._closing = True  # noqa: SLF001 - else it warns of itself
            self._close_socket(transport)

    @staticmethod
    def _close_socket(transport: Any) -> None:
        own = getattr(transport, "_sock", None)
        if own is not None:
            os.close(own.detach())
            transport._sock = None  # noqa: SLF001 - as above
