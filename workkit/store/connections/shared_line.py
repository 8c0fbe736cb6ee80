"""One connection that threads share, each a caller that also works for the others.

The connection has no thread of its own, which a fork would lose. A caller that finds nobody writing
writes all calls that are there, its own and those of others. A caller that finds nobody reading
reads replies and wakes the callers to whom they belong. When its own reply is there, it leaves the
reading to another one. Both go on at once, so no call waits for the replies to others.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext, suppress
from itertools import starmap
from typing import Any, Final, Protocol

import hiredis
from redis import exceptions as redis_errors

from workkit.store.connections.conversation import Call, Conversation
from workkit.store.connections.line import MORE, SocketLine
from workkit.store.connections.refusals import NOT_NOW
from workkit.store.connections.target import Target
from workkit.store.polling import READABLE, new_poll

__all__ = ["SharedLine", "ThreadCall", "ThreadOwner"]

_ONE_READ: Final = (65_536,)
_ONCE: Final = ((),)
_consume: Final = deque[Any](maxlen=0).extend


class ThreadCall(Call):
    """A call of a thread.

    Attributes:
        line: The line that it is on; None before.
    """

    __slots__ = ("_waker", "line")

    def __init__(self, packed: bytes, wanted: int) -> None:
        super().__init__(packed, wanted)
        self.line: SharedLine | None = None
        self._waker: Any = None

    def waker(self) -> Callable[[], bool]:
        """Return what the caller waits with until `wake`; the caller has the mutex."""
        self._waker = lock = threading.Lock()
        lock.acquire()
        return lock.acquire

    def end(self, error: BaseException | None = None) -> None:
        """Mark the call as over, and have its caller woken; who calls has the mutex."""
        if not self.is_over:
            self.error = error
            self.is_over = True
        # Also a second time: an interrupt may have come before this line.
        if self._waker is not None and self.line is not None:
            self.line.sleeping.append(self)

    def wake(self) -> bool:  # type: ignore[override]
        """Wake the caller, and tell whether it waited; who calls has the mutex."""
        waker = self._waker
        if waker is not None:
            with suppress(RuntimeError):  # an interrupt came between these two lines before
                waker.release()
            self._waker = None
        return waker is not None


class ThreadOwner(Protocol):
    """What has the lines."""

    def admit(self) -> None:
        """Use the room that there may be now; who calls has the mutex."""
        ...

    def forget(self, line: SharedLine) -> None:
        """Drop a line that is closed; who calls has the mutex."""
        ...


class _Socket(SocketLine):
    """A socket of which one thread reads while another one writes.

    An exception may strike a thread between any two steps. What must not come apart is one call in
    C: an input is received and kept, a reply is taken from the parser and kept.

    Attributes:
        replies: Replies that nobody has got yet.
        is_cut: Whether a write has begun and may have stopped in the middle.
        is_broken: Whether it is closed, or is as soon as no thread uses it.
        limit_s: How long a reply may take, seconds; None for no limit.
    """

    def __init__(self, connection: Any) -> None:
        super().__init__(connection, None)
        self.connection = connection
        self.limit_s: float | None = connection.socket_timeout
        self.replies: deque[Any] = deque()
        self.is_cut = self.is_broken = self._is_parsing = False
        self._sent: list[Any] = []
        self._receive_bytes = self._socket.recv
        self._received: deque[bytes] = deque()
        self._until_readable = new_poll()
        self._until_readable.register(self._socket, READABLE)
        # One thread at a time may use a TLS socket. It reads only what has come.
        self._alone: Any = threading.Lock() if self._is_tls else nullcontext()

    def begin(self) -> None:
        """Note that a write begins."""
        self._sent = []
        self.is_cut = True

    def finish(self, data: bytes) -> None:
        """Write."""
        try:
            with self._alone:
                self._sent.extend(map(self._socket.sendall, (data,)))
        except (TimeoutError, BlockingIOError):
            raise redis_errors.TimeoutError("Timeout writing to socket") from None
        except OSError as error:
            raise redis_errors.ConnectionError(f"Error writing to socket: {error}") from None
        self.is_cut = False

    @property
    def was_interrupted(self) -> bool:
        """Whether an interrupted write may have stopped in the middle."""
        return self.is_cut and not self._sent

    def gather(self, wait_s: float | None) -> None:
        """Wait for input, and keep all complete replies.

        Args:
            wait_s: How long to wait at most, seconds; None for the limit of a reply.
        """
        if self._is_parsing:  # an interrupt came
            self._parse()
            if self.replies:
                return
        if wait_s is not None or self._is_tls:
            self._await_input(self.limit_s if wait_s is None else wait_s)
        self._is_parsing = True
        try:
            with self._alone:
                self._received.extend(map(self._receive_bytes, _ONE_READ))
        except (TimeoutError, BlockingIOError):
            raise redis_errors.TimeoutError("Timeout reading from socket") from None
        except OSError as error:
            raise redis_errors.ConnectionError(
                f"Error while reading from socket: {error}"
            ) from None
        self._parse()

    def _await_input(self, wait_s: float | None) -> None:
        if self._is_tls and self._socket.pending():
            return
        if not self._until_readable.poll(None if wait_s is None else max(wait_s, 0) * 1000):
            raise redis_errors.TimeoutError("Timeout reading from socket")

    def _parse(self) -> None:
        received, replies = self._received, self.replies
        while received:
            if not received[0]:
                raise redis_errors.ConnectionError("Connection closed by server.")
            _consume(map(self._reader.feed, starmap(received.popleft, _ONCE)))
        replies.extend(iter(self._reader.gets, MORE))
        self._is_parsing = False
        if hiredis.PushNotification in map(type, replies):
            self.replies = deque(r for r in replies if not isinstance(r, hiredis.PushNotification))


class SharedLine:
    """One connection and the calls on it.

    Args:
        target: Where the server is.
        timeout_s: Time to connect and to get each reply, seconds; None for the user's setting.
        mutex: Held by whoever changes the state of any line of an owner.
        now_s: A clock that never goes back, seconds.

    Attributes:
        talk: The calls.
        takes_calls: Whether it is neither closing nor gone.
        sleeping: Calls that are over and whose callers still sleep. Each caller that wakes up
            wakes the next one: all of them at once would only wait for the interpreter lock.
    """

    def __init__(
        self,
        target: Target,
        timeout_s: float | None,
        mutex: threading.Lock,
        now_s: Callable[[], float],
    ) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._mutex = mutex
        self._now_s = now_s
        self._socket: _Socket | None = None
        self._writer: ThreadCall | None = None
        self._reader: ThreadCall | None = None
        self._written_to: _Socket | None = None
        self._read_from: _Socket | None = None
        self._heard_s = 0.0
        self._is_stalled = self._is_gone = False
        self.talk: Conversation[ThreadCall] = Conversation()
        self.sleeping: deque[ThreadCall] = deque()
        self.takes_calls = True

    # For callers, who do not have the mutex.

    def run(self, call: ThreadCall, owner: ThreadOwner) -> None:
        """Write, read or wait until a call is over."""
        talk = self.talk
        while True:
            work: Callable[[ThreadCall, ThreadOwner], None] | None = None
            with self._mutex:
                self._lay_down(call)
                if call.is_over:
                    self._hand_over(owner)
                    return
                if self._writer is None and talk.unwritten:
                    self._writer, work = call, self._write
                elif self._reader is None and call.is_written and self._socket is not None:
                    # A call that is not written would wait here for a reply that never comes.
                    self._reader, self._read_from = call, self._socket
                    work = self._read
                else:
                    wait = call.waker()
            if work is None:
                wait()
            else:
                work(call, owner)

    def leave(self, call: ThreadCall, owner: ThreadOwner) -> None:
        """Let an interrupted caller leave; its replies go to nobody."""
        with self._mutex:
            written_to = self._written_to if self._writer is call else None
            self._lay_down(call)
            nobody = self.talk.abandon(call)
            if written_to is not None and written_to.was_interrupted:
                self._lose(written_to, redis_errors.ConnectionError("a write was interrupted"))
            elif nobody and self._socket is not None:
                self._lose(self._socket, redis_errors.ConnectionError("nobody waits for replies"))
            self._hand_over(owner)

    # For those who have the mutex.

    def retire(self, owner: ThreadOwner) -> None:
        """Take no more calls, and close when the present ones are answered."""
        self.takes_calls = False
        self._hand_over(owner)

    def _lay_down(self, call: ThreadCall) -> None:
        """End the work of a call for others."""
        if self._writer is call:
            used, self._written_to, self._writer = self._written_to, None, None
            self._dispose(used)
        if self._reader is call:
            used, self._read_from, self._reader = self._read_from, None, None
            self._dispose(used)

    def _dispose(self, used: _Socket | None) -> None:
        """Close a broken socket that no thread uses; another one may have got its descriptor."""
        if used is not None and used.is_broken and used not in {self._written_to, self._read_from}:
            used.connection.disconnect()

    def _hand_over(self, owner: ThreadOwner) -> None:
        """Leave work that nobody does to a caller that waits; close what is to be closed."""
        talk = self.talk
        self._wake()
        if talk.unwritten and self._writer is None:
            talk.unwritten[0].wake()
        if talk.unanswered and self._reader is None:
            oldest = talk.oldest
            if oldest is not None:
                oldest.wake()
            elif self._socket is not None and self._writer is None:
                self._lose(self._socket, redis_errors.ConnectionError("nobody waits for replies"))
        idle = not talk.unwritten and not talk.unanswered and self._writer is None
        if idle and not (self.takes_calls or self._is_gone):
            if self._socket is not None:
                self._lose(self._socket, redis_errors.ConnectionError("closed"))
            self._is_gone = True
            owner.forget(self)
        owner.admit()

    def _wake(self, *, everybody: bool = False) -> None:
        while self.sleeping:
            woken = self.sleeping[0].wake()
            self.sleeping.popleft()  # after it: an interrupt between the two loses nobody
            if woken and not everybody:
                break

    def _lose(self, lost: _Socket, error: Exception) -> None:
        """Close a connection: what was written is lost, what was not goes to the next one."""
        if lost.is_broken:
            return
        lost.is_broken = True
        if self._socket is lost:
            self._socket = None
            self._is_stalled = False
            self.talk.lose(error)
            self._wake(everybody=True)
        lost.sever()  # a thread that reads or writes wakes up
        self._dispose(lost)

    # The work.

    def _write(self, call: ThreadCall, owner: ThreadOwner) -> None:
        del call
        try:
            used = self._usable()
        except (*NOT_NOW, OSError, redis_errors.ResponseError) as error:
            with self._mutex:
                self.talk.refuse(error)
                self._wake(everybody=True)
                self._hand_over(owner)
            return
        with self._mutex:
            if used.is_broken:
                return
            used.begin()
            data = self.talk.take(self._now_s())
        try:
            used.finish(data)
        except NOT_NOW as error:
            with self._mutex:
                self._lose(used, error)

    def _usable(self) -> _Socket:
        """Return the connection; open it if there is none, or if the server has closed it."""
        used = self._socket
        if used is not None and not self.talk.unanswered:
            try:
                ended = used.has_input()
            except (OSError, ValueError):
                ended = True
            if ended:  # input without a request: the end of the stream
                with self._mutex:
                    self._lose(used, redis_errors.ConnectionError("Connection closed by server."))
                used = None
        if used is None:
            used = self._connect()
            with self._mutex:
                self._socket = used
        self._written_to = used
        return used

    def _connect(self) -> _Socket:
        connection = self._target.open(timeout_s=self._timeout_s, name="workkit")
        route = self._target.route
        if route is not None and route.asks:
            connection.host, connection.port = route.find()
        connection.connect()
        return _Socket(connection)

    def _read(self, call: ThreadCall, owner: ThreadOwner) -> None:
        used = self._read_from
        while used is not None and not call.is_over:
            try:
                used.gather(self._patience_s(call, used) if self._is_stalled else None)
            except redis_errors.TimeoutError as error:
                with self._mutex:
                    self._stall(call, used, error)
                    owner.admit()
                return
            except NOT_NOW as error:
                with self._mutex:
                    self._lose(used, error)
                return
            with self._mutex:
                if used.is_broken:
                    return
                self._heard_s = self._now_s()
                self.talk.answer(used.replies)
                self._wake()
                if used.replies:
                    self._lose(used, redis_errors.ConnectionError("a reply nobody asked for"))
                owner.admit()

    def _patience_s(self, call: ThreadCall, used: _Socket) -> float | None:
        """Return how much longer a call waits on a connection that has fallen silent."""
        if used.limit_s is None:
            return None
        return max(call.since_s, self._heard_s) + used.limit_s - self._now_s()

    def _stall(self, call: ThreadCall, used: _Socket, error: Exception) -> None:
        """End the calls that have waited too long for a reply; the others go on waiting."""
        if used.is_broken or call.is_over:
            return
        self._is_stalled, self.takes_calls = True, False
        if used.limit_s is not None:
            self.talk.time_out(error, self._now_s(), self._heard_s, used.limit_s)
        call.end(error)
        call.is_abandoned = True
        self._wake(everybody=True)
