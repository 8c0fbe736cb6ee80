"""How a connection introduces itself, also to servers that lack commands.

Managed servers and proxies may remove HELLO and CLIENT. workkit needs neither. Without HELLO a
connection speaks RESP2; then the server announces no changes, so pools poll. Without CLIENT, or
without the permission for it, the connection has no name. The module holds both sides, threads and
asyncio, so that they do the same.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import cache
from typing import Any, Final

from redis import exceptions as redis_errors

__all__ = ["introduce", "introduce_async", "lacks", "unix_class"]

_log = logging.getLogger("workkit")

_SAID_BYTES: Final = 4_096
_NAME: Final = ("CLIENT", "SETNAME")
#: What redis-py raises if the reply to HELLO has another type, as that of a proxy may have.
_ODD: Final = (AttributeError, IndexError, KeyError, TypeError)


def lacks(error: Exception, command: str) -> bool:
    """Tell whether an error reply says that the server has no such command.

    A missing permission is another error: the author of the ACL must see it.
    """
    said = str(error).lower()
    return "unknown command" in said and f"'{command.lower()}" in said.replace("`", "'")


def introduce(connection: Any) -> None:
    """Authenticate, agree on a protocol, name the connection; redis-py calls it on connecting.

    Raises:
        redis.exceptions.RedisError: The server refuses the user, the database or all clients.
    """
    connection.protocol = 3
    name, connection.client_name = connection.client_name, None
    spare = _spare(connection)
    try:
        try:
            connection.on_connect()
        except redis_errors.ResponseError as error:
            if not _speaks_old(error):
                raise
            connection.protocol = 2
            connection.on_connect()
        except _ODD as error:
            raise _not_redis(error) from None
        if name:
            try:
                connection.send_command(*_NAME, name, check_health=False)
                connection.read_response()
            except redis_errors.ResponseError as error:
                if not _works_unnamed(error):
                    raise
    except redis_errors.ConnectionError as error:
        raise _why_closed(
            connection, error, _said(_received(spare)) if spare is not None else ""
        ) from None
    finally:
        connection.client_name = name
        if spare is not None:
            spare.close()


async def introduce_async(connection: Any) -> None:
    """Do the same as `introduce` on an asyncio connection.

    Raises:
        redis.exceptions.RedisError: As for `introduce`.
    """
    connection.protocol = 3
    name, connection.client_name = connection.client_name, None
    reader = getattr(connection, "_reader", None)
    try:
        try:
            await connection.on_connect()
        except redis_errors.ResponseError as error:
            if not _speaks_old(error):
                raise
            connection.protocol = 2
            await connection.on_connect()
        except _ODD as error:
            raise _not_redis(error) from None
        if name:
            try:
                await connection.send_command(*_NAME, name, check_health=False)
                await connection.read_response()
            except redis_errors.ResponseError as error:
                if not _works_unnamed(error):
                    raise
    except redis_errors.ConnectionError as error:
        raise _why_closed(
            connection, error, _said(bytes(getattr(reader, "_buffer", b"")))
        ) from None
    finally:
        connection.client_name = name


@cache
def unix_class() -> type[Any]:
    """Return redis-py's class of asyncio connections to a socket, without its second handshake.

    redis-py's class introduces itself while it connects, without our function, and again later.
    """
    from redis.asyncio.connection import UnixDomainSocketConnection

    class UnixConnection(UnixDomainSocketConnection):
        async def _connect(self) -> None:
            async with asyncio.timeout(self.socket_connect_timeout):
                self._reader, self._writer = await asyncio.open_unix_connection(path=self.path)

    return UnixConnection


def _why_closed(
    connection: Any, error: redis_errors.ConnectionError, said: str
) -> redis_errors.ConnectionError:
    """Return the reason for which a server closed a connection, as far as it is known."""
    if said:
        return redis_errors.ConnectionError(said)
    if type(error) is not redis_errors.ConnectionError or "SSL" in type(connection).__name__:
        return error  # it refuses the user, or loads its data
    return redis_errors.ConnectionError(
        f"{str(error).rstrip('.')}, before the server answered anything (if it uses TLS, its URL "
        "begins with rediss://)"
    )


def _not_redis(error: Exception) -> redis_errors.InvalidResponse:
    return redis_errors.InvalidResponse(f"it does not introduce itself as Redis does: {error}")


def _speaks_old(error: redis_errors.ResponseError) -> bool:
    """Tell whether the server refuses the newer protocol, and not the client."""
    return lacks(error, "HELLO") or "NOPROTO" in str(error)


def _works_unnamed(error: redis_errors.ResponseError) -> bool:
    """Tell whether a refused name is no reason to fail; only people need the name."""
    if isinstance(error, redis_errors.NoPermissionError):
        _warn_of_no_name()
        return True
    return lacks(error, "CLIENT")


@cache
def _warn_of_no_name() -> None:
    """Warn once in a process: an enqueuer opens many connections."""
    _log.warning(
        "the ACL user lacks client|setname, so CLIENT LIST does not name workkit's connections; "
        "allow it with +client|setname"
    )


def _spare(connection: Any) -> socket.socket | None:
    """Return a second handle of a plain socket: redis-py closes the first one at an error."""
    found = connection._sock  # noqa: SLF001 - redis-py has no other name for it
    if type(found) is not socket.socket:  # TLS, or a server in memory
        return None
    return found.dup()


def _received(spare: socket.socket) -> bytes:
    """Return the bytes that the server sent before it closed; a failed write leaves them unread."""
    try:
        return spare.recv(_SAID_BYTES, socket.MSG_DONTWAIT)
    except OSError:
        return b""


def _said(received: bytes) -> str:
    """Return the error reply with which a server closed a connection; "" if it gave none."""
    line = received.partition(b"\r\n")[0]
    return line[1:].decode("utf-8", "replace") if line.startswith(b"-") else ""
