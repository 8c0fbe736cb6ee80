"""A connection that carries round trips, used by one thread at a time.

It sends the commands of a round trip in one write. `links.py` has sets of them for any thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from redis import exceptions as redis_errors

from workkit.errors import ServerError, ServerRefused
from workkit.store.carry import carry
from workkit.store.connections.cluster import FOLLOWED, SlotMoved
from workkit.store.connections.gathering import split
from workkit.store.connections.line import Transport, line_of
from workkit.store.connections.refusals import DEMOTED, NOT_NOW, refusal, unavailable
from workkit.store.connections.target import Target
from workkit.store.packing import packed, unknown_script
from workkit.store.polling import READABLE, new_poll
from workkit.store.round_trip import CONFIRMING, PING, Command, RoundTrip, Step
from workkit.store.scripts import Script

__all__ = ["Link"]

R = TypeVar("R")

_WATCH_NEXT: Final = ("CLIENT", "CACHING", "YES")


class Link:
    """One connection of our own.

    Args:
        target: Where the server is.
        timeout_s: Time to connect and to get each reply, seconds; None for the user's setting.
        name: Shown by CLIENT LIST.
    """

    def __init__(
        self, target: Target, *, timeout_s: float | None = 5.0, name: str = "workkit"
    ) -> None:
        self._target = target
        self._connection = target.open(timeout_s=timeout_s, name=name)
        self._pid = os.getpid()
        self._tracking = False
        self.epoch = 0  # of the set that it belongs to
        self._followed = 0  # how often in a row the slot was on another node of a cluster
        self._heard: list[bytes] = []
        self._patient: frozenset[bytes] = frozenset()
        self.stale: set[bytes] = set()
        self._line: Transport | None = None
        self.armed = self.connecting = False

    def carry(self, step: Step[R]) -> R:
        """Carry out a step.

        Raises:
            ServerError: An error that the step did not handle itself.
        """
        return carry(step, self.send)

    def do(self, round_trip: RoundTrip[R]) -> R:
        """Carry out a single round trip."""
        return self.carry(iter(round_trip))

    def send(
        self, commands: Sequence[Command], meanwhile: Callable[[], None] | None = None
    ) -> list[Any]:
        """Send commands in one write and return their replies, errors as `ServerRefused` values.

        Args:
            commands: The commands.
            meanwhile: Called while the server works.

        Raises:
            ServerUnavailable: The server was not reached or the replies were lost.
        """
        if commands is not PING:
            # Our own writes end the watch on the keys that they touch, and are not announced to us.
            self.armed = False
        return self._exchange(commands, meanwhile)

    def _exchange(
        self, commands: Sequence[Command], meanwhile: Callable[[], None] | None = None
    ) -> list[Any]:
        """Send commands and return their replies; as `send`, but a watch goes on."""
        replies = self._converse(commands, meanwhile)
        for reply in replies:
            if isinstance(reply, redis_errors.ResponseError):
                return self._mended(commands, replies)
        self._followed = 0
        return replies

    def _converse(
        self, commands: Sequence[Command], meanwhile: Callable[[], None] | None = None
    ) -> list[Any]:
        """Send commands and return the replies as redis-py has them; as `send`."""
        try:
            line = self._line or self._open()
            line.write(packed(commands, self._target.lacking))
            if meanwhile is not None:
                meanwhile()
            replies = [line.read() for _ in commands]
        except NOT_NOW as error:
            self.close()
            raise unavailable(self._target, error) from None
        except redis_errors.ResponseError as error:  # while the connection was made
            self.close()
            raise refusal(error) from None
        except BaseException:
            self.close()  # replies may still arrive; no other call may read them
            raise
        return replies

    def _open(self) -> Transport:
        """Connect."""
        connection, route = self._connection, self._target.route
        self.connecting = True
        try:
            if route is not None and route.asks:
                connection.host, connection.port = route.find()
            connection.connect()
        finally:
            self.connecting = False
        self._line = line = line_of(connection, self._on_change)
        return line

    def _mended(self, commands: Sequence[Command], replies: list[Any]) -> list[Any]:
        """React to error replies: send a script again, follow a slot, or reconnect."""
        was_new = False
        for i, found in enumerate(replies):
            if not isinstance(found, redis_errors.ResponseError):
                continue
            reply: Any = refusal(found)
            if unknown_script(commands[i], reply, self._target.lacking):
                reply = self._evaluate(commands[i], commands[i - 1] if i else ())
                was_new = True
            replies[i] = reply
            if not isinstance(reply, ServerRefused):
                continue
            if reply.code in DEMOTED:
                self.close()
            elif isinstance(reply, SlotMoved) and self._followed < FOLLOWED and self._target.route:
                self.close()
                self._target.route.moved(reply.where)
                self._followed += 1
                ran = i if commands[-1][0] in CONFIRMING else 0  # jobs that are not sent twice
                return replies[:ran] + self.send(commands[ran:])
        self._followed = 0
        # WAIT ran before the script. Send it again with its write, but only on the same connection:
        # WAIT covers only the writes of its own connection.
        if was_new and commands[-1][0] in CONFIRMING and self._line is not None:
            tail = split(commands)[1]
            replies[-len(tail) :] = self.send(tail)
        return replies

    def _evaluate(self, command: Command, before: Command) -> Any:
        """Run a script that the server did not know, by its source."""
        script: Script = command[0]
        commands: list[Command] = [("EVAL", script.source, *command[1:])]
        if before[:2] == ("CLIENT", "CACHING"):  # it applied only to the failed attempt
            commands.insert(0, before)
        last = self._converse(commands)[-1]
        return refusal(last) if isinstance(last, redis_errors.ResponseError) else last

    def usable(self) -> bool:
        """Tell whether the link can be used: not inherited by a fork, not closed by the server."""
        if self._pid != os.getpid():
            return False
        try:
            if self._line is not None and self._line.has_input():
                self.close()  # input without a request: the end of the stream
        except (OSError, redis_errors.RedisError):
            self.close()
        return True

    def close(self) -> None:
        """Close the connection; the next round trip opens it again."""
        self._tracking = self.armed = False
        self._line = None
        self._connection.disconnect()

    def sever(self) -> None:
        """End another thread's wait on this connection, as if the server had closed it."""
        line = self._line
        if line is not None:
            line.sever()

    # Wait for announcements of the server.

    def arm(self, round_trip: RoundTrip[R], patient: frozenset[bytes] = frozenset()) -> R | None:
        """Read keys and ask the server to announce their next change.

        Args:
            round_trip: A read-only round trip; the server watches the keys that it reads.
            patient: Keys whose change leaves the link armed; `stale` collects those that change.

        Returns:
            The result of the round trip; None if the server does not announce changes (no RESP3, no
            permission). Then the caller must poll.

        Raises:
            ServerError: As `carry`.
        """
        if not self._tracking and not self._track():
            return None
        self._patient, self.stale = patient, set()
        result = self.carry(_watched(round_trip))
        self.armed = self._tracking  # not on a new connection, to another node of a cluster
        return result

    def read_again(self, round_trip: RoundTrip[R]) -> R:
        """Read the stale keys of a watch, so that their next change is announced as well.

        Args:
            round_trip: A read-only round trip that reads them.

        Raises:
            ServerError: As `carry`; then the watch has ended.
        """
        self.stale = set()
        try:
            return carry(_watched(round_trip), self._exchange)
        except BaseException:
            self.armed = False  # these keys are not watched
            raise

    def _track(self) -> bool:
        # CACHING goes before each look. A user may have the permission for one of them only.
        replies = self.send(
            [("CLIENT", "TRACKING", "ON", "OPTIN", "NOLOOP"), ("CLIENT", "CACHING", "YES")]
        )
        refused = any(isinstance(reply, ServerError) for reply in replies)
        self._tracking = self.hears and not refused
        return self._tracking

    @property
    def hears(self) -> bool:
        """Whether the server can push messages on this connection."""
        return self._line is not None and self._line.hears

    def _on_change(self, keys: list[bytes] | None) -> None:
        """Take an announcement: keys, or None if all keys were flushed."""
        impatient = [key for key in keys or () if key not in self._patient]
        self.stale.update(self._patient.intersection(keys or ()))
        if keys is None or impatient:
            self.armed = False
            self._heard += impatient

    def take_announced(self) -> list[bytes]:
        """Return the keys whose change was announced since the last call; a hint, not a list."""
        heard, self._heard = self._heard, []
        return heard

    def wait(self, timeout_s: float, waker: int) -> None:
        """Wait until the server announces a change, the waker becomes readable, or time is up.

        Args:
            timeout_s: At most this long.
            waker: A file descriptor; it is not read.

        Raises:
            ServerUnavailable: The connection broke.
        """
        try:
            line = self._line or self._open()
            if not line.has_input():
                poll = new_poll()
                poll.register(line, READABLE)
                poll.register(waker, READABLE)
                ready = poll.poll(timeout_s * 1000)
                if not any(descriptor != waker for descriptor, _ in ready):
                    return
            while line.has_input():
                line.hear()
        except (OSError, redis_errors.RedisError, ValueError) as error:
            self.close()
            raise unavailable(self._target, error) from None


def _watched(round_trip: RoundTrip[R]) -> Step[R]:
    """Put a command in front of each that makes the server watch the keys that it reads."""

    def parse(replies: list[Any]) -> R:
        for reply in replies if not round_trip.tolerant else replies[::2]:
            if isinstance(reply, ServerError):
                raise reply
        return round_trip.parse(replies[1::2])

    commands = [part for command in round_trip.commands for part in (_WATCH_NEXT, command)]
    return iter(RoundTrip(commands, parse, tolerant=True))
