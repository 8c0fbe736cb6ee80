"""Send commands and read replies over a connection that redis-py has opened.

redis-py connects: addresses, TLS, credentials, the handshake. After that, its layers check every
reply for types that our replies never have. So workkit writes commands directly to the socket, and
reads replies with hiredis. Enqueuing one by one is 1.35 times as fast as through redis-py's methods
(the median of 40 slices in turn; no-op jobs 1.01 times): `python -m benchmarks own_socket`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import weakref
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

import hiredis
from redis import exceptions as redis_errors

from workkit.store.polling import READABLE, new_poll

__all__ = ["MORE", "Announced", "SocketLine", "Transport", "line_of", "reader_of"]

#: Gets the keys whose change the server announced; None if all keys were flushed.
Announced: TypeAlias = "Callable[[list[bytes] | None], None]"

_BUFFER_BYTES: Final = 65_536
#: The version of the protocol in which a server can push messages.
_ANNOUNCES: Final = 3
#: hiredis returns it when it needs more bytes.
MORE: Final = object()
_INVALIDATE: Final = b"invalidate"


class Transport(Protocol):
    """An open connection. Every method raises redis-py's errors if the connection breaks."""

    @property
    def hears(self) -> bool:
        """Whether the connection understands messages that the server pushes."""
        ...

    def write(self, packed: bytes) -> None:
        """Send packed commands."""
        ...

    def read(self) -> Any:
        """Return the next reply, an error reply as an exception."""
        ...

    def has_input(self) -> bool:
        """Tell whether there is input, or the end of the stream; does not wait."""
        ...

    def hear(self) -> None:
        """Read the messages that the server pushed; wait for one if there is none."""
        ...

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        ...

    def sever(self) -> None:
        """End the stream; from any thread."""
        ...


def line_of(connection: Any, announced: Announced) -> Transport:
    """Return the line over a connection that redis-py has opened.

    Args:
        connection: redis-py's connection; fakeredis brings one without a socket.
        announced: A method that gets the changed keys. The line keeps only a weak reference to its
            owner, so that the connection closes as soon as the owner is garbage.
    """
    tell = weakref.WeakMethod(announced)
    if isinstance(connection._sock, socket.socket):  # noqa: SLF001 - redis-py has no other name for it
        return SocketLine(connection, tell)
    return _ConnectionLine(connection, tell)


def reader_of(connection: Any) -> Any:
    """Return what reads replies, with redis-py's classes of errors.

    Args:
        connection: redis-py's connection, of its threads or its asyncio side.
    """
    return hiredis.Reader(
        protocolError=redis_errors.InvalidResponse,
        replyError=connection._parser.parse_error,  # noqa: SLF001 - its classes of errors
        notEnoughData=MORE,
    )


class SocketLine:
    """A line over a socket of our own."""

    def __init__(self, connection: Any, tell: weakref.WeakMethod[Announced] | None) -> None:
        self.hears = getattr(connection, "protocol", 3) == _ANNOUNCES
        self._socket = connection._sock  # noqa: SLF001
        self._tell = tell
        self._reader = reader_of(connection)
        self._buffer = bytearray(_BUFFER_BYTES)
        self._poll = new_poll()
        self._poll.register(self._socket, READABLE)
        self._is_tls = hasattr(self._socket, "pending")
        if not self._is_tls:
            _let_the_kernel_time(self._socket)

    def write(self, packed: bytes) -> None:
        """Send packed commands."""
        try:
            self._socket.sendall(packed)
        except (TimeoutError, BlockingIOError):
            raise redis_errors.TimeoutError("Timeout writing to socket") from None
        except OSError as error:
            raise redis_errors.ConnectionError(f"Error writing to socket: {error}") from None

    def read(self) -> Any:
        """Return the next reply, an error reply as an exception."""
        gets = self._reader.gets
        while True:
            reply = gets()
            if reply is MORE:
                self._receive()
            elif isinstance(reply, hiredis.PushNotification):
                self._take(reply)
            elif isinstance(reply, redis_errors.ConnectionError):  # such as LOADING
                raise reply
            else:
                return reply

    def has_input(self) -> bool:
        """Tell whether there is input, or the end of the stream; does not wait."""
        waiting = self._reader.has_data() or (self._is_tls and self._socket.pending() > 0)
        return waiting or bool(self._poll.poll(0))

    def hear(self) -> None:
        """Read the messages that the server pushed; wait for one if there is none."""
        gets, heard = self._reader.gets, False
        while True:
            reply = gets()
            if isinstance(reply, hiredis.PushNotification):
                self._take(reply)
                heard = True
            elif reply is not MORE:
                raise redis_errors.ConnectionError(f"a reply that nobody asked for: {reply!r:.80}")
            elif heard:
                return
            else:
                self._receive()

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        descriptor: int = self._socket.fileno()
        return descriptor

    def sever(self) -> None:
        """End the stream; from any thread."""
        _shut(self._socket)

    def _receive(self) -> None:
        try:
            count = self._socket.recv_into(self._buffer)
        except (TimeoutError, BlockingIOError):
            raise redis_errors.TimeoutError("Timeout reading from socket") from None
        except OSError as error:
            raise redis_errors.ConnectionError(
                f"Error while reading from socket: {error}"
            ) from None
        if not count:
            raise redis_errors.ConnectionError("Connection closed by server.")
        # The type stub of hiredis does not know buffers.
        self._reader.feed(self._buffer, 0, count)

    def _take(self, push: Any) -> None:
        announced = self._tell() if self._tell is not None else None
        if push[0] == _INVALIDATE and announced is not None:
            announced(push[1])


def _let_the_kernel_time(connected: socket.socket) -> None:
    """Leave the timeout of a socket to the kernel: Python polls before each read and write.

    A read or write that takes too long then fails with EAGAIN, a `BlockingIOError`.
    """
    timeout_s = connected.gettimeout()
    if not timeout_s or os.name == "nt":  # Windows takes milliseconds there, as another type
        return
    seconds, part = divmod(timeout_s, 1)
    # An interval of zero would mean no timeout.
    interval = struct.pack("@ll", int(seconds), int(part * 1e6) or int(not seconds))
    try:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, interval)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)
    except OSError:
        return  # another format of intervals on this system; Python's timeout stays
    connected.settimeout(None)


class _ConnectionLine:
    """A line through redis-py's own methods."""

    def __init__(self, connection: Any, tell: weakref.WeakMethod[Announced]) -> None:
        self._connection = connection
        parser: Any = getattr(connection, "_parser", None)
        self.hears = False
        if hasattr(parser, "set_invalidation_push_handler"):
            self.hears = getattr(connection, "protocol", 3) == _ANNOUNCES

            def take(push: Any) -> None:
                if (announced := tell()) is not None:
                    announced(push[1])

            parser.set_invalidation_push_handler(take)

    def write(self, packed: bytes) -> None:
        self._connection.send_packed_command([packed], check_health=False)

    def read(self) -> Any:
        try:
            return self._connection.read_response()
        except redis_errors.ResponseError as error:
            return error

    def has_input(self) -> bool:
        return bool(self._connection.can_read(timeout=0))

    def hear(self) -> None:
        self._connection.read_response(push_request=True)

    def fileno(self) -> int:
        descriptor: int = self._connection._sock.fileno()  # noqa: SLF001
        return descriptor

    def sever(self) -> None:
        _shut(getattr(self._connection, "_sock", None))


def _shut(connected: Any) -> None:
    if connected is not None:
        with contextlib.suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)
