"""Translate errors of redis-py, and error replies, into workkit's errors."""

from __future__ import annotations

from typing import Final

from redis import exceptions as redis_errors

from workkit.errors import ServerRefused, ServerUnavailable
from workkit.store.connections.cluster import SlotMoved
from workkit.store.connections.target import Target
from workkit.store.connections.tls import fault_of_files

__all__ = ["DEMOTED", "NOT_NOW", "call_error", "refusal", "reply_error", "unavailable"]

#: Errors after which the server may soon answer again, so the loops wait and try again.
NOT_NOW: Final = (
    redis_errors.ConnectionError,  # BusyLoadingError and AuthenticationError among them
    redis_errors.TimeoutError,
    redis_errors.ClusterDownError,
    redis_errors.InvalidResponse,  # the peer is not Redis
)
#: Codes of a server that may not be the master any more: the next connection asks for the master.
DEMOTED: Final = frozenset({"READONLY", "NOREPLICAS"})


def unavailable(target: Target, error: Exception) -> ServerUnavailable:
    """Return the error that says that a server was not reached."""
    if target.route is not None:
        target.route.lost()
    reason = str(error).rstrip(".") or type(error).__name__
    wrapped = error.__cause__  # by redis-py's asyncio side
    if isinstance(error, _UNKNOWN_USER) or isinstance(wrapped, _UNKNOWN_USER):
        remedy = f"{reason}; look at the user and the password in its URL"
        if not target.settings.get("password"):
            example = "redis://:PASSWORD@HOST or redis://USER:PASSWORD@HOST"
            if target.settings.get("path"):
                example = "unix:///PATH?password=PASSWORD"
            remedy = f"put it into the URL, as in {example}"
        return ServerUnavailable(f"Redis at {target.label} wants a password: {remedy}")
    if target.is_tls:
        reason = fault_of_files(target.settings) or reason
        if reason == _NO_HANDSHAKE:
            reason += " (if it does not use TLS, its URL begins with redis://)"
    return ServerUnavailable(f"no answer from Redis at {target.label}: {reason}")


def refusal(error: redis_errors.ResponseError) -> ServerRefused:
    """Translate an error reply; redis-py removes the code if it has a class for it."""
    message = str(error)
    code = _CODES.get(type(error)) or message.partition(" ")[0]
    if isinstance(error, redis_errors.NoScriptError):
        code = "NOSCRIPT"
    if isinstance(error, redis_errors.MovedError):
        return SlotMoved(f"{error.host}:{error.port}")
    if message.lower().startswith("unknown command"):
        # The arguments follow the name, and jobs may be among them.
        name = message.partition(",")[0].rstrip(".")
        return ServerRefused(
            "ERR",
            f"Redis refused: {name}; workkit needs it (is the command renamed? docs/reliability.md "
            "lists what workkit needs of a server)",
        )
    hint = _HINTS.get(code, "")
    if "db index is out of range" in message.lower():
        hint = (
            " (the server has fewer databases; the number after the host in its URL, or the option "
            "db, chooses one, and 0 is always there)"
        )
    if any(words in message for words in _IN_SCRIPT):
        hint = (
            " (the ACL user lacks a right that workkit's scripts need; docs/reliability.md lists "
            "all of them)"
        )
    return ServerRefused(code, f"Redis refused: {message}{hint}")


def call_error(target: Target, error: BaseException) -> BaseException:
    """Return the error that a call raises whose connection has broken or was not made."""
    if isinstance(error, (*NOT_NOW, OSError)):
        return unavailable(target, error)
    return refusal(error) if isinstance(error, redis_errors.ResponseError) else error


def reply_error(target: Target, reply: Exception) -> ServerRefused:
    """Translate an error reply of a shared connection.

    Raises:
        ServerUnavailable: The server will answer later: it loads its data.
    """
    if not isinstance(reply, redis_errors.ResponseError):
        raise unavailable(target, reply)
    return refusal(reply)


#: What redis-py says if connecting takes too long. A server without TLS waits for more of a line.
_NO_HANDSHAKE: Final = "Timeout connecting to server"
_UNKNOWN_USER: Final = redis_errors.AuthenticationError
_CODES: Final[dict[type[Exception], str]] = {
    redis_errors.NoScriptError: "NOSCRIPT",
    redis_errors.OutOfMemoryError: "OOM",
    redis_errors.ReadOnlyError: "READONLY",
    redis_errors.NoPermissionError: "NOPERM",
    redis_errors.ExecAbortError: "EXECABORT",
    redis_errors.ClusterCrossSlotError: "CROSSSLOT",
    redis_errors.AskError: "ASK",
    redis_errors.TryAgainError: "TRYAGAIN",
}
#: How Redis and Valkey say that a script may not call a command, or read a key.
_IN_SCRIPT: Final = ("executing the script can't", "ACL failure in script")
_HINTS: Final = {
    "OOM": " (the server is at its maxmemory; free memory or raise the limit)",
    "READONLY": " (this server is a replica; connect to the master)",
    "NOREPLICAS": " (fewer replicas follow this server than its min-replicas-to-write)",
    "NOPERM": " (the ACL user lacks a permission)",
    "CROSSSLOT": " (on a cluster the namespace must be in braces, such as {work})",
    "ASK": " (the cluster is moving the namespace to another node; try again in a moment)",
    "TRYAGAIN": " (the cluster is moving the namespace to another node; try again in a moment)",
    "MISCONF": " (the server cannot save to disk)",
}
